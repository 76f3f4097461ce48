//! What a document holds: every value decrypted, and verified by the document's MAC.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::SopsProblem;
use super::by_program;
use super::plain::{Plain, Plains};
use super::unlocked::UnlockedDocument;
use crate::diagnostic::Span;
use crate::model::sops::{Leaf, ParsedSops, Tree};
use crate::model::{Secret, ValueFault};
use crate::secret::{SecretResolver, Unreadable};
use crate::yaml::MERGE;

/// The values of a document.
pub(in crate::secret) struct DecryptedDocument {
    /// They in order, but for comments that are items of lists.
    pub(super) known: Vec<VerifiedValue>,
    /// What they are, in the same order.
    pub(super) plains: Plains,
}

/// A value that was found right.
#[derive(Clone, Copy)]
pub(super) struct VerifiedValue {
    /// Which of the document's leaves it is.
    pub(super) leaf: usize,
    /// Whether it is encrypted.
    pub(super) encrypted: bool,
}

impl DecryptedDocument {
    /// Opens a document of a manifest by whoever can.
    pub(in crate::secret) fn of(
        document: &ParsedSops,
        resolver: &SecretResolver,
    ) -> Result<Self, Unreadable> {
        Self::new(document.tree().map_err(SopsProblem::from)?, resolver)
    }

    /// Opens a document by an age identity, or by the program that the project names for others.
    pub(in crate::secret) fn new(
        tree: Tree<'_>,
        resolver: &SecretResolver,
    ) -> Result<Self, Unreadable> {
        match UnlockedDocument::new(tree, resolver) {
            Ok(unlocked) => Ok(unlocked.document),
            Err(why) => by_program::open(tree, why, resolver),
        }
    }

    /// Its values with what they are.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = (VerifiedValue, Plain<'_>)> {
        let plain = |at| self.plains.get(at);
        self.known.iter().enumerate().filter_map(move |(at, known)| Some((*known, plain(at)?)))
    }

    /// The value whose text begins at this byte of the document.
    pub(in crate::secret) fn at(
        &self,
        at: usize,
        document: &ParsedSops,
    ) -> Result<Secret, Unreadable> {
        let leaf = document.tree().map_err(SopsProblem::from)?.parts.leaf_at(at);
        let known =
            leaf.and_then(|leaf| self.known.binary_search_by_key(&leaf, |known| known.leaf).ok());
        let plain = known.and_then(|known| self.plains.get(known));
        plain.map_or(Err(Unreadable::Unfit(ValueFault::Empty)), Plain::text)
    }

    /// The one value of a document that has no other.
    pub(in crate::secret) fn only(&self) -> Result<Secret, Unreadable> {
        let mut values = self.values();
        match (values.next(), values.next()) {
            (Some((_, plain)), None) => plain.text(),
            _ => Err(Unreadable::NotOneValue),
        }
    }

    /// The values by the keys that lead to them, with a slash between. Those in a list, which share their keys, are no
    /// secrets, and neither is one of two that have the same name: each command of SOPS takes another of them. What a
    /// mapping has itself goes before what `<<` merges into it.
    pub(in crate::secret) fn by_name(
        &self,
        tree: Tree<'_>,
    ) -> BTreeMap<String, Result<Secret, Unreadable>> {
        let mut named: BTreeMap<String, NamedLeaf<'_>> = BTreeMap::new();
        for (known, plain) in self.values() {
            let Some(leaf) = tree.parts.leaves.get(known.leaf) else { continue };
            let mut keys = tree.keys(leaf.path);
            let all = keys.len();
            keys.retain(|key| *key != MERGE);
            if keys.is_empty() {
                continue;
            }
            let value = match leaf.in_list {
                true => Err(in_list(leaf.at, tree.text)),
                false => plain.text(),
            };
            let found = NamedLeaf { leaf, merges: all - keys.len(), value };
            match named.entry(keys.join("/")) {
                Entry::Vacant(entry) => drop(entry.insert(found)),
                Entry::Occupied(mut entry) => entry.get_mut().meets(found, tree.text),
            }
        }
        named.into_iter().map(|(name, found)| (name, found.value)).collect()
    }
}

/// A value with a name.
struct NamedLeaf<'d> {
    leaf: &'d Leaf,
    /// How many `<<` lead to it.
    merges: usize,
    value: Result<Secret, Unreadable>,
}

impl NamedLeaf<'_> {
    /// Another one has the same name.
    fn meets(&mut self, other: Self, text: &str) {
        if other.merges < self.merges {
            *self = other;
        } else if other.merges == self.merges && !other.leaf.in_list {
            let line = |leaf: &Leaf| line(leaf.at, text);
            self.value = Err(Unreadable::Twice { lines: [line(self.leaf), line(other.leaf)] });
        }
    }
}

fn line(at: u32, text: &str) -> u32 {
    Span::of(text, at as usize..at as usize).line
}

fn in_list(at: u32, text: &str) -> Unreadable {
    let help = "a secret has a name of its own: write it outside of the list";
    Unreadable::NotText { line: line(at, text), what: "in a list", help }
}
