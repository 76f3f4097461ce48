//! The accounts that an entry names, for programs.

use schemars::JsonSchema;
use serde::Serialize;

use super::set_up::SetUp;
use crate::model::AccountName;

/// One of the accounts that an entry names, as JSON.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NamedAccount<'a> {
    /// What the entry calls it.
    pub(crate) name: &'a AccountName,
    #[serde(flatten)]
    pub(crate) set_up: SetUp<'a>,
}

/// How far the set-ups of an entry are: its only one, or else that of each account it names.
pub(super) fn split<'a>(
    set_ups: impl Iterator<Item = (Option<&'a AccountName>, SetUp<'a>)>,
) -> (Option<SetUp<'a>>, Vec<NamedAccount<'a>>) {
    let (mut only, mut accounts) = (None, Vec::new());
    for (name, set_up) in set_ups {
        match name {
            Some(name) => accounts.push(NamedAccount { name, set_up }),
            None => only = Some(set_up),
        }
    }
    (only, accounts)
}
