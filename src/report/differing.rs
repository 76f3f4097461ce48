//! What at a target is not as wanted, and why that is so.

use schemars::JsonSchema;
use serde::Serialize;

use crate::codes::WithheldCode;
use crate::plan::Why;
use crate::status::Difference;

/// Something at a target that is not as wanted.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Differing<'a> {
    /// What would be done about it, as in `create spotify "Family"`.
    pub(crate) what: &'a str,
    /// Why it is not done; left out where nothing is to be changed at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) withheld: Option<WithheldReason>,
    /// Whether somebody has changed the target, and no manifest.
    pub(crate) is_drift: bool,
}

impl<'a> Differing<'a> {
    pub(super) fn of(difference: &'a Difference) -> Self {
        Self {
            what: &difference.what,
            withheld: difference.why.as_ref().map(WithheldReason::of),
            is_drift: difference.is_drift,
        }
    }

    /// Whether it is changed as soon as a window begins.
    pub(crate) fn waits_for_window(&self) -> bool {
        self.withheld.as_ref().is_some_and(WithheldReason::is_window)
    }
}

/// Why something is not done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WithheldReason {
    /// As programs read it.
    why: WithheldCode,
    /// The same in words.
    pub(crate) message: String,
    /// What would change that.
    pub(crate) help: &'static str,
}

impl WithheldReason {
    pub(super) fn of(why: &Why) -> Self {
        Self { why: why.code(), message: why.to_string(), help: why.help() }
    }

    /// Whether the next window ends it.
    pub(super) fn is_window(&self) -> bool {
        self.why == WithheldCode::OutsideWindows
    }
}
