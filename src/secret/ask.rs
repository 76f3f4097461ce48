//! Asking the person, for passphrases and on behalf of age's plugins.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use age::Callbacks;
use secrecy::SecretString;

/// A person who can be asked; every answer may be missing, where there is no terminal.
pub trait Ask: Send + Sync + 'static {
    /// Shows a message, as "touch your key".
    fn show_message(&self, message: &str);
    /// Lets the person choose between two answers; `true` is the first.
    fn choose(&self, question: &str, first: &str, second: &str) -> Option<bool>;
    /// Asks for a line.
    fn line(&self, question: &str) -> Option<String>;
    /// Asks for what must not be seen.
    fn passphrase(&self, question: &str) -> Option<SecretString>;
}

/// Nobody to ask.
#[derive(Clone, Copy)]
pub struct Nobody;

impl Ask for Nobody {
    fn show_message(&self, _: &str) {}

    fn choose(&self, _: &str, _: &str, _: &str) -> Option<bool> {
        None
    }

    fn line(&self, _: &str) -> Option<String> {
        None
    }

    fn passphrase(&self, _: &str) -> Option<SecretString> {
        None
    }
}

/// One question at a time, whoever asks.
#[derive(Clone)]
pub(super) struct Person(Arc<Inner>);

struct Inner {
    person: Box<dyn Ask>,
    talking: Mutex<()>,
    silent: AtomicBool,
}

impl Person {
    pub(super) fn new(person: impl Ask) -> Self {
        let (talking, silent) = (Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Inner { person: Box::new(person), talking, silent }))
    }

    /// Whether a question went without an answer.
    pub(super) fn was_silent(&self) -> bool {
        self.0.silent.load(Ordering::Relaxed)
    }

    fn with<T>(&self, ask: impl FnOnce(&dyn Ask) -> Option<T>) -> Option<T> {
        let _one_at_a_time = self.0.talking.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(self.0.person.as_ref());
        if answer.is_none() {
            self.0.silent.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl Callbacks for Person {
    fn display_message(&self, message: &str) {
        self.0.person.show_message(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.with(|person| person.choose(message, yes, no.unwrap_or("no")))
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.with(|person| person.line(description))
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.with(|person| person.passphrase(description))
    }
}
