//! An entry got another name, and a new one its old name: where the key is made of the name, the account of the
//! first would get the client of the second.

use crate::model::{DesiredCredential, Key};

use super::context::PlanContext;
use super::draft::WholePlan;
use super::withheld::Why;

/// Withholds each step of an entry whose key nobody wrote, where an account is linked under that key with a client
/// that another entry has, and each of that other one: what it creates would hide that it was renamed.
pub(super) fn keep(context: &PlanContext<'_>, whole: &mut WholePlan) {
    let entries = context.entries.iter().enumerate();
    let reasons: Vec<(&Key, Why)> =
        entries.flat_map(|(number, entry)| reused(entry, number, context)).collect();
    whole.as_mut().withhold_steps(|step, _| {
        let key = &step.action.for_entry()?.key;
        reasons.iter().find(|(of, _)| *of == key).map(|(_, why)| why.clone())
    });
}

/// The entry and the one that has its client, each with the reason.
fn reused<'a>(
    entry: &'a DesiredCredential,
    number: usize,
    PlanContext { index, assignment, .. }: &PlanContext<'a>,
) -> Vec<(&'a Key, Why)> {
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
        Some([(&entry.key, why.clone()), (&other.key, why)])
    };
    assignment.of_entry(number).iter().filter_map(of_other).flatten().collect()
}
