//! What is logged of one target: each state once, and not at every round.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::integrations::{TOO_MANY_ACCOUNTS_HELP, too_many_accounts};
use crate::model::{Desired, DesiredCredential, Key, TargetName, Visible};
use crate::plan::{Action, Plan, Step};
use crate::reconcile::{Outcome, StepOutcome, Unchecked, unchecked_line};
use crate::status::{self, Difference, Status};

use super::conflict::{StepIdentity, identity};
use super::error::RoundError;

/// What was logged last of a target.
pub(super) struct RoundLog {
    target: TargetName,
    last: String,
    /// Why steps failed that have not succeeded since.
    failing: BTreeMap<StepIdentity, String>,
    /// The entries with whose client too many accounts are linked.
    limits: BTreeMap<Key, String>,
}

impl RoundLog {
    pub(super) fn new(target: TargetName) -> Self {
        Self { target, last: String::new(), failing: BTreeMap::new(), limits: BTreeMap::new() }
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
        let mut lines: Vec<String> = differences.iter().map(line).collect();
        if lines.is_empty() && !plan.steps.iter().all(|step| step.action.is_set_up()) {
            return;
        }
        let (is_as_wanted, accounts) = (lines.is_empty(), accounts(plan));
        if is_as_wanted {
            let rest =
                if accounts.is_empty() { "in sync" } else { "the credentials are as wanted" };
            lines.push(rest.to_owned());
        }
        lines.extend(accounts);
        self.once(lines.join("; "));
    }

    fn once(&mut self, state: String) {
        if self.last != state {
            tracing::info!(target = %self.target, "{state}");
            self.last = state;
        }
    }

    pub(super) fn outcome(
        &mut self,
        step: &Step,
        StepOutcome { outcome, linked, .. }: &StepOutcome,
    ) {
        let what = step.action.summary();
        let linked = linked.as_ref().map(|of| format!(" (\"{}\", {})", of.title, of.id));
        let linked = linked.unwrap_or_default();
        match outcome {
            Outcome::Done => {
                let done = match step.action {
                    Action::SetUp { .. } => "the account is linked",
                    _ => "done",
                };
                tracing::info!(target = %self.target, "{what}: {done}{linked}");
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

    /// Logs through which clients of entries more accounts are linked, at all targets, than their providers allow.
    pub(super) fn limits(&mut self, status: &Status, desired: &Desired) {
        let limits = too_many_accounts(status.linked());
        let of_entry = |entry: &DesiredCredential| {
            let message = limits.get(&(&entry.domain, &entry.client_id))?;
            Some((entry.key.clone(), message.clone()))
        };
        let limits: BTreeMap<Key, String> =
            desired.credentials.iter().filter_map(of_entry).collect();
        for (key, message) in limits.iter().filter(|(key, why)| self.limits.get(*key) != Some(*why))
        {
            tracing::warn!(target = %self.target, "`{key}`: {message} ({TOO_MANY_ACCOUNTS_HELP})");
        }
        self.limits = limits;
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

/// Which accounts are not linked, and which do not run.
fn accounts(plan: &Plan) -> Vec<String> {
    let unlinked = plan.steps.iter().filter_map(|step| match &step.action {
        Action::SetUp { account: None, .. } => Some(step.action.set_up_id()?.to_string()),
        _ => None,
    });
    let unlinked: Vec<String> = unlinked.collect();
    let mut lines = Vec::new();
    if !unlinked.is_empty() {
        lines.push(format!("not linked yet: {}", unlinked.join(", ")));
    }
    // While HA starts, nothing is known.
    let troubles = plan.setup_states.iter().filter_map(|of| Some((&of.id, of.trouble.as_ref()?)));
    let troubles = troubles.filter(|(_, trouble)| !trouble.is_starting);
    lines.extend(troubles.map(|(id, trouble)| format!("{id}: {}", trouble.seen().visible())));
    lines
}

fn line(difference: &Difference) -> String {
    match &difference.why {
        None if difference.is_drift => format!("drifted, to do: {}", difference.what),
        None => format!("to do: {}", difference.what),
        Some(why) => format!("not done: {}: {why}", difference.what),
    }
}
