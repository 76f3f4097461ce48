//! What a verb has changed, as JSON for programs.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::codes::ChangeCode;
use crate::model::{Key, TargetName, to_json};

const FORMAT_VERSION: u32 = 1;

/// What verbs that change files, sessions or accounts print with `--format json`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred changes")]
pub(super) struct ChangesReport<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// The verb.
    verb: &'a str,
    /// Why the run failed before all was done; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// What was changed; empty where nothing was.
    changes: &'a [MadeChange],
}

/// One change that was made. It has no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MadeChange {
    /// What was done.
    change: ChangeCode,
    /// The file that was written, as it is reached from the current folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The key of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    /// The key that the entry had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_key: Option<Key>,
    /// The target.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetName>,
    /// The recipient of the new identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// How many secrets or entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
}

impl MadeChange {
    /// A change of this kind.
    pub fn new(change: ChangeCode) -> Self {
        let (file, key, former_key, target, recipient, count) = Default::default();
        Self { change, file, key, former_key, target, recipient, count }
    }

    /// Says in which file.
    #[must_use]
    pub fn file(self, file: &Path) -> Self {
        Self { file: Some(file.to_string_lossy().into_owned()), ..self }
    }

    /// Says of which entry.
    #[must_use]
    pub fn key(self, key: &Key) -> Self {
        Self { key: Some(key.clone()), ..self }
    }

    /// Says which key the entry had before.
    #[must_use]
    pub fn former_key(self, key: &Key) -> Self {
        Self { former_key: Some(key.clone()), ..self }
    }

    /// Says at which target.
    #[must_use]
    pub fn target(self, target: &TargetName) -> Self {
        Self { target: Some(target.clone()), ..self }
    }

    /// Says for whom the new identity opens.
    #[must_use]
    pub fn recipient(self, recipient: &str) -> Self {
        Self { recipient: Some(recipient.to_owned()), ..self }
    }

    /// Says how many.
    #[must_use]
    pub fn count(self, count: usize) -> Self {
        Self { count: Some(count), ..self }
    }
}

/// JSON for programs.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn json(verb: &str, changes: &[MadeChange], error: Option<&str>) -> serde_json::Result<String> {
    to_json(&ChangesReport { format_version: FORMAT_VERSION, verb, error, changes })
}
