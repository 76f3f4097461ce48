//! Problems, and what `validate` says.

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Severity};
use crate::model::{FileName, to_json};
use crate::report::finding::{self, FileRange};
use crate::report::{FileNames, Report};

use super::FORMAT_VERSION;
use crate::codes::SeverityCode;

/// What `appcred validate --format json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred validate")]
pub(crate) struct Validated<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// Why the run failed before it had more to report; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// Whether there is no error.
    valid: bool,
    /// The manifests that were found, from the root of the repository.
    manifests: Vec<FileName>,
    /// What is wrong, by file and line.
    problems: Vec<Problem>,
}

/// Something wrong in what a person wrote.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// `error` or `warning`.
    pub(crate) severity: SeverityCode,
    /// A stable name for what kind it is.
    code: ProblemCode,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// Why, or what to do.
    pub(crate) more: Vec<String>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<ProblemSpot>,
    /// Another place that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related>,
}

/// A range of a file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ProblemSpot {
    /// The file, from the root of the repository.
    pub(crate) file: FileName,
    /// Its first line, from 1.
    pub(crate) line: u32,
    /// Its first column in characters, from 1.
    pub(crate) column: u32,
    /// The line of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<u32>,
    /// The column after its last character.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<u32>,
}

/// Another place, with what it is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Related {
    /// What is there.
    what: String,
    /// Where.
    at: ProblemSpot,
}

/// Whether the manifests are right, and what is wrong with them.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub(super) fn validated(report: &Report<'_>) -> serde_json::Result<String> {
    let validated = Validated {
        format_version: FORMAT_VERSION,
        error: None,
        valid: !report.problems.has_errors(),
        manifests: report.manifests.iter().map(|file| report.names.of(file)).collect(),
        problems: problems(report),
    };
    to_json(&validated)
}

/// The report of a run that failed before anything was read.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub(in crate::report) fn failed_validation(why: &str) -> serde_json::Result<String> {
    let (manifests, problems) = Default::default();
    let (format_version, error) = (FORMAT_VERSION, Some(why));
    to_json(&Validated { format_version, error, valid: false, manifests, problems })
}

pub(super) fn problems(report: &Report<'_>) -> Vec<Problem> {
    of(report.problems, report.names)
}

pub(in crate::report) fn of(problems: &Diagnostics, names: &FileNames) -> Vec<Problem> {
    problems.sorted().into_iter().map(|problem| one(problem, names)).collect()
}

fn one(problem: &Diagnostic, names: &FileNames) -> Problem {
    let finding = finding::of_problem(problem, names);
    Problem {
        severity: match problem.severity {
            Severity::Error => SeverityCode::Error,
            Severity::Warning => SeverityCode::Warning,
        },
        code: problem.code,
        message: finding.message,
        more: finding.more,
        at: finding.at.map(spot),
        related: finding.related.map(|(at, what)| Related { what, at: spot(at) }),
    }
}

fn spot(at: FileRange) -> ProblemSpot {
    let (end_line, end_column) = at.end.unzip();
    ProblemSpot { file: at.file, line: at.line, column: at.column, end_line, end_column }
}
