//! Changing files that people wrote: exactly the lines meant, every other byte stays.
//!
//! All of it is pure, from text to text. What comes out is read again and compared
//! with the input before it is returned, and serde_yaml must read it in the same way: a change that
//! would be more than was meant is refused.

mod append;
mod change;
mod clear;
mod entry;
pub(crate) mod geometry;
mod in_clear;
mod named;
mod obstacle;
mod policy;
mod put;
mod reread;
mod slots;
#[cfg(test)]
mod tests;

mod same;
pub(crate) mod write;

use thiserror::Error;

pub use append::{NewEntry, append, new_manifest};
pub use change::TextChanges;
pub use clear::{ClearValue, clear_values};
pub use entry::{remove_entry, rename_entry};
pub use in_clear::check_none_in_clear;
pub use named::{SecretsNamed, exposed_secrets, place_of_name, secrets_named};
pub use obstacle::Obstacle;
pub use policy::forget_keys;
pub use put::{NewValue, OldLayout, put};
pub use slots::{Slot, SlotValue, all_slots, is_sealed, slots};
pub use write::document;

pub use crate::yaml::{
    ExposedSecret, Exposure, commented_secrets, secret_of_variable, secrets_in_lines,
};
pub(crate) use crate::yaml::{is_empty, is_hollow};

/// Why a file is not changed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum YamlEditError {
    /// It cannot be read.
    #[error("it is not valid YAML: run `appcred validate` for details")]
    NotYaml,
    /// It is a SOPS document, whose MAC would no longer fit.
    #[error("it is a SOPS document, which `appcred edit` changes")]
    Sops,
    /// It is no manifest.
    #[error("it has no list `application_credentials` that an entry could be added to")]
    NoList,
    /// What was made is not what was meant.
    #[error("the new entry cannot be written as YAML")]
    Unwritable,
    /// The change cannot be made in the lines meant alone.
    #[error("line {0} {1}")]
    Line(u32, Obstacle),
    /// A secret would be in plain text.
    #[error(
        "line {0} has a secret that would stay in plain text: only the values of fields are encrypted, no comments and no other fields; remove it there"
    )]
    InClear(u32),
}
