//! The terminal: the only place that prints.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anstream::ColorChoice;
use clap::ValueEnum;
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use signal_hook::consts::SIGINT;
use supports_hyperlinks::Stream;

use crate::files::fetched;
use crate::model::{Visible, visible_json, visible_lines};

use super::hyperlink::linked;
use super::{LogFormat, interrupt, named_commands, questions};

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

/// Writes to standard output. A reader that has gone away is not an error.
///
/// # Errors
/// Where the text cannot be written for another reason, such as a full disk.
pub(super) fn print(text: &str) -> io::Result<()> {
    print_to_stdout(text, has_links(Stream::Stdout))
}

/// Whether anything was written to standard output.
static HAS_PRINTED: AtomicBool = AtomicBool::new(false);

/// Whether anything was written to standard output.
pub(super) fn has_printed() -> bool {
    HAS_PRINTED.load(Ordering::Relaxed)
}

fn print_to_stdout(text: &str, has_links: bool) -> io::Result<()> {
    HAS_PRINTED.store(true, Ordering::Relaxed);
    match write(anstream::stdout(), text, has_links) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            let why = format!("cannot write to standard output: {error}");
            Err(io::Error::new(error.kind(), why))
        }
        Ok(()) => Ok(()),
    }
}

/// Whether standard output is for a program.
static IS_FOR_PROGRAM: AtomicBool = AtomicBool::new(false);

/// From now on standard output is for a program.
pub(super) fn keep_for_program() {
    IS_FOR_PROGRAM.store(true, Ordering::Relaxed);
}

/// Writes what a person wants to know: to standard output, or to standard error where that is for a program.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn say(text: &str) -> io::Result<()> {
    if IS_FOR_PROGRAM.load(Ordering::Relaxed) {
        print_error(text);
        return Ok(());
    }
    print(text)
}

/// The same with whole addresses, for a browser elsewhere.
///
/// # Errors
/// As for `say`.
pub(super) fn say_whole(text: &str) -> io::Result<()> {
    if IS_FOR_PROGRAM.load(Ordering::Relaxed) {
        return write(anstream::stderr(), text, false);
    }
    print_to_stdout(text, false)
}

/// How many characters a line of standard output has room for, where that is a terminal.
pub(super) fn width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    tcgetwinsize(&stdout).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}

/// How many lines standard output shows at once, where that is a terminal.
pub(super) fn rows() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    tcgetwinsize(&stdout).ok().map(|size| size.ws_row).filter(|rows| *rows > 0)
}

/// Writes to what shows it in the place of standard output, with its colours.
///
/// # Errors
/// Where the text cannot be written.
pub(super) fn write_for_stdout(out: impl Write, text: &str) -> io::Result<()> {
    match anstream::AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => write(out, &anstream::adapter::strip_str(text).to_string(), false),
        _ => write(out, text, false),
    }
}

/// Writes text of several lines to standard error, for a person.
pub(super) fn print_error(text: &str) {
    // Where stderr is closed, this error has no reader either.
    let _ = write(anstream::stderr(), text, has_links(Stream::Stderr));
}

/// The same with whole addresses, for a browser elsewhere.
pub(super) fn print_error_whole(text: &str) {
    let _ = write(anstream::stderr(), text, false);
}

/// Writes one line to standard error, for a person. Nothing in it can begin another line.
pub(super) fn message(line: impl Display) {
    print_error(&(line.to_string().visible() + "\n"));
}

/// Writes what went wrong.
pub(super) fn error(what: impl Display) {
    note_failure(&what);
    message(format_args!("error: {what}"));
}

/// What went wrong until now, as a program reads it.
static FAILURES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what went wrong for a program, where people read it in another place.
pub(super) fn note_failure(what: impl Display) {
    FAILURES.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_string());
}

/// What went wrong until now; none where nothing did.
pub(super) fn failures() -> Option<String> {
    let failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    (!failures.is_empty()).then(|| failures.join("; "))
}

/// Writes what a person should know.
pub(super) fn warning(what: impl Display) {
    message(format_args!("warning: {what}"));
}

/// Whether addresses there may be links. Without colours there are none either.
fn has_links(stream: Stream) -> bool {
    let choice = match stream {
        Stream::Stdout => anstream::AutoStream::choice(&io::stdout()),
        Stream::Stderr => anstream::AutoStream::choice(&io::stderr()),
    };
    choice != ColorChoice::Never && supports_hyperlinks::on(stream)
}

/// Whatever wrote the text, it has no control characters but line breaks, our own styles and links.
fn write(mut out: impl Write, text: &str, has_links: bool) -> io::Result<()> {
    let visible = visible_lines(text);
    let visible = named_commands::for_project(&visible);
    let visible = fetched::named(&visible);
    match has_links {
        true => out.write_all(linked(&visible).as_bytes())?,
        false => out.write_all(visible.as_bytes())?,
    }
    out.flush()
}

/// Where the log goes: each event is one line, whatever is in it.
#[derive(Clone, Copy)]
pub(super) struct Log(pub(super) LogFormat);

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = match self.0 {
            LogFormat::Text => visible_lines(line).replace('\n', "\\n"),
            LogFormat::Json => visible_json(line).into_owned(),
        };
        let line = fetched::named(&line).into_owned();
        // Where nobody reads it any more, the work goes on: an error here would end in a panic of `tracing`.
        drop(io::stderr().write_all((line + "\n").as_bytes()));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether there is a person to ask.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The terminal's settings, to be restored however a question ends.
#[derive(Clone)]
pub(super) struct SavedTerminal(Option<Termios>);

impl SavedTerminal {
    /// Saves them before they are changed.
    pub(super) fn save() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Whether they are others now.
    pub(super) fn is_changed(&self) -> bool {
        let now = tcgetattr(io::stdin()).ok();
        let modes =
            |of: &Termios| (of.input_modes, of.output_modes, of.control_modes, of.local_modes);
        now.as_ref().map(modes) != self.0.as_ref().map(modes)
    }

    /// Restores them: what is typed is shown again, and so is the cursor.
    pub(super) fn restore(&self) {
        if let Some(before) = &self.0 {
            let is_restored = tcsetattr(io::stdin(), OptionalActions::Now, before).is_ok();
            if is_restored && can_ask() {
                // What else is written shows no control characters.
                drop(io::stderr().write_all(b"\x1b[?25h"));
            }
        }
    }
}

/// Asks a question to which anything but `y` and `yes`, in large letters or small ones, is a no.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) fn confirm(question: &str) -> io::Result<bool> {
    Ok(is_yes(&ask(question)?))
}

/// Whether an answer agrees.
pub(super) fn is_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

/// Asks for a line.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) fn ask(question: &str) -> io::Result<String> {
    print_error(question);
    let mut answer = String::new();
    questions::ask_line(|| io::stdin().lock().read_line(&mut answer))?;
    Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks for a line that the terminal does not show.
///
/// # Errors
/// Where the answer cannot be read, or nothing is answered.
pub(super) fn ask_hidden(question: &str) -> io::Result<SecretString> {
    if let Some(answer) = questions::ask_keys(|| ask_unseen(question))? {
        return Ok(answer);
    }
    // Once the question is over, so that nobody waits for its end.
    kill_current_process_group(Signal::INT)?;
    questions::end_unless_heard(SIGINT);
    Err(io::ErrorKind::Interrupted.into())
}

/// What is answered; nothing where somebody has pressed Ctrl-C.
fn ask_unseen(question: &str) -> io::Result<Option<SecretString>> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    // Ctrl-C ends the line: as a signal it would end the process before the terminal is restored.
    let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
    hidden.special_codes[SpecialCodeIndex::VEOL] = interrupt;
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    hidden.local_modes.insert(LocalModes::ECHONL);
    // What was typed before was visible, and does not answer this.
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    print_error(question);
    let answer = hidden_line(interrupt);
    tcsetattr(&stdin, OptionalActions::Now, &before)?;
    let answer = answer?;
    if answer.last() == Some(&interrupt) {
        print_error("\n");
        interrupt::pressed();
        return Ok(None);
    }
    let answer = std::str::from_utf8(&answer)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    let answer = SecretString::from(answer);
    let nothing = || io::Error::new(io::ErrorKind::UnexpectedEof, "nothing was answered");
    if answer.expose_secret().is_empty() { Err(nothing()) } else { Ok(Some(answer)) }
}

/// What is typed up to the end of the line, or up to the interrupt, which is then its last byte.
fn hidden_line(interrupt: u8) -> io::Result<Zeroizing<Vec<u8>>> {
    // A terminal takes no longer line, so no copy is left behind in memory.
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'\n' => break,
            byte => line.push(byte),
        }
        if line.last() == Some(&interrupt) {
            break;
        }
    }
    Ok(line)
}
