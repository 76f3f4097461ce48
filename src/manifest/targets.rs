//! Which targets want an entry.

use std::collections::BTreeSet;

use crate::model::TargetName;

/// On which targets an entry is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// On every one.
    All,
    /// On these alone.
    Only(BTreeSet<TargetName>),
}

impl Targets {
    /// Whether this target is one of them.
    pub fn include(&self, target: &TargetName) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(target),
        }
    }

    /// Whether there is a target that is among both.
    pub fn overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Only(these), Self::Only(those)) => !these.is_disjoint(those),
            _ => true,
        }
    }
}
