//! What a plan does not do, and what it does not know, each with its reason.

use smol_str::SmolStr;

use super::action::Action;
use crate::model::{ConfigEntry, Domain, Held, Key};

/// Something about an entry that cannot be known from what is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The entry.
    pub key: Key,
    /// The integration.
    pub domain: Domain,
    /// As HA shows it.
    pub name: SmolStr,
    /// What is not known.
    pub what: Unknowable,
}

/// What a plan without keys may not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknowable {
    /// Whether the target holds the entry's secret.
    Secret,
    /// For which client the entry is.
    ClientId,
}

/// Something that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What would have been done.
    pub action: Action,
    /// Why it is not.
    pub why: Why,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Linked accounts use it.
    InUse {
        /// These.
        by: Vec<ConfigEntry>,
    },
    /// Somebody else made a credential for this client.
    Foreign {
        /// This one.
        held: Held,
    },
    /// The policy says to delete nothing.
    PruneOff,
    /// More deletes than the policy allows; nothing of this plan may be applied.
    TooManyDeletes {
        /// So many are planned.
        planned: usize,
        /// So many are allowed.
        allowed: usize,
    },
    /// No entry is left, which is more often a mistake than a wish.
    NothingDesired,
    /// Some manifest could not be read; it may want this credential.
    Unread,
}

impl Why {
    /// A stable name for it, as in `in_use`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in_use",
            Self::Foreign { .. } => "foreign",
            Self::PruneOff => "prune_off",
            Self::TooManyDeletes { .. } => "too_many_deletes",
            Self::NothingDesired => "nothing_desired",
            Self::Unread => "unread",
        }
    }
}
