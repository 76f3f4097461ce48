//! What becomes of credentials that no entry wants.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::model::{
    Completeness, ConfigEntry, Credential, Desired, Domain, Key, Live, Mark, OnDelete, Policy,
    Prune,
};

use super::action::{Action, CredentialState, Reason};
use super::draft::PlanDraft;
use super::index::Index;
use super::ownership::{Assignment, Ownership, Proof};
use super::withheld::Why;

/// Accounts can be removed only where HA runs.
pub(super) fn decide(
    desired: &Desired,
    policy: &Policy,
    live: Option<&Live>,
    assignment: &Assignment,
    index: &Index<'_>,
    draft: &mut PlanDraft<'_>,
) {
    let declared: BTreeMap<&Key, &Domain> =
        desired.credentials.iter().map(|entry| (&entry.key, &entry.domain)).collect();
    // An entry's credentials, their claims and what these claim stand and fall together.
    let mut gone: IndexMap<(&Domain, &Key), Vec<usize>> = IndexMap::new();
    for (at, credential) in index.all().iter().enumerate() {
        if assignment.is_assigned(at) || !draft.is_undecided(at) {
            continue;
        }
        match index.ownership(at) {
            Some(Ownership { mark, .. }) if mark.owner == desired.owner => {
                gone.entry((&credential.domain, &mark.key)).or_default().push(at);
                // A manifest that could not be read may declare it.
                let state = match desired.completeness {
                    Completeness::Partial => CredentialState::Unknown(mark.key.clone()),
                    _ => CredentialState::Undeclared,
                };
                draft.stand(at, state);
            }
            Some(Ownership { mark, .. }) => {
                draft.stand(at, CredentialState::OtherOwner(mark.owner.clone()));
            }
            None => {
                draft.stand(at, CredentialState::Foreign);
                if policy.prune == Prune::All {
                    let accounts_go = live.is_some() && policy.remove_integrations;
                    prune(vec![at], (Reason::NotDesired, accounts_go), index, draft);
                }
            }
        }
    }
    for ((_, key), mut group) in gone {
        let moved = declared.contains_key(key);
        let reason = if moved { Reason::IntegrationDiffers } else { Reason::NotDesired };
        let mark = desired.mark(key);
        let accounts_go = policy.remove_integrations || is_tied(&mark, desired, live);
        // A shadow goes before what it shadows, and what says whose they are goes last.
        group.sort_by_key(|at| {
            let credential = index.get(*at);
            // A claim of a claim is longer than that, and goes after it.
            let length = if is_claim(*at, index) { credential.implementation().len() } else { 0 };
            (length, credential.auth_domain.is_none(), *at)
        });
        prune(group, (reason, live.is_some() && accounts_go), index, draft);
    }
}

fn is_claim(at: usize, index: &Index<'_>) -> bool {
    index.ownership(at).is_some_and(|ownership| matches!(ownership.proof, Proof::Claim(_)))
}

/// Whether the accounts that are linked with it go with its entry: as that says, which is for
/// another integration now, or as is noted of one that is gone.
fn is_tied(mark: &Mark, desired: &Desired, live: Option<&Live>) -> bool {
    let is_noted = || live.is_some_and(|live| live.tied.contains(mark));
    let is_gone = desired.credentials.iter().all(|entry| entry.key != mark.key);
    is_gone && is_noted()
        || desired.credentials.iter().any(|entry| {
            entry.key == mark.key && entry.integration.on_delete == OnDelete::RemoveIntegration
        })
}

/// Deletes all of a group, one after the other, and before it the accounts that are linked with it
/// if those are to go.
fn prune(
    group: Vec<usize>,
    (reason, accounts_go): (Reason, bool),
    index: &Index<'_>,
    draft: &mut PlanDraft<'_>,
) {
    let mut by: Vec<ConfigEntry> = Vec::new();
    for account in group.iter().flat_map(|at| users(index.get(*at), index)) {
        if by.iter().all(|known| known.id != account.id) {
            by.push(account);
        }
    }
    if by.is_empty() || accounts_go {
        draft.prune(group, reason, by);
        return;
    }
    // The one that an account has from Home Assistant's look-up stands for all.
    let is_used = |at: &&usize| {
        let credential = index.get(**at);
        index.is_used(&credential.domain, credential.implementation())
    };
    if let Some(at) = group.iter().filter(is_used).max().or(group.first()) {
        let action = Action::Delete { old: index.get(*at).held(), remove: Vec::new() };
        draft.withhold(action, Why::InUse { by });
    }
}

/// The accounts that find a credential, or would have found it, by what they name.
fn users(credential: &Credential, index: &Index<'_>) -> Vec<ConfigEntry> {
    let mut by = index.users(&credential.domain, credential.implementation());
    if credential.implementation() != credential.id.as_str() {
        by.extend(index.users(&credential.domain, credential.id.as_str()));
    }
    by
}
