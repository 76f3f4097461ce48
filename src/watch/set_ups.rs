//! How set-ups ended that did not link an account. One that failed is not begun again at every round; one
//! that somebody refused is, since that person may change their mind.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Desired, DesiredCredential, FlowStep, Key};
use crate::plan::{Action, Plan, SetupState};
use crate::setup::reasons;

/// How long one that failed is left alone, unless its entry changes.
const REST: Duration = Duration::from_secs(3600);

/// The set-ups that linked nothing.
#[derive(Default)]
pub(super) struct SetUps(BTreeMap<Key, Ended>);

struct Ended {
    why: String,
    /// Since when it rests, and for what entry; none where it does not.
    resting: Option<(Instant, DesiredCredential)>,
}

impl SetUps {
    /// Takes the set-ups out of a plan that failed lately, and would only fail again.
    pub(super) fn take_out_resting(&mut self, plan: &mut Plan, desired: &Desired, now: Instant) {
        let entries: BTreeMap<&Key, &DesiredCredential> =
            desired.credentials.iter().map(|entry| (&entry.key, entry)).collect();
        let still = |entry: Option<&&DesiredCredential>, ended: &Ended| match &ended.resting {
            None => entry.is_some(),
            Some((since, of)) => {
                now.duration_since(*since) < REST && entry.is_some_and(|entry| same(entry, of))
            }
        };
        self.0.retain(|key, ended| still(entries.get(key), ended));
        let rests = |key: &Key| self.0.get(key).is_some_and(|ended| ended.resting.is_some());
        plan.steps.retain(|step| match &step.action {
            // What follows a new credential is another attempt.
            Action::SetUp { wanted, .. } | Action::Reload { wanted, .. } => {
                step.after.is_some() || !rests(&wanted.key)
            }
            _ => true,
        });
    }

    /// One has failed.
    pub(super) fn failed(&mut self, entry: &DesiredCredential, why: &str, now: Instant) {
        let ended = Ended { why: why.to_owned(), resting: Some((now, entry.clone())) };
        self.0.insert(entry.key.clone(), ended);
    }

    /// Notes which have ended without an account, as when somebody refused; answers those and why.
    pub(super) fn note_ended(&mut self, plan: &Plan) -> Vec<(Key, String)> {
        let mut ended = Vec::new();
        for (key, setup_state) in &plan.setup_states {
            match setup_state {
                SetupState::Ended(FlowStep::Aborted { reason, error }) => {
                    let why = reasons::message(reason, error.as_deref());
                    ended.push((key.clone(), why.clone()));
                    self.0.insert(key.clone(), Ended { why, resting: None });
                }
                SetupState::Linked(_) | SetupState::Cloud(_) => self.succeeded(key),
                _ => {}
            }
        }
        ended
    }

    /// One has succeeded.
    pub(super) fn succeeded(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Why the last set-up of an entry failed.
    pub(super) fn why(&self, key: &Key) -> Option<&str> {
        self.0.get(key).map(|ended| ended.why.as_str())
    }
}

/// Whether nothing about an entry changed but perhaps its line.
fn same(one: &DesiredCredential, other: &DesiredCredential) -> bool {
    DesiredCredential { place: other.place.clone(), ..one.clone() } == *other
}
