//! What is wrong with the manifests, where, and what to do.

use maud::{Markup, html};

use crate::codes::SeverityCode;
use crate::html::Tone;
use crate::model::counted;
use crate::report::json::Problem;
use crate::report::source::ReportedSource;
use crate::report::status::ReportedManifests;
use crate::status::SourceStatus;

use super::{badge, time};

/// `appcred validate` shows more.
pub(super) const MOST_PROBLEMS: usize = 50;

pub(super) fn manifests(
    manifests: &ReportedManifests<'_>,
    source: Option<&ReportedSource<'_>>,
    excerpts: &[String],
) -> Markup {
    let Some(read_at) = manifests.read_at else { return html! {} };
    let more = manifests.problems.len().saturating_sub(MOST_PROBLEMS);
    html! {
        section #manifests aria-labelledby="manifests-title" {
            h2 #manifests-title { "Manifests" }
            p .soft {
                (counted(manifests.files, "file")) " with "
                (counted(manifests.entries, "entry"))
                @if let Some(commit) = &manifests.commit { " of commit " code { (commit.words) } }
                ", read " (time(read_at))
            }
            @if let Some(source) = source { (fetched(source, manifests.in_force)) }
            @if let Some(selection) = &manifests.selection {
                p #selection {
                    "Only " (selection.entries) " of them " @if selection.entries == 1 { "is" } @else { "are" }
                    " watched: " code { (selection.arguments.join(" ")) }
                }
            }
            @if !manifests.in_force {
                p {
                    "They are not applied: what was valid before stays in force until they are corrected."
                }
            }
            @if let Some(blocker) = manifests.blocker { p .card .bad { (blocker) } }
            @if !manifests.problems.is_empty() {
                ul .cards .wide {
                    @for (problem, excerpt) in manifests.problems.iter().zip(excerpts) {
                        (one(problem, excerpt))
                    }
                }
            }
            @if more > 0 {
                p .soft { "… and " (more) " more: " code { "appcred validate" } " shows all of them." }
            }
        }
    }
}

/// Where they come from, and whether that can be asked.
fn fetched(source: &ReportedSource<'_>, are_in_force: bool) -> Markup {
    html! {
        p #source .soft {
            "Fetched from " code { (source.url) }
            @if source.reference != "HEAD" { ", " code { (source.reference) } }
            @if let Some(at) = source.fetched_at { ", last " (time(at)) }
        }
        @if let Some(error) = source.error {
            p .card .bad {
                "It cannot be fetched: " (error) ". Commit " code { (source.short()) } " " (SourceStatus::rest(are_in_force)) "."
            }
        }
    }
}

fn one(problem: &Problem, excerpt: &str) -> Markup {
    let tone = if problem.severity == SeverityCode::Error { Tone::Bad } else { Tone::Wait };
    html! {
        li .card {
            p { (badge(tone, problem.severity.as_str())) " " strong { (problem.message) } }
            @if let Some(at) = &problem.at {
                p { code { (at.file) ":" (at.line) ":" (at.column) } }
            }
            @if !excerpt.trim().is_empty() { pre tabindex="0" role="group" aria-label="The place" { (excerpt) } }
            @for more in &problem.more { p .soft { (more) } }
        }
    }
}
