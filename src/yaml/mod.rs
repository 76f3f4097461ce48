//! The one YAML reader: a tree in which every value has its place.
//!
//! The tree borrows from the text. Aliases are expanded and merge keys applied while it is built,
//! within a budget. Spans are exact, so that a file can be edited in place: a quoted scalar's has its
//! quotes, a block scalar's its content alone, that of a missing value is empty.

mod build;
mod commented;
mod conflict;
mod exposed;
mod fault;
mod foreign;
mod in_lines;
mod json;
mod lines;
mod scalar;
mod sops;
mod sops_forms;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(crate) use build::{comments, parse};
pub use commented::commented_secrets;
pub(crate) use exposed::exposed_secrets;
pub use exposed::{ExposedSecret, Exposure};
pub(crate) use fault::YamlFault;
pub use in_lines::{secret_of_variable, secrets_in_lines};
pub(crate) use json::{parse_json, to_json};
pub(crate) use scalar::Kind;
pub(crate) use sops::{SOPS, is_sops, sops_document, sops_parts};
pub(crate) use sops_forms::{OtherForm, sops_in_other_form, sops_in_text, sops_in_yaml};

use secrecy::zeroize::Zeroize;
use serde_json::Value as Json;

use crate::diagnostic::Span;

/// Whether a text without quotes is text to every YAML.
pub(crate) fn is_plain_text(text: &str) -> bool {
    scalar::kind(text) == Kind::Text
}

/// Whether a text says nothing: white space, comments, marks of documents and `null` are nothing, and no
/// statement. `[]` and `{}` are one: they say that nothing is wanted.
pub(crate) fn is_empty(text: &str) -> bool {
    parse(text).is_empty()
}

/// Whether nothing is left of a text but keys without values. What was made a comment is left.
pub(crate) fn is_hollow(text: &str) -> bool {
    fn says_nothing(node: &Node<'_>) -> bool {
        let says_nothing = |pairs: &[Pair<'_>]| {
            !pairs.is_empty() && pairs.iter().all(|pair| says_nothing(&pair.value))
        };
        node.is_null() || matches!(&node.value, Value::Mapping(pairs) if says_nothing(pairs))
    }
    let parsed = parse(text);
    let is_whole = parsed.whole && parsed.faults.is_empty();
    let has_comment = || text.lines().any(|line| line.trim_start().starts_with('#'));
    let is_hollow = parsed.is_empty()
        || is_whole && parsed.documents.iter().all(says_nothing) && !has_comment();
    parsed.documents.into_iter().for_each(wipe);
    is_hollow
}

/// Wipes the texts of a value that were made for it, as those with escapes are. What the parser itself
/// copies while it reads is its own, and stays until the allocator reuses it.
pub(crate) fn wipe(node: Node<'_>) {
    match node.value {
        Value::Scalar(Scalar { text: Cow::Owned(mut text), .. }) => text.zeroize(),
        Value::Scalar(_) | Value::Null | Value::Invalid => {}
        Value::Sequence(items) => items.into_iter().for_each(wipe),
        Value::Mapping(pairs) => pairs.into_iter().for_each(|pair| wipe(pair.value)),
    }
}

/// Whether a comment that begins right behind a value may be the rest of it: the value has no quotes.
pub(crate) fn is_cut_off(node: &Node<'_>, text: &str) -> bool {
    let written = text.get(node.span.start..node.span.end).unwrap_or_default();
    let is_open = match &node.value {
        Value::Scalar(Scalar { style: Style::Plain, .. }) => true,
        Value::Scalar(Scalar { style: Style::Quoted, .. }) => !written.ends_with(['"', '\'']),
        _ => false,
    };
    is_open && !node.alias && may_go_on(text.get(node.span.end..).unwrap_or_default())
}

/// Whether a text begins with a comment that may be the rest of a value without quotes: its `#` has no space after it.
/// SOPS writes encrypted comments like this.
pub(crate) fn may_go_on(behind: &str) -> bool {
    let comment = behind.trim_start_matches([' ', '\t']).strip_prefix('#');
    comment.map(|comment| comment.trim_start_matches('#')).is_some_and(|comment| {
        !comment.is_empty()
            && !comment.starts_with(char::is_whitespace)
            && !comment.starts_with("ENC[")
    })
}

/// Home Assistant's tags for other files.
pub(crate) const INCLUDES: &[&str] = &[
    "include",
    "include_dir_list",
    "include_dir_merge_list",
    "include_dir_merge_named",
    "include_dir_named",
];
/// The key whose value is merged into its mapping.
pub(crate) const MERGE: &str = "<<";
/// How deep collections may be nested.
pub(crate) const MAX_DEPTH: usize = 64;
/// How large a file may grow once its aliases are expanded: nodes, and 64 bytes of text count as one.
pub(crate) const MAX_NODES: usize = 1_000_000;
/// How many documents a file may have.
pub(crate) const MAX_DOCUMENTS: usize = 10_000;

/// What was read from a text.
#[derive(Debug, Default)]
pub(crate) struct Parsed<'t> {
    /// The documents without a syntax problem.
    pub(crate) documents: Vec<Node<'t>>,
    /// What is wrong.
    pub(crate) faults: Vec<YamlFault>,
    /// Whether every document could be parsed.
    pub(crate) whole: bool,
    /// Whether mappings have others merged into them by `<<`.
    pub(crate) merges: bool,
}

impl<'t> Parsed<'t> {
    /// One mapping of these pairs.
    pub(crate) fn of_pairs(pairs: Vec<Pair<'t>>) -> Self {
        let value = Value::Mapping(pairs);
        let document = Node { value, tag: None, span: Span::default(), alias: false };
        Self { documents: vec![document], whole: true, ..Self::default() }
    }

    /// Whether the text says nothing ([`is_empty`]).
    pub(crate) fn is_empty(&self) -> bool {
        self.whole && self.faults.is_empty() && self.documents.iter().all(Node::is_null)
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node<'t> {
    /// The value.
    pub(crate) value: Value<'t>,
    /// The tag, where there is one that does not merely name the value's type.
    pub(crate) tag: Option<Box<Tag>>,
    /// Its place; of an expanded alias, the place of the alias.
    pub(crate) span: Span,
    /// Whether it comes from an alias, so that its content is elsewhere in the file.
    pub(crate) alias: bool,
}

/// A value of which nothing is known, for what is reported already.
pub(crate) static INVALID: Node<'static> = Node {
    value: Value::Invalid,
    tag: None,
    span: Span { start: 0, end: 0, line: 1, column: 1 },
    alias: false,
};

impl Node<'_> {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null) && self.tag.is_none()
    }
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Value<'t> {
    /// Nothing, `~` or `null`.
    Null,
    /// An alias of nothing, which is reported already.
    Invalid,
    /// A text, number or boolean.
    Scalar(Scalar<'t>),
    /// A list.
    Sequence(Vec<Node<'t>>),
    /// A mapping in the order of the file; merged pairs last.
    Mapping(Vec<Pair<'t>>),
}

/// A scalar as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar<'t> {
    /// The text, quotes and escapes resolved.
    pub(crate) text: Cow<'t, str>,
    /// How it was written.
    pub(crate) style: Style,
}

impl Scalar<'_> {
    /// What the scalar is to YAML, 1.1 and 1.2 alike.
    pub(crate) fn kind(&self) -> Kind {
        if self.style == Style::Plain { scalar::kind(&self.text) } else { Kind::Text }
    }

    /// What it says as a boolean; `None` where it is none.
    pub(crate) fn boolean(&self) -> Option<bool> {
        if self.style == Style::Plain { scalar::boolean(&self.text) } else { None }
    }
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes.
    Plain,
    /// In quotes, or said to be text by a tag.
    Quoted,
    /// Literal or folded.
    Block,
}

/// One pair of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Pair<'t> {
    /// The key.
    pub(crate) key: MappingKey<'t>,
    /// The value.
    pub(crate) value: Node<'t>,
    /// Whether it comes from `<<`, so that it is elsewhere in the file.
    pub(crate) merged: bool,
}

impl<'t> Pair<'t> {
    fn new(text: Cow<'t, str>, span: Span, value: Node<'t>) -> Self {
        Self { key: MappingKey { text, span, lost: false }, value, merged: false }
    }

    /// A pair of a file that is not YAML: a key and a text, each with its place.
    pub(crate) fn of_text(key: (&'t str, Span), (text, span): (String, Span)) -> Self {
        let value = Value::Scalar(Scalar { text: Cow::Owned(text), style: Style::Quoted });
        Self::new(Cow::Borrowed(key.0), key.1, Node { value, tag: None, span, alias: false })
    }

    /// A pair without a place.
    pub(crate) fn of_json(key: String, value: Json) -> Self {
        Self::new(Cow::Owned(key), Span::default(), json::from_json(value))
    }
}

/// The key of a pair.
#[derive(Clone, Debug)]
pub(crate) struct MappingKey<'t> {
    /// The text.
    pub(crate) text: Cow<'t, str>,
    /// Its place.
    pub(crate) span: Span,
    /// Whether it is no text, which is reported already.
    lost: bool,
}

/// A tag such as `!env_var`.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    /// The tag without its first `!`.
    pub(crate) name: String,
    /// Its place, `!` included.
    pub(crate) span: Span,
}
