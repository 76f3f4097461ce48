//! Plans, outcomes, lists and problems -> text for people and for programs. One file a format.

mod file_names;
mod finding;
pub mod github;
pub mod gitlab;
pub mod import;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod problems;
pub mod sarif;
pub mod schema;
pub mod set_up;
pub mod status;
pub mod text;
pub mod verified;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use file_names::FileNames;

use crate::diagnostic::Diagnostics;
use crate::model::{Claim, Held, Key, Mark, Place, TargetName};
use crate::plan::{Action, Plan, Step};
use crate::reconcile::StepOutcome;

/// All that one run has to tell.
pub struct Report<'a> {
    /// What was asked for.
    pub verb: Verb,
    /// The manifests that were found.
    pub manifests: &'a [PathBuf],
    /// What is wrong with them.
    pub problems: &'a Diagnostics,
    /// The targets; none where the manifests are in error, or nobody asked for them.
    pub targets: &'a [TargetReport<'a>],
    /// What files are called.
    pub names: &'a FileNames,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Whether the manifests are right.
    Validate,
    /// What would be done.
    Plan,
    /// That it be done.
    Apply,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Plan => "plan",
            Self::Apply => "apply",
        }
    }
}

/// Where an entry and its fields are written.
#[derive(Clone, Debug)]
pub struct EntryPlaces {
    /// Where it begins.
    pub entry: Place,
    /// Its integration.
    pub domain: Place,
    /// Its name.
    pub name: Place,
    /// Its client id.
    pub client_id: Place,
    /// Its client secret.
    pub client_secret: Place,
}

/// One target, as far as it got.
pub struct TargetReport<'a> {
    /// Its name in the project file.
    pub name: &'a TargetName,
    /// Its address or folder.
    pub address: &'a str,
    /// HA's version there, where it is known.
    pub version: Option<&'a str>,
    /// What is to be done there, or why that is not known.
    pub plan: Result<&'a Plan, &'a str>,
    /// What was done there; empty where nothing was tried.
    pub outcomes: &'a [StepOutcome],
    /// What stands for the target where it was not looked at itself, such as a snapshot.
    pub basis: Option<&'a str>,
    /// Where each entry is written.
    pub entries: BTreeMap<Key, EntryPlaces>,
}

/// Whose it is by its mark or claim.
fn mark_of(held: &Held) -> Option<Mark> {
    let auth_domain = held.auth_domain.as_deref()?;
    Mark::parse(auth_domain).or_else(|| Some(Claim::parse(auth_domain)?.mark))
}

/// How many steps of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    create: usize,
    replace: usize,
    adopt: usize,
    claim: usize,
    delete: usize,
    set_up: usize,
}

impl Tally {
    fn of<'a>(steps: impl Iterator<Item = &'a Step>) -> Self {
        let mut tally = Self::default();
        for step in steps {
            *match step.action {
                Action::Reload { .. } | Action::Tie { .. } | Action::Abandon { .. } => continue,
                Action::SetUp { .. } => &mut tally.set_up,
                Action::Create { .. } => &mut tally.create,
                Action::Replace { .. } => &mut tally.replace,
                Action::Adopt { .. } => &mut tally.adopt,
                Action::Claim { .. } => &mut tally.claim,
                Action::Delete { .. } => &mut tally.delete,
            } += 1;
        }
        tally
    }
}
