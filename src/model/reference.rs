//! A secret as a file has it, before it is read.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{Secret, sops};

/// How a file refers to a secret. Which source reads which form is the list in `secret`.
#[derive(Clone, PartialEq, Eq)]
pub enum Reference {
    /// The secret itself, in plain text.
    Plain(Secret),
    /// An armored age file, inline.
    Age(String),
    /// A value of a SOPS document.
    Sops {
        /// The document, which can only be opened as a whole.
        document: Arc<sops::ParsedSops>,
        /// The first byte of the value in it.
        at: usize,
    },
    /// A tag with its argument, as in `!env_var HASS_TOKEN`.
    Tagged {
        /// The tag without its `!`.
        tag: String,
        /// What is behind it.
        argument: String,
        /// The file that it is in, from which paths begin.
        base: Arc<Path>,
    },
}

/// Whether this can be the name of an environment variable.
pub fn is_variable_name(text: &str) -> bool {
    text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain"),
            Self::Age(_) => f.write_str("Age"),
            Self::Sops { .. } => f.write_str("Sops"),
            Self::Tagged { tag, .. } => write!(f, "!{tag}"),
        }
    }
}
