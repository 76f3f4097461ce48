//! Carries a plan out. It decides nothing but what depends on what failed.

mod apply;
mod outcome;
mod prove;
mod reload;
mod set_up;
mod step_progress;

pub use apply::{Progress, apply};
pub use outcome::{Outcome, StepOutcome};
pub use prove::{Proven, Unchecked, Verdicts, prove};
pub use set_up::{Begun, CANNOT_ASK_YET, begin, set_up, task};
