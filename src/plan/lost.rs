//! What linked accounts name and no credential has: of which entry it is.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::model::{Adopt, Desired, DesiredCredential, Domain, Key, Mark, first_id, first_ids};

use super::action::Action;
use super::case::EntryCase;
use super::draft::PlanDraft;
use super::index::Index;
use super::ownership::{Assignment, Heirs};
use super::withheld::Why;

/// The ids and earlier marks that were lost and that nobody has claimed, each with the entries that may have had it: it is
/// the entry's where there is one alone.
#[derive(Default)]
pub(super) struct LostIds<'a>(IndexMap<&'a Domain, Vec<(&'a str, BTreeSet<&'a Key>)>>);

impl<'a> LostIds<'a> {
    /// `entries` are those of the assignment.
    pub(super) fn new(
        desired: &'a Desired,
        entries: &[&'a DesiredCredential],
        assignment: &Assignment,
        index: &Index<'a>,
    ) -> Self {
        let mut made = LostIds::default();
        let claimed = index.claimed_names();
        let mut lost = index.lost().filter(|name| !claimed.contains(name)).peekable();
        if lost.peek().is_none() {
            return made;
        }
        let by_first_id = by_first_id(desired);
        let heirs = Heirs::new(desired, entries);
        let entry_of = |at: usize| assignment.entry_of(at).map(|entry| entries[entry]);
        for (domain, id) in lost {
            let by_id = first_ids(id).filter_map(|id| by_first_id.get(&(domain, id.to_owned())));
            let holds_it_now = index.of_id(domain, id).and_then(entry_of);
            // A mark that is its own it gets anyway.
            let had_mark = Mark::parse(id)
                .filter(|mark| *desired.present_name(&mark.owner) == desired.owner)
                .and_then(|mark| Some((entries[heirs.of_key(&mark.key, domain)?], mark)))
                .filter(|(entry, mark)| desired.mark(&entry.key) != *mark)
                .map(|(entry, _)| entry);
            let all = by_id.flatten().copied().chain(holds_it_now).chain(had_mark);
            let keys = named_or_all(id, all.collect());
            made.0.entry(domain).or_default().push((id, keys));
        }
        made
    }

    /// Those that an entry may have had, each with all such entries.
    fn of(&self, entry: &DesiredCredential) -> impl Iterator<Item = &(&'a str, BTreeSet<&'a Key>)> {
        let of_domain = self.0.get(&entry.domain).into_iter().flatten();
        of_domain.filter(|(_, keys)| keys.contains(&entry.key))
    }

    /// Those that were an entry's and no other one's.
    pub(super) fn own(&self, entry: &DesiredCredential) -> impl Iterator<Item = &'a str> {
        self.of(entry).filter(|(_, keys)| keys.len() == 1).map(|(id, _)| *id)
    }
}

/// The entries by the first id of their client.
fn by_first_id(desired: &Desired) -> BTreeMap<(&Domain, String), Vec<&DesiredCredential>> {
    let mut by_id: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in &desired.credentials {
        if let Some(id) = first_id(&entry.domain, &entry.client_id) {
            by_id.entry((&entry.domain, id)).or_default().push(entry);
        }
    }
    by_id
}

/// Those of the entries that name an id themselves; all where none does.
fn named_or_all<'a>(id: &str, all: Vec<&'a DesiredCredential>) -> BTreeSet<&'a Key> {
    let names_it = |entry: &DesiredCredential| matches!(&entry.adopt, Adopt::Id(named) if named.as_str() == id);
    let is_named = all.iter().any(|entry| names_it(entry));
    all.into_iter().filter(|entry| !is_named || names_it(entry)).map(|entry| &entry.key).collect()
}

impl EntryCase<'_> {
    /// Says of which ids it is not known whether they are this entry's or another one's.
    pub(super) fn withhold_shared_ids(&self, draft: &mut PlanDraft<'_>) {
        let lost = self.context.lost_ids.of(self.entry);
        for (id, keys) in lost.filter(|(_, keys)| keys.len() > 1) {
            let keys = keys.iter().map(|key| (*key).clone()).collect();
            let action = Action::Create { wanted: self.wanted(id) };
            draft.withhold(action, Why::SeveralEntries { id: (*id).into(), keys });
        }
    }
}
