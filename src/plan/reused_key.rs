//! An entry that was called otherwise before, and now has the key under which an account was linked for another one.
//! What the account was linked with is held by the target, or is lost.

use crate::model::{ClientId, ConfigEntry, DesiredCredential, Key, Mark};

use super::context::PlanContext;
use super::reused_name::Reused;
use super::withheld::Why;

/// What accounts were linked with under a key that an entry has now, or had in between.
struct Linked<'a> {
    /// The one that says so, and what else is written of what is lost.
    marks: Vec<Mark>,
    /// None where it is lost and nothing says it.
    client: Option<&'a ClientId>,
    by: Vec<ConfigEntry>,
    is_lost: bool,
}

/// The entry, where it was another one, and the one that has that one's key now: what that had is there still, and
/// so is an account that was linked with another client under the present key, or under one that this entry had in
/// between, as far as its manifest says. An entry that has its first key again shows by that whose the account is.
/// Of a client that is lost it is not known that it was another one. But as long as what the entry had is there as it
/// was, nobody has linked an account for it under a later key.
pub(super) fn reused_key<'a>(
    entry: &'a DesiredCredential,
    number: usize,
    context: &PlanContext<'a>,
) -> Option<Reused<'a>> {
    let PlanContext { desired, index, assignment, entries, .. } = context;
    let own = desired.mark(&entry.key);
    let was_the_entrys = |at: usize, linked: &Linked<'_>| {
        let held = index.get(at);
        let of = &index.ownership(at)?.mark;
        let is_former = held.domain == entry.domain
            && linked.client != Some(&held.client_id)
            && held.claim().is_none()
            && *of != own
            && !linked.marks.contains(of)
            && *desired.present_name(&of.owner) == desired.owner;
        // An entry that has a key says which client that is for, as far as somebody wrote the other key.
        let is_free = !is_declared(&of.key, entry, context);
        let says_so = of.owner == desired.owner && entry.formerly.contains(&of.key) && is_free;
        let has_client = held.client_id == entry.client_id && (is_free || !entry.names_key);
        (is_former && (says_so || has_client)).then_some((at, of))
    };
    let former_beside = |linked: Linked<'a>| {
        let former: Vec<_> =
            (0..index.all().len()).filter_map(|at| was_the_entrys(at, &linked)).collect();
        (!former.is_empty()).then_some((linked, former))
    };
    let held = held(entry, number, context).into_iter();
    let mut linked = held.chain(lost(entry, context)).chain(noted(entry, context));
    let (Linked { marks, by, is_lost, .. }, former) = linked.find_map(former_beside)?;
    let (reused, first) = (marks.first()?.clone(), former.first()?.1.clone());
    let why = Why::ReusedKey { reused, former: first, by, is_lost };
    let holders = former.iter().filter_map(|(at, _)| assignment.entry_of(*at));
    let keys = holders.map(|holder| &entries[holder].key).chain([&entry.key]).collect();
    let kept = former.into_iter().map(|(_, of)| of.clone()).chain(marks).chain([own]).collect();
    Some(Reused { keys, kept, why })
}

/// Whether a key is another entry's. Of the entry's own key that is said by another owner's name.
fn is_declared(key: &Key, entry: &DesiredCredential, context: &PlanContext<'_>) -> bool {
    *key != entry.key && context.desired.credential(key).is_some_and(|of| of.domain == entry.domain)
}

/// Whether a mark has the key of the entry, or one that it had in between.
fn is_reused(of: &Mark, entry: &DesiredCredential, context: &PlanContext<'_>) -> bool {
    let own = context.desired.mark(&entry.key);
    let is_former = || entry.formerly.contains(&of.key) && !is_declared(&of.key, entry, context);
    *of == own || of.owner == own.owner && is_former()
}

/// What the target holds of another client.
fn held<'a>(
    entry: &DesiredCredential,
    number: usize,
    context: &PlanContext<'a>,
) -> Vec<Linked<'a>> {
    let PlanContext { index, assignment, .. } = context;
    let linked = |at: &usize| {
        let held = index.get(*at);
        let in_force = index.implementing(&held.domain, held.implementation()).last();
        let mark = index.ownership(*at)?.mark.clone();
        let by = index.users(&held.domain, held.implementation());
        let is_linked = held.client_id != entry.client_id
            && in_force == Some(at)
            && is_reused(&mark, entry, context)
            && !by.is_empty();
        is_linked.then(|| Linked {
            marks: vec![mark],
            client: Some(&held.client_id),
            by,
            is_lost: false,
        })
    };
    assignment.of_entry(number).iter().filter_map(linked).collect()
}

/// What accounts name and do not find. Its client is that of its claims, or of the credential that has the id; where
/// one of these is the entry's, that is what was lost.
fn lost<'a>(entry: &DesiredCredential, context: &PlanContext<'a>) -> Vec<Linked<'a>> {
    let PlanContext { desired, index, .. } = context;
    // What this owner was called before is of no other owner, as far as nothing is left of it.
    let present = |of: &Mark| Mark { owner: desired.present_name(&of.owner).clone(), ..of.clone() };
    let linked = |(domain, name)| {
        let of_id = index.of_id(domain, name);
        let says_so: Vec<usize> =
            index.all_claims(domain, name).iter().copied().chain(of_id).collect();
        let client_of = |at: &usize| &index.get(*at).client_id;
        if says_so.iter().any(|at| *client_of(at) == entry.client_id) {
            return None;
        }
        let written = says_so.iter().filter_map(|at| Some(index.ownership(*at)?.mark.clone()));
        let mut marks: Vec<Mark> = written.chain(Mark::of_text(name)).collect();
        let reused = marks.iter().position(|of| is_reused(&present(of), entry, context))?;
        marks.swap(0, reused);
        let by = index.users(domain, name);
        let client = says_so.last().map(client_of);
        Some(Linked { marks, client, by, is_lost: of_id.is_none() })
    };
    index.lost().filter(|(domain, _)| **domain == entry.domain).filter_map(linked).collect()
}

/// What a running HA does not say of an account that finds nothing, and a note does: which entry it was linked for.
fn noted<'a>(entry: &DesiredCredential, context: &PlanContext<'a>) -> Vec<Linked<'a>> {
    let Some(live) = context.live else { return Vec::new() };
    let mut missed = context.index.users_of_none(&entry.domain);
    missed.retain(|account| live.missed.contains(&account.id));
    let linked = |account: ConfigEntry| {
        let of_account = live.accounts.iter().filter(|note| note.account == account.id);
        let mark = of_account.map(|note| &note.mark).find(|of| is_reused(of, entry, context))?;
        Some(Linked { marks: vec![mark.clone()], client: None, by: vec![account], is_lost: true })
    };
    missed.into_iter().filter_map(linked).collect()
}
