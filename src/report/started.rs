//! What `watch` answers where somebody asks for a round.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{TargetName, to_json};

const FORMAT_VERSION: u32 = 1;
/// Why a target that refuses its access is left out.
pub(crate) const NO_ACCESS: &str = "it refuses the access, which is tried again when the access token changes, or what is wanted there";
/// Why a suspended target is left out.
pub(crate) const SUSPENDED: &str = "it is suspended, so nothing is done there";

/// What `appcred watch` answers to `POST /api/v1/reconcile`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred reconcile")]
pub(super) struct StartedReport<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// The targets that are looked at once the manifests are read again.
    started: Vec<&'a TargetName>,
    /// Those that are not.
    left_out: Vec<NotStarted<'a>>,
}

/// A target that is not looked at.
#[derive(Serialize, JsonSchema)]
struct NotStarted<'a> {
    /// Its name.
    target: &'a TargetName,
    /// Why.
    why: &'static str,
}

/// Those that are started, and those that are not, each with why, as JSON.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub(crate) fn json<'a>(
    started: impl Iterator<Item = &'a TargetName>,
    left_out: impl IntoIterator<Item = (&'a TargetName, &'static str)>,
) -> serde_json::Result<String> {
    let left_out = left_out.into_iter().map(|(target, why)| NotStarted { target, why }).collect();
    let started = started.collect();
    to_json(&StartedReport { format_version: FORMAT_VERSION, started, left_out })
}
