//! Which values of a document are encrypted.

use std::sync::Arc;

use regex::Regex;

use super::SopsProblem;
use crate::model::sops::{Metadata, Path, Rule, SopsText, Tree};
use crate::secret::once_map::OnceMap;

/// What SOPS encrypts where nothing else is said: all but keys with this end.
const UNENCRYPTED: &str = "_unencrypted";

/// Regular expressions that were met, each made once: documents of one project have the same, and
/// to make one takes about as long as to decrypt a document.
#[derive(Default)]
pub(in crate::secret) struct Patterns(OnceMap<String, Option<Arc<Regex>>>);

impl Patterns {
    /// `None` where it cannot be understood.
    fn regex(&self, text: &str) -> Option<Arc<Regex>> {
        self.0.with(&text.to_owned(), || Regex::new(text).ok().map(Arc::new), Clone::clone)
    }
}

/// A key above a value that decides whether the value is encrypted.
pub(super) struct KeyRule {
    key: KeyPattern,
    /// What a match means.
    encrypts: bool,
}

enum KeyPattern {
    Ends(String),
    Matches(Arc<Regex>),
    /// No key does, but a comment above.
    Comment,
}

impl KeyRule {
    pub(super) fn new(
        metadata: &Metadata,
        document: &str,
        patterns: &Patterns,
    ) -> Result<Self, SopsProblem> {
        if metadata.by_comment {
            // Only SOPS knows which values comments choose. Nothing would show that one was exchanged.
            if metadata.mac_only_encrypted {
                return Err(SopsProblem::Metadata(
                    "chooses values by their comments and has `mac_only_encrypted`, which only `sops` can check",
                ));
            }
            return Ok(Self { key: KeyPattern::Comment, encrypts: true });
        }
        let given =
            |rule: &SopsText| Some(rule.of(document).to_owned()).filter(|text| !text.is_empty());
        let mut found = Vec::new();
        for (rule, encrypts) in [(&metadata.encrypted, true), (&metadata.unencrypted, false)] {
            let Rule { regex, suffix } = rule;
            if let Some(text) = given(regex) {
                let regex = patterns.regex(&text).ok_or(SopsProblem::Metadata(
                    "has a regular expression that cannot be understood",
                ))?;
                found.push(Self { key: KeyPattern::Matches(regex), encrypts });
            }
            found.extend(given(suffix).map(|text| Self { key: KeyPattern::Ends(text), encrypts }));
        }
        let first = found.pop();
        match first {
            _ if !found.is_empty() => {
                Err(SopsProblem::Metadata("has two rules for what is encrypted"))
            }
            Some(only) => Ok(only),
            None => Ok(Self { key: KeyPattern::Ends(UNENCRYPTED.to_owned()), encrypts: false }),
        }
    }

    /// Whether comments decide, which only SOPS itself goes by.
    pub(super) fn is_by_comment(&self) -> bool {
        matches!(self.key, KeyPattern::Comment)
    }

    /// What is encrypted of a document, by its keys.
    pub(super) fn of(&self, tree: Tree<'_>) -> Selected {
        let decides = |key: &str| match &self.key {
            KeyPattern::Ends(suffix) => key.ends_with(suffix),
            KeyPattern::Matches(regex) => regex.is_match(key),
            KeyPattern::Comment => false,
        };
        let mut encrypted = Vec::with_capacity(tree.parts.keys.len() + 1);
        encrypted.push(!self.encrypts);
        for key in &tree.parts.keys {
            let above = encrypted[key.under.index()];
            let is_decided = above == self.encrypts || decides(key.text.of(tree.text));
            encrypted.push(is_decided == self.encrypts);
        }
        Selected(encrypted)
    }
}

/// Which of a document's paths are encrypted.
pub(super) struct Selected(Vec<bool>);

impl Selected {
    /// Whether the value at the end of this path is encrypted.
    pub(super) fn has(&self, path: Path) -> bool {
        self.0[path.index()]
    }
}
