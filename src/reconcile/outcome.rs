//! What became of a plan's steps.

use crate::codes::OutcomeCode;
use crate::model::{ConfigEntry, FlowStep};
use crate::plan::{Plan, Step, StepId};
use crate::target::Refusal;

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// The step.
    pub step: StepId,
    /// Its result.
    pub outcome: Outcome,
    /// Whether credentials, linked accounts or set-ups may be changed by it, as far as it came.
    pub is_changed: bool,
    /// The account that was linked by it, where it is known which one that is.
    pub linked: Option<ConfigEntry>,
}

impl StepOutcome {
    /// Where no account was linked, and nothing is known to be changed but what the result says.
    pub fn new(step: StepId, outcome: Outcome) -> Self {
        let is_changed = matches!(outcome, Outcome::Done | Outcome::Unfinished(_));
        Self { step, outcome, is_changed, linked: None }
    }

    /// That of a set-up. A refusal may come last, when a flow is started or an account linked already.
    pub fn of_set_up(step: StepId, outcome: Outcome) -> Self {
        let is_changed = !matches!(outcome, Outcome::NotBegun(_) | Outcome::Waits(_));
        Self { step, outcome, is_changed, linked: None }
    }

    /// Whether something failed that was asked for. `plan` has the step.
    pub fn is_failure(&self, plan: &Plan) -> bool {
        let is_optional = || plan.step(self.step).is_some_and(Step::is_optional);
        !self.outcome.is_well() && !is_optional()
    }
}

/// The result of a step, of results that are in the order of their steps' numbers.
pub fn outcome_of(outcomes: &[StepOutcome], step: StepId) -> Option<&StepOutcome> {
    outcomes.get(outcomes.binary_search_by_key(&step, |outcome| outcome.step).ok()?)
}

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was done.
    Done,
    /// It goes on when a person has done what this shows.
    Waits(FlowStep),
    /// A part of it is done, as the new credential is there, and something behind it is not; the next run goes on.
    Unfinished(String),
    /// It failed: nothing is left behind, or what was before is in force again, or the text says that a part is done.
    /// Where the connection was lost before the answer came, the next observation shows whether it was done.
    Failed(String),
    /// The token, its right or this machine was refused, as everything else will be; a part of it may be
    /// done.
    Denied(String),
    /// It was never begun.
    NotBegun(String),
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        let why = refusal.to_string();
        match refusal {
            Refusal::Stopped => Self::NotBegun(why),
            Refusal::Denied(_) => Self::Denied(why),
            _ => Self::Failed(why),
        }
    }
}

impl Outcome {
    /// Why not all of it was done; nothing where it was, or waits for a person.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Done | Self::Waits(_) => None,
            Self::Unfinished(why) | Self::Failed(why) | Self::Denied(why) | Self::NotBegun(why) => {
                Some(why)
            }
        }
    }

    /// As programs read it.
    pub fn code(&self) -> OutcomeCode {
        match self {
            Self::Done => OutcomeCode::Done,
            Self::Waits(_) => OutcomeCode::Waiting,
            Self::Unfinished(_) => OutcomeCode::Unfinished,
            Self::Failed(_) | Self::Denied(_) => OutcomeCode::Failed,
            Self::NotBegun(_) => OutcomeCode::NotBegun,
        }
    }

    /// Whether all of it was done.
    pub fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// Whether nothing failed: what is not done waits for a consent.
    pub fn is_well(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Waits(step) => matches!(step, FlowStep::Consent(_) | FlowStep::Progress(_)),
            Self::Unfinished(_) | Self::Failed(_) | Self::Denied(_) | Self::NotBegun(_) => false,
        }
    }
}
