//! The entries of one target, those that need attention first.

use maud::{Markup, html};

use crate::codes::{ClientCode, EntryCode, SetupCode, TargetCode};
use crate::html::Tone;
use crate::model::counted;
use crate::report::client::ReportedClient;
use crate::report::set_up::SetUp;
use crate::report::status::{ReportedEntry, TargetState};

use super::{badge, id_part};

/// So many entries of one target are shown.
const MOST_ENTRIES: usize = 200;
/// Of more, those for which nothing is to be done are folded.
const MOST_UNFOLDED: usize = 20;

/// Those that need attention first; in their order otherwise.
pub(super) fn entries(target: &TargetState<'_>, rows: &mut usize) -> Markup {
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
    let (shown, more) = entries.split_at(shown);
    let restless = shown.partition_point(|entry| entry.needs_attention());
    let (first, folded) = match entries.len() > MOST_UNFOLDED {
        true => shown.split_at(restless),
        false => (shown, &[][..]),
    };
    let id = format!("well-{}", id_part(target.name.as_str()));
    html! {
        @if !first.is_empty() { (table(target, first, "Entries")) }
        @if !folded.is_empty() {
            details .inner id=(id) {
                summary id={ (id) "-summary" } {
                    (counted(folded.len(), if first.is_empty() { "entry" } else { "more entry" }))
                    " " (calm(folded))
                }
                (table(target, folded, "Entries for which nothing is to be done"))
            }
        }
        @if !more.is_empty() {
            p .soft {
                @if shown.is_empty() {
                    (counted(more.len(), "entry")) ", not shown here"
                } @else {
                    "… and " (more.len()) " more"
                }
                @match more.iter().filter(|entry| entry.needs_attention()).count() {
                    0 => ", none of which needs attention",
                    restless => { ", and attention is needed by " (restless) " of them" }
                }
                ": " code { "appcred list" } " and the status for programs have all."
            }
        }
    }
}

/// How it is with entries that need no attention.
fn calm(entries: &[&ReportedEntry<'_>]) -> String {
    let suspended = entries.iter().filter(|entry| entry.credential == EntryCode::Suspended).count();
    let waiting = entries.iter().filter(|entry| entry.waits_for().is_some()).count();
    let parts = [
        (entries.len() - suspended - waiting, "in sync"),
        (suspended, "suspended"),
        (waiting, "waiting for a window or a wave"),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|(count, _)| *count > 0).collect();
    match parts.as_slice() {
        [(_, what)] => format!("{what}, and nothing to be done"),
        several => {
            let parts = several.iter().map(|(count, what)| format!("{count} {what}"));
            format!("for which nothing is to be done: {}", parts.collect::<Vec<_>>().join(", "))
        }
    }
}

fn table(target: &TargetState<'_>, entries: &[&ReportedEntry<'_>], which: &str) -> Markup {
    html! {
        table role="table" aria-label={ (which) " of " (target.name) } {
            thead role="rowgroup" {
                tr role="row" {
                    @for title in ["Entry", "Integration", "Credential", "Set-up", "Written at"] {
                        th scope="col" role="columnheader" { (title) }
                    }
                }
            }
            tbody role="rowgroup" { @for entry in entries { (row(target, entry)) } }
        }
    }
}

fn row(target: &TargetState<'_>, entry: &ReportedEntry<'_>) -> Markup {
    let id = format!("entry-{}-{}", id_part(target.name.as_str()), id_part(entry.key.as_str()));
    html! {
        tr role="row" id=(id) data-restless[entry.needs_attention()] {
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
        EntryCode::InSync => Tone::Ok,
        EntryCode::Differs | EntryCode::Missing => Tone::Wait,
        EntryCode::Withheld if entry.waits_for().is_some() => Tone::Idle,
        EntryCode::Withheld => Tone::Bad,
        EntryCode::Suspended | EntryCode::Unknown => Tone::Idle,
    };
    html! {
        @if let Some(what) = entry.waits_for() {
            (badge(tone, &format!("waits for its {what}")))
        } @else {
            (badge(tone, entry.credential.words()))
            @if let Some(reason) = &entry.withheld { span .why { (reason.message) } }
        }
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
                " " (badge(Tone::Bad, "client rejected"))
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
                Some(account) => { div { (account) " " (state(entry, set_up)) } }
                None => { (state(entry, set_up)) }
            }
        }
    }
}

fn state(entry: &ReportedEntry<'_>, set_up: &SetUp<'_>) -> Markup {
    let tone = match set_up.state {
        _ if entry.credential == EntryCode::Suspended => Tone::Idle,
        SetupCode::Loaded | SetupCode::Cloud => Tone::Ok,
        SetupCode::Failed => Tone::Bad,
        SetupCode::NotWanted => Tone::Idle,
        SetupCode::NotSetUp
        | SetupCode::InProgress
        | SetupCode::WaitingForConsent
        | SetupCode::WaitingForAnswers
        | SetupCode::NotLoaded
        | SetupCode::NeedsConsentAgain => Tone::Wait,
    };
    html! {
        (badge(tone, set_up.state.words()))
        @if let Some(reason) = &set_up.reason { span .why { (reason) } }
        @if let Some(help) = &set_up.help { span .why { (help) } }
    }
}
