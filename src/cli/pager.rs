//! What is longer than the terminal goes through a pager, as in git.

use std::io::{self, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use unicode_width::UnicodeWidthStr;

use super::interrupt::EndSignals;
use super::{console, environment};

/// The pager where the environment names none.
const USUAL: &str = "less";
/// What the shell ends with where there is no such program, or it is none.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// Whether there is to be none.
static IS_OFF: AtomicBool = AtomicBool::new(false);

/// The variables of the environment that it does not get, beside those that hold secrets in every project.
static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps variables of the environment from the pager.
pub(super) fn keep_from(names: Vec<String>) {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
}

/// From now on everything is written without a pager.
pub(super) fn turn_off() {
    IS_OFF.store(true, Ordering::Relaxed);
}

/// Writes to standard output, through the pager where that is a terminal with fewer lines.
///
/// # Errors
/// Where the text cannot be written.
pub(super) fn print(text: &str) -> io::Result<()> {
    let is_off = IS_OFF.load(Ordering::Relaxed) || environment::is_ci();
    let rows = console::rows().filter(|_| !is_off);
    let is_long = rows.is_some_and(|rows| lines_on_terminal(text) >= rows.into());
    if is_long
        && let Some(command) = command()
        && through(&command, text)?
    {
        return Ok(());
    }
    console::print(text)
}

/// How many lines a text has there: those that are wider than the terminal have several.
fn lines_on_terminal(text: &str) -> usize {
    let width = console::width().map_or(usize::MAX, usize::from);
    let plain = anstream::adapter::strip_str(text).to_string();
    plain.lines().map(|line| line.width().div_ceil(width).max(1)).sum()
}

/// The command of the pager; none where there is none, or one that only writes the text.
fn command() -> Option<String> {
    let usual = || environment::program(USUAL).map(|_| USUAL.to_owned());
    let command = environment::pager().or_else(usual)?.trim().to_owned();
    Some(command).filter(|command| !command.is_empty() && command != "cat")
}

/// Whether there was such a program.
fn through(command: &str, text: &str) -> io::Result<bool> {
    // Ctrl-C is for the pager, which restores the terminal.
    let _signals = EndSignals::new()?;
    let Ok(mut pager) = start(command) else { return Ok(false) };
    if let Some(stdin) = pager.stdin.take() {
        match console::write_for_stdout(stdin, text) {
            // Nobody reads to the end.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    let status = pager.wait()?;
    Ok(!status.code().is_some_and(|code| NO_PROGRAM.contains(&code)))
}

#[expect(clippy::disallowed_methods, reason = "the person ends it")]
fn start(command: &str) -> io::Result<Child> {
    let mut pager = Command::new("sh");
    // Ctrl-C is for the pager: a shell that it ends would leave the pager behind.
    pager.args(["-c", &format!("trap : INT; {command}")]).stdin(Stdio::piped());
    for (name, usual) in [("LESS", "FRX"), ("LV", "-c")] {
        if !environment::has(name) {
            pager.env(name, usual);
        }
    }
    for name in environment::secret_variables() {
        pager.env_remove(name);
    }
    for name in SECRETS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        pager.env_remove(name);
    }
    pager.spawn()
}
