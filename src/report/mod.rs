//! Plans, outcomes, lists and problems -> text for people and for programs.
//!
//! Each format that `--format` takes is one file, which says what the format is in a constant
//! `FORMAT`, and one line in [`FORMATS`].

mod accounts;
mod change;
pub mod changes;
pub(crate) mod client;
pub(crate) mod differing;
pub mod doctor;
pub mod explained;
mod failed;
mod file_names;
mod finding;
mod format;
mod github;
mod gitlab;
pub(crate) mod history;
pub mod import;
pub mod json;
mod junit;
#[cfg(test)]
mod line_count;
pub mod list;
pub mod markdown;
pub(crate) mod moment;
mod names;
pub mod notices;
pub mod outcomes;
pub mod problems;
pub mod registration;
pub(crate) mod rollout;
mod sarif;
pub mod schema;
mod selection;
pub mod set_up;
pub(crate) mod source;
pub(crate) mod started;
pub mod status;
mod summary;
mod table;
pub mod text;
pub mod verified;
pub mod version;
mod waves;
pub(crate) mod words;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use failed::failed;
pub use file_names::FileNames;
pub use format::Format;
pub use names::Names;

use crate::diagnostic::Diagnostics;
use crate::model::{
    Held, Key, Labels, Lifetime, Mark, Place, Selection, SetUpId, TargetName, UndoneWave, Wave,
};
use crate::plan::{Action, Adoption, Plan, Step};
use crate::reconcile::StepOutcome;

/// The formats, in the order in which the help lists them.
pub const FORMATS: &[Format] = &[
    text::FORMAT,
    json::FORMAT,
    yaml::FORMAT,
    markdown::FORMAT,
    github::FORMAT,
    gitlab::FORMAT,
    junit::FORMAT,
    sarif::FORMAT,
    #[cfg(test)]
    line_count::FORMAT,
];

/// The results of one run.
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
    /// The commit that was fetched for it.
    pub commit: Option<&'a str>,
    /// Which entries it is about.
    pub selection: &'a Selection,
    /// How much of each change is shown to people.
    pub details: Details,
    /// The wave that was not done, so that those after it were left.
    pub undone: Option<&'a UndoneWave>,
}

impl Report<'_> {
    /// What it is about, where that is not everything.
    fn selected(&self) -> Option<String> {
        let arguments = self.selection.arguments().join(" ");
        (!arguments.is_empty()).then(|| format!("only what is selected: {arguments}"))
    }
}

/// How much of each change is shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    /// Everything, target by target.
    All,
    /// Everything where that is short; else a line for each change, and what several targets have once.
    WhereShort,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Check the manifests.
    Validate {
        /// How many entries they have.
        entries: usize,
    },
    /// Show what would be done.
    Plan,
    /// Do it.
    Apply,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Validate { .. } => "validate",
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
    /// Until when its client may be used.
    pub lifetime: Lifetime,
}

/// One target, as far as it got.
pub struct TargetReport<'a> {
    /// Its name in the project file.
    pub name: &'a TargetName,
    /// Its labels.
    pub labels: &'a Labels,
    /// Its address or folder.
    pub address: &'a str,
    /// HA's version there, where it is known.
    pub version: Option<&'a str>,
    /// Whether it is a folder that does not exist yet.
    pub is_new: bool,
    /// Where providers send browsers after consent, where HA runs there.
    pub redirect_uri: Option<&'a str>,
    /// What is to be done there, or why that is not known.
    pub plan: Result<&'a Plan, &'a str>,
    /// What was done there; empty where nothing was tried.
    pub outcomes: &'a [StepOutcome],
    /// What was looked at instead of the target, such as a snapshot.
    pub basis: Option<&'a str>,
    /// The wave in which it is changed; none where all targets are changed at once.
    pub wave: Option<Wave>,
    /// The set-ups that a run would begin, where a snapshot was looked at.
    pub expected_set_ups: &'a [SetUpId],
    /// Where each entry is written.
    pub entries: BTreeMap<Key, EntryPlaces>,
    /// Where the entries are written that are for other targets alone, or only in backups.
    pub elsewhere: &'a BTreeMap<Key, Place>,
}

/// Who owns it, by its mark or claim.
fn mark_of(held: &Held) -> Option<Mark> {
    Mark::of_text(held.auth_domain.as_deref()?)
}

/// The key of the entry that an action is about, also of one that is gone, as its mark says.
fn key_of(action: &Action) -> Option<Key> {
    match action {
        Action::Abandon { flow } => flow.purpose.mark().map(|mark| mark.key.clone()),
        Action::Delete { old, .. } => mark_of(old).map(|mark| mark.key),
        _ => action.for_entry().map(|wanted| wanted.key.clone()),
    }
}

/// How many steps of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    create: usize,
    replace: usize,
    adopt: usize,
    shadow: usize,
    claim: usize,
    delete: usize,
    set_up: usize,
    reload: usize,
    note: usize,
    remove: usize,
    abandon: usize,
}

impl Tally {
    fn of<'a>(steps: impl Iterator<Item = &'a Step>) -> Self {
        let mut tally = Self::default();
        for step in steps {
            *match step.action {
                Action::Delete { .. } => &mut tally.delete,
                Action::Create { .. } => &mut tally.create,
                Action::Replace { .. } => &mut tally.replace,
                Action::Adopt { how: Adoption::TakeOver, .. } => &mut tally.adopt,
                Action::Adopt { how: Adoption::Shadow, .. } => &mut tally.shadow,
                Action::Claim { .. } => &mut tally.claim,
                Action::SetUp { .. } => &mut tally.set_up,
                Action::Reload { .. } => &mut tally.reload,
                Action::SetDeletePolicy { .. } | Action::NoteAccount { .. } => &mut tally.note,
                Action::RemoveAccount { .. } => &mut tally.remove,
                Action::Abandon { .. } => &mut tally.abandon,
            } += 1;
        }
        tally
    }

    fn counts(&self) -> [Count; 11] {
        let of = |number, to_do, done, is_usual| Count { number, to_do, done, is_usual };
        [
            of(self.create, "to create", "created", true),
            of(self.replace, "to replace", "replaced", true),
            of(self.adopt, "to adopt", "adopted", false),
            of(self.shadow, "to shadow", "shadowed", false),
            of(self.claim, "to claim", "claimed", false),
            of(self.delete, "to delete", "deleted", true),
            of(self.set_up, "to set up", "set up", false),
            of(self.reload, "to reload", "reloaded", false),
            of(self.note, "to record", "recorded", false),
            of(self.remove, "to unlink", "unlinked", false),
            of(self.abandon, "to abandon", "abandoned", false),
        ]
    }
}

/// How many steps there are of a kind, and what is said of them.
struct Count {
    number: usize,
    to_do: &'static str,
    done: &'static str,
    /// Whether text names it where there is none.
    is_usual: bool,
}
