//! The report, as JSON, of a run that failed before it had one: programs read it as they read any other.

use super::{doctor, json, verified};

/// None of a verb that has no report in JSON.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn failed(verb: &str, why: &str) -> Option<serde_json::Result<String>> {
    Some(match verb {
        "plan" | "apply" => json::failed_plan(why),
        "validate" => json::failed_validation(why),
        "list" => json::failed_list(why),
        "verify" => verified::failed(why),
        "doctor" => doctor::failed(why),
        _ => return None,
    })
}
