//! What a plan may do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Adopt, DesiredCredential, Domain, Key, OnDelete, Selection, Windows};

/// The project's rules for plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What may be deleted.
    pub prune: Prune,
    /// How many deletes are too many; no limit where there is none.
    pub max_deletes: Option<MaxDeletes>,
    /// Whether everything may be deleted when no entry is left, and what a target seems to lose by a slip.
    pub allow_empty: bool,
    /// Whether every credential made by hand that an entry matches is taken over.
    pub adopt_all: bool,
    /// Whether integrations are left as they are: nothing is set up.
    pub leave_integrations: bool,
    /// Whether the linked accounts of what is deleted are removed first.
    pub remove_integrations: bool,
    /// When a watcher may change something.
    pub windows: Windows,
    /// What a watcher does about what somebody else has changed at a target.
    pub on_drift: OnDrift,
    /// Integrations that HA itself does not have: planned for where the target does not list its own.
    pub custom_integrations: BTreeSet<Domain>,
    /// The keys, present and earlier ones, of what is neither deleted nor replaced.
    pub protected: BTreeSet<Key>,
    /// The keys, present and earlier ones, of entries of which nothing is changed for now.
    pub suspended: BTreeSet<Key>,
    /// The keys of entries that are gone, and what is left of them stays.
    pub forgotten: BTreeSet<Key>,
    /// The keys of entries that are gone, with what they say of linked accounts. Nothing but what is left of these is
    /// deleted; of any where there is none.
    pub gone: Option<BTreeMap<Key, OnDelete>>,
    /// What of it all is planned.
    pub selection: Selection,
}

/// What one run asks for instead of what the project says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyOverrides {
    /// What may be deleted.
    pub prune: Option<Prune>,
    /// How many deletes are too many.
    pub max_deletes: Option<MaxDeletes>,
    /// Whether everything may be deleted, as well.
    pub allow_empty: bool,
    /// Whether every credential made by hand that an entry matches is taken over, as well.
    pub adopt_all: bool,
    /// Whether nothing is set up, as well.
    pub leave_integrations: bool,
    /// Whether linked accounts of what is deleted are removed first, as well.
    pub remove_integrations: bool,
    /// The keys of what may be deleted or replaced although it is protected.
    pub allow_protected: Vec<Key>,
    /// What of it all is planned.
    pub selection: Selection,
}

/// How the command line says that nothing is set up.
const NO_SETUP: &str = "--no-setup";
/// How it says that nothing is deleted.
const PRUNE_NONE: &str = "--prune=none";

impl PolicyOverrides {
    /// The arguments that ask for it.
    pub fn arguments(&self) -> Vec<String> {
        let prune = self.prune.map(|prune| match prune {
            Prune::Nothing => PRUNE_NONE,
            Prune::Managed => "--prune=managed",
            Prune::All => "--prune=all",
        });
        let flags = [
            (self.allow_empty, "--allow-empty"),
            (self.adopt_all, "--adopt"),
            (self.leave_integrations, NO_SETUP),
            (self.remove_integrations, "--remove-integrations"),
        ];
        let flags = flags.into_iter().filter_map(|(is_given, flag)| is_given.then_some(flag));
        let max_deletes =
            self.max_deletes.map(|max_deletes| format!("--max-deletes={max_deletes}"));
        let policy = prune.into_iter().chain(flags).map(str::to_owned).chain(max_deletes);
        let allowed = self.allow_protected.iter().map(|key| format!("--allow-protected={key}"));
        policy.chain(allowed).chain(self.selection.arguments()).collect()
    }

    /// The same, with what these arguments of an earlier run hold back.
    #[must_use]
    pub fn held_back_by(&self, arguments: &[String]) -> Self {
        let is_given = |argument: &str| arguments.iter().any(|given| given == argument);
        Self {
            prune: self.prune.or_else(|| is_given(PRUNE_NONE).then_some(Prune::Nothing)),
            leave_integrations: self.leave_integrations || is_given(NO_SETUP),
            selection: match self.selection.is_whole() {
                true => Selection::of_arguments(arguments),
                false => self.selection.clone(),
            },
            ..self.clone()
        }
    }
}

impl Policy {
    /// Whether what was made by hand for the client of an entry may become the entry's.
    pub fn adopts(&self, entry: &DesiredCredential) -> bool {
        self.adopt_all || entry.adopt != Adopt::No
    }

    /// Whether nothing is pruned of what has this key.
    pub fn keeps(&self, key: &Key) -> bool {
        let keys = [&self.protected, &self.suspended];
        keys.iter().any(|keys| keys.contains(key)) || self.forgets(key)
    }

    /// Whether what is left of a key that no entry has is nobody's concern any more.
    pub fn forgets(&self, key: &Key) -> bool {
        self.forgotten.contains(key)
            || self.gone.as_ref().is_some_and(|gone| !gone.contains_key(key))
    }

    /// The project's policy with what one run asks for.
    #[must_use]
    pub fn with(&self, run: &PolicyOverrides) -> Self {
        Self {
            prune: run.prune.unwrap_or(self.prune),
            max_deletes: run.max_deletes.or(self.max_deletes),
            allow_empty: self.allow_empty || run.allow_empty,
            adopt_all: self.adopt_all || run.adopt_all,
            leave_integrations: self.leave_integrations || run.leave_integrations,
            remove_integrations: self.remove_integrations || run.remove_integrations,
            protected: self
                .protected
                .iter()
                .filter(|key| !run.allow_protected.contains(key))
                .cloned()
                .collect(),
            selection: run.selection.clone(),
            ..self.clone()
        }
    }
}

/// What is done about a difference that no manifest has caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// It is repaired.
    #[default]
    Repair,
    /// It is only reported.
    Report,
}

/// What may be deleted once it is no longer declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prune {
    /// What this owner manages.
    #[default]
    Managed,
    /// Nothing.
    #[serde(rename = "none")]
    Nothing,
    /// What this owner manages, and what has no owner.
    All,
}

/// A limit of deletes in one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum MaxDeletes {
    /// So many.
    Count(usize),
    /// So many percent of the owner's credentials, rounded up.
    Percent(#[schemars(with = "String", regex(pattern = "^(100|[0-9]{1,2})%$"))] u8),
}

impl fmt::Display for MaxDeletes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for MaxDeletes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is neither a number nor a percentage such as 20%");
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse::<u8>().map_err(wrong)? {
                percent @ 0..=100 => Ok(Self::Percent(percent)),
                _ => Err(format!("`{text}` is more than 100%")),
            },
            None => text.parse().map(Self::Count).map_err(wrong),
        }
    }
}

impl MaxDeletes {
    /// How many deletes it allows where so many credentials are managed.
    pub fn allowed(self, managed: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (managed * usize::from(percent)).div_ceil(100),
        }
    }
}
