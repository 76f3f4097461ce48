//! Questions that change the terminal, and signals while they are asked or between them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, process, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, exit};
use tokio::signal::unix::SignalKind;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use super::console::{self, SavedTerminal};
use super::interrupt::{self, SignalListener, is_ignored};

/// How often it is looked whether the terminal was changed.
const LOOK: Duration = Duration::from_millis(1);
/// How often at most before the process ends: a terminal that was so before never changes.
const MOST_LOOKS: usize = 500;

/// What is asked now.
#[derive(Clone)]
enum Asked {
    Nothing,
    /// A line, as the terminal reads it.
    Line,
    /// Something for which the terminal is changed, which was so before.
    Keys(SavedTerminal),
    /// Nothing any more: the process ends.
    Over,
}

/// After Ctrl-C it stays as it is: no other question begins.
static ASKED: Mutex<Asked> = Mutex::new(Asked::Nothing);

fn now() -> MutexGuard<'static, Asked> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A question that is asked, or an editor that is open. The terminal is as before once it is over, also where the process
/// ends meanwhile.
pub(super) struct OpenQuestion(Asked);

impl OpenQuestion {
    fn begin(what: Asked) -> io::Result<Self> {
        let mut asked = now();
        if interrupt::was_pressed() || matches!(*asked, Asked::Over) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        *asked = what.clone();
        Ok(Self(what))
    }

    /// Something for which the terminal is changed.
    ///
    /// # Errors
    /// Where somebody has pressed Ctrl-C before, or signals cannot be listened to.
    pub(super) fn for_keys() -> io::Result<Self> {
        end_on_signals()?;
        Self::begin(Asked::Keys(SavedTerminal::save()))
    }

    fn restore(&self) {
        if let Asked::Keys(terminal) = &self.0 {
            terminal.restore();
        }
    }
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        let mut asked = now();
        if matches!(&self.0, Asked::Keys(terminal) if terminal.is_changed()) {
            self.restore();
        }
        if !matches!(*asked, Asked::Over) {
            *asked = Asked::Nothing;
        }
    }
}

/// Where this is the first process of a container, the kernel ends it by no signal that nobody listens to.
///
/// # Errors
/// Where signals cannot be listened to.
pub(super) fn end_first_process_on_signals() -> io::Result<()> {
    if process::id() == 1 { end_on_signals() } else { Ok(()) }
}

/// From now on the signals that nobody listens to end the process only when the terminal is as before.
fn end_on_signals() -> io::Result<()> {
    static IS_BEGUN: Mutex<bool> = Mutex::new(false);
    let mut is_begun = IS_BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_begun {
        let all = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter();
        let heard = all.filter(|signal| !is_ignored(SignalKind::from_raw(*signal)));
        let mut signals = Signals::new(heard)?;
        thread::Builder::new().spawn(move || signals.forever().for_each(end_unless_heard))?;
        *is_begun = true;
    }
    Ok(())
}

/// Ends the process by this signal, unless it is ignored or somebody listens to it, who then says how it ends.
pub(super) fn end_unless_heard(signal: i32) {
    let kind = SignalKind::from_raw(signal);
    if is_ignored(kind) || interrupt::is_heard(kind) {
        return;
    }
    leave_terminal();
    // The kernel ends the first process of a container by no signal of its own.
    if process::id() == 1 {
        exit(128 + signal);
    }
    if let Err(why) = emulate_default_handler(signal) {
        console::error(format_args!("cannot end by signal {signal}: {why}"));
    }
}

/// Leaves the terminal as it was before the question that is open, and lets no other begin: the process ends.
pub(super) fn leave_terminal() {
    for _ in 0..MOST_LOOKS {
        let mut asked = now();
        let is_over = match &*asked {
            Asked::Keys(terminal) if terminal.is_changed() => {
                terminal.restore();
                true
            }
            // It has begun, or is about to end.
            Asked::Keys(_) => false,
            Asked::Nothing | Asked::Line | Asked::Over => true,
        };
        if is_over {
            *asked = Asked::Over;
            return;
        }
        drop(asked);
        thread::sleep(LOOK);
    }
    *now() = Asked::Over;
}

/// Asks for a line without changing the terminal.
///
/// # Errors
/// Those of the question, and where somebody has pressed Ctrl-C before.
pub(super) fn ask_line<T, E: From<io::Error>>(
    question: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let _open = OpenQuestion::begin(Asked::Line)?;
    question()
}

/// Asks something for which the terminal is changed.
///
/// # Errors
/// Those of the question, and where somebody has pressed Ctrl-C before.
pub(super) fn ask_keys<T, E: From<io::Error>>(
    question: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let open = OpenQuestion::for_keys()?;
    let answer = question();
    if answer.is_err() {
        // A cursor may be hidden yet.
        open.restore();
    }
    answer
}

/// Does what asks questions; none where Ctrl-C was pressed in one that does not end by that. A question that had begun
/// has then changed the terminal, which is restored before the process ends, and no other begins.
///
/// # Errors
/// Where signals cannot be listened to.
pub(super) async fn answered<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<Option<T>> {
    // Before the first question, in which Ctrl-C would end the process.
    let mut interrupt = SignalListener::new(SignalKind::interrupt())?;
    let mut working = spawn_blocking(work);
    tokio::select! {
        done = &mut working => return Ok(Some(done?)),
        () = interrupt.recv() => {}
    }
    {
        let _asked = now();
        interrupt::pressed();
    }
    tokio::select! {
        done = settled(working) => done,
        () = interrupt.recv() => Ok(None),
    }
}

/// Waits until nothing changes the terminal any more.
async fn settled<T>(working: JoinHandle<T>) -> anyhow::Result<Option<T>> {
    loop {
        if working.is_finished() {
            return Ok(Some(working.await?));
        }
        let asked = now().clone();
        match asked {
            Asked::Line => return Ok(None),
            Asked::Keys(terminal) if terminal.is_changed() => return Ok(None),
            Asked::Keys(_) | Asked::Nothing | Asked::Over => sleep(LOOK).await,
        }
    }
}
