//! Why a line is not changed in place.

use std::ops::Range;

use thiserror::Error;

use super::YamlEditError;
use super::reread::is_readable;

/// What is in the way of a change.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Obstacle {
    /// Others have it by an anchor.
    #[error(
        "has an anchor (`&`) that is used elsewhere, which would change too: change it by hand"
    )]
    Anchor,
    /// It is written elsewhere.
    #[error(
        "has it from elsewhere in the file, by an alias (`*`) or `<<`: change it there by hand"
    )]
    Alias,
    /// It is a tab alone, which other readers of YAML refuse.
    #[error("has nothing but a tab, and other readers of YAML refuse the file for it: remove it")]
    Tab,
    /// Its key is there twice.
    #[error("has a key that is in the file before: keep one of the two")]
    Twice,
    /// How it is written.
    #[error("is written in a way that cannot be changed in place: change it by hand")]
    Form,
}

impl YamlEditError {
    /// That what is at this place of a text cannot be changed, with the reason as far as it is seen there.
    pub fn unfit(text: &str, at: Range<usize>) -> Self {
        let start = at.start.min(text.len());
        // An anchor may be on a line of its own before what it names.
        let before = text[..start].trim_end();
        let anchor = before.rfind(char::is_whitespace).map_or(0, |end| end + 1);
        let first = if before[anchor..].starts_with('&') { anchor } else { start };
        let from = text[..first].rfind('\n').map_or(0, |end| end + 1);
        let to = text[at.end.min(text.len())..].find('\n').map_or(text.len(), |end| at.end + end);
        let line = u32::try_from(text[..first].matches('\n').count() + 1).unwrap_or(u32::MAX);
        let lines = &text[from..to];
        let is_used = |name: &str| names(text, '*').any(|used| used == name);
        let tab = || Some(Self::Line(line_of_tabs(text)?, Obstacle::Tab));
        let has_alias = names(lines, '*').next().is_some() || lines.contains("<<");
        if names(lines, '&').any(is_used) {
            Self::Line(line, Obstacle::Anchor)
        } else if has_alias {
            Self::Line(line, Obstacle::Alias)
        } else {
            tab().unwrap_or(Self::Line(line, Obstacle::Form))
        }
    }
}

/// The first line that has nothing but a tab, where that keeps another reader of YAML from reading the text.
fn line_of_tabs(text: &str) -> Option<u32> {
    let is_of_tabs = |line: &str| line.trim().is_empty() && line.contains('\t');
    let at = text.lines().position(is_of_tabs)?;
    let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
    (!is_readable(text)).then_some(line)
}

/// The names behind this character, of anchors or of aliases.
fn names(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let words = text.split([' ', '\t', '\n', '\r', ',', '[', ']', '{', '}']);
    words.filter_map(move |word| word.strip_prefix(sign)).filter(|name| !name.is_empty())
}
