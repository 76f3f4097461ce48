//! What a target holds that is not as it should be: it is named, and the rest is used.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::model::{UnreadAccounts, Visible};

/// A list of which some items are not as they should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lenient<T, U = String> {
    /// Those that can be used.
    pub(super) items: Vec<T>,
    /// What is wrong with some, and what follows; without any value but an id.
    pub(super) unreadable: Vec<U>,
}

/// Linked accounts; of those that cannot be read it matters which integration they are of.
pub(super) type Accounts<T> = Lenient<T, UnreadAccounts>;

/// What follows from a missing secret. Such a credential is managed as any other: its secret is empty.
pub(super) const NO_SECRET: &str = "has no secret: no account can use it";

/// An item by its id, or by where it is in its list.
pub(super) fn name_of(id: Option<&str>, number: usize) -> String {
    id.map_or_else(|| format!("number {number}"), |id| id.visible().into_owned())
}

/// What is wrong with an item of this kind that cannot be used.
pub(super) fn cannot_be_read(kind: &str, name: &str) -> String {
    format!("the {kind} {name} cannot be read: it is left alone")
}

/// What was named already.
#[derive(Debug, Default)]
pub(super) struct UnreadableLog(Mutex<BTreeSet<String>>);

impl UnreadableLog {
    /// Names each thing once. None of it repeats a value but an id.
    pub(super) fn warn(&self, address: &str, unreadable: impl IntoIterator<Item = String>) {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for what in unreadable {
            if named.insert(what.clone()) {
                tracing::warn!("{address}: {what}");
            }
        }
    }
}
