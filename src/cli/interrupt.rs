//! Ctrl-C and SIGTERM: the first ends a run once what is in flight is finished, the second at once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::target::Stop;

use super::console;
use super::exit::ExitStatus;

/// Whether somebody has pressed Ctrl-C.
static PRESSED: AtomicBool = AtomicBool::new(false);

/// Somebody has pressed Ctrl-C.
pub(super) fn pressed() {
    PRESSED.store(true, Ordering::Relaxed);
}

/// Whether somebody has.
pub(super) fn was_pressed() -> bool {
    PRESSED.load(Ordering::Relaxed)
}

/// How a run ends whose question was left open by Ctrl-C.
///
/// # Errors
/// Always.
pub(super) fn ended() -> anyhow::Result<ExitStatus> {
    pressed();
    console::message("");
    bail!("interrupted")
}

/// Whether a question was left open by Ctrl-C.
pub(super) fn is_cause(error: &anyhow::Error) -> bool {
    // dialoguer's error does not name its cause.
    let io = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(dialoguer::Error::IO(io)) => Some(io),
        None => cause.downcast_ref::<io::Error>(),
    });
    io.is_some_and(|io| io.kind() == io::ErrorKind::Interrupted)
}

/// What asks this process to end.
pub(super) struct EndSignals {
    pub(super) interrupt: Signal,
    pub(super) terminate: Signal,
}

impl EndSignals {
    /// Listens to them; from now on they do not end the process.
    pub(super) fn new() -> io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => pressed(),
            _ = self.terminate.recv() => {}
        }
    }
}

/// Asks a question that only `yes` answers; a signal is a no.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) async fn confirm(question: String) -> anyhow::Result<bool> {
    // Before the question, at whose sight somebody may press Ctrl-C.
    let asked_to_end = asked_to_end()?;
    let asking = tokio::task::spawn_blocking(move || console::confirm(&question));
    tokio::select! {
        answer = asking => Ok(answer??),
        () = asked_to_end => {
            // Nobody has ended the line of the question.
            console::message("");
            Ok(false)
        }
    }
}

/// Listens from now on, and not only once it is polled, for what asks this process to end.
///
/// # Errors
/// Where signals cannot be listened to.
pub(super) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let (mut signals, mut hang_up) = (EndSignals::new()?, signal(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            () = signals.next() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Cancels on the first Ctrl-C or SIGTERM, while nothing is in flight that must be finished. A container's first
/// process is ended by no signal that it does not listen to.
#[derive(Debug)]
pub(super) struct StopsAtOnce {
    stop: Stop,
    task: JoinHandle<()>,
}

impl StopsAtOnce {
    pub(super) fn listen(stop: Stop) -> io::Result<Self> {
        let mut signals = EndSignals::new()?;
        let asked = stop.clone();
        let task = tokio::spawn(async move {
            signals.next().await;
            asked.cancel();
        });
        Ok(Self { stop, task })
    }

    /// What it cancels.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Somebody else listens from now on.
    pub(super) fn end(&self) {
        self.task.abort();
    }
}

/// Cancels on the first Ctrl-C or SIGTERM, and is over on the second.
pub(super) fn stop_on_signal(stop: Stop) -> io::Result<impl Future<Output = ()>> {
    let mut signals = EndSignals::new()?;
    Ok(async move {
        for _ in 0..2 {
            signals.next().await;
            if !stop.is_cancelled() {
                console::print_error(
                    "\nInterrupted: finishing what is in flight; press Ctrl-C again to leave at once.\n",
                );
                stop.cancel();
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::is_cause;

    #[test]
    fn whoever_asked_an_interrupted_question_is_understood() {
        let io = |kind| Error::new(kind, "read interrupted");
        let interrupted = || io(ErrorKind::Interrupted);
        assert!(is_cause(&anyhow::Error::from(interrupted()).context("asking")));
        assert!(is_cause(&dialoguer::Error::IO(interrupted()).into()));
        assert!(!is_cause(&dialoguer::Error::IO(io(ErrorKind::NotConnected)).into()));
        assert!(!is_cause(&anyhow::anyhow!("read interrupted")));
    }
}
