//! What holds for every plan where people said that something is to be left alone.

use std::collections::BTreeSet;

use appcred::model::{Key, Policy};
use appcred::plan::{CredentialState, Plan, plan};
use appcred::reconcile::Outcome;
use proptest::prelude::Strategy;
use proptest::proptest;
use proptest::sample::subsequence;

use crate::laws::{cases, held, policies, run, wanted};

fn keys() -> impl Strategy<Value = BTreeSet<Key>> {
    let keys = subsequence(vec!["k1", "k2", "k3", "k4"], 1..=3);
    keys.prop_map(|keys| keys.into_iter().filter_map(Key::new).collect())
}

fn outgoing(plan: &Plan) -> BTreeSet<String> {
    let outgoing = plan.steps.iter().flat_map(|step| step.action.outgoing());
    outgoing.map(|held| held.id.to_string()).collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_protected_is_deleted_or_replaced(
        desired in wanted(), mut shelf in held(), policy in policies(), protected in keys()
    ) {
        let policy = Policy { protected: protected.clone(), ..policy };
        let before = shelf.clone();
        for _ in 0..2 {
            let outcomes = run(&mut shelf, &desired, &policy);
            assert!(outcomes.iter().all(|step| step.outcome == Outcome::Done), "{outcomes:?}");
        }
        assert_eq!(plan(&desired, &shelf.observed(), &policy).steps, []);
        for credential in &before.credentials {
            let mark = credential.own_mark();
            let Some(mark) = mark else { continue };
            if mark.owner != desired.owner || !protected.contains(&mark.key) {
                continue;
            }
            assert!(shelf.credentials.contains(credential), "{credential:?} was deleted");
            for account in &before.config_entries {
                if before.in_force(account) == Some(credential) {
                    assert_eq!(shelf.in_force(account), Some(credential), "{account:?}");
                }
            }
        }
    }

    #[test]
    fn no_step_is_about_a_suspended_entry(
        desired in wanted(), mut shelf in held(), policy in policies(), suspended in keys()
    ) {
        let policy = Policy { suspended: suspended.clone(), ..policy };
        let before = shelf.clone();
        let planned = plan(&desired, &shelf.observed(), &policy);
        let keys = planned.steps.iter().filter_map(|step| Some(&step.action.for_entry()?.key));
        assert!(keys.into_iter().all(|key| !suspended.contains(key)), "{planned:?}");
        let gone = outgoing(&planned);
        for of in &planned.credential_states {
            if of.state.key().is_some_and(|key| suspended.contains(key)) {
                assert!(of.is_suspended && !gone.contains(of.held.id.as_str()), "{of:?}");
            }
        }
        run(&mut shelf, &desired, &policy);
        run(&mut shelf, &desired, &policy);
        let of_suspended = |credential: &&appcred::model::Credential| {
            let mark = credential.own_mark();
            mark.is_some_and(|mark| mark.owner == desired.owner && suspended.contains(&mark.key))
        };
        let [was, is] = [&before, &shelf].map(|shelf| {
            shelf.credentials.iter().filter(of_suspended).collect::<Vec<_>>()
        });
        assert_eq!(was, is, "{planned:?}");
    }

    #[test]
    fn what_is_forgotten_stays(
        desired in wanted(), mut shelf in held(), policy in policies(), forgotten in keys()
    ) {
        let policy = Policy { forgotten, ..policy };
        let planned = plan(&desired, &shelf.observed(), &policy);
        run(&mut shelf, &desired, &policy);
        for of in planned.credential_states {
            if of.state == CredentialState::Forgotten {
                let is_there = shelf.credentials.iter().any(|held| held.held() == of.held);
                assert!(is_there, "{of:?} was deleted");
            }
        }
    }
}
