//! What is searched for secrets in old versions, and what is found.

use std::path::PathBuf;

/// What a project names, by whole paths.
#[derive(Clone, Debug, Default)]
pub struct NamedFiles {
    /// The secrets.
    pub of_secrets: Vec<NamedSecret>,
    /// The files of targets, and the folders with some.
    pub of_targets: Vec<PathBuf>,
}

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedSecret {
    /// The file.
    pub file: PathBuf,
    /// The name in it; none where the secret is all that the file holds.
    pub name: Option<String>,
}

/// A version of a file that has a secret in plain text, or that cannot be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldVersion {
    /// The first commit that has it.
    pub commit: String,
    /// The file, from the root of the repository.
    pub file: PathBuf,
    /// What is there.
    pub content: OldContent,
}

/// What is in an old version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldContent {
    /// A secret in plain text.
    Secret {
        /// The line, from 1.
        line: u32,
        /// The field.
        field: String,
    },
    /// A secret in plain text in a field that holds none.
    Exposed {
        /// The line, from 1.
        line: u32,
        /// The field.
        field: String,
    },
    /// What could be a secret in plain text, in the place of a name.
    Name {
        /// The line, from 1.
        line: u32,
        /// The field.
        field: String,
    },
    /// A whole file of secrets in plain text.
    PlainFile,
    /// An age identity.
    Identity,
    /// No valid YAML.
    Invalid,
}
