//! A key that an account was linked under belongs to another entry now: the account would get a client that it was
//! not linked for.

use std::collections::BTreeSet;

use crate::model::{DesiredCredential, Key, Mark};

use super::action::{Action, Step};
use super::context::PlanContext;
use super::draft::WholePlan;
use super::ownership::Ownership;
use super::withheld::Why;

/// Entries whose keys most likely were those of others, and why they are left.
struct Reused<'a> {
    keys: BTreeSet<&'a Key>,
    /// What of these marks would be deleted stays: without it nothing shows what the entry was.
    kept: BTreeSet<Mark>,
    why: Why,
}

/// Withholds each step of an entry whose key nobody wrote, where an account is linked under that key with a client
/// that another entry has, and each of that other one: what it creates would hide that it was renamed. The same of
/// an entry that was another one before, as far as its client or its manifest says, and has the key of an account
/// that was linked with another client.
pub(super) fn keep(context: &PlanContext<'_>, whole: &mut WholePlan) {
    let entries = context.entries.iter().enumerate();
    let all: Vec<Reused<'_>> = entries
        .flat_map(|(number, entry)| {
            let by_name = reused_names(entry, number, context);
            by_name.into_iter().chain(reused_key(entry, number, context))
        })
        .collect();
    whole.as_mut().withhold_steps(|step, _| {
        let of = all.iter().find(|of| of.is_about(step, context))?;
        Some(of.why.clone())
    });
}

impl Reused<'_> {
    fn is_about(&self, step: &Step, PlanContext { index, .. }: &PlanContext<'_>) -> bool {
        let is_kept = |of: &Ownership| self.kept.contains(&of.mark);
        match &step.action {
            Action::Delete { old, .. } => {
                let at = index.position(old);
                at.and_then(|at| index.ownership(at)).is_some_and(is_kept)
            }
            action => action.for_entry().is_some_and(|wanted| self.keys.contains(&wanted.key)),
        }
    }
}

/// The entry and the one that has its client.
fn reused_names<'a>(
    entry: &'a DesiredCredential,
    number: usize,
    PlanContext { index, assignment, .. }: &PlanContext<'a>,
) -> Vec<Reused<'a>> {
    if entry.names_key {
        return Vec::new();
    }
    let of_other = |at: &usize| {
        let held = index.get(*at);
        let by = index.users(&held.domain, held.implementation());
        let other = index.entry_of_client(&held.domain, &held.client_id)?;
        if other.key == entry.key || by.is_empty() {
            return None;
        }
        let why = Why::ReusedName { reused: entry.key.clone(), key: other.key.clone(), by };
        Some(Reused { keys: [&entry.key, &other.key].into(), kept: BTreeSet::new(), why })
    };
    assignment.of_entry(number).iter().filter_map(of_other).collect()
}

/// The entry, where it was another one, and the one that has that one's key now: what that had is there still, and
/// so is an account that was linked with another client under the present key, or under one that this entry had in
/// between, as far as its manifest says. An entry that has the first of its keys again says by that whose the account is.
fn reused_key<'a>(
    entry: &'a DesiredCredential,
    number: usize,
    PlanContext { desired, index, assignment, entries, .. }: &PlanContext<'a>,
) -> Option<Reused<'a>> {
    let own = desired.mark(&entry.key);
    // Of the entry's own key that is said by another owner's name.
    let is_declared = |key: &Key| {
        *key != entry.key && desired.credential(key).is_some_and(|of| of.domain == entry.domain)
    };
    let is_reused = |of: &Mark| {
        *of == own
            || (of.owner == own.owner && entry.formerly.contains(&of.key) && !is_declared(&of.key))
    };
    let is_linked = |at: &usize| {
        let held = index.get(*at);
        let in_force = index.implementing(&held.domain, held.implementation()).last();
        held.client_id != entry.client_id
            && in_force == Some(at)
            && index.ownership(*at).is_some_and(|of| is_reused(&of.mark))
            && index.is_used(&held.domain, held.implementation())
    };
    let was_the_entrys = |at: usize, linked: usize| {
        let held = index.get(at);
        let (of, reused) = (&index.ownership(at)?.mark, &index.ownership(linked)?.mark);
        let is_former = held.domain == entry.domain
            && held.client_id != index.get(linked).client_id
            && held.claim().is_none()
            && ![&own, reused].contains(&of)
            && *desired.present_name(&of.owner) == desired.owner;
        // An entry that has a key says which client that is for, as far as somebody wrote the other key.
        let is_free = !is_declared(&of.key);
        let says_so = of.owner == desired.owner && entry.formerly.contains(&of.key) && is_free;
        let has_client = held.client_id == entry.client_id && (is_free || !entry.names_key);
        (is_former && (says_so || has_client)).then_some((at, of))
    };
    let all = 0..index.all().len();
    let former_beside = |linked: usize| {
        let former = all.clone().filter_map(|at| was_the_entrys(at, linked));
        Some((linked, former.collect())).filter(|(_, former): &(_, Vec<_>)| !former.is_empty())
    };
    let mut linked = assignment.of_entry(number).iter().copied().filter(is_linked);
    let (linked, former) = linked.find_map(former_beside)?;
    let (held, mark) = (index.get(linked), index.ownership(linked)?.mark.clone());
    let why = Why::ReusedKey {
        reused: mark.clone(),
        former: former.first()?.1.clone(),
        by: index.users(&held.domain, held.implementation()),
    };
    let holders = former.iter().filter_map(|(at, _)| assignment.entry_of(*at));
    let keys = holders.map(|holder| &entries[holder].key).chain([&entry.key]).collect();
    let kept = former.into_iter().map(|(_, of)| of.clone()).chain([own, mark]).collect();
    Some(Reused { keys, kept, why })
}
