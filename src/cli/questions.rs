//! Questions that change the terminal, and Ctrl-C while they are asked or between them.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use super::console::SavedTerminal;
use super::interrupt;

/// How often it is looked whether the terminal was changed.
const LOOK: Duration = Duration::from_millis(1);

/// What is asked now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// A line, as the terminal reads it.
    Line,
    /// Something for which the terminal is changed.
    Keys,
}

/// After Ctrl-C it stays as it is: no other question begins.
static ASKED: Mutex<Asked> = Mutex::new(Asked::Nothing);

fn now() -> MutexGuard<'static, Asked> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks something, unless somebody has pressed Ctrl-C.
fn ask<T, E: From<io::Error>>(
    what: Asked,
    question: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    {
        let mut asked = now();
        if interrupt::was_pressed() {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        *asked = what;
    }
    let answer = question();
    *now() = Asked::Nothing;
    answer
}

/// Asks for a line without changing the terminal.
///
/// # Errors
/// Those of the question, and where somebody has pressed Ctrl-C before.
pub(super) fn ask_line<T, E: From<io::Error>>(
    question: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    ask(Asked::Line, question)
}

/// Asks something for which the terminal is changed.
///
/// # Errors
/// Those of the question, and where somebody has pressed Ctrl-C before.
pub(super) fn ask_keys<T, E: From<io::Error>>(
    question: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    ask(Asked::Keys, question)
}

/// Does what asks questions; none where Ctrl-C was pressed in one that does not end by that. The terminal is then as it
/// was before: a question that had begun has changed it, and no other begins.
///
/// # Errors
/// Where signals cannot be listened to.
pub(super) async fn answered<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<Option<T>> {
    let terminal = SavedTerminal::save();
    // Before the first question, in which Ctrl-C would leave the terminal changed.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut working = spawn_blocking(work);
    let done = tokio::select! {
        done = &mut working => Some(done?),
        _ = interrupt.recv() => {
            {
                let _asked = now();
                interrupt::pressed();
            }
            tokio::select! {
                done = settled(working, &terminal) => done?,
                _ = interrupt.recv() => None,
            }
        }
    };
    terminal.restore();
    Ok(done)
}

/// Waits until nothing changes the terminal any more.
async fn settled<T>(working: JoinHandle<T>, terminal: &SavedTerminal) -> anyhow::Result<Option<T>> {
    loop {
        if working.is_finished() {
            return Ok(Some(working.await?));
        }
        let asked = *now();
        match asked {
            Asked::Line => return Ok(None),
            Asked::Keys if terminal.is_changed() => return Ok(None),
            Asked::Keys | Asked::Nothing => sleep(LOOK).await,
        }
    }
}
