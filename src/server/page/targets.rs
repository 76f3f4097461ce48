//! The targets, those in trouble first, and their entries.

use maud::{Markup, html};

use crate::codes::{ClientCode, EntryCode, LinkCode, ModeCode, SetupCode, TargetCode};
use crate::model::counted;
use crate::report::client::ReportedClient;
use crate::report::set_up::SetUp;
use crate::report::status::{Differing, ReportedEntry, StatusReport, TargetState};
use crate::report::words;

use super::{badge, id_part, time, tone};

/// Up to so many targets are unfolded.
const MOST_UNFOLDED: usize = 6;
/// So many are shown at all.
const MOST_TARGETS: usize = 200;
/// So many entries of one target are shown.
const MOST_ENTRIES: usize = 200;
/// So many of all of them: a browser has to lay them out again and again.
const MOST_ROWS: usize = 1_000;
/// So many differences of one target are shown.
const MOST_DIFFERENCES: usize = 50;

pub(super) fn targets(report: &StatusReport<'_>) -> Markup {
    let mut targets: Vec<&TargetState<'_>> = report.targets.iter().collect();
    targets.sort_by_key(|target| !is_in_trouble(target));
    let is_small = targets.len() <= MOST_UNFOLDED;
    let more = targets.len().saturating_sub(MOST_TARGETS);
    let mut rows = MOST_ROWS;
    html! {
        section #targets aria-labelledby="targets-title" {
            h2 #targets-title { "Targets" }
            @if targets.is_empty() { (nothing(report)) }
            @for (nth, target) in targets.into_iter().take(MOST_TARGETS).enumerate() {
                (one(target, is_small || (nth < MOST_UNFOLDED && is_in_trouble(target)), &mut rows))
            }
            @if more > 0 {
                p .soft { "… and " (counted(more, "more target")) "; the status for programs has all." }
            }
        }
    }
}

fn is_in_trouble(target: &TargetState<'_>) -> bool {
    matches!(
        target.state,
        TargetCode::Failed | TargetCode::Unreachable | TargetCode::NoAccess | TargetCode::Differs
    )
}

fn nothing(report: &StatusReport<'_>) -> Markup {
    html! {
        div .card .empty {
            @if report.manifests.read_at.is_none() {
                p { "The manifests are being read; this page updates automatically." }
            } @else if !report.manifests.in_force {
                p { "Targets are watched once the manifests are corrected." }
            } @else {
                p { "No target is known. Name one under " code { "targets:" } " in " code { "appcred.yaml" } ":" }
                pre tabindex="0" role="group" aria-label="Example" { "targets:\n  home: {url: http://homeassistant.local:8123}" }
                p { "and sign in with " code { "appcred login" } ". This page updates automatically." }
            }
        }
    }
}

fn one(target: &TargetState<'_>, is_open: bool, rows: &mut usize) -> Markup {
    let id = format!("target-{}", id_part(target.name.as_str()));
    html! {
        details .target .card id=(id) open[is_open] data-open=(is_open) {
            summary id={ (id) "-summary" } {
                h3 { (target.name) }
                " " (badge(tone(target.state), words::target(target.state)))
                " " span .soft .address {
                    (target.address)
                    @if let Some(version) = target.home_assistant_version {
                        " · Home Assistant " (version)
                    }
                }
            }
            (looks(target))
            @if let Some(error) = target.error { p .error .bad { (error) } }
            (differences(target))
            (entries(target, rows))
            @for (number, whose) in [(target.foreign, "no owner"), (target.of_other_owners, "other owners")] {
                @if number > 0 {
                    p .soft { (counted(number, "more credential")) " there of " (whose) ", left alone." }
                }
            }
        }
    }
}

fn looks(target: &TargetState<'_>) -> Markup {
    let down = match target.link {
        LinkCode::Down => Some("Unreachable since"),
        LinkCode::NoAccess => Some("No access since"),
        LinkCode::Connecting | LinkCode::Up => None,
    };
    html! {
        dl .facts {
            @if let Some((down, since)) = down.zip(target.link_since) {
                div { dt { (down) } dd { (time(since)) } }
            }
            div {
                dt { "Last checked" }
                dd { @match target.last_reconcile { Some(at) => (time(at)), None => "none yet" } }
            }
            div {
                dt { "Last in sync" }
                dd { @match target.last_success { Some(at) => (time(at)), None => "not yet" } }
            }
            @if let Some(next) = target.next_reconcile {
                div { dt { "Next check" } dd { (time(next)) } }
            }
            @match target.mode {
                ModeCode::Report => div { dt { "Mode" } dd { "report only: nothing is changed" } },
                ModeCode::ReportDrift => div { dt { "Mode" } dd { "drift is reported, not repaired" } },
                ModeCode::Repair => {}
            }
        }
    }
}

fn differences(target: &TargetState<'_>) -> Markup {
    let more = target.differences.len().saturating_sub(MOST_DIFFERENCES);
    html! {
        @if !target.differences.is_empty() {
            h4 { "Differences" }
            ul .differences {
                @for difference in target.differences.iter().take(MOST_DIFFERENCES) {
                    (differing(difference))
                }
            }
            @if more > 0 { p .soft { "… and " (more) " more: " code { "appcred plan" } " shows all." } }
        }
    }
}

fn differing(difference: &Differing<'_>) -> Markup {
    html! {
        li {
            (difference.what)
            @if difference.is_drift { " " (badge("wait", "drift")) }
            @match &difference.withheld {
                Some(reason) => p .soft { "Not done: " (reason.message) "; " (reason.help) "." },
                None if difference.is_drift => p .soft { "Somebody has changed it there." },
                None => {}
            }
        }
    }
}

/// Those that need attention first; in their order otherwise.
fn entries(target: &TargetState<'_>, rows: &mut usize) -> Markup {
    if target.entries.is_empty() {
        let of_it = match target.state {
            TargetCode::NothingSelected => "No entry for this target is selected.",
            _ => "No entry is for this target.",
        };
        return html! { p .soft { (of_it) } };
    }
    let mut entries: Vec<&ReportedEntry<'_>> = target.entries.iter().collect();
    entries.sort_by_key(|entry| !entry.needs_attention());
    let shown = entries.len().min(MOST_ENTRIES).min(*rows);
    *rows -= shown;
    let more = &entries[shown..];
    let restless = more.iter().filter(|entry| entry.needs_attention()).count();
    let caption = format!("Entries of {}", target.name);
    html! {
        @if shown > 0 {
            table role="table" aria-label=(caption) {
                thead role="rowgroup" {
                    tr role="row" {
                        @for title in ["Entry", "Integration", "Credential", "Set-up", "Written at"] {
                            th scope="col" role="columnheader" { (title) }
                        }
                    }
                }
                tbody role="rowgroup" { @for entry in &entries[..shown] { (row(target, entry)) } }
            }
        }
        @if !more.is_empty() {
            p .soft {
                @if shown > 0 { "… and " (more.len()) " more" } @else {
                    (more.len()) " entries, not shown here"
                }
                @if restless == 0 { ", all of them well" } @else { ", " (restless) " of them not well" }
                ": " code { "appcred list" } " and the status for programs have all."
            }
        }
    }
}

fn row(target: &TargetState<'_>, entry: &ReportedEntry<'_>) -> Markup {
    let id = format!("entry-{}-{}", id_part(target.name.as_str()), id_part(entry.key.as_str()));
    html! {
        tr role="row" id=(id) {
            th scope="row" role="rowheader" {
                (entry.name)
                @if entry.key.as_str() != entry.name { span .key { " " (entry.key) } }
            }
            td role="cell" { (entry.domain) }
            td role="cell" { (credential(entry)) }
            td role="cell" { (set_ups(entry)) }
            td role="cell" .place { code { (entry.declared_at) } }
        }
    }
}

fn credential(entry: &ReportedEntry<'_>) -> Markup {
    let tone = match entry.credential {
        EntryCode::InSync => "ok",
        EntryCode::Drifted | EntryCode::Missing => "wait",
        EntryCode::Withheld => "bad",
        EntryCode::Unknown => "idle",
    };
    html! {
        (badge(tone, words::entry(entry.credential)))
        @if let Some(reason) = &entry.withheld { span .why { (reason.message) } }
        @if let Some(notice) = &entry.due_notice { span .why { (notice) } }
        @if let Some(limit) = &entry.limit { span .why { (limit) } }
        @if let Some(client) = &entry.client { (said_of(client)) }
    }
}

/// What its provider says of a client.
fn said_of(client: &ReportedClient<'_>) -> Markup {
    let message = client.message.unwrap_or_default();
    html! {
        @match client.verdict {
            ClientCode::Rejected => {
                " " (badge("bad", "client rejected"))
                span .why { (message) }
            }
            ClientCode::Unclear => {
                span .why { "whether the provider accepts the client is not known: " (message) }
            }
            ClientCode::NotAsked => {
                span .why { "the provider is not asked regularly about the client: " (message) }
            }
            ClientCode::Accepted => {}
        }
    }
}

fn set_ups(entry: &ReportedEntry<'_>) -> Markup {
    html! {
        @if entry.set_ups().next().is_none() { span .soft { "–" } }
        @for (account, set_up) in entry.set_ups() {
            @match account {
                Some(account) => { div { (account) " " (state(set_up)) } }
                None => { (state(set_up)) }
            }
        }
    }
}

fn state(set_up: &SetUp<'_>) -> Markup {
    let tone = match set_up.state {
        SetupCode::Loaded | SetupCode::Cloud => "ok",
        SetupCode::Failed => "bad",
        SetupCode::NotWanted => "idle",
        SetupCode::NotSetUp
        | SetupCode::InProgress
        | SetupCode::WaitingForConsent
        | SetupCode::WaitingForAnswers
        | SetupCode::NotLoaded
        | SetupCode::NeedsConsentAgain => "wait",
    };
    html! {
        (badge(tone, words::set_up(set_up.state)))
        @if let Some(reason) = &set_up.reason { span .why { (reason) } }
        @if let Some(help) = &set_up.help { span .why { (help) } }
    }
}
