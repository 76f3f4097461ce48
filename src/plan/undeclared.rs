//! What becomes of credentials that no entry wants.

use std::collections::BTreeMap;

use crate::model::{Credential, Desired, Domain, Key, Live, OnDelete, Policy, Prune};

use super::action::{Action, CredentialState, Reason};
use super::draft::Draft;
use super::index::Index;
use super::withheld::Why;

/// Accounts can be removed only where HA runs.
pub(super) fn decide(
    desired: &Desired,
    policy: &Policy,
    live: Option<&Live>,
    index: &Index<'_>,
    draft: &mut Draft<'_>,
) {
    let declared: BTreeMap<&Key, &Domain> =
        desired.credentials.iter().map(|entry| (&entry.key, &entry.domain)).collect();
    for (at, credential) in index.all().iter().enumerate() {
        if !draft.is_undecided(at) {
            continue;
        }
        match credential_state(credential, desired, index) {
            CredentialState::Undeclared => {
                let moved = credential.mark().is_some_and(|mark| declared.contains_key(&mark.key));
                let reason = if moved { Reason::IntegrationDiffers } else { Reason::NotDesired };
                let goes = policy.remove_integrations || is_tied(credential, desired, live);
                prune(at, credential, (reason, live.is_some() && goes), index, draft);
                draft.stand(at, CredentialState::Undeclared);
            }
            CredentialState::Foreign if policy.prune == Prune::All => {
                let goes = policy.remove_integrations;
                prune(at, credential, (Reason::NotDesired, live.is_some() && goes), index, draft);
                draft.stand(at, CredentialState::Foreign);
            }
            other => draft.stand(at, other),
        }
    }
}

/// Whether the accounts that are linked with it go with its entry: as that says, which is for
/// another integration now, or as is noted of one that is gone.
fn is_tied(credential: &Credential, desired: &Desired, live: Option<&Live>) -> bool {
    let Some(mark) = credential.mark() else { return false };
    let is_noted = || live.is_some_and(|live| live.tied.contains(&mark));
    let is_gone = desired.credentials.iter().all(|entry| entry.key != mark.key);
    is_gone && is_noted()
        || desired.credentials.iter().any(|entry| {
            entry.key == mark.key && entry.integration.on_delete == OnDelete::RemoveIntegration
        })
}

fn credential_state(
    credential: &Credential,
    desired: &Desired,
    index: &Index<'_>,
) -> CredentialState {
    match credential.mark() {
        Some(mark) if mark.owner == desired.owner => CredentialState::Undeclared,
        Some(mark) => CredentialState::OtherOwner(mark.owner),
        None if index.is_shadow(credential) => CredentialState::Undeclared,
        None => CredentialState::Foreign,
    }
}

/// Deletes it, and before it the accounts that are linked with it if those are to go.
fn prune(
    at: usize,
    credential: &Credential,
    (reason, accounts_go): (Reason, bool),
    index: &Index<'_>,
    draft: &mut Draft<'_>,
) {
    let mut by = index.users(&credential.domain, credential.implementation());
    if credential.implementation() != credential.id.as_str() {
        by.extend(index.users(&credential.domain, credential.id.as_str()));
    }
    if by.is_empty() || accounts_go {
        draft.prune(at, reason, by);
    } else {
        let action = Action::Delete { old: credential.held(), remove: Vec::new() };
        draft.withhold(action, Why::InUse { by });
    }
}
