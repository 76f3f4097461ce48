//! All in all: one sentence.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::codes::{DueCode, EntryCode, LinkCode, SetupCode, SeverityCode, TargetCode};
use crate::html::Tone;
use crate::model::counted;
use crate::report::set_up::SetUp;
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
        let (tone, short, words) = match concerns(report).as_slice() {
            [] => without_concern(report),
            some => (worst(report), in_short(some, worst(report)), sentence(some)),
        };
        Self { tone, words, title: format!("{short} · appcred") }
    }
}

/// All in all, as a tab's title and as a sentence, where nothing is known not to be as it should be.
fn without_concern(report: &StatusReport<'_>) -> (Tone, String, String) {
    let (targets, count) = (&report.targets, report.targets.len());
    let suspended = targets.iter().filter(|target| target.state == TargetCode::Suspended).count();
    let (tone, short, words) = match &report.manifests {
        manifests if manifests.read_at.is_none() => {
            (Tone::Idle, "Starting", "Reading the manifests")
        }
        _ if targets.is_empty() => (Tone::Idle, "Starting", "No target is watched yet"),
        // Nothing is known of them.
        _ if suspended == count && count == 1 => {
            (Tone::Idle, "Suspended", "The target is suspended, and nothing is done there")
        }
        _ if suspended == count => {
            (Tone::Idle, "Suspended", "All targets are suspended, and nothing is done there")
        }
        manifests if manifests.selection.is_some() => {
            (Tone::Ok, "In sync", "Everything that is selected is in sync")
        }
        _ => (Tone::Ok, "In sync", "Everything is in sync"),
    };
    let words = match suspended {
        some if some == 0 || some == count => words.to_owned(),
        1 => format!("{words}, but 1 target is suspended and was not looked at"),
        some => format!("{words}, but {some} targets are suspended and were not looked at"),
    };
    (tone, short.to_owned(), words)
}

/// Concerns as short as a tab's title.
fn in_short(concerns: &[Concern], tone: Tone) -> String {
    let number = |is_waiting| -> usize {
        let of_kind = concerns.iter().filter(|concern| concern.is_waiting == is_waiting);
        of_kind.map(|concern| concern.count).sum()
    };
    match (number(false), number(true)) {
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
    let is_blocked = manifests.blocker.is_some() && errors == 0;
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
        is_blocked.then(|| one("the manifests are not applied")),
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

/// Every entry that needs attention is in one of these, or its target is in one of those above.
fn of_entries(report: &StatusReport<'_>) -> [Option<Concern>; 12] {
    let entries = || report.targets.iter().flat_map(|target| &target.entries);
    let waiting = || entries().flat_map(|entry| entry.waiting());
    let consents = waiting().filter(WaitingSetUp::is_consent).count();
    let answers = waiting().count() - consents;
    let set_ups = |of: SetUpConcern| {
        let of_target = |target| set_up_concerns(target).filter(|found| *found == of).count();
        report.targets.iter().map(of_target).sum()
    };
    let due = |code| clients(report, |entry| entry.due == Some(code));
    let out_of_sync = report.targets.iter().map(out_of_sync).sum();
    [
        said(set_ups(SetUpConcern::Failed), "set-up has failed", "set-ups have failed"),
        said(set_ups(SetUpConcern::NotLoaded), "account is not loaded", "accounts are not loaded"),
        said(
            set_ups(SetUpConcern::AsksAgain),
            "account needs consent again",
            "accounts need consent again",
        ),
        said(out_of_sync, "entry is not in sync", "entries are not in sync"),
        said(
            clients(report, |entry| entry.is_rejected()),
            "client is rejected by its provider",
            "clients are rejected by their providers",
        ),
        said(due(DueCode::Expired), "client has expired", "clients have expired"),
        said(due(DueCode::Expiring), "client expires soon", "clients expire soon"),
        said(due(DueCode::Rotation), "secret is due for rotation", "secrets are due for rotation"),
        said(
            clients(report, |entry| entry.limit.is_some()),
            "client has more accounts than its provider allows",
            "clients have more accounts than their providers allow",
        ),
        waits(said(consents, "account waits for your consent", "accounts wait for your consent")),
        waits(said(answers, "set-up waits for your answer", "set-ups wait for your answers")),
        waits(said(
            set_ups(SetUpConcern::Unfinished),
            "set-up is not finished yet",
            "set-ups are not finished yet",
        )),
    ]
}

/// What is not as it should be with a set-up that waits for no person.
#[derive(PartialEq)]
enum SetUpConcern {
    Failed,
    NotLoaded,
    AsksAgain,
    Unfinished,
}

/// What is not as it should be with the set-ups at a target. Where that is not connected, those that have failed
/// alone are known, and one that has no credential yet is not counted beside that.
fn set_up_concerns(target: &TargetState<'_>) -> impl Iterator<Item = SetUpConcern> {
    let is_up = target.link == LinkCode::Up;
    let concern = move |entry: &ReportedEntry<'_>, set_up: &SetUp<'_>| match set_up.state {
        SetupCode::Failed => Some(SetUpConcern::Failed),
        _ if !is_up || set_up.waits_for.is_some() => None,
        _ if !matches!(entry.credential, EntryCode::InSync | EntryCode::Differs) => None,
        SetupCode::NotLoaded => Some(SetUpConcern::NotLoaded),
        SetupCode::NeedsConsentAgain => Some(SetUpConcern::AsksAgain),
        SetupCode::NotSetUp
        | SetupCode::InProgress
        | SetupCode::WaitingForConsent
        | SetupCode::WaitingForAnswers => Some(SetUpConcern::Unfinished),
        SetupCode::Loaded | SetupCode::Cloud | SetupCode::NotWanted => None,
    };
    let entries = target.entries.iter().filter(|entry| entry.credential != EntryCode::Suspended);
    entries.flat_map(move |entry| entry.set_ups().filter_map(move |(_, of)| concern(entry, of)))
}

/// How many entries of a target that is in sync otherwise are not held as they are wanted, such as those that are
/// being changed.
fn out_of_sync(target: &TargetState<'_>) -> usize {
    let is_well = matches!(
        target.state,
        TargetCode::InSync | TargetCode::WaitingForConsent | TargetCode::WaitingForAnswers
    );
    let is_as_wanted = |entry: &&ReportedEntry<'_>| {
        matches!(entry.credential, EntryCode::InSync | EntryCode::Suspended)
            || entry.waits_for().is_some()
    };
    let entries = target.entries.iter().filter(|_| is_well);
    entries.filter(|entry| !is_as_wanted(entry)).count()
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
    } else if is_starting(report) {
        Tone::Idle
    } else {
        Tone::Wait
    }
}

/// Whether no target was looked at yet that is to be.
fn is_starting(report: &StatusReport<'_>) -> bool {
    let mut watched =
        report.targets.iter().filter(|target| target.state != TargetCode::Suspended).peekable();
    (report.targets.is_empty() || watched.peek().is_some())
        && watched.all(|target| target.state == TargetCode::Connecting)
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
