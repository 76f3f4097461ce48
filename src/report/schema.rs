//! JSON Schemas of the JSON reports, made from the types that write them.

use schemars::Schema;

use super::changes::ChangesReport;
use super::doctor::DoctorReport;
use super::json;
use super::started::StartedReport;
use super::status::StatusReport;
use super::verified::VerifiedReport;
use super::version::AppcredVersion;
use crate::schema::of_output;

/// What `plan` and `apply` print as JSON.
pub fn plan() -> Schema {
    of_output::<json::PlanReport<'_>>()
}

/// What `list` prints as JSON.
pub fn list() -> Schema {
    of_output::<json::ListReport<'_>>()
}

/// What `validate` prints as JSON.
pub fn validate() -> Schema {
    of_output::<json::Validated<'_>>()
}

/// What `verify` prints as JSON.
pub fn verify() -> Schema {
    of_output::<VerifiedReport<'_>>()
}

/// What `version` prints as JSON.
pub fn version() -> Schema {
    of_output::<AppcredVersion>()
}

/// What verbs print as JSON that change files, sessions or accounts.
pub fn changes() -> Schema {
    of_output::<ChangesReport<'_>>()
}

/// What `doctor` prints as JSON.
pub fn doctor() -> Schema {
    of_output::<DoctorReport<'_>>()
}

/// What `watch` serves as its status.
pub fn status() -> Schema {
    of_output::<StatusReport<'_>>()
}

/// Of the answer to `POST /api/v1/reconcile`.
pub fn reconcile() -> Schema {
    of_output::<StartedReport<'_>>()
}
