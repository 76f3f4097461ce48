//! What a document held before it was changed.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plain::Plain;
use crate::model::sops::{Leaf, Path, ScalarStyle, Tree};

/// The ciphertext that was there, for what is there still.
pub(super) struct PreviousCiphertext<'o> {
    text: &'o str,
    by_path: BTreeMap<Vec<&'o str>, Vec<(&'o Leaf, Plain<'o>)>>,
}

impl<'o> PreviousCiphertext<'o> {
    /// Of these values of a document, each with what it is and whether it is encrypted.
    pub(super) fn new(
        tree: Tree<'o>,
        values: impl Iterator<Item = (&'o Leaf, Plain<'o>, bool)>,
    ) -> Self {
        let mut by_path: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (leaf, plain, encrypted) in values {
            if encrypted && leaf.form != ScalarStyle::Block {
                let keys = tree.backwards(leaf.path).collect();
                by_path.entry(keys).or_default().push((leaf, plain));
            }
        }
        Self { text: tree.text, by_path }
    }

    /// Each once, so that two values never show that they are the same.
    pub(super) fn take(&mut self, tree: Tree<'o>, path: Path, plain: Plain<'_>) -> Option<&'o str> {
        let keys: Vec<&str> = tree.backwards(path).collect();
        let same = self.by_path.get_mut(keys.as_slice())?;
        let found = same.iter().position(|(_, known)| *known == plain)?;
        let (leaf, _) = same.remove(found);
        Some(&self.text[stretch(leaf)])
    }
}

/// Where a value is.
pub(super) fn stretch(leaf: &Leaf) -> Range<usize> {
    leaf.at as usize..leaf.end as usize
}
