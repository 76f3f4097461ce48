//! `list` as text for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use anstyle::Style;

use crate::codes::CredentialCode;
use crate::model::{Glob, Key, Mark, Owner, counted};
use crate::plan::{ComparedCredential, CredentialState, Plan, Wanted};

use super::text::{BOLD, DIM, RED, head, in_full, line, named, redirect_uri};
use super::{Details, TargetReport, mark_of, notices, set_up, table, words};

/// Which credentials and entries are listed; all where nothing is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Those of one of these owners.
    pub owners: Vec<Glob>,
    /// Those in one of these states.
    pub states: Vec<RowState>,
}

/// What rows may be chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// How a credential compares with its entry.
    Is(CredentialCode),
    /// Its entry is suspended.
    Suspended,
    /// It is protected.
    Protected,
}

impl RowState {
    /// All of them, by what they are called.
    pub fn all() -> impl Iterator<Item = (&'static str, Self)> {
        let states = CredentialCode::ALL.iter().map(|state| (state.as_str(), Self::Is(*state)));
        states.chain([("suspended", Self::Suspended), ("protected", Self::Protected)])
    }
}

impl Rows {
    /// What is listed of a target: what it holds, and what it lacks.
    pub(super) fn of<'p>(&self, plan: &'p Plan) -> (Vec<&'p ComparedCredential>, Vec<&'p Wanted>) {
        let states = plan.credential_states.iter();
        let held = states.filter(|of| {
            let kept =
                [(of.is_suspended, RowState::Suspended), (of.is_protected, RowState::Protected)];
            let kept = kept.into_iter().filter_map(|(is_kept, state)| is_kept.then_some(state));
            let states = kept.chain([RowState::Is(of.state.code())]);
            self.include(owner_of(of, plan), states)
        });
        let missing = plan.missing().into_iter();
        let missing = missing.filter(|of| {
            self.include(owner(&of.auth_domain), [RowState::Is(CredentialCode::Missing)])
        });
        (held.collect(), missing.collect())
    }

    /// The keys of what is listed.
    fn keys(&self, plan: &Plan) -> BTreeSet<Key> {
        let (held, missing) = self.of(plan);
        let missing = missing.into_iter().map(|of| of.key.clone());
        held.into_iter().filter_map(key_of).chain(missing).collect()
    }

    fn include(&self, owner: Option<Owner>, of: impl IntoIterator<Item = RowState>) -> bool {
        let is_of = |owner: Owner| self.owners.iter().any(|one| one.matches(owner.as_str()));
        (self.owners.is_empty() || owner.is_some_and(is_of))
            && (self.states.is_empty() || of.into_iter().any(|state| self.states.contains(&state)))
    }
}

/// The key that verbs take: that of the entry, or the one that is written at the target.
pub(super) fn key_of(of: &ComparedCredential) -> Option<Key> {
    of.state.key().cloned().or_else(|| Some(mark_of(&of.held)?.key))
}

/// Who manages a credential, as it says itself, or as a claim says of it.
pub(super) fn owner_of(of: &ComparedCredential, plan: &Plan) -> Option<Owner> {
    let claimed = || match &of.state {
        CredentialState::OtherOwner(owner) => Some(owner.clone()),
        state => {
            let claim = CredentialState::Claim(state.key()?.clone());
            let claim = plan.credential_states.iter().find(|other| other.state == claim)?;
            mark_of(&claim.held).map(|mark| mark.owner)
        }
    };
    mark_of(&of.held).map(|mark| mark.owner).or_else(claimed)
}

/// More rows than this are for a program to read, or for a person who asks for all of them.
const MOST_ROWS: usize = 200;

/// Every credential and what is missing, as a table for each target that is no wider than this. On a terminal,
/// what is in sync is only counted where there is too much of it.
pub fn text(
    targets: &[TargetReport<'_>],
    rows: &Rows,
    width: Option<u16>,
    details: Details,
) -> String {
    let mut out = String::new();
    let lengths = targets.iter().filter_map(|target| {
        let (held, missing) = rows.of(target.plan.ok()?);
        Some(held.len() + missing.len())
    });
    let is_folded = width.is_some()
        && details == Details::WhereShort
        && rows.states.is_empty()
        && lengths.sum::<usize>() > MOST_ROWS;
    let is_empty = |target: &TargetReport<'_>| {
        target.plan.is_ok_and(|plan| {
            let (held, missing) = rows.of(plan);
            held.is_empty() && missing.is_empty()
        })
    };
    let (empty, targets): (Vec<_>, Vec<_>) = targets.iter().partition(|of| is_empty(of));
    for target in &targets {
        if !out.is_empty() {
            out.push('\n');
        }
        if targets.len() + empty.len() > 1 || target.plan.is_err() {
            head(&mut out, target);
        }
        match target.plan {
            Ok(plan) => {
                let _ = writeln!(out, "{}", rows_of(plan, rows, width, is_folded));
                let keys = rows.keys(plan);
                notices::named(&mut out, plan, &keys);
                shadows(&mut out, plan, &keys);
                for notice in notices::notices(plan, |key| keys.contains(key)) {
                    out.push('\n');
                    in_full(&mut out, &notice);
                }
                redirect_uri(&mut out, target.redirect_uri);
            }
            Err(why) => line(&mut out, RED, &format!("  error: {why}")),
        }
    }
    without(&mut out, &empty, rows, targets.len());
    out
}

/// Names the targets of which nothing is listed.
fn without(out: &mut String, empty: &[&TargetReport<'_>], rows: &Rows, others: usize) {
    let is_filtered = !rows.owners.is_empty() || !rows.states.is_empty();
    let what = if is_filtered { "No such credentials" } else { "No credentials" };
    match empty {
        [] => {}
        [_] if others == 0 => line(out, Style::new(), &format!("{what}.")),
        _ => {
            if !out.is_empty() {
                out.push('\n');
            }
            line(out, BOLD, &format!("{what} in {}", named(empty)));
        }
    }
}

/// Explains credentials that Home Assistant shows twice.
fn shadows(out: &mut String, plan: &Plan, keys: &BTreeSet<Key>) {
    let is_shadowed = |of: &&ComparedCredential| matches!(&of.state, CredentialState::Shadowed(key) if keys.contains(key));
    let shadowed = plan.credential_states.iter().filter(is_shadowed);
    for ComparedCredential { held, users, .. } in shadowed {
        let users = words::accounts(users);
        let notice = format!(
            "{} was made by hand and is still used by {users}: another credential has replaced it, and it is deleted when Home Assistant releases it",
            held.id
        );
        out.push('\n');
        line(out, DIM, &notice);
    }
}

/// The columns, in their order. A configuration folder says nothing of set-ups, the last one.
const COLUMNS: [&str; 9] =
    ["KEY", "INTEGRATION", "NAME", "CLIENT ID", "ID", "OWNER", "USED BY", "STATE", "SET-UP"];
/// What is left out, one after the other, where the terminal is too narrow.
const LEAST: [&str; 3] = ["ID", "CLIENT ID", "OWNER"];

fn rows_of(plan: &Plan, rows: &Rows, width: Option<u16>, is_folded: bool) -> String {
    let (mut held, missing) = rows.of(plan);
    let folded = match is_folded {
        true => held.extract_if(.., |of| is_well(of, plan)).count(),
        false => 0,
    };
    let folded = (folded > 0).then(|| {
        format!("({} in sync: `--verbose` lists them too)", counted(folded, "credential"))
    });
    if held.is_empty() && missing.is_empty() {
        return folded.unwrap_or_default();
    }
    let held = held.into_iter().map(|of| held_row(of, plan));
    let mut rows: Vec<_> = held.chain(missing.into_iter().map(missing_row)).collect();
    let mut columns = COLUMNS.to_vec();
    if plan.setup_states.is_empty() {
        columns.pop();
        rows.iter_mut().for_each(|row| drop(row.pop()));
    }
    let mut lines = table::fitted(&columns, &rows, &LEAST, width);
    lines.extend(folded);
    lines.join("\n")
}

/// Whether nothing is to be said of a credential but that it is as its entry wants it.
fn is_well(of: &ComparedCredential, plan: &Plan) -> bool {
    matches!(of.state, CredentialState::InSync(_))
        && !of.is_suspended
        && set_up::are_well(plan, &of.state)
}

fn held_row(of: &ComparedCredential, plan: &Plan) -> Vec<String> {
    let ComparedCredential { held, state, users, .. } = of;
    let kept = [(of.is_suspended, ", suspended"), (of.is_protected, ", protected")];
    let kept = kept.into_iter().filter_map(|(is_kept, word)| is_kept.then_some(word));
    let users: Vec<&str> = users.iter().map(|entry| entry.title.as_str()).collect();
    vec![
        key_of(of).map(|key| key.to_string()).unwrap_or_default(),
        held.domain.to_string(),
        held.name.as_deref().unwrap_or_default().to_owned(),
        held.client_id.to_string(),
        held.id.to_string(),
        owner_of(of, plan).map(|owner| owner.to_string()).unwrap_or_default(),
        users.join(", "),
        std::iter::once(state.code().words()).chain(kept).collect(),
        set_up::state_of(plan, state),
    ]
}

fn missing_row(wanted: &Wanted) -> Vec<String> {
    vec![
        wanted.key.to_string(),
        wanted.domain.to_string(),
        wanted.name.to_string(),
        wanted.client_id.to_string(),
        String::new(),
        owner(&wanted.auth_domain).map(|owner| owner.to_string()).unwrap_or_default(),
        String::new(),
        CredentialCode::Missing.words().to_owned(),
        String::new(),
    ]
}

fn owner(auth_domain: &str) -> Option<Owner> {
    Mark::of_text(auth_domain).map(|mark| mark.owner)
}
