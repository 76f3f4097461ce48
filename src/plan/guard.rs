//! What the policy forbids. Guards withhold; they never add.

use crate::model::{Completeness, Desired, Policy, Prune};

use super::context::PlanContext;
use super::draft::PlanDraft;
use super::withheld::Why;

pub(super) fn decide(context: &PlanContext<'_>, draft: &mut PlanDraft<'_>) {
    let PlanContext { desired, policy, .. } = context;
    let guards = [unread(context), prune_off(policy), nothing_desired(desired, policy)];
    if let Some(why) = guards.into_iter().flatten().next() {
        draft.withhold_all_prunes(&why);
    }
    if let Some(why) = too_many(context, draft.planned_deletes()) {
        draft.withhold_all_prunes(&why);
        draft.withhold_foreign(&why);
    }
}

/// What was not understood may want any credential, as an entry with a mistyped integration does.
pub(super) fn unread(context: &PlanContext<'_>) -> Option<Why> {
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
    (desired.credentials.is_empty() && !policy.allow_empty).then_some(Why::NothingDesired)
}

fn too_many(context: &PlanContext<'_>, planned: usize) -> Option<Why> {
    let PlanContext { desired, policy, index, .. } = context;
    let limit = policy.max_deletes?;
    let is_owned = |at: &usize| {
        index.ownership(*at).is_some_and(|ownership| ownership.mark.owner == desired.owner)
    };
    let managed = (0..index.all().len()).filter(is_owned).count();
    let allowed = limit.allowed(managed);
    (planned > allowed).then_some(Why::TooManyDeletes { planned, allowed })
}
