//! What is left alone since people said so: what is protected, and what is of suspended or forgotten entries.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Claim, Key, Mark};

use super::action::{Action, ComparedCredential, Step};
use super::context::PlanContext;
use super::draft::{PlanDraft, WholePlan};
use super::withheld::{Why, Withheld};

/// Keeps credentials that no entry wants, all of one key. What is forgotten needs no word in each plan, and what
/// is suspended is no error, also where it is protected as well.
pub(super) fn withhold(
    group: &[usize],
    key: &Key,
    PlanContext { policy, index, .. }: &PlanContext<'_>,
    draft: &mut PlanDraft<'_>,
) {
    let why = if policy.forgets(key) {
        return;
    } else if policy.suspended.contains(key) {
        Why::Suspended
    } else {
        Why::Protected { keys: [key.clone()].into() }
    };
    for at in group {
        let action = Action::Delete { old: index.get(*at).held(), remove: Vec::new() };
        draft.withhold(action, why.clone());
    }
}

/// Withholds each step of a suspended entry, and each by which something protected would be deleted, or
/// another credential be in force in its place.
pub(super) fn keep(context: &PlanContext<'_>, whole: &mut WholePlan) {
    let (policy, plan) = (context.policy, whole.as_mut());
    if policy.protected.is_empty() && policy.suspended.is_empty() {
        return;
    }
    // Nobody is asked for anything by which a suspended entry would go on.
    plan.setup_states.retain(|of| !policy.suspended.contains(&of.id.key));
    let keys: Vec<CredentialKeys> =
        plan.credential_states.iter().map(|of| CredentialKeys::new(of, context)).collect();
    for (of, keys) in plan.credential_states.iter_mut().zip(&keys) {
        of.is_protected = keys.is_ours && !keys.all.is_disjoint(&policy.protected);
        of.is_suspended = !keys.all.is_disjoint(&policy.suspended);
    }
    plan.withhold_steps(|step, _| {
        let own = of_step(step).into_iter();
        let changed: Vec<&CredentialKeys> =
            changed(step, context).into_iter().map(|at| &keys[at]).collect();
        let claimed: Vec<&CredentialKeys> =
            claimed(step, context).into_iter().map(|at| &keys[at]).collect();
        let written = written(step, context);
        let all = changed.iter().chain(&claimed).flat_map(|keys| &keys.all);
        if all.chain(own).chain(&written).any(|key| policy.suspended.contains(key)) {
            return Some(Why::Suspended);
        }
        // What is claimed by another protected entry stays protected.
        let is_lost = of_step(step).is_none_or(|key| !policy.protected.contains(key));
        let claimed = claimed.into_iter().filter(|_| is_lost);
        let ours = changed.into_iter().chain(claimed).filter(|keys| keys.is_ours);
        let ours = ours.flat_map(|keys| keys.all.intersection(&policy.protected));
        let keys: BTreeSet<Key> = ours.cloned().collect();
        (!keys.is_empty()).then_some(Why::Protected { keys })
    });
    // What is set up for a credential goes on as long as that stays.
    let kept: BTreeMap<Key, Why> = plan.withheld.iter().filter_map(kept).collect();
    plan.withhold_steps(|step, _| match &step.action {
        Action::Abandon { .. } => kept.get(of_step(step)?).cloned(),
        _ => None,
    });
}

/// The entry whose credential stays since it is protected.
fn kept(withheld: &Withheld) -> Option<(Key, Why)> {
    match &withheld.why {
        why @ Why::Protected { .. } => {
            Some((withheld.action.for_entry()?.key.clone(), why.clone()))
        }
        _ => None,
    }
}

/// The keys by which a credential can be meant: that of its entry, that of the claim by which it is ours, and that in
/// its own `auth_domain`. A claim takes a credential over; it takes no protection away that has the earlier key.
struct CredentialKeys {
    all: BTreeSet<Key>,
    is_ours: bool,
}

impl CredentialKeys {
    fn new(of: &ComparedCredential, PlanContext { index, desired, .. }: &PlanContext<'_>) -> Self {
        let is_ours = |mark: &Mark| *desired.present_name(&mark.owner) == desired.owner;
        let at = index.position(&of.held);
        let owned = at.and_then(|at| Some(index.ownership(at)?.mark.clone())).filter(is_ours);
        let own = at.and_then(|at| index.get(at).own_mark()).filter(is_ours);
        let (all, is_ours) = (of.state.key().cloned(), owned.is_some());
        let written = owned.into_iter().chain(own).map(|mark| mark.key);
        Self { all: all.into_iter().chain(written).collect(), is_ours }
    }
}

/// The key of the entry that a step is for.
fn of_step(step: &Step) -> Option<&Key> {
    match &step.action {
        Action::Abandon { flow } => flow.purpose.mark().map(|mark| &mark.key),
        action => action.for_entry().map(|wanted| &wanted.key),
    }
}

/// The credentials that a step deletes or shadows, or takes the place of in Home Assistant's look-up.
fn changed(step: &Step, PlanContext { index, .. }: &PlanContext<'_>) -> Vec<usize> {
    let old = step.action.old().iter().filter_map(|held| index.position(held));
    let replaced = step.action.created().into_iter();
    let replaced = replaced.flat_map(|new| index.implementing(&new.domain, &new.auth_domain));
    old.chain(replaced.copied()).collect()
}

/// The key under which a step writes something: another one than its entry's where an account names the text of that.
fn written(step: &Step, PlanContext { desired, .. }: &PlanContext<'_>) -> Option<Key> {
    let mark = Mark::of_text(&step.action.created()?.auth_domain)?;
    (*desired.present_name(&mark.owner) == desired.owner).then_some(mark.key)
}

/// The credentials of which a step writes that they are an entry's.
fn claimed(step: &Step, PlanContext { index, .. }: &PlanContext<'_>) -> Vec<usize> {
    let Some(new) = step.action.created() else { return Vec::new() };
    let claim = Claim::parse(&new.auth_domain);
    claim.map_or(Vec::new(), |of| index.implementing(&new.domain, &of.implementation).to_vec())
}

#[cfg(test)]
mod tests {
    use crate::model::{Domain, Key, MaxDeletes, Policy, PolicyOverrides, Secret};
    use crate::plan::tests::{check, held, linked, planned};
    use crate::plan::{CredentialState, Plan, Why, Withheld};

    const A: &str = "a";

    /// With this done to the policy where `a` has another secret, and where it is gone.
    fn both(change: impl Fn(&mut Policy)) -> [Plan; 2] {
        [false, true].map(|is_gone| {
            planned(|desired, _, policy| {
                change(policy);
                match is_gone {
                    true => drop(desired.credentials.remove(0)),
                    false => desired.credentials[0].client_secret = Secret::new("new").into(),
                }
            })
        })
    }

    fn key() -> Key {
        Key::new(A).unwrap()
    }

    #[test]
    fn what_is_protected_is_neither_replaced_nor_deleted_before_that_is_allowed() {
        let [changed, gone] = both(|policy| policy.protected = [key()].into());
        let why = "Protected { keys: {Key(\"a\")} }";
        check(&changed, &[&format!("! -/+ a for spotify_id_a {why}")]);
        check(&gone, &[&format!("! - spotify_id_a {why}")]);
        for plan in [&changed, &gone] {
            assert!(plan.blocked() == 1 && !plan.is_in_sync());
            let protected: Vec<bool> =
                plan.credential_states.iter().map(|of| of.is_protected).collect();
            assert_eq!(protected, [true, false]);
        }
        let run = PolicyOverrides { allow_protected: vec![key()], ..Default::default() };
        let [changed, gone] = both(|policy| {
            policy.protected.insert(key());
            *policy = policy.with(&run);
        });
        check(&changed, &["-/+ a for spotify_id_a [SecretDiffers]"]);
        check(&gone, &["- spotify_id_a [NotDesired]"]);
        assert_eq!(run.arguments(), ["--allow-protected=a"]);
    }

    #[test]
    fn a_renamed_entry_is_protected_under_both_keys_and_each_is_named() {
        let why = Why::Protected { keys: [key(), Key::new("b").unwrap()].into() };
        assert_eq!(why.to_string(), "`a` and `b` are protected");
        assert!(why.help().contains("--allow-protected with each such key"));
    }

    #[test]
    fn a_kept_delete_does_not_count_for_the_limit_of_deletes() {
        let [_, gone] = both(|policy| {
            policy.protected.insert(key());
            policy.max_deletes = Some(MaxDeletes::Count(0));
        });
        assert!(!gone.is_stopped());
    }

    #[test]
    fn a_suspended_entry_is_in_no_step_and_that_is_no_error() {
        let [changed, gone] = both(|policy| policy.suspended = [key()].into());
        check(&changed, &["! -/+ a for spotify_id_a Suspended"]);
        check(&gone, &["! - spotify_id_a Suspended"]);
        let missing = planned(|_, observed, policy| {
            policy.suspended.insert(key());
            observed.credentials.remove(0);
        });
        check(&missing, &["! + a Suspended"]);
        for plan in [changed, gone, missing] {
            assert!(plan.blocked() == 0 && plan.is_in_sync());
        }
    }

    /// An account names a claim of `s` that is gone, and a claim of that says it was taken over by `a`.
    #[test]
    fn nothing_is_restored_under_a_suspended_key() {
        let plan = |is_suspended: bool| {
            planned(|desired, observed, policy| {
                let lost = "appcred:house:s:spotify_id_a";
                let claim = format!("appcred:house:a:{lost}");
                observed.credentials[0] = held("claim", &desired.credentials[0], Some(&claim));
                observed.config_entries = vec![linked(lost)];
                policy.suspended.extend(is_suspended.then(|| Key::new("s").unwrap()));
            })
        };
        check(&plan(false), &["+ a [NotObserved] reload"]);
        check(&plan(true), &["! + a Suspended"]);
    }

    #[test]
    fn what_is_protected_and_suspended_is_suspended_in_each_step() {
        for moved in [false, true] {
            let plan = planned(|desired, _, policy| {
                (policy.protected, policy.suspended) = ([key()].into(), [key()].into());
                let entry = &mut desired.credentials[0];
                match moved {
                    true => entry.domain = Domain::new("twitch"),
                    false => entry.client_secret = Secret::new("new").into(),
                }
            });
            let is_suspended = |of: &Withheld| of.why == Why::Suspended;
            assert!(
                !plan.withheld.is_empty() && plan.withheld.iter().all(is_suspended),
                "{plan:?}"
            );
            assert!(plan.blocked() == 0 && plan.is_in_sync());
        }
    }

    #[test]
    fn what_is_forgotten_is_not_protected_with_an_error() {
        let [_, gone] = both(|policy| {
            (policy.protected, policy.forgotten) = ([key()].into(), [key()].into());
        });
        check(&gone, &[]);
        assert_eq!(gone.blocked(), 0);
    }

    #[test]
    fn what_is_forgotten_stays_without_a_word_once_its_entry_is_gone() {
        let [changed, gone] = both(|policy| policy.forgotten = [key()].into());
        check(&changed, &["-/+ a for spotify_id_a [SecretDiffers]"]);
        check(&gone, &[]);
        assert_eq!(gone.credential_states[0].state, CredentialState::Forgotten);
    }
}
