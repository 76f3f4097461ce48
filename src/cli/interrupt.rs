//! Ctrl-C and SIGTERM: the first ends a run once what is in flight is finished, the second at once.

use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};

use crate::files::{self, TEXT_LIMIT};
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

/// Whether this process was started so that it ignores a signal, as `nohup` and the `&` of a script ask for. It goes on
/// doing so: whoever listens would not. Only Linux says so.
pub(super) fn is_ignored(signal: SignalKind) -> bool {
    // As it is before anybody listens.
    static IGNORED: LazyLock<u64> = LazyLock::new(|| {
        let status = files::read_text(Path::new("/proc/self/status"), TEXT_LIMIT);
        let mask = |status: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        status.ok().and_then(|status| mask(&status)).unwrap_or_default()
    });
    *IGNORED >> (signal.as_raw_value() - 1) & 1 == 1
}

/// The signals that somebody listens to, one for each listener.
static HEARD: Mutex<Vec<SignalKind>> = Mutex::new(Vec::new());

fn heard() -> MutexGuard<'static, Vec<SignalKind>> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether somebody listens to such a signal, or has got one, and so says how the run ends.
pub(super) fn is_heard(kind: SignalKind) -> bool {
    heard().contains(&kind)
}

/// Listens to a signal, which does not end the process meanwhile.
#[derive(Debug)]
pub(super) struct SignalListener {
    kind: SignalKind,
    /// None where it is ignored.
    signal: Option<Signal>,
    has_got: bool,
}

impl SignalListener {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where signals cannot be listened to.
    pub(super) fn new(kind: SignalKind) -> io::Result<Self> {
        let signal = if is_ignored(kind) { None } else { Some(signal(kind)?) };
        heard().push(kind);
        Ok(Self { kind, signal, has_got: false })
    }

    /// Waits for the next one.
    pub(super) async fn recv(&mut self) {
        self.recv_for_child().await;
        self.has_got = true;
    }

    /// Waits for the next one, where it is for a program that was started: it says nothing of how this run ends.
    pub(super) async fn recv_for_child(&mut self) {
        let Some(signal) = &mut self.signal else { return pending().await };
        if signal.recv().await.is_none() {
            pending().await
        }
    }
}

impl Drop for SignalListener {
    fn drop(&mut self) {
        if self.has_got {
            return;
        }
        let mut heard = heard();
        if let Some(at) = heard.iter().position(|kind| *kind == self.kind) {
            heard.swap_remove(at);
        }
    }
}

/// What asks this process to end.
#[derive(Debug)]
pub(super) struct EndSignals {
    pub(super) interrupt: SignalListener,
    pub(super) terminate: SignalListener,
}

impl EndSignals {
    /// Listens to them; from now on they do not end the process.
    pub(super) fn new() -> io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self {
            interrupt: SignalListener::new(interrupt)?,
            terminate: SignalListener::new(terminate)?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            () = self.interrupt.recv() => pressed(),
            () = self.terminate.recv() => {}
        }
    }
}

/// The same and SIGHUP, which a daemon does not end by.
#[derive(Debug)]
pub(super) struct ProcessSignals {
    pub(super) end: EndSignals,
    pub(super) hang_up: SignalListener,
}

impl ProcessSignals {
    /// Listens to them; from now on they do not end the process.
    ///
    /// # Errors
    /// Where signals cannot be listened to.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { end: EndSignals::new()?, hang_up: SignalListener::new(SignalKind::hangup())? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            () = self.end.next() => {}
            () = self.hang_up.recv() => {}
        }
    }
}

/// Asks a question that only `yes` answers; a signal is a no.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) async fn confirm(question: String) -> anyhow::Result<bool> {
    // Before the question, at whose sight somebody may press Ctrl-C.
    let mut signals = ProcessSignals::new()?;
    let asking = tokio::task::spawn_blocking(move || console::confirm(&question));
    tokio::select! {
        answer = asking => Ok(answer??),
        () = signals.next() => {
            // Nobody has ended the line of the question.
            console::message("");
            Ok(false)
        }
    }
}

/// Does what may be left off at any moment; none where a signal came before it was done.
///
/// # Errors
/// Where it cannot be listened for signals.
pub(super) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> io::Result<Option<T>> {
    let mut signals = EndSignals::new()?;
    Ok(tokio::select! {
        done = work => Some(done),
        () = signals.next() => None,
    })
}

/// Cancels on the first Ctrl-C or SIGTERM, while nothing is in flight that must be finished, and remembers SIGHUP. A
/// container's first process is ended by no signal that it does not listen to.
#[derive(Debug)]
pub(super) struct StopsAtOnce {
    stop: Stop,
    hang_up: Arc<Notify>,
    over: Arc<Notify>,
    task: JoinHandle<ProcessSignals>,
}

impl StopsAtOnce {
    pub(super) fn listen(stop: Stop) -> io::Result<Self> {
        let mut signals = ProcessSignals::new()?;
        let (asked, hang_up, over) = (stop.clone(), Arc::<Notify>::default(), Arc::default());
        let (reload, ended): (_, Arc<Notify>) = (Arc::clone(&hang_up), Arc::clone(&over));
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = signals.hang_up.recv() => reload.notify_one(),
                    () = signals.end.next() => break asked.cancel(),
                    () = ended.notified() => break,
                }
            }
            signals
        });
        Ok(Self { stop, hang_up, over, task })
    }

    /// What it cancels.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Whom SIGHUP wakes, also one that came before anybody waited.
    pub(super) fn hang_up(&self) -> Arc<Notify> {
        Arc::clone(&self.hang_up)
    }

    /// Hands over what it listens with: a signal that it has not seen yet is not lost.
    ///
    /// # Errors
    /// Where its task crashed.
    pub(super) async fn end(self) -> Result<ProcessSignals, JoinError> {
        self.over.notify_one();
        self.task.await
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

    use rustix::process::{Signal, getpid, kill_process};

    use super::{StopsAtOnce, is_cause};
    use crate::target::Stop;

    #[tokio::test]
    async fn a_signal_at_the_moment_in_which_listeners_are_handed_over_is_not_lost() {
        let early = StopsAtOnce::listen(Stop::new()).unwrap();
        let reload = early.hang_up();
        kill_process(getpid(), Signal::HUP).unwrap();
        let mut signals = early.end().await.unwrap();
        tokio::select! {
            () = reload.notified() => {}
            () = signals.hang_up.recv() => {}
            () = tokio::time::sleep(std::time::Duration::from_secs(60)) => panic!("SIGHUP is lost"),
        }
    }

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
