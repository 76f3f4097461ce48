//! What set-ups wait for, and how they ended that linked no account. One that failed at its start is not
//! begun again at every round; one that waited for a person is, since that person may change their mind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Desired, DesiredCredential, FlowStep, Key};
use crate::plan::{Action, EntrySetup, Plan, SetupState, Step};
use crate::status::EntryStatus;

/// How long one that failed is left alone, unless its entry changes.
const REST: Duration = Duration::from_secs(3600);

/// The set-ups that have linked nothing yet.
#[derive(Default)]
pub(super) struct SetUps {
    /// What they wait for.
    waiting: BTreeMap<Key, FlowStep>,
    ended: BTreeMap<Key, Ended>,
    /// Those that are not started, since the provider would refuse them: with its reason.
    refused: BTreeMap<Key, String>,
}

struct Ended {
    why: String,
    /// The entry that it was for.
    entry: DesiredCredential,
    /// Since when it rests; none where it does not.
    resting: Option<Instant>,
}

impl SetUps {
    /// Takes the set-ups out of a plan that failed lately, and would only fail again.
    pub(super) fn take_out_resting(&self, plan: &mut Plan) {
        let rests = |key: &Key| self.ended.get(key).is_some_and(|ended| ended.resting.is_some());
        plan.steps.retain(|step| match &step.action {
            // What follows a new credential is another attempt.
            Action::SetUp { wanted, .. } | Action::Reload { wanted, .. } => {
                step.after.is_some() || !rests(&wanted.key)
            }
            _ => true,
        });
    }

    /// One waits for this.
    pub(super) fn waits(&mut self, key: &Key, step: &FlowStep) {
        self.refused.remove(key);
        self.waiting.insert(key.clone(), step.clone());
    }

    /// One is not started.
    pub(super) fn refused(&mut self, key: &Key, why: &str) {
        self.refused.insert(key.clone(), why.to_owned());
    }

    /// One has failed; it rests if it did so at its start.
    pub(super) fn failed(
        &mut self,
        entry: &DesiredCredential,
        why: &str,
        rests: bool,
        now: Instant,
    ) {
        self.waiting.remove(&entry.key);
        let resting = rests.then_some(now);
        let ended = Ended { why: why.to_owned(), entry: entry.clone(), resting };
        self.ended.insert(entry.key.clone(), ended);
    }

    /// One has succeeded.
    pub(super) fn succeeded(&mut self, key: &Key) {
        self.waiting.remove(key);
        self.ended.remove(key);
        self.refused.remove(key);
    }

    /// Forgets what is not open, or needed, any more, and why set-ups failed whose entry is another one now
    /// or that have rested.
    pub(super) fn keep(&mut self, plan: &Plan, desired: &Desired, now: Instant) {
        let entries: BTreeMap<&Key, &DesiredCredential> =
            desired.credentials.iter().map(|entry| (&entry.key, entry)).collect();
        self.ended.retain(|key, ended| {
            entries.get(key).is_some_and(|entry| same(entry, &ended.entry))
                && ended.resting.is_none_or(|since| now.duration_since(since) < REST)
        });
        let mut open = BTreeSet::new();
        for EntrySetup { key, state, .. } in &plan.setup_states {
            match state {
                SetupState::Linked(_) | SetupState::Cloud(_) => drop(self.ended.remove(key)),
                SetupState::InProgress | SetupState::NeedsConsent => drop(open.insert(key)),
                SetupState::NotSetUp | SetupState::NotWanted => {}
            }
        }
        self.waiting.retain(|key, _| open.contains(key));
        let needed = plan.steps.iter().filter(|step| step.action.is_set_up());
        let needed: BTreeSet<&Key> =
            needed.filter_map(|step| step.action.for_entry()).map(|wanted| &wanted.key).collect();
        self.refused.retain(|key, _| needed.contains(key));
    }

    /// Writes into the status of an entry what its set-up waits for, and why the last one failed.
    pub(super) fn write(&self, entry: &mut EntryStatus) {
        entry.waits_for = self.waiting.get(&entry.key).cloned();
        let ended = self.ended.get(&entry.key).map(|ended| &ended.why);
        entry.set_up_error = self.refused.get(&entry.key).or(ended).cloned();
    }
}

/// Whether a step is more than looking at a set-up that is open already.
pub(super) fn begins(step: &Step) -> bool {
    !matches!(step.action, Action::SetUp { open: Some(_), .. })
}

/// Whether nothing about an entry changed but perhaps its line.
fn same(one: &DesiredCredential, other: &DesiredCredential) -> bool {
    DesiredCredential { place: other.place.clone(), ..one.clone() } == *other
}
