//! Which entries are meant: by patterns, or each by what people call it.

use std::collections::BTreeSet;
use std::sync::Arc;

use thiserror::Error;

use super::TargetView;
use crate::desired::Needed;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode};
use crate::manifest::{Entry, Project};
use crate::model::{
    ClientId, Domain, Glob, Key, Policy, PolicyOverrides, Reference, Selection, TargetName,
    is_id_of_client,
};
use crate::suggest::{self, listed};

/// The entries that a run is about.
pub(super) struct EntrySelection {
    pub(super) targets: BTreeSet<TargetName>,
    pub(super) selection: Selection,
}

impl EntrySelection {
    /// What of an entry is read.
    pub(super) fn needed(&self, entry: &Entry) -> Needed {
        if !entry.targets.include_any(&self.targets) {
            Needed::Nothing
        } else if self.selection.includes(entry.keys(), &entry.domain.value) {
            Needed::Client
        } else {
            Needed::IdAlone
        }
    }
}

const NAMED: &str = "entry or credential with the key";

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

/// The keys that mean something: of entries, each with its earlier ones, and of what the targets hold, such as what no
/// entry declares any more.
pub(super) struct KnownKeys<'v> {
    all: Vec<(Vec<Key>, &'v Domain)>,
}

impl<'v> KnownKeys<'v> {
    /// Of the targets that were looked at, and of all entries where some target was not; none where one of those is
    /// not known.
    pub(super) fn new(views: &'v [TargetView], elsewhere: &'v [Arc<Entry>]) -> Option<Self> {
        let of_entry = |entry: &'v Entry| (entry.keys().cloned().collect(), &entry.domain.value);
        let mut all: Vec<(Vec<Key>, &Domain)> =
            elsewhere.iter().map(Arc::as_ref).map(of_entry).collect();
        for view in views {
            let known = view.comparison.as_ref().ok()?;
            all.extend(view.entries.values().map(Arc::as_ref).map(of_entry));
            let held = known.observed.credentials.iter();
            all.extend(held.map(|held| {
                (held.own_mark().map(|mark| mark.key).into_iter().collect(), &held.domain)
            }));
        }
        Some(Self { all })
    }

    /// Checks the selection of a run, and that each key of `--allow-protected` is there.
    ///
    /// # Errors
    /// Where one means nothing, or nothing is selected.
    pub(super) fn check(&self, run: &PolicyOverrides, project: &Policy) -> Result<(), NoSuchEntry> {
        let mut allowed = run.allow_protected.iter();
        if let Some(key) = allowed.find(|key| !self.has(key) && !project.protected.contains(key)) {
            return Err(NoSuchEntry::Unknown {
                kind: NAMED,
                name: key.to_string(),
                known: self.offered().chain(&project.protected).map(Key::to_string).collect(),
            });
        }
        check_selection(&run.selection, self.all.iter().map(|(keys, domain)| (keys, *domain)))
    }

    /// The keys that the project protects and that nothing has: one that is mistyped protects nothing.
    pub(super) fn check_protected(&self, project: &Project) -> Diagnostics {
        let unknown = project.protected_keys.iter().filter(|key| !self.has(&key.value));
        let report = |key: &Located<Key>| {
            let known = self.offered().map(Key::as_str);
            let message = suggest::missing(NAMED, key.value.as_str(), known);
            let message = format!("`protect` protects nothing by this key: {message}");
            Diagnostic::warning(ProblemCode::PolicyKey, message).at(&key.spot.file, key.spot.span)
        };
        let mut problems = Diagnostics::default();
        unknown.map(report).for_each(|problem| problems.push(problem));
        problems
    }

    fn has(&self, key: &Key) -> bool {
        self.all.iter().any(|(keys, _)| keys.contains(key))
    }

    /// Earlier keys follow the present one; who has mistyped one is led to that.
    fn offered(&self) -> impl Iterator<Item = &Key> {
        self.all.iter().filter_map(|(keys, _)| keys.first())
    }
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
