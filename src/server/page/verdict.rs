//! All in all: one sentence.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::codes::{DueCode, SetupCode, SeverityCode, TargetCode};
use crate::model::counted;
use crate::report::status::{ReportedEntry, StatusReport, WaitingSetUp};

use super::time;

/// One line, read out when it changes.
pub(super) fn verdict(report: &StatusReport<'_>) -> Markup {
    let troubles = troubles(report);
    let (tone, words) = match troubles.as_slice() {
        [] if report.manifests.read_at.is_none() => ("idle", "Reading the manifests".to_owned()),
        [] if report.targets.is_empty() => ("idle", "No target is watched yet".to_owned()),
        [] if report.manifests.selection.is_some() => {
            ("ok", "Everything that is selected is in sync".to_owned())
        }
        [] => ("ok", "Everything is in sync".to_owned()),
        some => (worst(report), sentence(some)),
    };
    html! {
        section #verdict .verdict .(tone) aria-label="All in all" {
            p .words #words role="status" { (words) "." }
            @if !report.targets.is_empty() {
                p .soft {
                    "Watching " (counted(report.targets.len(), "target")) " since "
                    (time(report.since)) "."
                }
            }
        }
    }
}

fn troubles(report: &StatusReport<'_>) -> Vec<String> {
    let in_state = |state| report.targets.iter().filter(|target| target.state == state).count();
    let entries = || report.targets.iter().flat_map(|target| &target.entries);
    let waiting = || entries().flat_map(|entry| entry.waiting());
    let consents = waiting().filter(WaitingSetUp::is_consent).count();
    let answers = waiting().count() - consents;
    let set_ups = entries().flat_map(|entry| entry.set_ups());
    let failed = set_ups.filter(|(_, set_up)| set_up.state == SetupCode::Failed).count();
    let due = |code| clients(report, |entry| entry.due == Some(code));
    let manifests = &report.manifests;
    let errors =
        manifests.problems.iter().filter(|problem| problem.severity == SeverityCode::Error).count();
    let said = |number: usize, one: &str, many: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{number} {many}")),
    };
    let is_unmatched = manifests.selection.as_ref().is_some_and(|it| it.unmatched.is_some());
    let hindered = manifests.blocker.is_some() && errors == 0;
    [
        said(
            errors,
            "problem keeps the manifests from being applied",
            "problems keep the manifests from being applied",
        ),
        hindered.then(|| "the manifests are not applied".to_owned()),
        is_unmatched.then(|| "a part of the selection matches no entry".to_owned()),
        said(
            in_state(TargetCode::Unreachable),
            "target cannot be reached",
            "targets cannot be reached",
        ),
        said(
            in_state(TargetCode::NoAccess),
            "target gives no access: its token is missing or refused",
            "targets give no access: their tokens are missing or refused",
        ),
        said(in_state(TargetCode::Failed), "target has failed", "targets have failed"),
        said(in_state(TargetCode::Differs), "target is not in sync", "targets are not in sync"),
        said(failed, "set-up has failed", "set-ups have failed"),
        said(
            clients(report, |entry| entry.is_rejected()),
            "client is rejected by its provider",
            "clients are rejected by their providers",
        ),
        said(due(DueCode::Expired), "client has expired", "clients have expired"),
        said(due(DueCode::Expiring), "client expires soon", "clients expire soon"),
        said(due(DueCode::Rotation), "secret is due for rotation", "secrets are due for rotation"),
        said(consents, "account waits for your consent", "accounts wait for your consent"),
        said(answers, "set-up waits for your answer", "set-ups wait for your answers"),
        said(
            in_state(TargetCode::Connecting),
            "target has not been checked yet",
            "targets have not been checked yet",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How many clients there are of entries that are like this, at whatever targets.
fn clients(report: &StatusReport<'_>, is_like_this: impl Fn(&ReportedEntry<'_>) -> bool) -> usize {
    let entries = report.targets.iter().flat_map(|target| &target.entries);
    let found = entries.filter(|entry| is_like_this(entry));
    found.map(|entry| (entry.domain, entry.client_id)).collect::<BTreeSet<_>>().len()
}

fn worst(report: &StatusReport<'_>) -> &'static str {
    let has = |states: &[TargetCode]| report.targets.iter().any(|it| states.contains(&it.state));
    let is_read = report.manifests.read_at.is_some();
    let is_dead =
        |entry: &ReportedEntry<'_>| entry.is_rejected() || entry.due == Some(DueCode::Expired);
    if (is_read && !report.manifests.in_force)
        || clients(report, is_dead) > 0
        || has(&[TargetCode::Unreachable, TargetCode::NoAccess, TargetCode::Failed])
    {
        "bad"
    } else if report.targets.iter().all(|target| target.state == TargetCode::Connecting) {
        "idle"
    } else {
        "wait"
    }
}

/// Begins with a capital letter.
fn sentence(parts: &[String]) -> String {
    let text = parts.join("; ");
    let mut characters = text.chars();
    characters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}
