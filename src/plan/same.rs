//! Whether two plans are for the same work.

use super::action::{Action, Plan, Step};
use super::withheld::{Why, Withheld};
use crate::model::{ConfigEntry, EntryState};

impl Plan {
    /// Whether the other one does and leaves the same. The states of linked accounts change without anybody's doing, so
    /// they do not count.
    pub fn is_same_work(&self, other: &Self) -> bool {
        let steps = |plan: &Self| -> Vec<Step> { plan.steps.iter().map(stateless_step).collect() };
        let withheld = |plan: &Self| -> Vec<Withheld> {
            plan.withheld.iter().map(stateless_withheld).collect()
        };
        steps(self) == steps(other) && withheld(self) == withheld(other)
    }
}

fn stateless_step(step: &Step) -> Step {
    let mut step = step.clone();
    forget_states(step.reload.iter_mut().chain(accounts(&mut step.action)));
    step
}

fn stateless_withheld(withheld: &Withheld) -> Withheld {
    let mut withheld = withheld.clone();
    let users = match &mut withheld.why {
        Why::InUse { by }
        | Why::MayBeCloud { by }
        | Why::ReusedName { by, .. }
        | Why::ReusedKey { by, .. }
        | Why::PreviousOwner { by, .. } => by.as_mut_slice(),
        Why::SeveralAccounts { accounts } => accounts,
        _ => &mut [],
    };
    forget_states(users.iter_mut().chain(accounts(&mut withheld.action)));
    withheld
}

/// The linked accounts that an action is about.
fn accounts(action: &mut Action) -> &mut [ConfigEntry] {
    match action {
        Action::SetUp { account: Some(account), .. }
        | Action::Reload { account, .. }
        | Action::NoteAccount { account, .. }
        | Action::RemoveAccount { account, .. } => std::slice::from_mut(account),
        Action::Delete { remove, .. } => remove,
        _ => &mut [],
    }
}

fn forget_states<'a>(accounts: impl Iterator<Item = &'a mut ConfigEntry>) {
    for account in accounts {
        account.state = EntryState::NotLoaded;
        account.reason = None;
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{EntryState, Live, Secret};
    use crate::plan::Plan;
    use crate::plan::tests::{linked, planned};

    /// The secret of `a` differs, whose account is in this state; `b` is not wanted, and its account may not go.
    fn with_state(state: EntryState, reason: Option<&str>, secret: &str) -> Plan {
        planned(|desired, observed, _| {
            desired.credentials.pop();
            desired.credentials[0].client_secret = Secret::new(secret).into();
            let mut accounts = ["appcred:house:a", "appcred:house:b"].map(linked);
            for account in &mut accounts {
                account.state = state.clone();
                account.reason = reason.map(str::to_owned);
            }
            observed.config_entries = accounts.into();
            observed.live = Some(Live::default());
        })
    }

    #[test]
    fn what_the_state_of_an_account_has_become_is_no_other_work() {
        let before = with_state(EntryState::SetupRetry, Some("no answer"), "s2");
        let after = with_state(EntryState::Loaded, None, "s2");
        assert!(before.steps != after.steps && before.withheld != after.withheld);
        assert!(before.is_same_work(&after));
        assert!(!before.is_same_work(&with_state(EntryState::SetupRetry, None, "s1")));
        let down = |state| {
            let plan = with_state(state, None, "s1");
            assert_eq!(plan.steps.len(), 1, "it is reloaded");
            plan
        };
        assert!(down(EntryState::SetupError).is_same_work(&down(EntryState::NotLoaded)));
    }
}
