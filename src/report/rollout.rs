//! The wave that is being changed, for programs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{UndoneWave, WhyUndone};
use crate::status::RolloutStatus;

use super::moment::Moment;

/// The first wave that is not done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedRollout<'a> {
    /// Its number, from 1 on.
    pub(crate) wave: usize,
    /// How many waves there are.
    pub(crate) waves: usize,
    /// Whether it has stopped the rollout, since something went wrong or none of its targets can be reached.
    pub(crate) stopped: bool,
    /// The target where something went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_target: Option<&'a str>,
    /// When it begins or goes on, or has begun, where it waited for the pause before it to be over, or for a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins: Option<Moment>,
    /// All of it in words.
    pub(crate) message: String,
}

impl<'a> From<&'a RolloutStatus> for ReportedRollout<'a> {
    fn from(status: &'a RolloutStatus) -> Self {
        let begins = status.begins.map(Moment);
        Self { begins, ..Self::of(&status.undone, status.to_string()) }
    }
}

impl<'a> ReportedRollout<'a> {
    /// With all of it in words.
    pub(super) fn of(undone: &'a UndoneWave, message: String) -> Self {
        Self {
            wave: undone.wave.number,
            waves: undone.wave.of,
            stopped: undone.why.is_stop(),
            failed_target: match &undone.why {
                WhyUndone::Failed { target, .. } => Some(target.as_str()),
                WhyUndone::NotYet(_) | WhyUndone::Unreached => None,
            },
            begins: None,
            message,
        }
    }
}
