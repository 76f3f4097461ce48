//! What was done lately: kept in memory, and no more than a person reads.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use crate::codes::{ActionCode, OutcomeCode};
use crate::model::{Commit, TargetName};
use crate::plan::Reason;

/// More steps are not kept: the oldest goes first. The log has them all.
pub const MOST_RECORDED: usize = 200;

/// The steps that were carried out lately, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(VecDeque<Arc<RecordedStep>>);

/// A step that was carried out, or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedStep {
    /// When.
    pub at: Timestamp,
    /// Where.
    pub target: TargetName,
    /// What kind of step it was.
    pub action: ActionCode,
    /// What was done, as in `create spotify "Family"`.
    pub what: String,
    /// Why.
    pub reasons: Vec<Reason>,
    /// How it ended.
    pub outcome: OutcomeCode,
    /// Why it failed.
    pub error: Option<String>,
    /// The commit of the manifests that were in force.
    pub commit: Option<Commit>,
}

impl History {
    /// Adds one.
    pub fn record(&mut self, step: RecordedStep) {
        if self.0.len() >= MOST_RECORDED {
            self.0.pop_front();
        }
        self.0.push_back(Arc::new(step));
    }

    /// The newest first.
    pub fn newest(&self) -> impl ExactSizeIterator<Item = &RecordedStep> {
        self.0.iter().rev().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{History, MOST_RECORDED, RecordedStep};
    use crate::codes::{ActionCode, OutcomeCode};
    use crate::model::TargetName;

    #[test]
    fn the_newest_are_kept() {
        let mut history = History::default();
        for nth in 0..=MOST_RECORDED {
            history.record(RecordedStep {
                at: Timestamp::UNIX_EPOCH,
                target: TargetName::new("home"),
                action: ActionCode::Create,
                what: nth.to_string(),
                reasons: Vec::new(),
                outcome: OutcomeCode::Done,
                error: None,
                commit: None,
            });
        }
        let what: Vec<&str> = history.newest().map(|step| step.what.as_str()).collect();
        assert_eq!((what.len(), what[0], what[MOST_RECORDED - 1]), (MOST_RECORDED, "200", "1"));
    }
}
