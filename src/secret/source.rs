//! The sources of secrets that a tag names. A new one is a file beside this one and a line in
//! [`SOURCES`].

use std::path::{Path, PathBuf};

use super::{SecretResolver, Unreadable, env, file, from, named};
use crate::model::{Secret, is_name};

/// A source of secrets.
pub(super) struct SecretSource {
    /// The tag that names it, without the `!`.
    pub(super) tag: &'static str,
    /// Reads the secret that the text behind the tag names, in the file at this path.
    pub(super) read: fn(&str, &Path, &SecretResolver) -> Result<Secret, Unreadable>,
    /// The files inside the project that the secret may be read from.
    pub(super) files: fn(&str, &Path, &SecretResolver) -> Vec<PathBuf>,
    /// The file inside the project that holds the secret in plain text.
    pub(super) plain_file: fn(&str, &Path, &SecretResolver) -> Option<PathBuf>,
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
