//! Who watches and who changes a target: one run of this person on this machine at a time.

mod watching;
mod writing;

use std::path::PathBuf;

use thiserror::Error;

use crate::files::{FileLock, NotLocked};
use crate::model::Visible;

pub use watching::TargetLock;
pub use writing::WriteLock;

/// Locked until it is dropped.
#[derive(Debug, Default)]
pub struct HeldLock {
    _lock: Option<FileLock>,
}

impl From<FileLock> for HeldLock {
    fn from(lock: FileLock) -> Self {
        Self { _lock: Some(lock) }
    }
}

/// Why a target is not locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another watcher has it.
    #[error("another watcher has this target: {holder}; stop it first")]
    Held {
        /// How it names itself.
        holder: String,
    },
    /// Another run is changing it.
    #[error("{holder} is changing {place}: wait until it is done, or end it")]
    Writing {
        /// How it names itself.
        holder: String,
        /// Where the target is.
        place: String,
    },
    /// The file cannot be locked.
    #[error(
        "cannot lock {}: {why}; XDG_STATE_HOME names another folder for locks and sessions",
        file.visible()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// The reason.
        why: NotLocked,
    },
}
