//! A secret that others prove themselves by, in a file that may change at any time.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::model::{Secret, Visible};
use crate::secret::token;

use super::sessions::Fingerprint;

/// A shorter token could be guessed.
const SHORTEST_TOKEN: usize = 16;

/// A file with one token. It is read whenever somebody gives a token, so that a new one counts at once.
pub struct TokenFile {
    file: PathBuf,
    /// What is not possible as long as it cannot be read.
    closed: &'static str,
    /// What was logged last, so that a file that cannot be read is logged once.
    logged: Mutex<Option<String>>,
}

impl TokenFile {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// Where it holds no token, or one that is too short.
    pub fn new(file: PathBuf) -> Result<Self, String> {
        Self::for_use(file, "no one can log in to the status page")
    }

    /// Reads the secret of a Git host's webhooks for the first time.
    ///
    /// # Errors
    /// As above.
    pub fn of_hook(file: PathBuf) -> Result<Self, String> {
        Self::for_use(file, "no webhook of a Git host is accepted")
    }

    fn for_use(file: PathBuf, closed: &'static str) -> Result<Self, String> {
        let token_file = Self { file, closed, logged: Mutex::default() };
        token_file.read()?;
        Ok(token_file)
    }

    fn read(&self) -> Result<Secret, String> {
        let token = token::from_file(&self.file).map_err(|why| why.to_string())?;
        if token.expose().len() < SHORTEST_TOKEN {
            return Err(format!(
                "the token in {} is too short: it needs {SHORTEST_TOKEN} characters or more, as from `openssl rand -hex 32`",
                self.file.visible()
            ));
        }
        Ok(token)
    }

    /// The fingerprint of the token as it is now.
    pub(super) fn current(&self) -> Option<Fingerprint> {
        self.secret().map(|token| Fingerprint::of(token.expose()))
    }

    /// The token as it is now; `None`, which is logged, where there is none: then nobody gets in.
    pub(super) fn secret(&self) -> Option<Secret> {
        let read = self.read();
        let why = read.as_ref().err();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = why
            && logged.as_ref() != Some(why)
        {
            tracing::error!("{}: {why}", self.closed);
        } else if why.is_none() && logged.is_some() {
            tracing::info!("{} can be read again", self.file.visible());
        }
        *logged = why.cloned();
        read.ok()
    }
}
