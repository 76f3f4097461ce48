//! A file that a person wrote, kept so that a problem can show its line.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::is_hidden;

/// A stretch of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first byte in characters, from 1.
    pub column: u32,
}

/// Which bytes of a text may be secret.
pub type Mask = fn(&str) -> Vec<Range<usize>>;

/// A file's text. Only [`SourceFile::redacted`] is fit for people's eyes.
pub struct SourceFile {
    path: PathBuf,
    text: Arc<str>,
    mask: Mask,
}

impl SourceFile {
    /// Keeps a text; `mask` finds what in it may be secret, and is asked only when a problem is shown.
    pub fn new(path: PathBuf, text: impl Into<Arc<str>>, mask: Mask) -> Self {
        Self { path, text: text.into(), mask }
    }

    /// The file, as it was named to us.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of the text, secrets included.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The text with every character that may be secret replaced by a star, and every hidden one by a
    /// replacement character; line breaks stay, and so do bytes and columns, so that a place in the text
    /// is the same place here.
    pub fn redacted(&self) -> String {
        let mut hidden = vec![false; self.text.len()];
        for range in (self.mask)(&self.text) {
            hidden[range].fill(true);
        }
        let star = |(at, character): (usize, char)| match (hidden[at], character.len_utf8()) {
            _ if matches!(character, '\n' | '\r' | '\t') => character,
            (false, _) if !is_hidden(character) => character,
            (false, 1) => '?',
            (false, 2) => '¿',
            (false, 3) => char::REPLACEMENT_CHARACTER,
            (true, 1) => '*',
            (true, 2) => '×',
            (true, 3) => '∗',
            _ => '🞶',
        };
        self.text.char_indices().map(star).collect()
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceFile").field(&self.path).finish()
    }
}
