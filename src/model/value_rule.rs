//! Rules of what values look like.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

/// A rule of ASCII, as values are: what Unicode adds makes it slow to build. It is built for the first text that it may
/// fit, since to build all takes longer than a small plan.
pub(super) struct ValueRule {
    may_fit: fn(&str) -> bool,
    pattern: fn() -> String,
    built: OnceLock<Option<Regex>>,
}

impl ValueRule {
    /// `may_fit` holds for every text that the pattern fits.
    pub(super) const fn new(may_fit: fn(&str) -> bool, pattern: fn() -> String) -> Self {
        Self { may_fit, pattern, built: OnceLock::new() }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let may_fit = (self.may_fit)(text);
        // Without the text, which may be a secret.
        debug_assert!(may_fit || !self.fits(text), "it fits {:?}", (self.pattern)());
        may_fit && self.fits(text)
    }

    fn fits(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text.as_bytes()))
    }

    /// A test builds each.
    pub(super) fn regex(&self) -> Option<&Regex> {
        let build = || RegexBuilder::new(&(self.pattern)()).unicode(false).build().ok();
        self.built.get_or_init(build).as_ref()
    }
}
