//! Rules of what values look like.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

/// A rule of ASCII, as values are: what Unicode adds makes it slow to build. It is built for the first text that it may
/// fit, since to build all takes longer than a small plan.
pub(super) struct ValueRule {
    needs: &'static str,
    pattern: fn() -> String,
    built: OnceLock<Option<Regex>>,
}

impl ValueRule {
    /// Every text that it fits has one of the characters that it needs, if it needs any.
    pub(super) const fn new(needs: &'static str, pattern: fn() -> String) -> Self {
        Self { needs, pattern, built: OnceLock::new() }
    }

    pub(super) fn is_match(&self, text: impl AsRef<[u8]>) -> bool {
        let text = text.as_ref();
        let may_fit = self.needs.is_empty()
            || text.iter().any(|character| self.needs.as_bytes().contains(character));
        // Without the text, which may be a secret.
        debug_assert!(may_fit || !self.fits(text), "it needs none of {:?}", self.needs);
        may_fit && self.fits(text)
    }

    fn fits(&self, text: &[u8]) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    /// A test builds each.
    pub(super) fn regex(&self) -> Option<&Regex> {
        let build = || RegexBuilder::new(&(self.pattern)()).unicode(false).build().ok();
        self.built.get_or_init(build).as_ref()
    }
}
