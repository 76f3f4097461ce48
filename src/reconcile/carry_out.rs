//! Carries out a whole plan: providers are asked first, then come the credentials, then the set-ups.

use std::collections::BTreeSet;

use crate::model::{Desired, Observed};
use crate::plan::{Plan, StepId};
use crate::target::{Execute, LiveTarget as _, Stop, Target};

use super::apply::{Progress, apply};
use super::found_again::reload_found;
use super::outcome::StepOutcome;
use super::prove::{Proven, Unchecked, Verdicts, prove};
use super::set_up::set_up;
use super::trouble::ask_about_troubles;

/// What a plan is carried out on.
pub trait PlanTarget: Execute {
    /// Asks the providers about the secrets that a plan puts in the place of secrets in use, and about the
    /// set-ups that it starts.
    fn prove(
        &self,
        plan: &Plan,
        desired: &Desired,
        observed: &Observed,
        known: &mut Verdicts,
    ) -> impl Future<Output = Proven> + Send {
        prove(plan, desired, observed, known)
    }

    /// Asks the providers about the clients of accounts that do not run, and adds their answers to the plan.
    /// A target without providers has none to ask.
    fn ask_about_troubles(
        &self,
        _plan: &mut Plan,
        _desired: &Desired,
        _observed: &Observed,
        _known: &mut Verdicts,
    ) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Carries out the steps of a plan that concern set-ups, and adds the outcome of each; reloads the accounts that
    /// find their credential again.
    fn set_up(
        &self,
        of: (&Plan, &Desired, &Observed),
        stop: &Stop,
        outcomes: &mut Vec<StepOutcome>,
    ) -> impl Future<Output = ()> + Send;
}

impl PlanTarget for Target {
    async fn ask_about_troubles(
        &self,
        plan: &mut Plan,
        desired: &Desired,
        observed: &Observed,
        known: &mut Verdicts,
    ) {
        ask_about_troubles(plan, desired, observed, known).await;
    }

    async fn set_up(
        &self,
        of: (&Plan, &Desired, &Observed),
        stop: &Stop,
        outcomes: &mut Vec<StepOutcome>,
    ) {
        if let Some(ha) = self.home_assistant() {
            reload_found(of, ha, stop, outcomes).await;
            let (plan, desired, _) = of;
            set_up(plan, desired, ha, stop, outcomes).await;
        }
    }
}

/// What came of a plan.
pub struct CarriedOut {
    /// The outcome of each step, in the order of their numbers.
    pub outcomes: Vec<StepOutcome>,
    /// The steps that were not begun since a provider refuses them, and those that need them.
    pub refused: BTreeSet<StepId>,
    /// The secrets that could not be checked.
    pub unchecked: Vec<Unchecked>,
}

/// Carries a plan out. `known` is what providers have said lately.
pub async fn carry_out<T: PlanTarget>(
    (plan, desired, observed): (&Plan, &Desired, &Observed),
    target: &mut T,
    known: &mut Verdicts,
    stop: &Stop,
    progress: Progress<'_>,
) -> CarriedOut {
    let Proven { plan, refused, unchecked } = target.prove(plan, desired, observed, known).await;
    let mut outcomes = apply(&plan, desired, target, stop, progress).await;
    let not_begun = refused.iter().map(|refused| refused.step).collect();
    outcomes.extend(refused);
    outcomes.sort_by_key(|outcome| outcome.step);
    target.set_up((&plan, desired, observed), stop, &mut outcomes).await;
    CarriedOut { outcomes, refused: not_begun, unchecked }
}
