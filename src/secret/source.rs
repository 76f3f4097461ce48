//! The sources of secrets that a tag names. A new one is a file beside this one and a line in
//! [`SOURCES`].

use std::path::{Path, PathBuf};

use super::{SecretResolver, Unreadable, env, file, from, named};
use crate::files;
use crate::model::{Secret, is_name};

/// A source of secrets.
pub(super) struct SecretSource {
    /// The tag that names it, without the `!`.
    pub(super) tag: &'static str,
    /// Reads the secret that the text behind the tag names, in the file at this path.
    pub(super) read: fn(&str, &Path, &SecretResolver) -> Result<Secret, Unreadable>,
    /// Where inside the project the secret may be stored, the nearest first.
    pub(super) places: for<'a> fn(&'a str, &Path, &SecretResolver) -> Vec<StoredAt<'a>>,
}

/// Where a secret is stored: a file, and the name in it where it is one of several there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAt<'a> {
    /// The file.
    pub file: PathBuf,
    /// The name; none where the secret is all that the file holds.
    pub name: Option<&'a str>,
}

impl StoredAt<'_> {
    /// What would be read from here if the file held this text, once it is decrypted.
    ///
    /// # Errors
    /// Where nothing would be.
    pub fn read_in(&self, text: &str, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
        match self.name {
            Some(name) => named::read_in(text, name, &self.file, resolver),
            None => file::single_in(text, resolver),
        }
    }

    /// Whether a change of one changes the other.
    pub fn overlaps(&self, other: &StoredAt<'_>) -> bool {
        let is_same_name = match (self.name, other.name) {
            (Some(one), Some(other)) => one == other,
            // All that a file holds has the named ones in it.
            _ => true,
        };
        is_same_name && files::is_same(&self.file, &other.file)
    }

    /// Whether the secret is in plain text there.
    pub(super) fn is_plain(&self) -> bool {
        match self.name {
            Some(name) => named::holds_plain(&self.file, Some(name)),
            None => file::is_plain(&self.file),
        }
    }
}

/// Whether what is behind a tag has the form of a name or path, so that it can be shown. It may be a secret
/// that was typed in the place of one.
pub fn is_argument(text: &str) -> bool {
    let folder = format!("${{{}}}", file::CREDENTIALS);
    let text = text.strip_prefix(&folder).or_else(|| text.strip_prefix('~')).unwrap_or(text);
    // A name may follow the path of a file.
    text.split('#').all(is_name)
}

/// All sources.
const SOURCES: &[SecretSource] = &[
    env::SOURCE,
    file::SOURCE,
    from::SOURCE,
    named::SOURCE,
    #[cfg(test)]
    super::reversed::SOURCE,
];

/// The source with this tag.
pub(super) fn source(tag: &str) -> Option<&'static SecretSource> {
    SOURCES.iter().find(|source| source.tag == tag)
}

/// The tags of all sources.
pub fn tags() -> impl Iterator<Item = &'static str> + Clone {
    SOURCES.iter().map(|source| source.tag)
}
