//! What was done lately.

use maud::{Markup, html};

use crate::codes::OutcomeCode;
use crate::html::Tone;
use crate::model::counted;
use crate::report::history::ReportedStep;
use crate::report::status::StatusReport;
use crate::status::MOST_RECORDED;

use super::{badge, time};

/// So many are shown.
const MOST_SHOWN: usize = 50;

pub(super) fn history(report: &StatusReport<'_>) -> Markup {
    let [newest, ..] = report.history.as_slice() else { return html! {} };
    let more = report.history.len().saturating_sub(MOST_SHOWN);
    html! {
        section aria-labelledby="history-title" {
            h2 #history-title { "What was done" }
            details #history .card {
                summary #history-summary {
                    (counted(report.history.len(), "step")) ", the last one " (time(newest.at))
                }
                p .soft {
                    "The newest " (MOST_RECORDED) " since " (time(report.since))
                    ", kept in memory: they are gone when the watcher starts again. The log has all."
                }
                ol .steps { @for step in report.history.iter().take(MOST_SHOWN) { (one(step)) } }
                @if more > 0 { p .soft { "… and " (more) " older: the status for programs has them." } }
            }
        }
    }
}

fn one(step: &ReportedStep<'_>) -> Markup {
    let tone = match step.result {
        OutcomeCode::Done => Tone::Ok,
        OutcomeCode::Waiting | OutcomeCode::Unfinished => Tone::Wait,
        OutcomeCode::Failed | OutcomeCode::NotBegun => Tone::Bad,
    };
    html! {
        li {
            p {
                (badge(tone, step.result.words())) " " strong { (step.what) }
                " at " (step.target) " " span .soft { (time(step.at)) }
            }
            @if let Some(error) = step.error { p .bad { (error) } }
            p .soft {
                @if !step.why.is_empty() { (step.why) }
                @if let Some(commit) = &step.commit {
                    @if !step.why.is_empty() { " · " }
                    "commit " code { (commit.words) }
                }
            }
        }
    }
}
