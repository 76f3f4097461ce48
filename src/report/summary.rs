//! How many changes a plan has of each kind, in a line.

use std::fmt;

use crate::model::Key;
use crate::plan::{Action, CredentialState, Plan, Step};

use super::{Count, Tally, notices};

/// What plans have together.
pub(super) struct PlanSummary {
    tally: Tally,
    steps: usize,
    in_sync: usize,
    not_done: usize,
    unknown: usize,
    is_beside_unread: bool,
    in_progress: usize,
    not_running: usize,
    undeclared_accounts: usize,
    foreign: usize,
    of_other_owners: usize,
}

impl PlanSummary {
    pub(super) fn of(plans: &[&Plan]) -> Self {
        let sum = |of: fn(&Plan) -> usize| plans.iter().map(|plan| of(plan)).sum();
        Self {
            tally: Tally::of(plans.iter().flat_map(|plan| &plan.steps).filter(|step| is_new(step))),
            steps: sum(|plan| plan.steps.len()),
            in_sync: sum(in_sync),
            not_done: sum(|plan| plan.withheld.len()),
            unknown: sum(|plan| plan.unknown.len()),
            is_beside_unread: false,
            in_progress: sum(|plan| notices::in_progress(plan).count()),
            not_running: sum(|plan| notices::troubled(plan).count()),
            undeclared_accounts: sum(|plan| notices::kept_undeclared(plan).count()),
            foreign: sum(Plan::foreign_left_alone),
            of_other_owners: sum(Plan::of_other_owners),
        }
    }

    /// Whether there are targets of which nothing is known.
    pub(super) fn beside_unread(self, is_beside_unread: bool) -> Self {
        Self { is_beside_unread, ..self }
    }
}

/// A set-up that goes on is counted as one that is in progress.
pub(super) fn is_new(step: &Step) -> bool {
    !matches!(step.action, Action::SetUp { account: None, open: Some(_), .. })
}

/// Those to which nothing is done: one that is claimed is counted there.
fn in_sync(plan: &Plan) -> usize {
    let claimed = |key: &Key| {
        let steps = plan.steps.iter().map(|step| &step.action);
        steps
            .filter(|action| matches!(action, Action::Claim { .. }))
            .any(|action| action.created().is_some_and(|wanted| wanted.key == *key))
    };
    let states = plan.credential_states.iter();
    states.filter(|of| matches!(&of.state, CredentialState::InSync(key) if !claimed(key))).count()
}

impl fmt::Display for PlanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is not done is a change too.
        if self.steps > 0 || self.not_done > 0 {
            write!(f, "Plan: {}.", tally(&self.tally, |of| of.to_do))?;
        } else if self.unknown == 0 && !self.is_beside_unread {
            f.write_str("No changes.")?;
        } else {
            f.write_str("No changes are known.")?;
        }
        let counts = [
            (self.in_sync, "in sync"),
            (self.not_done, "not done"),
            (self.unknown, "unknown"),
            (self.in_progress, "being set up"),
            (self.not_running, "linked but not running"),
            (self.undeclared_accounts, "linked but not named by any entry"),
            (self.foreign, "foreign, left alone"),
            (self.of_other_owners, "of other owners"),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        if counts.is_empty() { Ok(()) } else { write!(f, " {}.", counts.join(", ")) }
    }
}

/// The numbers of each kind; those that plans usually have are said where they are 0, too.
pub(super) fn tally(tally: &Tally, word: fn(&Count) -> &'static str) -> String {
    let counts = tally.counts();
    let named = counts.iter().filter(|of| of.number > 0 || of.is_usual);
    named.map(|of| format!("{} {}", of.number, word(of))).collect::<Vec<_>>().join(", ")
}
