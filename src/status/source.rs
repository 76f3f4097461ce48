//! The repository or cluster that the project is fetched from.

use jiff::Timestamp;

/// A repository or cluster that is fetched again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its address, which holds no secret.
    pub url: String,
    /// The branch, tag or commit; of a cluster, the label.
    pub reference: String,
    /// The whole id of the commit that was fetched last and is used; of a cluster, that of its version.
    pub commit: String,
    /// When it was fetched last; none where that has not succeeded since the watcher began.
    pub fetched_at: Option<Timestamp>,
    /// Why it could not be fetched the last time.
    pub error: Option<String>,
}
