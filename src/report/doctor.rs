//! What `doctor` has seen, as text and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::Details;
use super::text::{BOLD, DIM, GREEN, RED, YELLOW};
use crate::codes::{CheckCode, HealthCode};
use crate::doctor::HealthCheck;
use crate::model::{TargetName, counted, to_json};

const FORMAT_VERSION: u32 = 1;

/// What `appcred doctor --format json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred doctor")]
pub(super) struct DoctorReport<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// Why the run failed before it had more to report; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// How many checks have each result.
    summary: HealthTally,
    /// All checks.
    checks: Vec<ReportedCheck<'a>>,
}

/// The result of one check.
#[derive(Serialize, JsonSchema)]
struct ReportedCheck<'a> {
    /// What was looked at.
    check: CheckCode,
    /// The target that it is about; left out where it is about the project or this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a TargetName>,
    /// What came of it.
    result: HealthCode,
    /// What was seen, or why it was not looked at.
    seen: &'a str,
    /// What to do; left out where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

/// How many checks have each result.
#[derive(Default, Serialize, JsonSchema)]
struct HealthTally {
    /// As it should be.
    ok: usize,
    /// It works, and somebody should look.
    warning: usize,
    /// It does not work.
    error: usize,
    /// It was not looked at.
    skipped: usize,
}

impl HealthTally {
    fn of(checks: &[HealthCheck]) -> Self {
        let mut tally = Self::default();
        for check in checks {
            *match check.health {
                HealthCode::Ok => &mut tally.ok,
                HealthCode::Warning => &mut tally.warning,
                HealthCode::Error => &mut tally.error,
                HealthCode::Skipped => &mut tally.skipped,
            } += 1;
        }
        tally
    }
}

/// A line for each check, below its target. What was skipped is counted alone, unless all is asked for.
pub fn text(checks: &[HealthCheck], details: Details) -> String {
    let shown = checks
        .iter()
        .filter(|check| check.health != HealthCode::Skipped || details == Details::All);
    let mut out = String::new();
    let mut target = None;
    for check in shown {
        if check.target.as_ref() != target {
            target = check.target.as_ref();
            let name = target.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(out, "\n{BOLD}{name}{BOLD:#}");
        }
        let style = match check.health {
            HealthCode::Ok => GREEN,
            HealthCode::Warning => YELLOW,
            HealthCode::Error => RED,
            HealthCode::Skipped => DIM,
        };
        let (health, code) = (check.health.as_str(), check.code.as_str().replace('_', " "));
        let _ = writeln!(out, "{style}{health:7}{style:#}  {code}: {}", check.seen);
        if let Some(help) = &check.help {
            let _ = writeln!(out, "         # {help}");
        }
    }
    let HealthTally { ok, warning, error, skipped } = HealthTally::of(checks);
    let skipped = match skipped {
        0 => String::new(),
        number if details == Details::All => format!("; {number} skipped"),
        number => format!("; {number} skipped ({})", skipped_names(checks).join(", ")),
    };
    let (errors, warnings) = (counted(error, "error"), counted(warning, "warning"));
    let _ = writeln!(out, "\n{BOLD}{errors}, {warnings}, {ok} ok{skipped}.{BOLD:#}");
    out
}

/// What was skipped, each once.
fn skipped_names(checks: &[HealthCheck]) -> Vec<String> {
    let skipped = checks.iter().filter(|check| check.health == HealthCode::Skipped);
    let mut names: Vec<String> =
        skipped.map(|check| check.code.as_str().replace('_', " ")).collect();
    let mut known = BTreeSet::new();
    names.retain(|name| known.insert(name.clone()));
    names
}

/// JSON for programs.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn json(checks: &[HealthCheck]) -> serde_json::Result<String> {
    let reported = checks.iter().map(|check| ReportedCheck {
        check: check.code,
        target: check.target.as_ref(),
        result: check.health,
        seen: &check.seen,
        help: check.help.as_deref(),
    });
    to_json(&DoctorReport {
        format_version: FORMAT_VERSION,
        error: None,
        summary: HealthTally::of(checks),
        checks: reported.collect(),
    })
}

/// The report of a run that failed before it had one.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub(super) fn failed(why: &str) -> serde_json::Result<String> {
    let (summary, checks) = Default::default();
    to_json(&DoctorReport { format_version: FORMAT_VERSION, error: Some(why), summary, checks })
}
