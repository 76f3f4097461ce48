//! SOPS documents whose data key is encrypted with age: the document is opened whole, and nothing of
//! it is told before its MAC fits.

mod cipher;
mod document;
mod layout;
mod mac;
mod metadata;
mod scalar;
mod selection;
#[cfg(test)]
mod tests;
mod unlocked;
mod write;

use std::rc::Rc;

use thiserror::Error;

use super::{Unreadable, Vault};
use crate::model::Secret;

use unlocked::{Plain, Unlocked};

pub(super) use cipher::SEALED;
pub(super) use document::is_document;
pub(super) use selection::Patterns;
pub use write::{SopsDocument, Unwritten};

/// The keys that lead to a value.
type Path = Vec<Rc<str>>;

/// Why a SOPS document is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SopsProblem {
    /// It is neither YAML nor JSON.
    #[error("it is no whole YAML or JSON")]
    Syntax,
    /// What SOPS wrote about the document is not as SOPS writes it.
    #[error("its `sops` part {0}")]
    Metadata(&'static str),
    /// No age recipient among those who can open it.
    #[error("it needs an age recipient: {0}")]
    NoAge(&'static str),
    /// A value that was changed, or moved here from elsewhere.
    #[error("the value of {0} was changed or moved after it was encrypted")]
    Value(String),
    /// A value in clear where none may be.
    #[error("the value of {0} stands in clear, and should be encrypted")]
    Clear(String),
    /// Something was added, taken away, moved or changed.
    #[error("it was changed after it was encrypted: its MAC does not fit")]
    Mac,
    /// The MAC itself, or the time of the last change.
    #[error("its MAC, or the time of its last change, was changed after it was encrypted")]
    MacItself,
}

impl SopsProblem {
    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::NoAge(_) => "add one to .sops.yaml and run `sops updatekeys FILE`",
            Self::Syntax | Self::Metadata(_) => {
                "bring back the file as SOPS wrote it, or encrypt it again"
            }
            Self::Value(_) | Self::Clear(_) | Self::Mac | Self::MacItself => {
                "bring back the file as SOPS wrote it, and change it with `appcred edit FILE` or `sops edit FILE` only"
            }
        }
    }
}

/// A document that was decrypted and whose MAC fits.
pub(super) struct Opened(Vec<Value>);

/// A value of it.
struct Value {
    at: usize,
    /// The key, of those that stand in the document itself and not deeper.
    key: Option<String>,
    plain: Plain,
}

impl Opened {
    /// The value whose text begins at this byte of the document.
    pub(super) fn at(&self, at: usize) -> Option<Result<Secret, Unreadable>> {
        let found = self.0.binary_search_by_key(&at, |value| value.at).ok()?;
        self.0.get(found).map(|value| value.plain.text())
    }

    /// The value of a key that stands in the document itself.
    pub(super) fn named(&self, name: &str) -> Option<Result<Secret, Unreadable>> {
        let found = self.0.iter().find(|value| value.key.as_deref() == Some(name));
        found.map(|value| value.plain.text())
    }
}

/// Decrypts a document and checks it.
pub(super) fn open(text: &str, vault: &Vault) -> Result<Opened, Unreadable> {
    let document = document::parse(text)?;
    let mut values: Vec<_> = Unlocked::new(document, vault)?
        .values
        .into_iter()
        .map(|known| {
            let key = match known.leaf.path.as_slice() {
                [key] => Some((**key).to_owned()),
                _ => None,
            };
            Value { at: known.leaf.at, key, plain: known.plain }
        })
        .collect();
    values.sort_by_key(|value| value.at);
    Ok(Opened(values))
}
