//! The repository or cluster that the project is fetched from.

use schemars::JsonSchema;
use serde::Serialize;

use crate::status::SourceStatus;

use super::moment::Moment;

/// So much of a commit's id is shown to people.
const SHORT: usize = 12;

/// The repository or cluster that the project is fetched from.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedSource<'a> {
    /// Its address.
    pub(crate) url: &'a str,
    /// The branch, tag or commit that is fetched, `HEAD` where it is the default branch; of a cluster, the label.
    #[serde(rename = "ref")]
    pub(crate) reference: &'a str,
    /// The whole id of the commit that is used; of a cluster, an id that is another one whenever an object is.
    pub(crate) commit: &'a str,
    /// When it was fetched last; null where that has not succeeded since the watcher began.
    pub(crate) fetched_at: Option<Moment>,
    /// Why it could not be fetched the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'a str>,
}

impl ReportedSource<'_> {
    /// The beginning of the commit's id.
    pub(crate) fn short(&self) -> &str {
        short(self.commit)
    }
}

/// The beginning of a commit's id.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

impl<'a> From<&'a SourceStatus> for ReportedSource<'a> {
    fn from(source: &'a SourceStatus) -> Self {
        Self {
            url: &source.url,
            reference: &source.reference,
            commit: &source.commit,
            fetched_at: source.fetched_at.map(Moment),
            error: source.error.as_deref(),
        }
    }
}
