//! All in all: one sentence.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::codes::{DueCode, SetupCode, SeverityCode, TargetCode};
use crate::html::Tone;
use crate::model::counted;
use crate::report::status::{ReportedEntry, StatusReport, TargetState, WaitingSetUp};

use super::{time, tone};

/// All in all.
#[derive(Clone)]
pub(super) struct PageSummary {
    pub(super) tone: Tone,
    /// For whoever sees the page's tab alone.
    pub(super) title: String,
    words: String,
}

/// A number of things that are not as they should be.
struct Concern {
    count: usize,
    words: String,
    /// Whether that is for the person who looks, and not a fault.
    is_waiting: bool,
}

impl PageSummary {
    pub(super) fn of(report: &StatusReport<'_>) -> Self {
        let concerns = concerns(report);
        let (tone, words) = match concerns.as_slice() {
            [] if report.manifests.read_at.is_none() => {
                (Tone::Idle, "Reading the manifests".to_owned())
            }
            [] if report.targets.is_empty() => (Tone::Idle, "No target is watched yet".to_owned()),
            [] if report.manifests.selection.is_some() => {
                (Tone::Ok, "Everything that is selected is in sync".to_owned())
            }
            [] => (Tone::Ok, "Everything is in sync".to_owned()),
            some => (worst(report), sentence(some)),
        };
        Self { tone, words, title: format!("{} · appcred", in_short(&concerns, tone)) }
    }
}

/// As short as a tab's title.
fn in_short(concerns: &[Concern], tone: Tone) -> String {
    let number = |is_waiting| -> usize {
        let of_kind = concerns.iter().filter(|concern| concern.is_waiting == is_waiting);
        of_kind.map(|concern| concern.count).sum()
    };
    match (number(false), number(true)) {
        (0, 0) if tone == Tone::Ok => "In sync".to_owned(),
        (0, 0) => "Starting".to_owned(),
        (_, 0) if tone == Tone::Idle => "Starting".to_owned(),
        (0, waiting) => format!("{waiting} waiting"),
        (problems, 0) => counted(problems, "problem"),
        (problems, waiting) => format!("{}, {waiting} waiting", counted(problems, "problem")),
    }
}

/// One line, read out when it changes. The script takes the title and icon of the page from it.
pub(super) fn section(report: &StatusReport<'_>, verdict: &PageSummary) -> Markup {
    let PageSummary { tone, title, words } = verdict;
    html! {
        section #verdict .verdict .(tone.class()) aria-label="All in all" data-title=(title)
            data-icon=(tone.icon()) {
            p .words #words role="status" { (words) "." }
            @if !report.targets.is_empty() {
                p .soft {
                    "Watching " (counted(report.targets.len(), "target")) " since "
                    (time(report.since)) "."
                }
            }
            @if let Some(rollout) = &report.rollout {
                p .(if rollout.stopped { "error" } else { "soft" }) { "In waves: " (rollout.message) "." }
            }
        }
    }
}

fn concerns(report: &StatusReport<'_>) -> Vec<Concern> {
    let manifests = &report.manifests;
    let errors =
        manifests.problems.iter().filter(|problem| problem.severity == SeverityCode::Error).count();
    let is_unmatched = manifests.selection.as_ref().is_some_and(|it| it.unmatched.is_some());
    let is_stale = report.source.as_ref().is_some_and(|source| source.error.is_some());
    let hindered = manifests.blocker.is_some() && errors == 0;
    let one = |words: &str| Concern { count: 1, words: words.to_owned(), is_waiting: false };
    let of_manifests = [
        match manifests.in_force {
            true => said(
                errors,
                "problem keeps an entry from being applied",
                "problems keep entries from being applied",
            ),
            false => said(
                errors,
                "problem keeps the manifests from being applied",
                "problems keep the manifests from being applied",
            ),
        },
        hindered.then(|| one("the manifests are not applied")),
        is_stale.then(|| one("the repository cannot be fetched")),
        is_unmatched.then(|| one("a part of the selection matches no entry")),
    ];
    of_manifests.into_iter().chain(of_targets(report)).chain(of_entries(report)).flatten().collect()
}

/// It is no fault.
fn waits(concern: Option<Concern>) -> Option<Concern> {
    concern.map(|it| Concern { is_waiting: true, ..it })
}

fn said(count: usize, one: &str, many: &str) -> Option<Concern> {
    let words = if count == 1 { one } else { many };
    (count > 0).then(|| Concern { count, words: format!("{count} {words}"), is_waiting: false })
}

fn of_targets(report: &StatusReport<'_>) -> [Option<Concern>; 9] {
    let waits_for = |target: &TargetState<'_>| {
        let mut waits = target.differences.iter().map(|difference| difference.waits_for());
        let first = waits.next()??;
        waits.all(|wait| wait.is_some()).then_some(first)
    };
    let waiting = |what| {
        let targets = report.targets.iter().filter(|target| target.state == TargetCode::Differs);
        targets.filter(|target| waits_for(target) == Some(what)).count()
    };
    let said = |state, one, many| {
        let is_meant = |target: &&TargetState<'_>| {
            target.state == state && (state != TargetCode::Differs || waits_for(target).is_none())
        };
        said(report.targets.iter().filter(is_meant).count(), one, many)
    };
    let (windows, waves) = (waiting("window"), waiting("wave"));
    [
        waits(self::said(windows, "target waits for its window", "targets wait for their windows")),
        waits(self::said(waves, "target waits for its wave", "targets wait for their waves")),
        said(TargetCode::Unreachable, "target cannot be reached", "targets cannot be reached"),
        said(
            TargetCode::TokenRefused,
            "target refuses its access token",
            "targets refuse their access tokens",
        ),
        said(
            TargetCode::NotAdministrator,
            "target has an access token that is not an administrator's",
            "targets have access tokens that are not an administrator's",
        ),
        said(TargetCode::NoAccess, "target denies access", "targets deny access"),
        said(TargetCode::Failed, "target has failed", "targets have failed"),
        said(TargetCode::Differs, "target is not in sync", "targets are not in sync"),
        said(
            TargetCode::Connecting,
            "target has not been checked yet",
            "targets have not been checked yet",
        ),
    ]
}

fn of_entries(report: &StatusReport<'_>) -> [Option<Concern>; 7] {
    let entries = || report.targets.iter().flat_map(|target| &target.entries);
    let waiting = || entries().flat_map(|entry| entry.waiting());
    let consents = waiting().filter(WaitingSetUp::is_consent).count();
    let answers = waiting().count() - consents;
    let set_ups = entries().flat_map(|entry| entry.set_ups());
    let failed = set_ups.filter(|(_, set_up)| set_up.state == SetupCode::Failed).count();
    let due = |code| clients(report, |entry| entry.due == Some(code));
    [
        said(failed, "set-up has failed", "set-ups have failed"),
        said(
            clients(report, |entry| entry.is_rejected()),
            "client is rejected by its provider",
            "clients are rejected by their providers",
        ),
        said(due(DueCode::Expired), "client has expired", "clients have expired"),
        said(due(DueCode::Expiring), "client expires soon", "clients expire soon"),
        said(due(DueCode::Rotation), "secret is due for rotation", "secrets are due for rotation"),
        waits(said(consents, "account waits for your consent", "accounts wait for your consent")),
        waits(said(answers, "set-up waits for your answer", "set-ups wait for your answers")),
    ]
}

/// How many clients there are of entries that are like this, at whatever targets.
fn clients(report: &StatusReport<'_>, is_like_this: impl Fn(&ReportedEntry<'_>) -> bool) -> usize {
    let entries = report.targets.iter().flat_map(|target| &target.entries);
    let found = entries.filter(|entry| is_like_this(entry));
    found.map(|entry| (entry.domain, entry.client_id)).collect::<BTreeSet<_>>().len()
}

fn worst(report: &StatusReport<'_>) -> Tone {
    let is_bad = |state| tone(state) == Tone::Bad || state == TargetCode::Unreachable;
    let is_read = report.manifests.read_at.is_some();
    let is_dead =
        |entry: &ReportedEntry<'_>| entry.is_rejected() || entry.due == Some(DueCode::Expired);
    if (is_read && !report.manifests.in_force)
        || clients(report, is_dead) > 0
        || report.targets.iter().any(|target| is_bad(target.state))
    {
        Tone::Bad
    } else if report.targets.iter().all(|target| target.state == TargetCode::Connecting) {
        Tone::Idle
    } else {
        Tone::Wait
    }
}

/// Begins with a capital letter.
fn sentence(concerns: &[Concern]) -> String {
    let parts: Vec<&str> = concerns.iter().map(|concern| concern.words.as_str()).collect();
    let text = parts.join("; ");
    let mut characters = text.chars();
    characters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}
