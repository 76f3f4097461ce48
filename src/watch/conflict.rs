//! Detects that somebody else undoes what is done at a target again and again, as another watcher of the
//! same owner does: pure, the time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::codes::ActionCode;
use crate::plan::{Action, Plan, StepId};

/// So often a step may be done before it is a conflict that it is to be done once more.
pub(super) const MOST_REPEATS: usize = 3;
/// What was done longer ago than this is forgotten.
const MEMORY: Duration = Duration::from_secs(3600);

/// When the steps for the same desired state were done.
#[derive(Debug, Default)]
pub(super) struct RepeatedSteps(BTreeMap<StepIdentity, Vec<Instant>>);

/// The kind of a step, and the entry or credential that it is about.
pub(super) type StepIdentity = (ActionCode, String);

impl RepeatedSteps {
    /// A step was done.
    pub(super) fn done(&mut self, action: &Action, now: Instant) {
        if let Some(identity) = identity(action) {
            self.0.entry(identity).or_default().push(now);
        }
    }

    /// The target has lost what was done since then, and nobody undid it.
    pub(super) fn forget_since(&mut self, then: Instant) {
        for times in self.0.values_mut() {
            times.retain(|time| *time < then);
        }
    }

    /// Takes the steps out of a plan that were done too often already, with what builds on them, and
    /// answers what they would have done. Each may be done once more before it is taken out again.
    pub(super) fn take_out(&mut self, plan: &mut Plan, now: Instant) -> Vec<String> {
        let mut taken: BTreeSet<StepId> = BTreeSet::new();
        let mut contested = Vec::new();
        for step in &plan.steps {
            if step.after.is_some_and(|after| taken.contains(&after)) {
                taken.insert(step.id);
                continue;
            }
            let Some(identity) = identity(&step.action) else { continue };
            let Some(times) = self.0.get_mut(&identity) else { continue };
            times.retain(|time| now.duration_since(*time) < MEMORY);
            if times.len() >= MOST_REPEATS {
                *times = vec![now; MOST_REPEATS - 1];
                taken.insert(step.id);
                contested.push(step.action.summary());
            }
        }
        plan.steps.retain(|step| !taken.contains(&step.id));
        contested
    }
}

/// None for set-ups, which have a rest of their own.
pub(super) fn identity(action: &Action) -> Option<StepIdentity> {
    let about = match action {
        _ if action.is_set_up() => return None,
        Action::Delete { old, .. } => {
            old.auth_domain.as_deref().unwrap_or(old.id.as_str()).to_owned()
        }
        other => other.for_entry()?.key.to_string(),
    };
    Some((action.code(), about))
}
