//! A key that an account was linked under belongs to another entry now: the account would get a client that it was
//! not linked for.

use std::collections::BTreeSet;

use crate::model::{DesiredCredential, Key, Mark};

use super::action::{Action, Step};
use super::context::PlanContext;
use super::draft::WholePlan;
use super::ownership::Ownership;
use super::reused_key::reused_key;
use super::withheld::Why;

/// Entries whose keys most likely were those of others, and why they are left.
pub(super) struct Reused<'a> {
    pub(super) keys: BTreeSet<&'a Key>,
    /// What of these marks would be deleted stays: without it nothing shows what the entry was.
    pub(super) kept: BTreeSet<Mark>,
    pub(super) why: Why,
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
