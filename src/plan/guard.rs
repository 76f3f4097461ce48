//! What the policy forbids. Guards withhold; they never add.

use std::collections::BTreeSet;

use crate::model::{Completeness, Desired, Domain, Key, Policy, Prune};

use super::action::Plan;
use super::context::PlanContext;
use super::draft::PlanDraft;
use super::withheld::Why;

pub(super) fn decide(context: &PlanContext<'_>, draft: &mut PlanDraft<'_>) {
    let PlanContext { desired, policy, .. } = context;
    let guards = [all_unread(context), prune_off(policy), nothing_desired(desired, policy)];
    match guards.into_iter().flatten().next() {
        Some(why) => draft.withhold_prunes(|_, _| Some(why.clone())),
        None => draft.withhold_prunes(|domain, key| {
            unidentified(desired, domain).or_else(|| by_slip(desired, policy, key?))
        }),
    }
    if let Some(why) = too_many(context, draft) {
        draft.withhold_prunes(|_, _| Some(why.clone()));
        draft.withhold_foreign(&why);
    }
}

/// Withholds all of a plan whose deletes are too many, so that nothing of it looks as if it were done.
pub(super) fn stop(plan: &mut Plan) {
    let mut whys = plan.withheld.iter().map(|withheld| &withheld.why);
    let too_many = whys.find(|why| matches!(why, Why::TooManyDeletes { .. })).cloned();
    if let Some(why) = too_many {
        plan.withhold_steps(|_, _| Some(why.clone()));
    }
}

/// What keeps a credential of this integration that no known entry wants.
pub(super) fn unread(context: &PlanContext<'_>, domain: &Domain) -> Option<Why> {
    all_unread(context).or_else(|| unidentified(context.desired, domain))
}

/// Whether an entry that is not known may want a credential of this integration.
pub(super) fn may_want(desired: &Desired, domain: &Domain) -> Option<Why> {
    match desired.completeness {
        Completeness::Partial => Some(Why::Unread),
        _ => unidentified(desired, domain),
    }
}

/// An entry whose client is not known may want any credential of its own integration.
fn unidentified(desired: &Desired, domain: &Domain) -> Option<Why> {
    let of_domain = desired.unidentified.iter().filter(|entry| entry.domain == *domain);
    let keys: BTreeSet<Key> = of_domain.map(|entry| entry.key.clone()).collect();
    (!keys.is_empty()).then_some(Why::Unidentified { keys })
}

/// What was not understood may want any credential, as an entry with a mistyped integration does.
fn all_unread(context: &PlanContext<'_>) -> Option<Why> {
    match &context.desired.completeness {
        _ if !context.of_unknown_integrations.is_empty() => Some(Why::Unread),
        Completeness::Partial => Some(Why::Unread),
        Completeness::Emptied(places) => Some(Why::Emptied { places: places.clone() }),
        Completeness::Whole => None,
    }
}

fn prune_off(policy: &Policy) -> Option<Why> {
    (policy.prune == Prune::Nothing).then_some(Why::PruneOff)
}

fn nothing_desired(desired: &Desired, policy: &Policy) -> Option<Why> {
    let is_empty = desired.credentials.is_empty() && desired.unidentified.is_empty();
    (is_empty && !policy.allow_empty).then_some(Why::NothingDesired)
}

fn by_slip(desired: &Desired, policy: &Policy, key: &Key) -> Option<Why> {
    let slip = desired.elsewhere.get(key)?.clone().filter(|_| !policy.allow_empty)?;
    Some(Why::LostBySlip { key: key.clone(), slip })
}

fn too_many(context: &PlanContext<'_>, draft: &PlanDraft<'_>) -> Option<Why> {
    let PlanContext { desired, policy, index, .. } = context;
    let (limit, planned) = (policy.max_deletes?, draft.planned_deletes());
    // What belongs to one entry is one credential here, as it is where deletes are counted.
    let managed = (0..index.all().len()).filter_map(|at| {
        let mark = &index.ownership(at)?.mark;
        (mark.owner == desired.owner).then_some((&index.get(at).domain, &mark.key))
    });
    // What nobody manages and is to be deleted is among those of which a share may go.
    let all = managed.collect::<BTreeSet<_>>().len() + draft.planned_foreign();
    let allowed = limit.allowed(all);
    (planned > allowed).then_some(Why::TooManyDeletes { planned, allowed })
}
