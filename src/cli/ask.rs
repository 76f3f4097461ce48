//! Questions that reading a secret may ask.

use std::io;

use secrecy::SecretString;

use super::console;
use crate::secret::Ask;

/// The person at the terminal, if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal;

impl Ask for Terminal {
    fn show_message(&self, message: &str) {
        console::message(format_args!("{message}"));
    }

    fn choose(&self, question: &str, first: &str, second: &str) -> Option<bool> {
        let answer = self.line(&format!("{question} ({first} / {second})"))?;
        Some(answer == first || console::is_yes(&answer))
    }

    fn line(&self, question: &str) -> Option<String> {
        answer(question, console::ask)
    }

    fn passphrase(&self, question: &str) -> Option<SecretString> {
        answer(question, console::ask_hidden)
    }
}

fn answer<T>(question: &str, ask: impl FnOnce(&str) -> io::Result<T>) -> Option<T> {
    if !console::can_ask() {
        return None;
    }
    ask(&format!("{question}: ")).ok()
}
