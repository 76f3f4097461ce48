//! Linked accounts that do not run although their credential is right: a run that was cut off, or a
//! set-up that took too long, may have left them so. They are reloaded.

use std::collections::BTreeSet;

use smol_str::ToSmolStr;

use crate::model::{ConfigEntry, EntryId, EntryState, Live, Purpose};

use super::action::{Action, Reason, Wanted};
use super::context::PlanContext;
use super::draft::PlanDraft;

/// Only where HA has finished starting: before that, no account is loaded.
pub(super) fn decide(
    live: &Live,
    PlanContext { entries, index, .. }: &PlanContext<'_>,
    draft: &mut PlanDraft<'_>,
) {
    if live.is_starting {
        return;
    }
    let handled = draft.reloaded_accounts();
    let mut down: Vec<(Wanted, ConfigEntry)> = Vec::new();
    for (at, key) in draft.in_sync() {
        let Ok(entry) = entries.binary_search_by(|entry| entry.key.cmp(key)) else { continue };
        let credential = index.get(at);
        let name = credential.implementation();
        for account in index.users(&credential.domain, name) {
            if is_left_down(&account, live) && !handled.contains(&account.id) {
                down.push((Wanted::of(entries[entry], name.to_smolstr()), account));
            }
        }
    }
    for (wanted, account) in down {
        let reason = match draft.is_undeclared(&account.id) {
            true => Reason::UnnamedAccountDown,
            false => Reason::AccountDown,
        };
        draft.step(Action::Reload { wanted, account }, reason, None);
    }
}

/// HA itself retries what is in `setup_retry`. Where it asks for consent, a reload does not help, unless HA asks only
/// because the credential was missing.
fn is_left_down(account: &ConfigEntry, live: &Live) -> bool {
    let asks = || {
        let again = Purpose::Again(account.id.clone());
        live.flows.iter().any(|flow| flow.purpose == again)
    };
    matches!(account.state, EntryState::SetupError | EntryState::NotLoaded)
        && (live.has_credential_again(account) || !asks())
}

impl PlanDraft<'_> {
    /// The accounts that a step reloads, sets up again or removes anyway.
    fn reloaded_accounts(&self) -> BTreeSet<EntryId> {
        let steps = self.steps().iter();
        let of_step = |step: &super::Step| {
            let again = match &step.action {
                Action::SetUp { account, .. } => account.as_ref(),
                _ => None,
            };
            let accounts = step.reload.iter().chain(step.action.removed()).chain(again);
            accounts.map(|account| account.id.clone()).collect::<Vec<_>>()
        };
        steps.flat_map(of_step).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{EntryState, FlowId, Live, OpenFlow, Purpose, Secret};
    use crate::plan::tests::{check, linked, planned, wanted};
    use crate::plan::{Plan, SetupState};

    const A: &str = "appcred:house:a";

    /// `a` and `b` are in sync; the account of `a` is in this state, that of `b` runs.
    fn with_state(state: EntryState, change: impl FnOnce(&mut Live)) -> Plan {
        planned(|_, observed, _| {
            let mut account = linked(A);
            account.state = state;
            observed.config_entries = vec![account, linked("appcred:house:b")];
            let mut live = Live::default();
            change(&mut live);
            observed.live = Some(live);
        })
    }

    /// HA asks for consent again for the account of `a`.
    fn asks(live: &mut Live) {
        let purpose = Purpose::Again(linked(A).id);
        let (id, domain) = (FlowId::new("f"), wanted("a").domain);
        live.flows.push(OpenFlow { id, domain, purpose });
    }

    #[test]
    fn an_account_that_is_left_down_is_reloaded() {
        for state in [EntryState::SetupError, EntryState::NotLoaded] {
            let plan = with_state(state, |_| {});
            check(&plan, &["reload a for entry-appcred:house:a [AccountDown]"]);
            assert!(!plan.is_in_sync());
        }
    }

    #[test]
    fn what_runs_is_disabled_or_is_tried_by_home_assistant_itself_is_left_alone() {
        for state in [
            EntryState::Loaded,
            EntryState::Disabled,
            EntryState::SetupRetry,
            EntryState::SetupInProgress,
            EntryState::FailedUnload,
            EntryState::UnloadInProgress,
        ] {
            check(&with_state(state, |_| {}), &[]);
        }
        check(&with_state(EntryState::NotLoaded, |live| live.is_starting = true), &[]);
    }

    #[test]
    fn where_consent_is_asked_for_that_comes_first() {
        let plan = with_state(EntryState::SetupError, asks);
        check(&plan, &["> a again for entry-appcred:house:a by f [ConsentLost]"]);
        let plan = planned(|_, observed, policy| {
            let mut account = linked(A);
            account.state = EntryState::SetupError;
            observed.config_entries = vec![account];
            let mut live = Live::default();
            asks(&mut live);
            observed.live = Some(live);
            policy.leave_integrations = true;
        });
        check(&plan, &[]);
    }

    #[test]
    fn an_account_whose_credential_is_there_again_is_reloaded_although_consent_is_asked_for() {
        let plan = with_state(EntryState::SetupError, |live| {
            asks(live);
            live.missed.insert(linked(A).id);
        });
        check(&plan, &["reload a for entry-appcred:house:a [AccountDown]"]);
        let of_a = plan.setup_states.iter().find(|of| of.id.key.as_str() == "a").unwrap();
        assert!(matches!(of_a.state, SetupState::Linked(_)), "{of_a:?}");
    }

    #[test]
    fn a_step_that_reloads_it_anyway_is_enough() {
        let plan = planned(|desired, observed, _| {
            desired.credentials[0].client_secret = Secret::new("s2").into();
            let mut account = linked(A);
            account.state = EntryState::SetupError;
            observed.config_entries = vec![account, linked("appcred:house:b")];
            observed.live = Some(Live::default());
        });
        check(&plan, &["-/+ a for spotify_id_a [SecretDiffers] reload"]);
    }
}
