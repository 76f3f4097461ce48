//! How far a step is.

use crate::model::Held;
use crate::plan::Step;
use crate::target::Refusal;

use super::outcome::Outcome;

/// A step in progress.
pub(super) struct StepProgress<'a> {
    pub(super) step: &'a Step,
    /// Whether it is in the wave that goes on now.
    pub(super) is_begun: bool,
    pub(super) created: Option<Held>,
    /// What claims the old one while it is taken over.
    pub(super) claim: Option<Held>,
    /// Whether something was created, deleted or removed for it.
    pub(super) is_changed: bool,
    /// Whether the target refused an operation of it altogether.
    pub(super) is_denied: bool,
    pub(super) outcome: Option<Outcome>,
}

impl StepProgress<'_> {
    /// Whether it still has something to do in this wave.
    pub(super) fn is_open(&self) -> bool {
        self.is_begun && self.outcome.is_none()
    }

    /// The result where an operation of it is refused that it cannot go on without.
    pub(super) fn refused(&self, refusal: Refusal) -> Outcome {
        match refusal {
            Refusal::Stopped if self.is_changed => {
                let why = "interrupted: a part of it is done, and the next run goes on";
                Outcome::Unfinished(why.to_owned())
            }
            refusal => match refusal.into() {
                Outcome::Failed(why) if self.is_changed => {
                    Outcome::Failed(format!("a part of it is done, and the rest is not: {why}"))
                }
                outcome => outcome,
            },
        }
    }
}
