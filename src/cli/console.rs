//! The terminal: the only place that prints.

use std::io::{self, BufRead, IsTerminal, Write};

use anstream::ColorChoice;
use clap::ValueEnum;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Color {
    /// On a terminal that has them.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Decides on colours for the whole process; `NO_COLOR` and `CLICOLOR` count where the person did not choose.
pub(super) fn choose(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Whether messages for people may have colours.
pub(super) fn has_color() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Writes what was asked for. A reader that has gone away is no error.
///
/// # Errors
/// Where the text cannot be written for another reason, such as a full disk.
pub(super) fn print(text: &str) -> io::Result<()> {
    const ESCAPE: char = '\x1b';
    let written = if text.contains(ESCAPE) {
        let mut out = anstream::stdout();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    } else {
        let mut out = io::stdout();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    };
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Tells a person something beside what was asked for.
pub(super) fn tell(text: &str) {
    let mut out = anstream::stderr();
    // Where stderr is closed, this error has no reader either.
    if out.write_all(text.as_bytes()).is_ok() {
        let _ = out.flush();
    }
}

/// Whether there is a person to ask.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The terminal as a person left it, to be given back so however its questions end.
pub(super) struct AsItWas(Option<Termios>);

impl AsItWas {
    /// Looks at it before it is changed.
    pub(super) fn seen() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Puts everything back: what is typed is shown again, and so is the cursor.
    pub(super) fn give_back(&self) {
        if let Some(before) = &self.0 {
            let given = tcsetattr(io::stdin(), OptionalActions::Now, before).is_ok();
            if given && can_ask() {
                tell("\x1b[?25h");
            }
        }
    }
}

/// Asks a question to which anything but `y` and `yes` is a no.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) fn confirm(question: &str) -> io::Result<bool> {
    tell(question);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes"))
}

/// Asks for a line.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) fn ask(question: &str) -> io::Result<String> {
    tell(question);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks for a line that the terminal does not show.
///
/// # Errors
/// Where the answer cannot be read, or nothing is answered.
pub(super) fn ask_hidden(question: &str) -> io::Result<SecretString> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    // What was typed ahead was typed in sight, and is no answer to this.
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let answer = ask(question).map(SecretString::from);
    tcsetattr(&stdin, OptionalActions::Now, &before)?;
    let answer = answer?;
    let nothing = || io::Error::from(io::ErrorKind::UnexpectedEof);
    if answer.expose_secret().is_empty() { Err(nothing()) } else { Ok(answer) }
}
