//! Ranges of a text, replaced.

use std::ops::Range;

use secrecy::zeroize::Zeroizing;

/// A text and the replacements of its ranges.
pub struct TextChanges<'t> {
    text: &'t str,
    /// What comes in may be a secret.
    all: Vec<(Range<usize>, Zeroizing<String>)>,
}

impl<'t> TextChanges<'t> {
    /// No change yet.
    pub fn new(text: &'t str) -> Self {
        Self { text, all: Vec::new() }
    }

    /// Replaces a range.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<String>) {
        self.all.push((range, Zeroizing::new(with.into())));
    }

    /// Puts something between.
    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// The text with all changes made; `None` where two of them meet.
    pub fn made(mut self) -> Option<String> {
        self.all.sort_by_key(|(range, _)| (range.start, range.end));
        let mut made = String::with_capacity(self.text.len() + 512 * self.all.len());
        let mut at = 0;
        for (range, with) in &self.all {
            made.push_str(self.text.get(at..range.start)?);
            made.push_str(with);
            at = range.end;
        }
        made.push_str(self.text.get(at..)?);
        Some(made)
    }
}
