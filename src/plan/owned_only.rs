//! The last filter: whatever was decided, no step touches what is not ours.

use crate::model::{Claim, Held, Prune};

use super::action::{Action, Plan, Step, StepId};
use super::context::PlanContext;
use super::withheld::Why;

/// Drops each step that would delete or shadow a credential without this owner's mark or claim, unless its
/// adoption or `prune: all` was asked for, and what comes after such a step. There is none; that
/// is proved by the laws in `tests/it/laws.rs`, and this holds if they miss something.
pub(super) fn keep(context: &PlanContext<'_>, plan: &mut Plan) {
    plan.withhold_steps(|step, steps| {
        let may_touch = |held: &Held| {
            is_owned(held, context)
                || is_asked_for(held, context)
                || is_claimed_before(held, step, steps)
        };
        (!step.action.old().iter().all(may_touch)).then_some(Why::NotOwned)
    });
}

/// Whether the target says that it is this owner's, or an earlier name's of the owner with a
/// client that an entry wants.
fn is_owned(held: &Held, PlanContext { desired, index, .. }: &PlanContext<'_>) -> bool {
    let Some(at) = index.position(held) else { return false };
    let Some(ownership) = index.ownership(at) else { return false };
    let is_wanted = || index.entry_of_client(&held.domain, &held.client_id).is_some();
    let owner = &ownership.mark.owner;
    *owner == desired.owner || desired.previous_owners.contains(owner) && is_wanted()
}

fn is_asked_for(held: &Held, PlanContext { policy, index, .. }: &PlanContext<'_>) -> bool {
    let is_nobodys = index.position(held).is_some_and(|at| index.is_nobodys(at));
    let entry = index.entry_of_client(&held.domain, &held.client_id);
    is_nobodys && (entry.is_some_and(|entry| policy.adopts(entry)) || policy.prune == Prune::All)
}

/// Steps are in the order of their ids.
fn position(steps: &[Step], id: StepId) -> Option<usize> {
    steps.binary_search_by_key(&id, |step| step.id).ok()
}

/// Whether a step before this one claims it.
fn is_claimed_before(held: &Held, step: &Step, steps: &[Step]) -> bool {
    let implementation = held.implementation();
    let mut before = step.after;
    while let Some(step) = before.and_then(|id| steps.get(position(steps, id)?)) {
        if let Action::Claim { wanted, .. } = &step.action
            && wanted.domain == held.domain
            && wanted.client_id == held.client_id
            && Claim::parse(&wanted.auth_domain)
                .is_some_and(|claim| claim.implementation == implementation)
        {
            return true;
        }
        before = step.after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::keep;
    use crate::model::Policy;
    use crate::plan::action::{Adoption, Wanted};
    use crate::plan::context::PlanContext;
    use crate::plan::tests::{desired, held, observing, wanted};
    use crate::plan::{Action, Step, StepId, Why, plan};

    /// No plan has such a step; this is the last filter.
    #[test]
    fn a_step_that_would_shadow_what_is_not_ours_is_dropped() {
        let entry = wanted("a");
        let foreign = held("spotify_id_a", &entry, Some("appcred:cabin:a"));
        let (desired, observed) = (desired(vec![entry.clone()]), observing(vec![foreign.clone()]));
        let policy = Policy::default();
        let context = PlanContext::new(&desired, &observed, &policy);
        for how in [Adoption::Shadow, Adoption::TakeOver] {
            let old = vec![foreign.held()];
            let wanted = Wanted::of(&entry, "spotify_id_a".into());
            let step = Step::new(StepId(0), Action::Adopt { wanted, old, how });
            let mut plan = plan(&desired, &observed, &policy);
            plan.steps = vec![step];
            keep(&context, &mut plan);
            assert!(plan.steps.is_empty(), "{plan:?}");
            assert!(plan.withheld.last().is_some_and(|last| last.why == Why::NotOwned), "{plan:?}");
        }
    }
}
