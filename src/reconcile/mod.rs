//! Carries a plan out. It decides nothing but what depends on what failed.

mod apply;
mod carry_out;
mod clients;
mod found_again;
mod link;
mod outcome;
mod prove;
mod reload;
mod set_up;
mod step_progress;
mod trouble;

pub use apply::{Progress, apply};
pub use carry_out::{CarriedOut, PlanTarget, carry_out};
pub use clients::{ask_about_clients, not_asked_regularly};
pub use link::{LinkSettings, Linking, NotLinked, Turn};
pub use outcome::{Outcome, StepOutcome, outcome_of};
pub use prove::{Proven, Unchecked, Verdicts, refused_set_ups, unchecked_line};
pub use trouble::ask_about_troubles;
