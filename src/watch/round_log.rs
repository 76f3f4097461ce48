//! What is logged of one target: each state once, and not at every round.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::TargetName;
use crate::plan::{Action, Plan, Step};
use crate::reconcile::{Outcome, Unchecked, unchecked_line};
use crate::status::{self, Difference};

use super::conflict::{StepIdentity, identity};
use super::error::RoundError;

/// What was logged last of a target.
pub(super) struct RoundLog {
    target: TargetName,
    last: String,
    /// Why steps failed that have not succeeded since.
    failing: BTreeMap<StepIdentity, String>,
}

impl RoundLog {
    pub(super) fn new(target: TargetName) -> Self {
        Self { target, last: String::new(), failing: BTreeMap::new() }
    }

    pub(super) fn connected(&mut self, version: Option<&str>) {
        self.last.clear();
        tracing::info!(target = %self.target, version, "connected");
    }

    pub(super) fn waits_for_writer(&self, holder: &str, place: &str) {
        tracing::info!(target = %self.target, "waiting for {holder}, which is changing {place}");
    }

    /// Logs what was found. What is about to be done is logged when it is done.
    pub(super) fn found(&mut self, differences: &[Difference], is_repaired: bool, plan: &Plan) {
        if is_repaired {
            let steps = status::to_do(plan).join("; ");
            tracing::info!(target = %self.target, "changed at the target, not by a manifest; to do: {steps}");
            return;
        }
        let lines: Vec<String> = differences.iter().map(line).collect();
        if !lines.is_empty() {
            self.once(lines.join("; "));
        } else if plan.steps.iter().all(|step| step.action.is_set_up()) {
            self.once(state(plan));
        }
    }

    fn once(&mut self, state: String) {
        if self.last != state {
            tracing::info!(target = %self.target, "{state}");
            self.last = state;
        }
    }

    pub(super) fn outcome(&mut self, step: &Step, outcome: &Outcome) {
        let what = step.action.summary();
        match outcome {
            Outcome::Done => {
                let done = match step.action {
                    Action::SetUp { .. } => "the account is linked",
                    _ => "done",
                };
                tracing::info!(target = %self.target, "{what}: {done}");
                identity(&step.action).map(|identity| self.failing.remove(&identity));
            }
            Outcome::Waits(step) => {
                tracing::info!(target = %self.target, "{what}: {}", step.awaits());
            }
            Outcome::Unfinished(why)
            | Outcome::Failed(why)
            | Outcome::Denied(why)
            | Outcome::NotBegun(why) => {
                let Some(identity) = identity(&step.action) else {
                    return tracing::warn!(target = %self.target, "{what}: {why}");
                };
                if self.failing.insert(identity, why.clone()).as_ref() != Some(why) {
                    tracing::error!(target = %self.target, "{what}: {why}");
                }
            }
        }
    }

    /// Logs which secrets in use are replaced without having been checked.
    pub(super) fn unchecked(&self, unchecked: &[Unchecked]) {
        if let Some(line) = unchecked_line(unchecked) {
            tracing::warn!(target = %self.target, "{line}");
        }
    }

    /// Logs why a round failed; what steps failed was logged already.
    pub(super) fn failed(&mut self, error: &RoundError, next: Option<Duration>) {
        let why = error.to_string();
        if self.last == why || matches!(error, RoundError::Steps(_)) {
            return;
        }
        match next {
            Some(pause) => {
                let seconds = pause.as_secs_f64().ceil();
                tracing::warn!(target = %self.target, "{why}; trying again in {seconds:.0} s");
            }
            None => tracing::error!(
                target = %self.target,
                "{why}; not trying again before that is changed (SIGHUP tries at once)"
            ),
        }
        self.last = why;
    }
}

/// How a target is whose credentials are as they are wanted.
fn state(plan: &Plan) -> String {
    let unlinked = plan.steps.iter().filter_map(|step| match &step.action {
        Action::SetUp { .. } => step.action.set_up_id().map(|id| id.to_string()),
        _ => None,
    });
    match unlinked.collect::<Vec<_>>().as_slice() {
        [] => "in sync".to_owned(),
        keys => format!("the credentials are as wanted; not linked yet: {}", keys.join(", ")),
    }
}

fn line(difference: &Difference) -> String {
    match &difference.why {
        None if difference.is_drift => format!("drifted, to do: {}", difference.what),
        None => format!("to do: {}", difference.what),
        Some(why) => format!("not done: {}: {why}", difference.what),
    }
}
