//! The repository that the project is fetched from.

use jiff::Timestamp;

/// A repository that is fetched again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its address, which holds no secret.
    pub url: String,
    /// The branch, tag or commit.
    pub reference: String,
    /// The whole id of the commit that was fetched last and is used.
    pub commit: String,
    /// When it was fetched last; none where that has not succeeded since the watcher began.
    pub fetched_at: Option<Timestamp>,
    /// Why it could not be fetched the last time.
    pub error: Option<String>,
}
