//! How a document is written: where SOPS' own part is, and to which keys a comment belongs.

use std::ops::Range;

use crate::model::sops::Path;
use crate::yaml::{self, Node, Pair, Value};
use crate::yaml_edit::geometry::{dash_column, line_start, next_line, value_end};

/// The layout of a document.
#[derive(Default)]
pub(super) struct Layout {
    /// How many documents there are in the file.
    pub(super) documents: usize,
    /// What SOPS says, once in each document.
    pub(super) parts: Vec<Part>,
    marks: Vec<NodeStart>,
}

/// What SOPS says of a document.
pub(super) struct Part {
    /// The beginning of its first line.
    pub(super) start: usize,
    /// The MAC's text.
    pub(super) mac: Option<Range<usize>>,
    /// The text of the time of the last change.
    pub(super) lastmodified: Option<Range<usize>>,
    pub(super) age: Option<AgeList>,
}

/// The list of age recipients: its lines, and the column of its dashes.
pub(super) struct AgeList {
    pub(super) lines: Range<usize>,
    pub(super) dash: usize,
}

/// Where a key or an item of a list begins.
struct NodeStart {
    at: usize,
    column: usize,
    /// The keys that lead to the collection that it is in.
    under: Path,
}

impl Layout {
    /// Notes a key or an item of a list.
    pub(super) fn mark(&mut self, text: &str, at: usize, under: Path) {
        let line = line_start(text, at);
        let before = text[line..at].trim_end();
        // The dash of an item is where the item begins.
        let start = if before.ends_with('-') { before.len() - 1 } else { at - line };
        self.marks.push(NodeStart { at, column: start, under });
    }

    /// Notes how many documents there are, and what SOPS says of each.
    pub(super) fn documents(&mut self, text: &str, documents: &[Node<'_>]) {
        self.documents = documents.len();
        for document in documents {
            let Value::Mapping(pairs) = &document.value else { continue };
            for pair in pairs.iter().filter(|pair| pair.key.text == yaml::SOPS) {
                self.part(text, pair);
            }
        }
    }

    fn part(&mut self, text: &str, pair: &Pair<'_>) {
        let fields = match &pair.value.value {
            Value::Mapping(fields) => fields.as_slice(),
            _ => &[],
        };
        let field = |name: &str| fields.iter().find(|field| field.key.text == name);
        let word = |name: &str| {
            let node = &field(name)?.value;
            matches!(&node.value, Value::Scalar(_)).then(|| node.span.start..node.span.end)
        };
        self.parts.push(Part {
            start: line_start(text, pair.key.span.start),
            mac: word("mac"),
            lastmodified: word("lastmodified"),
            age: field("age").and_then(|age| age_list(&age.value, text)),
        });
    }

    /// The keys that lead to the collection that a comment belongs to.
    pub(super) fn path_of_comment(&self, text: &str, at: usize) -> Path {
        let line = line_start(text, at);
        let next = self.marks.partition_point(|mark| mark.at < at);
        let column = at - line;
        let found = if text[line..at].trim().is_empty() {
            let below = self.marks.get(next).filter(|mark| mark.column >= column);
            below.or_else(|| self.marks[..next].iter().rev().find(|mark| mark.column <= column))
        } else {
            self.marks[..next].last()
        };
        found.map_or_else(Path::default, |mark| mark.under)
    }

    /// All the collections that there are, each by the keys that lead to it.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> {
        self.marks.iter().map(|mark| mark.under)
    }
}

fn age_list(node: &Node<'_>, text: &str) -> Option<AgeList> {
    let Value::Sequence(items) = &node.value else { return None };
    let dash = dash_column(items, text)?;
    let start = line_start(text, items.first()?.span.start);
    let lines = start..value_end(node, text);
    // In `[…]`, or beside its key, it does not have the form that SOPS writes.
    let is_usual = text[start..].trim_start_matches(' ').starts_with('-')
        && lines.end <= next_line(text, lines.end.saturating_sub(1));
    is_usual.then_some(AgeList { lines, dash })
}
