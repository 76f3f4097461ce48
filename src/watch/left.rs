//! What of a plan is not done now: by the mode of the watcher, and outside of windows; `waves.rs` has the waves.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::plan::{Action, Plan, StepId, Why};
use crate::status::Mode;

use super::TargetSpec;

/// The steps of a plan that are not done but reported.
pub(super) fn left_steps(
    spec: &TargetSpec,
    plan: &Plan,
    is_drift: impl Fn(&Action) -> bool,
) -> BTreeSet<StepId> {
    let is_left = |action: &Action| match spec.mode {
        Mode::Report => true,
        Mode::ReportDrift => is_drift(action),
        Mode::Repair => false,
    };
    let mut left = BTreeSet::new();
    for step in &plan.steps {
        if is_left(&step.action) || step.after.is_some_and(|after| left.contains(&after)) {
            left.insert(step.id);
        }
    }
    left
}

/// Leaves for the next window what is to be done; answers whether there is something.
pub(super) fn postpone(
    spec: &TargetSpec,
    plan: &mut Plan,
    left: &BTreeSet<StepId>,
    now: Timestamp,
) -> bool {
    let windows = &spec.policy.windows;
    if windows.are_open(now) {
        return false;
    }
    let why = Why::OutsideWindows { next: windows.next_in_words(now).into() };
    plan.postpone(&why, |step| !left.contains(&step.id))
}

/// How long it is until the next window begins.
pub(super) fn until_window(spec: &TargetSpec, now: Timestamp) -> Option<Duration> {
    let next = spec.policy.windows.next(now)?;
    Duration::try_from(next.timestamp().duration_since(now)).ok()
}
