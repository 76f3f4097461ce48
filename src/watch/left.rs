//! What of a plan is not done now: by the mode of the watcher, and outside of windows; `waves.rs` has the waves.

use std::time::Duration;

use jiff::Timestamp;

use crate::plan::{Plan, Why};
use crate::status::Mode;

use super::TargetSpec;

/// Which steps of a plan are not carried out in a round.
#[derive(Clone, Copy)]
pub(super) struct LeftSteps {
    /// All of them.
    pub(super) is_left: bool,
    /// All but the set-ups that are open: they wait for a window or a wave.
    pub(super) is_postponed: bool,
}

/// Whether the target was as wanted by `settled`, the same is still wanted, and it no longer is.
pub(super) fn is_drift(settled: Option<&TargetSpec>, spec: &TargetSpec, plan: &Plan) -> bool {
    settled.is_some_and(|settled| settled.desired == spec.desired)
        && plan.steps.iter().any(|step| !step.action.is_set_up())
}

/// Whether nothing of a plan is to be done.
pub(super) fn is_left(spec: &TargetSpec, plan: &Plan, is_drift: bool) -> bool {
    plan.is_stopped()
        || match spec.mode {
            Mode::Report => true,
            Mode::ReportDrift => is_drift,
            Mode::Repair => false,
        }
}

/// Leaves for the next window what is not to be done now; answers whether there is something.
pub(super) fn postpone(spec: &TargetSpec, plan: &mut Plan, now: Timestamp) -> bool {
    let windows = &spec.policy.windows;
    if windows.are_open(now) {
        return false;
    }
    plan.postpone(&Why::OutsideWindows { next: windows.next_in_words(now).into() })
}

/// How long it is until the next window begins.
pub(super) fn until_window(spec: &TargetSpec, now: Timestamp) -> Option<Duration> {
    let next = spec.policy.windows.next(now)?;
    Duration::try_from(next.timestamp().duration_since(now)).ok()
}
