//! SARIF 2.1.0, as GitHub's code scanning and many editors read it.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::finding::{self, FileRange, Finding, Level};
use super::{Format, Report};
use crate::model::{FileName, to_json};

/// What a path may not have in a URI.
const UNSAFE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// By this name GitHub knows the root of the checkout.
const ROOT: &str = "%SRCROOT%";

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "sarif",
    about: "SARIF 2.1.0, for code scanning and editors",
    write: |report, _| Ok(log(report)?),
    is_report: |text| {
        let log: Value = serde_json::from_str(text).unwrap_or_default();
        log["runs"][0]["tool"]["driver"]["name"] == "appcred"
    },
};

/// All remarks as one run of one tool.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
fn log(report: &Report<'_>) -> serde_json::Result<String> {
    let findings = finding::all(report);
    let rules: BTreeMap<&str, Level> =
        findings.iter().map(|(finding, _)| (finding.code.as_str(), finding.level)).collect();
    let index: BTreeMap<&str, usize> =
        rules.keys().enumerate().map(|(at, code)| (*code, at)).collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|(finding, fingerprint)| {
            let mut result = result(report, finding, fingerprint);
            result["ruleIndex"] = json!(index.get(finding.code.as_str()));
            result
        })
        .collect();
    let rules: Vec<Value> = rules
        .iter()
        .map(|(code, severity)| {
            json!({
                "id": code,
                "shortDescription": {"text": code.replace(['-', '_'], " ")},
                "defaultConfiguration": {"level": level(*severity)},
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "appcred",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {ROOT: {"description": {"text": "the root of the repository"}}},
            "results": results,
        }],
    });
    to_json(&log)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn result(report: &Report<'_>, finding: &Finding, fingerprint: &str) -> Value {
    let text: Vec<&str> =
        std::iter::once(&finding.message).chain(&finding.more).map(String::as_str).collect();
    let place = match &finding.at {
        Some(at) => location(at),
        // GitHub takes no result without a place.
        None => json!({"artifactLocation": artifact(&report.names.project_file())}),
    };
    let mut result = json!({
        "ruleId": finding.code.as_str(),
        "level": level(finding.level),
        "message": {"text": text.join("\n")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"appcred/v1": fingerprint},
    });
    if let Some((at, what)) = &finding.related {
        result["relatedLocations"] =
            json!([{"physicalLocation": location(at), "message": {"text": what}}]);
    }
    result
}

fn location(at: &FileRange) -> Value {
    let mut region = json!({"startLine": at.line, "startColumn": at.column});
    if let Some((line, column)) = at.end {
        region["endLine"] = json!(line);
        region["endColumn"] = json!(column);
    }
    json!({"artifactLocation": artifact(&at.file), "region": region})
}

fn artifact(file: &FileName) -> Value {
    let file = file.as_str();
    if file.starts_with('/') {
        return json!({"uri": format!("file://{}", uri(file))});
    }
    json!({"uri": uri(file), "uriBaseId": ROOT})
}

/// A path as a URI has it.
fn uri(path: &str) -> String {
    utf8_percent_encode(path, UNSAFE).to_string()
}
