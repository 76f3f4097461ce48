//! GitLab's code quality report: remarks that a merge request shows on its lines.

use serde::Serialize;
use serde_json::Value;

use super::finding::{self, Level};
use super::{Format, Report};
use crate::model::{FileName, to_json};

#[derive(Serialize)]
struct Remark<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: &'a str,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: FileName,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "gitlab",
    about: "GitLab's code quality report",
    write: |report, _| Ok(code_quality(report)?),
    is_report: |text| {
        let remarks: Option<Vec<Value>> = serde_json::from_str(text).ok();
        let is_remark =
            |one: &Value| ["check_name", "fingerprint"].iter().all(|name| one[name].is_string());
        remarks.is_some_and(|remarks| remarks.iter().all(is_remark))
    },
};

/// All remarks. GitLab needs a place for each: what has none gets the project file.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
fn code_quality(report: &Report<'_>) -> serde_json::Result<String> {
    let findings = finding::all(report);
    let remarks: Vec<_> = findings
        .iter()
        .map(|(finding, fingerprint)| Remark {
            description: std::iter::once(&finding.message)
                .chain(&finding.more)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("; "),
            check_name: finding.code.as_str(),
            fingerprint,
            severity: match finding.level {
                Level::Error => "critical",
                Level::Warning => "major",
                Level::Note => "info",
            },
            location: Location {
                path: finding
                    .at
                    .as_ref()
                    .map_or_else(|| report.names.project_file(), |at| at.file.clone()),
                lines: Lines { begin: finding.at.as_ref().map_or(1, |at| at.line) },
            },
        })
        .collect();
    to_json(&remarks)
}
