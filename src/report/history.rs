//! What a watcher has done lately.

use schemars::JsonSchema;
use serde::Serialize;

use crate::codes::{ActionCode, OutcomeCode, ReasonCode};
use crate::model::{Commit, TargetName};
use crate::status::{History, RecordedStep};

use super::moment::Moment;
use super::words;

/// A step that was carried out, or failed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedStep<'a> {
    /// When.
    pub(crate) at: Moment,
    /// The target.
    pub(crate) target: &'a TargetName,
    /// What kind of step it was.
    action: ActionCode,
    /// What was done, as in `create spotify "Family"`.
    pub(crate) what: &'a str,
    /// Why.
    reasons: Vec<ReasonCode>,
    /// The same in words.
    #[serde(skip)]
    pub(crate) why: String,
    /// How it ended.
    pub(crate) result: OutcomeCode,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'a str>,
    /// The commit that the manifests were of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<ReportedCommit<'a>>,
}

/// A commit of Git.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedCommit<'a> {
    /// The beginning of its id.
    id: &'a str,
    /// Whether files of the project differed from it, or were not in it.
    modified: bool,
    /// The same in words.
    #[serde(skip)]
    pub(crate) words: String,
}

impl<'a> From<&'a Commit> for ReportedCommit<'a> {
    fn from(commit: &'a Commit) -> Self {
        Self { id: &commit.id, modified: commit.is_modified, words: commit.to_string() }
    }
}

impl<'a> From<&'a RecordedStep> for ReportedStep<'a> {
    fn from(step: &'a RecordedStep) -> Self {
        let why: Vec<&str> = step.reasons.iter().map(|reason| words::reason(*reason)).collect();
        Self {
            at: Moment(step.at),
            target: &step.target,
            action: step.action,
            what: &step.what,
            reasons: step.reasons.iter().map(|reason| reason.code()).collect(),
            why: why.join("; "),
            result: step.outcome,
            error: step.error.as_deref(),
            commit: step.commit.as_ref().map(ReportedCommit::from),
        }
    }
}

/// The newest first.
pub(super) fn history(history: &History) -> Vec<ReportedStep<'_>> {
    history.newest().map(ReportedStep::from).collect()
}
