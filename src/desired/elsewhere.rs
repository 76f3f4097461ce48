//! What is for one target, and what for others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Resolved;
use crate::manifest::{Entry, Project};
use crate::model::{Key, Place, Slip, TargetName};

impl Resolved {
    /// The keys that only entries for other targets have, or such in files that are not read.
    pub(super) fn elsewhere(
        &self,
        project: &Project,
        target: &TargetName,
    ) -> BTreeMap<Key, Option<Slip>> {
        let entries = || self.entries.iter().map(|(entry, ..)| entry);
        let here: BTreeSet<&Key> = self.entries_of(target).flat_map(|entry| entry.keys()).collect();
        let mut elsewhere: BTreeMap<Key, Option<Slip>> = BTreeMap::new();
        for entry in entries().filter(|entry| !entry.targets.include(target)) {
            let mut slip = None;
            for key in entry.keys().filter(|key| !here.contains(key)) {
                let slip = slip.get_or_insert_with(|| project.slip(entry, target));
                match elsewhere.get_mut(key) {
                    Some(known) if known.is_none() => known.clone_from(slip),
                    Some(_) => {}
                    None => drop(elsewhere.insert(key.clone(), slip.clone())),
                }
            }
        }
        for (key, file) in project.not_read.iter().filter(|(key, _)| !here.contains(key)) {
            let slip = Slip::NotRead { file: file.clone() };
            elsewhere.entry(key.clone()).or_insert(Some(slip));
        }
        elsewhere
    }

    /// Where the entries with certain keys are written, present and earlier ones.
    pub fn places_of(&self, is_meant: impl Fn(&Key) -> bool) -> BTreeMap<Key, Place> {
        let mut places = BTreeMap::new();
        for (entry, ..) in &self.entries {
            for key in entry.keys().filter(|key| is_meant(key)) {
                places.entry(key.clone()).or_insert_with(|| entry.place.clone());
            }
        }
        places
    }

    /// The entries for one target.
    pub fn entries_of(&self, target: &TargetName) -> impl Iterator<Item = &Arc<Entry>> {
        let entries = self.entries.iter().map(|(entry, ..)| entry);
        entries.filter(move |entry| entry.targets.include(target))
    }
}
