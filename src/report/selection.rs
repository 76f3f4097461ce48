//! What a watcher watches, as JSON and for the status page.

use schemars::JsonSchema;
use serde::Serialize;

use crate::status::SelectionStatus;

/// Which entries are watched, where not all are.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedSelection<'a> {
    /// The arguments that ask for them, such as `--key=family`.
    pub(crate) arguments: &'a [String],
    /// How many entries that are.
    pub(crate) entries: usize,
    /// Which part of it matches nothing, and so watches nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unmatched: Option<&'a str>,
}

impl<'a> From<&'a SelectionStatus> for ReportedSelection<'a> {
    fn from(status: &'a SelectionStatus) -> Self {
        let SelectionStatus { arguments, entries, unmatched } = status;
        Self { arguments, entries: *entries, unmatched: unmatched.as_deref() }
    }
}
