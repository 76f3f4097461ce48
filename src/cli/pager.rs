//! What is longer than the terminal goes through a pager, as in git.

use std::io::{self, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::interrupt::EndSignals;
use super::{console, environment};

/// The pager where the environment names none.
const USUAL: &str = "less";
/// What the shell ends with where there is no such program, or it is none.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// The command of the pager; empty where there is to be none.
static COMMAND: OnceLock<String> = OnceLock::new();

/// Decides for the whole process.
pub(super) fn choose(no_pager: bool) {
    let usual = || environment::program(USUAL).map(|_| USUAL.to_owned());
    let command = environment::pager().or_else(usual).filter(|_| !no_pager).unwrap_or_default();
    let _ = COMMAND.set(if command.trim() == "cat" { String::new() } else { command });
}

/// Writes to standard output, through the pager where that is a terminal with fewer lines.
///
/// # Errors
/// Where the text cannot be written.
pub(super) fn print(text: &str) -> io::Result<()> {
    let command = COMMAND.get().map(|command| command.trim()).unwrap_or_default();
    let rows = console::rows().filter(|_| !environment::is_ci());
    let is_long = rows.is_some_and(|rows| text.lines().count() >= rows.into());
    if command.is_empty() || !is_long || !through(command, text)? {
        return console::print(text);
    }
    Ok(())
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

fn start(command: &str) -> io::Result<Child> {
    let mut pager = Command::new("sh");
    pager.args(["-c", command]).stdin(Stdio::piped());
    for (name, usual) in [("LESS", "FRX"), ("LV", "-c")] {
        if !environment::has(name) {
            pager.env(name, usual);
        }
    }
    for name in environment::secret_variables() {
        pager.env_remove(name);
    }
    pager.spawn()
}
