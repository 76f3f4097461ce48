//! The accounts that an entry names, for programs.

use schemars::JsonSchema;
use serde::Serialize;

use super::set_up::SetUp;
use crate::model::{AccountName, ConfigEntry, EntryId};

/// One of the accounts that an entry names, as JSON.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NamedAccount<'a> {
    /// What the entry calls it.
    pub(crate) name: &'a AccountName,
    /// The linked account that has the name; left out where none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    linked: Option<LinkedAccount<'a>>,
    #[serde(flatten)]
    pub(crate) set_up: SetUp<'a>,
}

/// A linked account, as JSON.
#[derive(Serialize, JsonSchema)]
pub(super) struct LinkedAccount<'a> {
    /// Home Assistant's id of its config entry.
    entry_id: &'a EntryId,
    /// As Home Assistant shows it.
    title: &'a str,
}

impl<'a> From<&'a ConfigEntry> for LinkedAccount<'a> {
    fn from(account: &'a ConfigEntry) -> Self {
        Self { entry_id: &account.id, title: &account.title }
    }
}

/// How far the set-ups of an entry are: its only one, or else that of each account it names.
pub(super) fn split<'a>(
    set_ups: impl Iterator<Item = (Option<&'a AccountName>, SetUp<'a>)>,
) -> (Option<SetUp<'a>>, Vec<NamedAccount<'a>>) {
    let (mut only, mut accounts) = (None, Vec::new());
    for (name, set_up) in set_ups {
        match name {
            Some(name) => {
                let linked = set_up.account.map(LinkedAccount::from);
                accounts.push(NamedAccount { name, linked, set_up });
            }
            None => only = Some(set_up),
        }
    }
    (only, accounts)
}
