//! What entries say of themselves that the policy of a target has: which are protected, and which suspended.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entry::Entry;
use super::mistyped::AskedTargets;
use super::project::Project;
use crate::model::{Key, Policy, TargetName};

impl Project {
    /// Takes over what entries say of themselves, whatever targets they are for.
    pub(super) fn keep_entries(&mut self, entries: &[Arc<Entry>]) {
        self.asked = AskedTargets::of(entries);
        let is_protected = |entry: &Entry| entry.protect || self.follows(entry);
        let keys = |is_meant: &dyn Fn(&Entry) -> bool| -> BTreeSet<Key> {
            let entries = entries.iter().filter(|entry| is_meant(entry));
            entries.flat_map(|entry| entry.keys()).cloned().collect()
        };
        let (protected, suspended) = (keys(&is_protected), keys(&|entry| entry.suspend));
        let is_kept = |key: &Key| protected.contains(key) || suspended.contains(key);
        self.entries_of_kept_keys =
            entries.iter().filter(|entry| entry.keys().any(is_kept)).cloned().collect();
        self.policy.protected.extend(protected);
        self.policy.suspended.extend(suspended);
    }

    /// Whether the policy protects one of an entry's keys: it is followed to the others.
    fn follows(&self, entry: &Entry) -> bool {
        self.protected_keys.iter().any(|key| entry.keys().any(|of| *of == key.value))
    }

    /// The policy at one target. There an entry says nothing of a key that another entry has which is for the target.
    pub fn policy_at(&self, target: &TargetName) -> Policy {
        let entries = &self.entries_of_kept_keys;
        let here = entries.iter().filter(|entry| entry.targets.include(target));
        let here: BTreeSet<&Key> = here.flat_map(|entry| entry.keys()).collect();
        let is_said_by =
            |entry: &Entry, key: &Key| entry.targets.include(target) || !here.contains(key);
        let keys = |is_meant: &dyn Fn(&Entry) -> bool| -> BTreeSet<Key> {
            let entries = entries.iter().filter(|entry| is_meant(entry));
            let said = entries
                .flat_map(|entry| entry.keys().filter(move |key| is_said_by(entry, key)).cloned());
            said.collect()
        };
        let mut protected = keys(&|entry| entry.protect || self.follows(entry));
        protected.extend(self.protected_keys.iter().map(|key| key.value.clone()));
        let suspended = keys(&|entry| entry.suspend);
        Policy { protected, suspended, ..self.policy.clone() }
    }
}
