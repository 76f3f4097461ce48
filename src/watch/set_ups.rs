//! Set-ups that failed are not begun again and again: what refused once refuses a while.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Desired, DesiredCredential, Key};
use crate::plan::{Action, Plan};

/// How long one that failed is left alone, unless its entry changes.
const REST: Duration = Duration::from_secs(3600);

/// The set-ups that failed.
#[derive(Default)]
pub(super) struct SetUps(BTreeMap<Key, Failed>);

struct Failed {
    entry: DesiredCredential,
    at: Instant,
    why: String,
}

impl SetUps {
    /// Takes those out of a plan that would only fail again.
    pub(super) fn rest(&mut self, plan: &mut Plan, desired: &Desired, now: Instant) {
        let entries: BTreeMap<&Key, &DesiredCredential> =
            desired.credentials.iter().map(|entry| (&entry.key, entry)).collect();
        self.0.retain(|key, failed| {
            now.duration_since(failed.at) < REST
                && entries.get(key).is_some_and(|entry| same(entry, &failed.entry))
        });
        plan.steps.retain(|step| match &step.action {
            // What follows a new credential is another attempt.
            Action::SetUp { wanted, .. } => {
                step.after.is_some() || !self.0.contains_key(&wanted.key)
            }
            _ => true,
        });
    }

    /// One has failed.
    pub(super) fn failed(&mut self, entry: &DesiredCredential, why: &str, now: Instant) {
        let failed = Failed { entry: entry.clone(), at: now, why: why.to_owned() };
        self.0.insert(entry.key.clone(), failed);
    }

    /// One has not.
    pub(super) fn went_well(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Why the last set-up of an entry failed.
    pub(super) fn why(&self, key: &Key) -> Option<&str> {
        self.0.get(key).map(|failed| failed.why.as_str())
    }
}

/// Whether nothing about an entry changed but perhaps its line.
fn same(one: &DesiredCredential, other: &DesiredCredential) -> bool {
    DesiredCredential { place: other.place.clone(), ..one.clone() } == *other
}
