//! Other values in the place of those of a file.

use std::collections::BTreeMap;

use secrecy::zeroize::Zeroizing;
use serde::de::IgnoredAny;

use crate::diagnostic::Span;
use crate::model::Secret;
use crate::yaml;

use super::YamlEditError;
use super::change::TextChanges;
use super::geometry::{block_end, line_break, line_start, next_line};
use super::reread::agrees;
use super::same::same;
use super::slots::{Shape, Slot, SlotValue};
use super::write::{indented, quoted, word};

/// What is to be put into a slot.
#[derive(Clone, Copy, Debug)]
pub enum NewValue<'n> {
    /// An armored age file.
    Age(&'n str),
    /// A secret in plain text.
    Plain(&'n Secret),
    /// What was in a slot before, byte for byte where it fits.
    Old(&'n OldLayout),
}

/// How an armored age file was laid out in its slot.
#[derive(Clone, Debug)]
pub struct OldLayout {
    armored: String,
    /// All of it, or the `|` of a block.
    head: String,
    /// The lines of a block.
    lines: String,
    column: Option<usize>,
}

impl NewValue<'_> {
    /// The value that will be read.
    fn text(&self) -> &str {
        match self {
            Self::Age(armored) => armored,
            Self::Plain(secret) => secret.expose(),
            Self::Old(old) => &old.armored,
        }
    }
}

impl Slot {
    /// How the slot is laid out in its text; `None` where it holds no age file.
    pub fn old(&self, text: &str) -> Option<OldLayout> {
        let SlotValue::Age(armored) = &self.held else { return None };
        let span = self.span;
        let (head, lines, column) = match self.shape {
            Shape::Flow => (&text[span.start..span.end], "", None),
            Shape::Lines { column } => (&text[span.start..span.end], "", Some(column)),
            Shape::Block { column, header } => {
                let content = line_start(text, span.start)..block_end(text, span.start);
                (&text[header.0..header.1], &text[content], Some(column))
            }
        };
        let (armored, head, lines) = (armored.clone(), head.to_owned(), lines.to_owned());
        Some(OldLayout { armored, head, lines, column })
    }
}

/// Puts other values in the place of what slots hold; a slot is one of [`super::slots`] of the same text.
///
/// # Errors
/// Where more than these values would change.
pub fn put(text: &str, new: &[(&Slot, NewValue<'_>)]) -> Result<String, YamlEditError> {
    let mut changes = TextChanges::new(text);
    let line_break = line_break(text);
    // JSON is YAML, and must stay JSON.
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    for (slot, new) in new {
        let end = match slot.shape {
            Shape::Block { header, .. } => header.1,
            Shape::Flow | Shape::Lines { .. } => slot.span.end,
        };
        let in_quotes = is_json || yaml::may_go_on(&text[end..]);
        replace(&mut changes, text, slot, &written(*new, slot.shape, line_break, in_quotes));
    }
    let unfit = || {
        let first = new.first().map(|(slot, _)| slot.span.start..slot.span.end);
        YamlEditError::unfit(text, first.unwrap_or_default())
    };
    let made = changes.made().ok_or_else(unfit)?;
    let (before, after) = (yaml::parse(text), yaml::parse(&made));
    let by_start: BTreeMap<usize, &NewValue<'_>> =
        new.iter().rev().map(|(slot, new)| (slot.span.start, new)).collect();
    let changed = |start: usize| by_start.get(&start).map(|new| new.text().to_owned());
    let is_same = after.faults.is_empty()
        && agrees(&made, &after)
        && before.documents.len() == after.documents.len()
        && before
            .documents
            .iter()
            .zip(&after.documents)
            .all(|(before, after)| same(before, after, &changed));
    if is_same { Ok(made) } else { Err(unfit()) }
}

/// A value as YAML: the text after its key, and the lines below it.
struct ValueText {
    head: Zeroizing<String>,
    lines: String,
}

fn written(new: NewValue<'_>, shape: Shape, line_break: &str, in_quotes: bool) -> ValueText {
    let one_line = |head: String| ValueText { head: Zeroizing::new(head), lines: String::new() };
    match (new, shape) {
        (NewValue::Plain(secret), _) if in_quotes => one_line(quoted(secret.expose())),
        (NewValue::Plain(secret), _) => one_line(word(secret.expose())),
        (NewValue::Old(old), _) if old.lines.is_empty() => one_line(old.head.clone()),
        (NewValue::Old(old), Shape::Lines { column } | Shape::Block { column, .. })
            if old.column == Some(column) =>
        {
            ValueText { head: Zeroizing::new(old.head.clone()), lines: old.lines.clone() }
        }
        (NewValue::Age(_) | NewValue::Old(_), Shape::Flow) => {
            one_line(quoted(&format!("{}\n", new.text().trim_end())))
        }
        (
            NewValue::Age(_) | NewValue::Old(_),
            Shape::Lines { column } | Shape::Block { column, .. },
        ) => {
            let lines = indented(new.text(), column + 2, line_break);
            ValueText { head: Zeroizing::new("|".to_owned()), lines }
        }
    }
}

fn replace(changes: &mut TextChanges<'_>, text: &str, slot: &Slot, written: &ValueText) {
    let Span { start, end, .. } = slot.span;
    let head = written.head.as_str();
    let (lines, from) = match slot.shape {
        Shape::Flow | Shape::Lines { .. } => {
            changes.replace(start..end, head);
            let next = next_line(text, end);
            (next..next, next)
        }
        Shape::Block { header, .. } => {
            changes.replace(header.0..header.1, head);
            let content = line_start(text, start);
            (content..block_end(text, start), content)
        }
    };
    // The last line of a file may have no line break.
    let is_closed = from == 0 || text[..from].ends_with('\n') || written.lines.is_empty();
    let opened = if is_closed { "" } else { line_break(text) };
    if !lines.is_empty() || !written.lines.is_empty() {
        changes.replace(lines, format!("{opened}{}", written.lines));
    }
}
