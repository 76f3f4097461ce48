//! Why SOPS documents are not written.

use thiserror::Error;

use super::SopsProblem;
use crate::secret::Unreadable;
use crate::secret::seal::AgeEncryptError;
use crate::yaml_edit::YamlEditError;

/// Why a SOPS document is not written.
#[derive(Debug, Error)]
pub enum SopsWriteError {
    /// It cannot be opened.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It cannot be changed in place.
    #[error(transparent)]
    Unfit(#[from] YamlEditError),
    /// Its key could not be encrypted to a recipient.
    #[error(transparent)]
    Encrypt(#[from] AgeEncryptError),
    /// No age identity opens it, and another key would.
    #[error("its key is encrypted to {}, so only `sops` can change it", .0.join(" and "))]
    OtherKeys(Vec<&'static str>),
    /// It has another form than those that are written here.
    #[error("{0}, which only `sops` can change")]
    Form(&'static str),
    /// What was written is not what it should be.
    #[error("it would not be read back correctly: {0}")]
    Wrong(SopsProblem),
    /// No random numbers.
    #[error("the operating system provides no random numbers")]
    NoRandom,
}

impl From<SopsProblem> for SopsWriteError {
    fn from(problem: SopsProblem) -> Self {
        Self::Unreadable(problem.into())
    }
}
