//! Comments, which SOPS encrypts like values, each for the place where it is.

use secrecy::zeroize::Zeroizing;

use super::cipher::{COMMENT, EncryptedValue};
use super::layout::Layout;
use super::unlocked::Places;
use super::write::OpenedSopsDocument;
use super::write_error::SopsWriteError;
use crate::model::sops::Tree;
use crate::yaml;
use crate::yaml_edit::TextChanges;

impl OpenedSopsDocument<'_> {
    /// What an encrypted comment says.
    pub(super) fn comment(&self, text: &str, body: &str, at: usize) -> Option<Zeroizing<String>> {
        let sealed =
            EncryptedValue::parse(text.trim_end()).filter(|sealed| sealed.kind == COMMENT)?;
        let likely = self.layout.path_of_comment(body, at);
        let mut places = Places::new(self.tree());
        // To which collection SOPS reckoned it shows by what opens it.
        let bytes = std::iter::once(likely).chain(self.layout.paths()).find_map(|path| {
            let mut bytes = Zeroizing::new(Vec::with_capacity(sealed.room()));
            let place = places.of(path).as_bytes();
            self.unlocked.key.open(&sealed, place, &mut bytes).map(|()| bytes)
        })?;
        let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains(['\n', '\r']))?;
        Some(Zeroizing::new(text.to_owned()))
    }

    /// Encrypts the comments that SOPS would.
    pub(super) fn seal_comments(
        &self,
        tree: Tree<'_>,
        layout: &Layout,
        changes: &mut TextChanges<'_>,
    ) -> Result<(), SopsWriteError> {
        let body = tree.text;
        let selected = self.unlocked.selection.of(tree);
        let mut places = Places::new(tree);
        let mut old = self.old_comments()?;
        for span in yaml::comments(body) {
            let text = &body[span.start + 1..span.end];
            let path = layout.path_of_comment(body, span.start);
            let is_sealed = EncryptedValue::parse(text.trim_end()).is_some();
            if text.is_empty() || is_sealed || !selected.has(path) {
                continue;
            }
            let is_same = |old: &OldComment<'_>| {
                *old.plain == *text && old.keys.iter().copied().eq(tree.backwards(path))
            };
            let sealed = match old.iter().position(is_same) {
                Some(same) => old.remove(same).written.to_owned(),
                None => self.sealed(text.as_bytes(), COMMENT, places.of(path))?,
            };
            changes.replace(span.start + 1..span.end, sealed);
        }
        Ok(())
    }

    /// The comments that are encrypted, or should be.
    fn old_comments(&self) -> Result<Vec<OldComment<'_>>, SopsWriteError> {
        let before = self.body()?;
        let tree = self.tree();
        let selected = self.unlocked.selection.of(tree);
        let comments = yaml::comments(before).into_iter().filter_map(|span| {
            let written = &before[span.start + 1..span.end];
            let path = self.layout.path_of_comment(before, span.start);
            let plain = match self.comment(written, before, span.start) {
                Some(plain) => plain,
                // One that was left in plain text stays so until it is changed.
                None if selected.has(path) => Zeroizing::new(written.to_owned()),
                None => return None,
            };
            Some(OldComment { keys: tree.backwards(path).collect(), plain, written })
        });
        Ok(comments.collect())
    }
}

/// A comment as it was before the change.
struct OldComment<'t> {
    /// The keys that lead to it, the last one first: it is encrypted for this place.
    keys: Vec<&'t str>,
    plain: Zeroizing<String>,
    /// As it is written in the document.
    written: &'t str,
}
