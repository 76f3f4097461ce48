//! What `apply` did, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use indexmap::IndexMap;

use crate::model::{Links, counted};
use crate::plan::{Action, Plan, Step, StepId};
use crate::reconcile::{Outcome, StepOutcome};

use super::names::{MOST_NAMED, Names};
use super::summary::tally;
use super::text::{BOLD, GREEN, RED, Times, YELLOW, line};
use super::words::{self, Undone};
use super::{Tally, TargetReport, notices, set_up};

/// What is not done, in order, then a summary: target by target, or, where there are many targets, what is
/// the same in several of them once.
pub fn outcomes(targets: &[TargetReport<'_>], links: Links) -> String {
    let (mut out, mut uris) = (String::new(), BTreeSet::new());
    let tried: Vec<&TargetReport<'_>> =
        targets.iter().filter(|target| !target.outcomes.is_empty()).collect();
    let together = if tried.len() > MOST_NAMED { tried.len() } else { 1 };
    for targets in tried.chunks(together) {
        let (mut undone, mut sums) = (IndexMap::<_, Names>::new(), IndexMap::<_, Names>::new());
        for target in targets {
            let Ok(plan) = target.plan else { continue };
            let mut times = Times::default();
            let steps: BTreeMap<StepId, &Step> =
                plan.steps.iter().map(|step| (step.id, step)).collect();
            for outcome in target.outcomes {
                let Some(step) = steps.get(&outcome.step) else { continue };
                let what = step.action.summary();
                if let Some(linked) = &outcome.linked {
                    let is_link = matches!(step.action, Action::SetUp { .. });
                    let (word, account) =
                        (if is_link { "linked: " } else { "" }, notices::account(linked));
                    line(&mut out, GREEN, &format!("{}: {what}: {word}{account}", target.name));
                } else if let Outcome::Waits(waits) = &outcome.outcome {
                    let id = step.action.set_up_id();
                    let what = format!("{}: {what}", target.name);
                    set_up::waits(&mut out, &what, id.as_ref(), waits, links, &mut uris);
                } else if let Some(Undone { word, why }) = words::undone(&outcome.outcome) {
                    let text = format!("{word}: {what}: {}", why.unwrap_or_default());
                    let style = if outcome.is_failure(plan) { RED } else { YELLOW };
                    // What is not done twice at one target has two lines.
                    undone.entry((times.count(text), style)).or_default().0.push(target.name);
                }
            }
            sums.entry(done(&[(plan, target.outcomes)])).or_default().0.push(target.name);
        }
        for (((text, _), style), names) in undone {
            line(&mut out, style, &format!("{names}: {text}"));
        }
        for ((text, is_well), names) in sums {
            let style = if is_well { BOLD } else { RED.bold() };
            line(&mut out, style, &format!("{names}: {text}"));
        }
    }
    if out.is_empty() {
        return out;
    }
    // The plan has named them, and may be far above.
    for target in targets {
        if let Err(why) = target.plan {
            line(&mut out, RED.bold(), &format!("{}: nothing was done: {why}", target.name));
        }
    }
    if together > 1 {
        let all: Vec<_> =
            tried.iter().filter_map(|target| Some((target.plan.ok()?, target.outcomes))).collect();
        let text = format!("Total of {}: {}", counted(targets.len(), "target"), done(&all).0);
        line(&mut out, BOLD, &text);
    }
    out
}

/// What was done of some plans, in a line, and whether all is well.
fn done(of: &[(&Plan, &[StepOutcome])]) -> (String, bool) {
    let outcomes = || of.iter().flat_map(|(_, outcomes)| outcomes.iter());
    let mut failures = Vec::new();
    for (plan, outcomes) in of {
        failures.extend(outcomes.iter().filter(|outcome| outcome.is_failure(plan)));
    }
    let steps = of.iter().flat_map(|(plan, outcomes)| {
        let done: BTreeSet<StepId> =
            outcomes.iter().filter(|of| of.outcome.is_done()).map(|of| of.step).collect();
        plan.steps.iter().filter(move |step| done.contains(&step.id))
    });
    let mut text = tally(&Tally::of(steps), |of| of.done);
    for (awaits, number) in unfinished(outcomes()) {
        let _ = write!(text, ", {number} {awaits}");
    }
    let is_failed = |of: &Outcome| matches!(of, Outcome::Failed(_) | Outcome::Denied(_));
    let failed = failures.iter().filter(|of| is_failed(&of.outcome)).count();
    let is_skipped = |of: &Outcome| matches!(of, Outcome::NotBegun(_));
    let skipped = failures.iter().filter(|of| is_skipped(&of.outcome)).count();
    let withheld = of.iter().map(|(plan, _)| plan.withheld.len()).sum::<usize>();
    for (number, what) in [(failed, "failed"), (skipped, "skipped"), (withheld, "not done")] {
        if number > 0 {
            let _ = write!(text, ", {number} {what}");
        }
    }
    let is_well = failures.is_empty() && of.iter().all(|(plan, _)| plan.blocked() == 0);
    (text + ".", is_well)
}

/// How many steps go on later, by what they wait for.
fn unfinished<'a>(
    outcomes: impl Iterator<Item = &'a StepOutcome>,
) -> BTreeMap<&'static str, usize> {
    let mut numbers = BTreeMap::new();
    for outcome in outcomes {
        let awaits = match &outcome.outcome {
            Outcome::Waits(step) => step.awaits(),
            Outcome::Unfinished(_) => "unfinished",
            Outcome::Done | Outcome::Failed(_) | Outcome::Denied(_) | Outcome::NotBegun(_) => {
                continue;
            }
        };
        *numbers.entry(awaits).or_default() += 1;
    }
    numbers
}
