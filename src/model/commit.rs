//! A commit of Git.

use std::fmt;

use smol_str::SmolStr;

/// The commit that a folder of a repository is checked out at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The beginning of its id.
    pub id: SmolStr,
    /// Whether files of the folder differ from it, or are not in it.
    pub is_modified: bool,
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modified = if self.is_modified { " with uncommitted changes" } else { "" };
        write!(f, "{}{modified}", self.id)
    }
}
