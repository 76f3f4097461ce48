//! The targets, those in trouble first, and their entries.

use maud::{Markup, html};

use crate::codes::{LinkCode, ModeCode, TargetCode};
use crate::html::Tone;
use crate::model::counted;
use crate::report::differing::Differing;
use crate::report::status::{StatusReport, TargetState};

use super::entries::entries;
use super::{badge, due, id_part, time, tone};

/// Up to so many targets are unfolded.
const MOST_UNFOLDED: usize = 6;
/// So many are shown at all.
const MOST_TARGETS: usize = 200;
/// So many entries of all of them: a browser has to lay them out again and again.
const MOST_ROWS: usize = 1_000;
/// With fewer entries there is nothing to be filtered.
const FEWEST_FILTERED: usize = 13;
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
            @if targets.iter().map(|target| target.entries.len()).sum::<usize>() >= FEWEST_FILTERED {
                (filter())
            }
            @for (nth, target) in targets.into_iter().take(MOST_TARGETS).enumerate() {
                (one(target, is_small || (nth < MOST_UNFOLDED && is_in_trouble(target)), &mut rows))
            }
            @if more > 0 {
                p .soft { "… and " (counted(more, "more target")) "; the status for programs has all." }
            }
        }
    }
}

/// What the script shows a part of the entries by; nothing without it.
fn filter() -> Markup {
    html! {
        div #filter .filter role="search" aria-label="Entries" {
            label for="filter-words" { "Filter" }
            input #filter-words type="search" autocomplete="off" spellcheck="false"
                aria-describedby="filter-hint";
            label {
                input #filter-restless type="checkbox";
                " only what needs attention"
            }
            p #filter-hint .soft role="status" data-own {}
        }
    }
}

fn is_in_trouble(target: &TargetState<'_>) -> bool {
    matches!(
        target.state,
        TargetCode::Failed
            | TargetCode::Unreachable
            | TargetCode::TokenRefused
            | TargetCode::NotAdministrator
            | TargetCode::NoAccess
            | TargetCode::Differs
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
        details .target .card .away[target.link == LinkCode::Down]
            .denied[target.link == LinkCode::NoAccess] id=(id) open[is_open] data-open=(is_open) {
            summary id={ (id) "-summary" } {
                h3 { (target.name) }
                " " (badge(tone(target.state), target.state.words()))
                " " span .soft .address {
                    (target.address)
                    @if let Some(version) = target.home_assistant_version {
                        " · Home Assistant " (version)
                    }
                    @for (label, value) in &target.labels {
                        " · " (label) "=" (value)
                    }
                }
            }
            (looks(target))
            @if let Some(error) = target.error { p .error { (error) } }
            @if is_out_of_sight(target) {
                (as_it_was(target, rows))
            } @else {
                (differences(target))
                (entries(target, rows))
            }
            @if !target.forgotten.is_empty() {
                p .soft {
                    "Forgotten, and left alone: "
                    @for (nth, of) in target.forgotten.iter().enumerate() {
                        @if nth > 0 { ", " }
                        (of.name) " (" (of.domain) ", " code { (of.key) } ")"
                    }
                    "."
                }
            }
            @for (number, whose) in [(target.foreign, "no owner"), (target.of_other_owners, "other owners")] {
                @if number > 0 {
                    p .soft { (counted(number, "more credential")) " there of " (whose) ", left alone." }
                }
            }
        }
    }
}

/// Whether what is known of it is not known to be so now.
fn is_out_of_sight(target: &TargetState<'_>) -> bool {
    matches!(target.link, LinkCode::Down | LinkCode::NoAccess)
}

/// What was last seen of a target of which nothing is seen now: that is said once, not at each entry.
fn as_it_was(target: &TargetState<'_>, rows: &mut usize) -> Markup {
    let id = format!("was-{}", id_part(target.name.as_str()));
    html! {
        @if target.entries.is_empty() {
            (entries(target, rows))
        } @else {
            details .inner id=(id) {
                summary id={ (id) "-summary" } {
                    (counted(target.entries.len(), "entry"))
                    @match target.last_success.or(target.last_reconcile) {
                        Some(_) => ", as last seen",
                        None => ", never checked",
                    }
                }
                (differences(target))
                (entries(target, rows))
            }
        }
    }
}

fn looks(target: &TargetState<'_>) -> Markup {
    let down = match target.link {
        LinkCode::Down => Some("Unreachable since"),
        LinkCode::NoAccess => Some("No access since"),
        LinkCode::Connecting | LinkCode::Up | LinkCode::Suspended => None,
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
                div { dt { "Next check" } dd { (due(next)) } }
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
    let (postponed, others): (Vec<&Differing<'_>>, Vec<&Differing<'_>>) =
        target.differences.iter().partition(|difference| difference.waits_for().is_some());
    let id = format!("window-{}", id_part(target.name.as_str()));
    html! {
        @if !others.is_empty() {
            h4 { "Differences" }
            (list(&others, differing))
        }
        @if let Some(line) = &target.postponed {
            details .inner id=(id) {
                summary id={ (id) "-summary" } { (line) }
                (list(&postponed, |difference| html! { li { (difference.what) (drift(difference)) } }))
            }
        }
    }
}

fn list(differences: &[&Differing<'_>], item: impl Fn(&Differing<'_>) -> Markup) -> Markup {
    let more = differences.len().saturating_sub(MOST_DIFFERENCES);
    html! {
        ul .differences {
            @for difference in differences.iter().take(MOST_DIFFERENCES) { (item(difference)) }
        }
        @if more > 0 { p .soft { "… and " (more) " more: " code { "appcred plan" } " shows all." } }
    }
}

fn drift(difference: &Differing<'_>) -> Markup {
    html! { @if difference.is_drift { " " (badge(Tone::Wait, "drift")) } }
}

fn differing(difference: &Differing<'_>) -> Markup {
    html! {
        li {
            (difference.what)
            (drift(difference))
            @if difference.is_drift { p .soft { "Somebody has changed it there." } }
            @if let Some(reason) = &difference.withheld {
                p .soft { "Not done: " (reason.message) "; " (reason.help) "." }
            }
        }
    }
}
