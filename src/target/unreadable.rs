//! What a target holds and nobody can read: it is named, and left alone.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A list of which some items could not be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lenient<T> {
    /// Those that could.
    pub(super) items: Vec<T>,
    /// What is wrong with the others, without any value but an id.
    pub(super) unreadable: Vec<String>,
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
                tracing::warn!(address, "{what}: it is left alone");
            }
        }
    }
}
