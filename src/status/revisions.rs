//! By which versions of what declares it a target was looked at.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::model::Key;

/// The versions of what declares a target and its entries: whoever declares them knows by these of which of them
/// a status speaks. All empty where nobody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revisions {
    /// That of the target.
    pub target: SmolStr,
    /// Those of its entries, also of entries that are gone.
    pub entries: BTreeMap<Key, SmolStr>,
}
