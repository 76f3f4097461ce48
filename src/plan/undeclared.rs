//! What becomes of credentials that no entry wants.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use smol_str::ToSmolStr;

use crate::model::{ConfigEntry, Credential, Domain, Key, Live, Mark, OnDelete, Prune};

use super::action::{Action, Adoption, CredentialState, Reason, Wanted};
use super::context::PlanContext;
use super::draft::{PlanDraft, PlannedPrune};
use super::guard;
use super::kept;
use super::ownership::{OwnedBy, Ownership};
use super::withheld::Why;

/// Accounts can be removed only where HA runs.
pub(super) fn decide(context: &PlanContext<'_>, draft: &mut PlanDraft<'_>) {
    let PlanContext { desired, policy, live, index, assignment, .. } = context;
    // An entry's credentials, their claims and what these claim are kept or deleted together.
    let mut gone = GoneGroups::new();
    for (at, credential) in index.all().iter().enumerate() {
        if assignment.is_assigned(at) || !draft.is_undecided(at) {
            continue;
        }
        match index.owned_by(at) {
            OwnedBy::One(_) if assignment.is_doubtful(at) => {
                draft.set_state(at, CredentialState::Undeclared);
            }
            OwnedBy::One(Ownership { mark, .. }) if mark.owner == desired.owner => {
                gone.entry((&credential.domain, &mark.key)).or_default().push(at);
                // A manifest that could not be read may declare it.
                let state = match guard::may_want(desired, &credential.domain) {
                    _ if policy.forgets(&mark.key) => CredentialState::Forgotten,
                    Some(_) => CredentialState::Unknown(mark.key.clone()),
                    None => CredentialState::Undeclared,
                };
                draft.set_state(at, state);
            }
            OwnedBy::One(Ownership { mark, .. }) => {
                draft.set_state(at, CredentialState::OtherOwner(mark.owner.clone()));
            }
            OwnedBy::Several(by) => {
                let other = by.iter().find(|mark| mark.owner != desired.owner);
                draft.set_state(
                    at,
                    match other {
                        Some(mark) => CredentialState::OtherOwner(mark.owner.clone()),
                        None => CredentialState::Foreign,
                    },
                );
            }
            OwnedBy::Unreadable => {
                draft.set_state(at, CredentialState::Foreign);
                warn_of_unreadable(credential, context, draft);
            }
            OwnedBy::Nobody => {
                draft.set_state(at, CredentialState::Foreign);
                if policy.prune == Prune::All {
                    let live = live.filter(|_| policy.remove_integrations);
                    prune(vec![at], (None, Reason::NotDesired), live, context, draft);
                }
            }
        }
    }
    prune_gone(gone, context, draft);
}

/// What is of entries that are gone, by integration and key.
type GoneGroups<'a> = IndexMap<(&'a Domain, &'a Key), Vec<usize>>;

fn prune_gone(gone: GoneGroups<'_>, context: &PlanContext<'_>, draft: &mut PlanDraft<'_>) {
    let PlanContext { desired, policy, live, index, .. } = context;
    let declared: BTreeSet<&Key> = desired.credentials.iter().map(|entry| &entry.key).collect();
    for ((_, key), mut group) in gone {
        if policy.keeps(key) {
            kept::withhold(&group, key, context, draft);
            continue;
        }
        let moved = declared.contains(key);
        let reason = if moved {
            Reason::IntegrationDiffers
        } else if desired.is_elsewhere(key) {
            Reason::NotForTarget
        } else {
            Reason::NotDesired
        };
        let mark = desired.mark(key);
        let accounts_go = policy.remove_integrations || goes_with_entry(&mark, context);
        let live = live.filter(|_| accounts_go);
        // A shadow goes before what it shadows, and what says whose they are goes last.
        group.sort_by_key(|at| {
            let credential = index.get(*at);
            // A claim of a claim is longer than that, and goes after it.
            let length = credential.claim().map_or(0, |_| credential.implementation().len());
            (length, credential.auth_domain.is_none(), &credential.id)
        });
        prune(group, (Some(key), reason), live, context, draft);
    }
}

/// Says where that keeps something from being done: what is like a mark is not taken for made by hand.
fn warn_of_unreadable(
    credential: &Credential,
    PlanContext { desired, policy, index, .. }: &PlanContext<'_>,
    draft: &mut PlanDraft<'_>,
) {
    let entry = index.entry_of_client(&credential.domain, &credential.client_id);
    let held = credential.held();
    let why = Why::UnreadableMark { held: held.clone() };
    if let Some(entry) = entry.filter(|entry| policy.adopts(entry)) {
        let wanted = Wanted::of(entry, desired.mark(&entry.key).to_smolstr());
        let old = vec![held];
        draft.withhold(Action::Adopt { wanted, old, how: Adoption::TakeOver }, why);
    } else if policy.prune == Prune::All {
        draft.withhold(Action::Delete { old: held, remove: Vec::new() }, why);
    }
}

/// Whether the linked accounts are removed with the entry: by its `on_delete`, by that of a removed entry, or else by what
/// is noted in HA.
fn goes_with_entry(
    mark: &Mark,
    PlanContext { desired, policy, live, .. }: &PlanContext<'_>,
) -> bool {
    let entry = desired.credential(&mark.key).map(|entry| entry.integration.on_delete);
    let gone = policy.gone.as_ref().and_then(|gone| gone.get(&mark.key).copied());
    match entry.or(gone) {
        Some(on_delete) => on_delete == OnDelete::RemoveIntegration,
        None => live.is_some_and(|live| live.removed_with_entry.contains(mark)),
    }
}

/// Deletes all of a group, one after the other, and before it the accounts that are linked with it
/// where those are to go.
fn prune(
    group: Vec<usize>,
    (key, reason): (Option<&Key>, Reason),
    accounts_go: Option<&Live>,
    PlanContext { desired, index, assignment, .. }: &PlanContext<'_>,
    draft: &mut PlanDraft<'_>,
) {
    let is_of_entry = |domain: &Domain, text: &str| {
        let mark = Mark::parse(text).filter(|mark| mark.owner == desired.owner);
        let entry = mark.and_then(|mark| desired.credential(&mark.key));
        let mut claims = index.all_claims(domain, text).iter();
        entry.is_some_and(|entry| entry.domain == *domain)
            || claims.any(|at| assignment.is_assigned(*at))
    };
    let mut by: Vec<ConfigEntry> = Vec::new();
    for account in group.iter().flat_map(|at| index.may_use(index.get(*at), is_of_entry)) {
        if by.iter().all(|known| known.id != account.id) {
            by.push(account);
        }
    }
    let is_sure = |account: &ConfigEntry| group.iter().any(|at| names(account, index.get(*at)));
    let is_unclear = |account: &ConfigEntry| {
        accounts_go.is_some_and(|live| live.cloud_or_own.contains(&account.id))
    };
    let unsure: Vec<ConfigEntry> = by.iter().filter(|by| !is_sure(by)).cloned().collect();
    let unclear: Vec<ConfigEntry> = by.iter().filter(|by| is_unclear(by)).cloned().collect();
    let why = if accounts_go.is_none() && !by.is_empty() {
        Why::InUse { by }
    } else if !unsure.is_empty() {
        Why::InUse { by: unsure }
    } else if !unclear.is_empty() {
        Why::MayBeCloud { by: unclear }
    } else {
        return draft.prune(PlannedPrune { group, key: key.cloned(), reason, remove: by });
    };
    // The one that an account has from Home Assistant's look-up represents all.
    let is_used = |at: &&usize| {
        let credential = index.get(**at);
        index.is_used(&credential.domain, credential.implementation())
    };
    if let Some(at) = group.iter().filter(is_used).max().or(group.first()) {
        let action = Action::Delete { old: index.get(*at).held(), remove: Vec::new() };
        draft.withhold(action, why);
    }
}

/// Whether an account names a credential, or what that claims, in the form that HA writes.
fn names(account: &ConfigEntry, credential: &Credential) -> bool {
    let name = account.implementation.as_deref();
    account.domain == credential.domain
        && name.is_some_and(|name| {
            name == credential.implementation()
                || name == credential.id.as_str()
                || credential.claim().is_some_and(|claim| name == claim.implementation)
        })
}
