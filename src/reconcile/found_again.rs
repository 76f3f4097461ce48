//! Linked accounts that find their credential again, since a step has created it. HA does not say of an account which
//! credential it misses, so that only what it says afterwards shows whose they are.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ConfigEntry, Desired, EntryId, EntryState, Observed, SetUpOf};
use crate::plan::{Action, Plan, Step, StepId, linked_account};
use crate::target::home_assistant::HomeAssistant;
use crate::target::{Refusal, Stop};

use super::outcome::{Outcome, StepOutcome, outcome_of};
use super::set_up::{linked, reload};

/// Reloads the accounts that had no credential before a plan was carried out and have one that it has created. The
/// step that has created it is unfinished where an account does not run then, but for one that its entry does not
/// name. What a set-up of the plan finds is left to that.
pub(super) async fn reload_found(
    (plan, desired, before): (&Plan, &Desired, &Observed),
    ha: &HomeAssistant,
    stop: &Stop,
    outcomes: &mut [StepOutcome],
) {
    let lost = lost(plan, before);
    let is_created = |step: &&Step| {
        let is_there =
            |of: &StepOutcome| matches!(of.outcome, Outcome::Done | Outcome::Unfinished(_));
        outcome_of(outcomes, step.id).is_some_and(is_there)
            && step
                .action
                .created()
                .is_some_and(|new| lost.iter().any(|of| of.domain == new.domain))
    };
    let created: Vec<&Step> = plan.steps.iter().filter(is_created).collect();
    if created.is_empty() {
        return;
    }
    let now = ha.observed().await;
    let mut failed: BTreeMap<StepId, Outcome> = BTreeMap::new();
    match &now {
        Ok(now) => {
            for (step, account) in found(&created, &lost, (plan, desired), now) {
                let outcome = match stop.is_cancelled() {
                    true => Refusal::Stopped.into(),
                    false => reload(ha, account).await,
                };
                if !outcome.is_done() && is_named(step, account, desired, now) {
                    failed.entry(step.id).or_insert(outcome);
                }
            }
        }
        Err(refusal) => {
            let outcome = Outcome::from(refusal.clone());
            failed.extend(created.iter().map(|step| (step.id, outcome.clone())));
        }
    }
    for of in outcomes.iter_mut().filter(|of| of.outcome.is_done()) {
        match failed.remove(&of.step) {
            Some(denied @ Outcome::Denied(_)) => of.outcome = denied,
            Some(outcome) => {
                let why = outcome.why().unwrap_or_default();
                of.outcome = Outcome::Unfinished(format!("the credential is there; {why}"));
            }
            None => {}
        }
    }
}

/// The accounts that HA has named no credential of, and that no step reloads anyway.
fn lost<'n>(plan: &Plan, before: &'n Observed) -> Vec<&'n ConfigEntry> {
    let reloaded: BTreeSet<&EntryId> =
        plan.steps.iter().flat_map(|step| &step.reload).map(|account| &account.id).collect();
    let is_lost = |account: &&ConfigEntry| {
        account.implementation.is_none()
            && account.state != EntryState::Disabled
            && !reloaded.contains(&account.id)
    };
    before.config_entries.iter().filter(is_lost).collect()
}

/// Which of the `lost` accounts use now what a step has created, each with that step.
fn found<'p, 'n>(
    created: &[&'p Step],
    lost: &[&ConfigEntry],
    (plan, desired): (&'p Plan, &Desired),
    now: &'n Observed,
) -> Vec<(&'p Step, &'n ConfigEntry)> {
    if now.live.as_ref().is_none_or(|live| live.is_starting) {
        return Vec::new();
    }
    let lost: BTreeSet<&EntryId> = lost.iter().map(|account| &account.id).collect();
    let of_set_ups: BTreeSet<&EntryId> = plan
        .steps
        .iter()
        .filter_map(|step| {
            let Action::SetUp { wanted, name, account: None, .. } = &step.action else {
                return None;
            };
            let entry = desired.credential(&wanted.key)?;
            let mark = desired.mark(&wanted.key);
            let of = SetUpOf { mark: &mark, account: name.as_ref() };
            Some(&linked(now, (entry, &desired.previous_owners), of, wanted)?.id)
        })
        .collect();
    let mut found = Vec::new();
    for step in created {
        let Some(new) = step.action.created() else { continue };
        let users = now.users(&new.domain, &new.auth_domain);
        let users = users.filter(|of| lost.contains(&of.id) && !of_set_ups.contains(&of.id));
        found.extend(users.map(|account| (*step, account)));
    }
    found
}

/// Whether the entry of a step names an account, or names none.
fn is_named(step: &Step, account: &ConfigEntry, desired: &Desired, now: &Observed) -> bool {
    let entry_of = |step: &Step| desired.credential(&step.action.created()?.key);
    let Some(entry) = entry_of(step) else { return false };
    let names = &entry.integration.accounts;
    let mark = desired.mark(&entry.key);
    let is_it = |name| {
        let notes = &now.live.as_ref()?.accounts;
        let new = step.action.created()?;
        let of = SetUpOf { mark: &mark, account: Some(name) };
        let users = now.users(&new.domain, &new.auth_domain);
        let entry = (entry, &desired.previous_owners);
        Some(linked_account(entry, of, users, notes)?.id == account.id)
    };
    names.is_empty() || names.iter().any(|name| is_it(name).unwrap_or_default())
}
