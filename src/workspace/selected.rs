//! Which entries are meant: by patterns, or each by what people call it.

use std::collections::BTreeSet;

use thiserror::Error;

use super::TargetView;
use crate::manifest::Entry;
use crate::model::{
    ClientId, Domain, Glob, Key, Policy, PolicyOverrides, Reference, Selection, is_id_of_client,
};
use crate::suggest::{self, listed};

/// Why no entry is meant.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoSuchEntry {
    /// None is called so.
    #[error("{}", suggest::missing(.kind, .name, .known.iter().map(String::as_str)))]
    Unknown {
        /// What is called so.
        kind: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: BTreeSet<String>,
    },
    /// All parts of a selection mean something, and nothing has all of them.
    #[error("no entry matches all of {selection}")]
    Nothing {
        /// Its arguments.
        selection: String,
    },
    /// Several are.
    #[error("`{name}` may be each of {}: name one of these keys", listed(.keys.iter().map(Key::as_str)))]
    Several {
        /// The name.
        name: String,
        /// Their keys.
        keys: BTreeSet<Key>,
    },
}

/// Checks that each pattern of a selection means something, and that they do so together: one that is
/// mistyped would select nothing, or exclude nothing. Of what is known there are the keys, of which what nobody
/// manages has none, and the integration.
///
/// # Errors
/// Where one means nothing, or nothing is selected.
pub fn check_selection<'k, K: IntoIterator<Item = &'k Key> + Clone>(
    selection: &Selection,
    known: impl Iterator<Item = (K, &'k Domain)>,
) -> Result<(), NoSuchEntry> {
    if selection.is_whole() || selection.may_be_nothing {
        return Ok(());
    }
    let (mut all_keys, mut domains, mut is_any) = (BTreeSet::new(), BTreeSet::new(), false);
    let mut present_keys = BTreeSet::new();
    for (keys, domain) in known {
        is_any |= selection.includes(keys.clone(), domain);
        // Earlier keys follow the present one; who has mistyped one is led to that.
        present_keys.extend(keys.clone().into_iter().next().map(ToString::to_string));
        all_keys.extend(keys.into_iter().map(ToString::to_string));
        domains.insert(domain.to_string());
    }
    let unmet = |globs: &[Glob], known: &BTreeSet<String>, offered: &BTreeSet<String>, kind| {
        let is_unmet = |glob: &&Glob| !known.iter().any(|known| glob.matches(known));
        let glob = globs.iter().find(is_unmet)?;
        let (name, known) = (glob.to_string(), offered.clone());
        Some(NoSuchEntry::Unknown { kind, name, known })
    };
    let unmet = unmet(&selection.keys, &all_keys, &present_keys, "entry with the key")
        .or_else(|| unmet(&selection.excluded, &all_keys, &present_keys, "entry with the key"))
        .or_else(|| unmet(&selection.domains, &domains, &domains, "entry of the integration"));
    match unmet {
        Some(unmet) => Err(unmet),
        None if !is_any => Err(NoSuchEntry::Nothing { selection: selection.arguments().join(" ") }),
        None => Ok(()),
    }
}

/// The same for the targets that were looked at, and that each key of `--allow-protected` is there. What targets
/// hold is selected as well, such as what no entry declares any more. Where one is not known, that is what is
/// wrong.
pub(super) fn check_views(
    run: &PolicyOverrides,
    project: &Policy,
    views: &[TargetView],
) -> Result<(), NoSuchEntry> {
    if views.iter().any(|view| view.comparison.is_err()) {
        return Ok(());
    }
    let entries = views.iter().flat_map(|view| view.entries.values());
    let entries = entries.map(|entry| (entry.keys().collect::<Vec<&Key>>(), &entry.domain.value));
    let known = views.iter().filter_map(|view| view.comparison.as_ref().ok());
    let held = known.flat_map(|known| &known.observed.credentials);
    let held: Vec<(Option<Key>, &Domain)> = held
        .map(|held| {
            (held.mark().or_else(|| Some(held.claim()?.mark)).map(|mark| mark.key), &held.domain)
        })
        .collect();
    let held = held.iter().map(|(key, domain)| (key.iter().collect(), *domain));
    let known: Vec<(Vec<&Key>, &Domain)> = entries.chain(held).collect();
    let is_known = |key: &Key| known.iter().any(|(keys, _)| keys.contains(&key));
    let mut allowed = run.allow_protected.iter();
    if let Some(key) = allowed.find(|key| !is_known(key) && !project.protected.contains(key)) {
        let known = known.iter().filter_map(|(keys, _)| keys.first().copied());
        return Err(NoSuchEntry::Unknown {
            kind: "entry or credential with the key",
            name: key.to_string(),
            known: known.chain(&project.protected).map(ToString::to_string).collect(),
        });
    }
    check_selection(&run.selection, known.into_iter())
}

/// The key of the one entry that is called so: by its key, or else by its name or by the id that Home
/// Assistant gives its credential.
///
/// # Errors
/// Where none or several are.
pub fn find_entry<'e>(
    name: &str,
    entries: impl IntoIterator<Item = &'e Entry>,
) -> Result<Key, NoSuchEntry> {
    let (mut keys, mut known) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        let key = &entry.key.value;
        if key.as_str() == name {
            return Ok(key.clone());
        }
        let client_id = match &entry.client_id.value {
            Reference::Plain(id) => Some(ClientId::new(id.expose())),
            _ => None,
        };
        let is_id = client_id.is_some_and(|id| is_id_of_client(name, &entry.domain.value, &id));
        if is_id || entry.name.value.eq_ignore_ascii_case(name) {
            keys.insert(key.clone());
        }
        known.insert(key.to_string());
    }
    let mut found = keys.iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => {
            Err(NoSuchEntry::Unknown { kind: "entry with the key", name: name.to_owned(), known })
        }
        _ => Err(NoSuchEntry::Several { name: name.to_owned(), keys }),
    }
}
