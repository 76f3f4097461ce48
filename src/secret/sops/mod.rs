//! SOPS documents whose data key is encrypted with age: the document is opened whole, and nothing of
//! it is reported before its MAC fits.

mod by_program;
mod cipher;
mod comments;
mod creation_rules;
mod decrypted;
mod document;
mod layout;
mod mac;
mod metadata;
mod plain;
mod previous_ciphertext;
mod scalar;
mod selection;
mod shares;
#[cfg(test)]
mod tests;
mod unlocked;
mod write;
mod write_error;

use std::collections::BTreeMap;

use thiserror::Error;

use super::{SecretResolver, Unreadable};
use crate::model::Secret;
use crate::model::sops::{Parts, SopsFault, Tree};

pub(super) use by_program::is_for_program;
pub(super) use cipher::SEALED;
pub use creation_rules::{BadRules, RuleRecipients, rule_recipients, rules_for};
pub(super) use decrypted::DecryptedDocument;
pub(super) use document::{ciphertext, is_document};
pub(super) use selection::Patterns;
pub use write::{OpenedSopsDocument, is_changed_by_sops_alone};
pub use write_error::SopsWriteError;

/// Why a SOPS document is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SopsProblem {
    /// It has none of the forms that SOPS writes.
    #[error("it is not complete YAML or JSON")]
    Syntax,
    /// What SOPS wrote about the document does not have the form that SOPS writes.
    #[error("its `sops` part {0}")]
    Metadata(&'static str),
    /// No age recipient among those who can open it.
    #[error("it needs an age recipient: {0}")]
    NoAge(&'static str),
    /// It has keys that only SOPS opens, and the project does not say that this may be run.
    #[error("{}", for_sops(.kinds, *.has_age))]
    OtherKeys {
        /// Their kinds.
        kinds: Vec<&'static str>,
        /// Whether it is encrypted to age recipients as well.
        has_age: bool,
    },
    /// Its key is split, and too few of the parts can be decrypted here.
    #[error(
        "its key is split among {groups} key groups, of which {needed} are needed, and the age identities found open {opened}"
    )]
    Shares {
        /// The groups.
        groups: usize,
        /// How many of them make the key.
        needed: usize,
        /// How many can be opened.
        opened: usize,
    },
    /// A value that was changed, or moved here from elsewhere.
    #[error("the value of {0} was changed or moved after it was encrypted")]
    Value(String),
    /// A value in plain text where none may be.
    #[error("the value of {0} is in plain text, and should be encrypted")]
    Clear(String),
    /// Something was added, removed, moved or changed.
    #[error("it was changed after it was encrypted: its MAC does not match")]
    Mac,
    /// The MAC itself, or the time of the last change.
    #[error("its MAC, or the time of its last change, was changed after it was encrypted")]
    MacItself,
}

fn for_sops(kinds: &[&str], has_age: bool) -> String {
    let keys = kinds.join(" and ");
    if has_age {
        format!(
            "none of the age identities found opens it, and only `sops` could by its other keys ({keys})"
        )
    } else {
        format!("it is encrypted to {keys} and to no age recipient, so only `sops` can decrypt it")
    }
}

impl SopsProblem {
    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::OtherKeys { .. } => {
                "write `sops_program: {command: [sops]}` in appcred.yaml to have `sops` decrypt it, or add an age recipient to .sops.yaml and run `sops updatekeys FILE`"
            }
            Self::NoAge(_) => "add one to .sops.yaml and run `sops updatekeys FILE`",
            Self::Shares { .. } => "give the age identities of as many groups as are needed",
            Self::Syntax | Self::Metadata(_) => {
                "restore the file as SOPS wrote it, or encrypt it again"
            }
            Self::Value(_) | Self::Clear(_) | Self::Mac | Self::MacItself => {
                "restore the file as SOPS wrote it, and change it with `appcred edit FILE` or `sops edit FILE` only"
            }
        }
    }
}

/// Opens a document that holds one value.
pub(super) fn only_value(
    text: &str,
    parts: Result<Parts, SopsFault>,
    resolver: &SecretResolver,
) -> Result<Secret, Unreadable> {
    let parts = parts.map_err(SopsProblem::from)?;
    DecryptedDocument::new(Tree { text, parts: &parts }, resolver)?.only()
}

/// Opens a document: its values by the keys that lead to them, as in `home/spotify`.
pub(super) fn by_name(
    text: &str,
    parts: Result<Parts, SopsFault>,
    resolver: &SecretResolver,
) -> Result<BTreeMap<String, Result<Secret, Unreadable>>, Unreadable> {
    let parts = parts.map_err(SopsProblem::from)?;
    let tree = Tree { text, parts: &parts };
    Ok(DecryptedDocument::new(tree, resolver)?.by_name(tree))
}
