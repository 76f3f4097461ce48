//! Changing files that people wrote: exactly the lines meant, every other byte stays.
//!
//! All of it is pure, from text to text. What comes out is read again and compared
//! with what went in before anybody gets it: a change that would be more than was meant is refused.

mod append;
mod change;
pub(crate) mod geometry;
mod slots;
#[cfg(test)]
mod tests;

mod same;

use thiserror::Error;

pub use append::{NewEntry, append, new_manifest};
pub use change::Changes;
pub use slots::{Held, New, Old, Slot, all_slots, is_sealed, put, slots};

/// Why a file is left as it is.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    /// It cannot be read.
    #[error("it is not valid YAML, as `appcred validate` tells in full")]
    NotYaml,
    /// It is a SOPS document, whose MAC would no longer fit.
    #[error("it is a SOPS document, which `appcred edit` changes")]
    Sops,
    /// It is no manifest.
    #[error("it has no list `application_credentials` that an entry could be added to")]
    NoList,
    /// The change cannot be made in the lines meant alone.
    #[error("line {0} is written in a way that cannot be changed in place: change it by hand")]
    Line(u32),
}
