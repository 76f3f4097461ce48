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

impl SourceStatus {
    /// What is so of what was fetched last while nothing newer can be.
    pub fn rest(are_in_force: bool) -> &'static str {
        match are_in_force {
            true => "stays in force",
            false => "is not in force, since it has errors",
        }
    }
}
