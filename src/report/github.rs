//! Annotations of GitHub Actions: one workflow command per line, shown on the manifest's own lines.

use std::fmt::Write;

use crate::model::{Visible, visible_lines};

use super::finding::{self, Finding, FindingCode, Level};
use super::{Format, Report};

/// GitHub shows no more of one level for one step.
const SHOWN: usize = 10;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "github",
    about: "annotations of GitHub Actions",
    write: |report, _| Ok(annotations(report)),
    is_report: |text| {
        let is_command = |line: &str| {
            ["::error", "::warning", "::notice"].iter().any(|command| line.starts_with(command))
        };
        text.lines().all(is_command)
    },
};

/// All remarks as workflow commands. Where there are more of a level than GitHub shows, the last
/// one shown says so.
fn annotations(report: &Report<'_>) -> String {
    let findings = finding::all(report);
    let mut out = String::new();
    for level in [Level::Error, Level::Warning, Level::Note] {
        let of_level: Vec<_> =
            findings.iter().map(|(finding, _)| finding).filter(|one| one.level == level).collect();
        let shown = if of_level.len() > SHOWN { SHOWN - 1 } else { of_level.len() };
        for finding in &of_level[..shown] {
            annotation(&mut out, finding);
        }
        let left = of_level.len() - shown;
        if left > 0 {
            let message = format!("and {left} more: see the job's summary");
            annotation(&mut out, &Finding::new(level, FindingCode::More, &message, []));
        }
    }
    out
}

fn command(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    }
}

fn annotation(out: &mut String, finding: &Finding) {
    let mut properties = Vec::new();
    if let Some(at) = &finding.at {
        properties.push(("file", at.file.to_string()));
        properties.push(("line", at.line.to_string()));
        match at.end {
            // GitHub takes columns only within one line.
            Some((line, column)) if line == at.line => {
                properties.push(("col", at.column.to_string()));
                properties.push(("endColumn", column.to_string()));
            }
            Some((line, _)) => properties.push(("endLine", line.to_string())),
            None => {}
        }
    }
    properties.push(("title", format!("appcred: {}", finding.code.as_str())));
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", property(value))).collect();
    let mut message = finding.message.clone();
    for more in &finding.more {
        let _ = write!(message, "\n{more}");
    }
    let _ =
        writeln!(out, "::{} {}::{}", command(finding.level), properties.join(","), data(&message));
}

/// What a message may not have, as GitHub's own toolkit writes it.
fn data(text: &str) -> String {
    visible_lines(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&text.visible()).replace(':', "%3A").replace(',', "%2C")
}
