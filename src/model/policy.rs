//! What a plan may do.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Adopt, DesiredCredential, Domain};

/// The project's rules for plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What may be deleted.
    pub prune: Prune,
    /// How many deletes are too many; no limit where there is none.
    pub max_deletes: Option<MaxDeletes>,
    /// Whether everything may be deleted when no entry is left.
    pub allow_empty: bool,
    /// Whether every credential made by hand that an entry matches is taken over.
    pub adopt_all: bool,
    /// Whether integrations are left as they are: nothing is set up.
    pub leave_integrations: bool,
    /// Whether the linked accounts of what is deleted are removed first.
    pub remove_integrations: bool,
    /// What a watcher does about what somebody else has changed at a target.
    pub on_drift: OnDrift,
    /// Integrations that HA itself does not have: planned for where the target does not list its own.
    pub custom_integrations: BTreeSet<Domain>,
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
}

impl Policy {
    /// Whether what was made by hand for the client of an entry may become the entry's.
    pub fn adopts(&self, entry: &DesiredCredential) -> bool {
        self.adopt_all || entry.adopt != Adopt::No
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

impl MaxDeletes {
    /// How many deletes it allows where so many credentials are managed.
    pub fn allowed(self, managed: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (managed * usize::from(percent)).div_ceil(100),
        }
    }
}
