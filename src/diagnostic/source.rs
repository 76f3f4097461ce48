//! A file that a person wrote, kept so that a problem can show its line.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use crate::model::is_hidden;

/// A range of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// After the last byte.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first byte in characters, from 1.
    pub column: u32,
}

impl Span {
    /// Of this range of a text.
    pub fn of(text: &str, range: Range<usize>) -> Self {
        let before = &text[..range.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Self {
            start: range.start,
            end: range.end,
            line: count(before.matches('\n').count()),
            column: count(before[line_start..].chars().count()),
        }
    }
}

/// Which bytes of a text may be secret.
pub type Mask = fn(&str) -> Vec<Range<usize>>;

/// A file's text, wiped when dropped. Only [`SourceFile::redacted`] may be shown.
pub struct SourceFile {
    path: PathBuf,
    text: Arc<Zeroizing<String>>,
    mask: Mask,
    /// What was found to be secret as well.
    secret: Vec<Range<usize>>,
}

impl SourceFile {
    /// Keeps a text; `mask` finds what in it may be secret, and is asked only when a problem is shown.
    pub fn new(path: PathBuf, text: impl Into<String>, mask: Mask) -> Self {
        Self { path, text: Arc::new(Zeroizing::new(text.into())), mask, secret: Vec::new() }
    }

    /// The same file, of which these ranges are not shown either.
    #[must_use]
    pub fn hiding(&self, secret: Vec<Range<usize>>) -> Self {
        let (path, text) = (self.path.clone(), Arc::clone(&self.text));
        Self { path, text, mask: self.mask, secret }
    }

    /// The file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of the text, secrets included.
    pub fn text(&self) -> &Arc<Zeroizing<String>> {
        &self.text
    }

    /// The text as it may be shown: each range of a line that may be secret is a mask that says nothing
    /// of its length, and a hidden character is a replacement character. Line breaks stay.
    pub fn redacted(&self) -> Redacted {
        let mut secret = vec![false; self.text.len()];
        for range in (self.mask)(&self.text).iter().chain(&self.secret) {
            secret[range.clone()].fill(true);
        }
        let mut redacted =
            Redacted { text: String::with_capacity(self.text.len()), cuts: Vec::new() };
        let mut open: Option<(usize, usize)> = None;
        for (at, character) in self.text.char_indices() {
            let is_line_break = matches!(character, '\n' | '\r');
            if secret[at] && !is_line_break {
                open.get_or_insert((at, redacted.text.len()));
                continue;
            }
            redacted.close(open.take(), at);
            redacted.text.push(replacement(character));
        }
        redacted.close(open.take(), self.text.len());
        redacted
    }
}

/// What is shown in place of a secret.
const MASK: &str = "********";

/// A hidden character is replaced by another of the same length, so that places stay.
fn replacement(character: char) -> char {
    match character.len_utf8() {
        _ if matches!(character, '\n' | '\r' | '\t') || !is_hidden(character) => character,
        1 => '?',
        2 => '¿',
        3 => char::REPLACEMENT_CHARACTER,
        _ => '🞶',
    }
}

/// A text with its secrets masked, in which places of the original are found.
pub struct Redacted {
    /// The text.
    pub text: String,
    cuts: Vec<Cut>,
}

/// A range of the original and the mask that replaces it.
struct Cut {
    original: Range<usize>,
    mask: Range<usize>,
}

impl Redacted {
    fn close(&mut self, open: Option<(usize, usize)>, end: usize) {
        let Some((start, mask)) = open else { return };
        self.text.push_str(MASK);
        self.cuts.push(Cut { original: start..end, mask: mask..self.text.len() });
    }

    /// Where a byte of the original is; within a secret, the end of its mask.
    pub fn position(&self, original: usize) -> usize {
        let before = self.cuts.partition_point(|cut| cut.original.start < original);
        match before.checked_sub(1).and_then(|last| self.cuts.get(last)) {
            None => original,
            Some(cut) if original < cut.original.end => cut.mask.end,
            Some(cut) => cut.mask.end + (original - cut.original.end),
        }
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceFile").field(&self.path).finish()
    }
}
