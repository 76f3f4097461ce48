//! A document as SOPS sees it: its leaves in order, each with the keys that lead to it.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::Value as Json;

use super::layout::Layout;
use super::scalar::{self, Other};
use super::{Path, SopsProblem};
use crate::yaml::{self, Node, Style};

/// The key under which SOPS keeps what it needs itself.
pub(super) const METADATA: &str = "sops";

/// A parsed document.
#[derive(Default)]
pub(super) struct Document<'t> {
    /// All values in order but nulls, which SOPS leaves out as well.
    pub(super) leaves: Vec<Leaf<'t>>,
    /// What SOPS says of it.
    pub(super) metadata: Option<Json>,
    /// How it is written; of no use in JSON.
    pub(super) layout: Layout,
}

/// A value.
pub(super) struct Leaf<'t> {
    /// The first byte of its text; in JSON, its number.
    pub(super) at: usize,
    /// Behind its last byte.
    pub(super) end: usize,
    pub(super) form: Form,
    /// The keys that lead to it; places in lists do not count.
    pub(super) path: Path,
    pub(super) content: Content<'t>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With or without quotes.
    Word,
    /// The same, in `{…}` or `[…]`.
    Flow,
    /// Literal or folded.
    Block,
    /// Behind a tag of somebody's own, or in JSON.
    Strange,
}

/// What a leaf holds.
pub(super) enum Content<'t> {
    /// Text.
    Text(Cow<'t, str>),
    /// A number, boolean or time.
    Other(Other),
}

/// Whether this is a SOPS document, whole or not.
pub(in crate::secret) fn is_document(text: &str) -> bool {
    if !text.contains(METADATA) {
        return false;
    }
    if is_json(text) {
        return serde_json::from_str::<Json>(text).is_ok_and(|tree| tree.get(METADATA).is_some());
    }
    yaml::parse(text).documents.iter().any(|part| match &part.value {
        yaml::Value::Mapping(pairs) => pairs.iter().any(|pair| pair.key.text == METADATA),
        _ => false,
    })
}

pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Takes a document apart; JSON where it begins as JSON does.
pub(super) fn parse(text: &str) -> Result<Document<'_>, SopsProblem> {
    read(text, Layout::default())
}

/// The same, to be written again: its layout is noted.
pub(super) fn parse_laid_out(text: &str) -> Result<Document<'_>, SopsProblem> {
    read(text, Layout::wanted())
}

fn read(text: &str, layout: Layout) -> Result<Document<'_>, SopsProblem> {
    let mut document = Document { layout, ..Document::default() };
    if is_json(text) {
        let tree: Json = serde_json::from_str(text).map_err(|_| SopsProblem::Syntax)?;
        let Json::Object(mut fields) = tree else { return Err(SopsProblem::Syntax) };
        document.metadata = fields.shift_remove(METADATA);
        document.json(&Json::Object(fields), &mut Vec::new());
        return Ok(document);
    }
    let parsed = yaml::parse(text);
    if !parsed.whole || !parsed.faults.is_empty() {
        return Err(SopsProblem::Syntax);
    }
    let mut reader = Reader { text, document };
    for part in parsed.documents {
        reader.part(part)?;
    }
    Ok(reader.document)
}

/// What SOPS says, with all that is no boolean as text: nothing else is asked for.
fn metadata(node: &Node<'_>) -> Json {
    match &node.value {
        yaml::Value::Null | yaml::Value::Lost => Json::Null,
        yaml::Value::Scalar(scalar) => match scalar.boolean() {
            Some(value) => Json::Bool(value),
            None => Json::String(scalar.text.to_string()),
        },
        yaml::Value::Sequence(items) => items.iter().map(metadata).collect(),
        yaml::Value::Mapping(pairs) => {
            pairs.iter().map(|pair| (pair.key.text.to_string(), metadata(&pair.value))).collect()
        }
    }
}

/// Reads a document of YAML.
struct Reader<'t> {
    text: &'t str,
    document: Document<'t>,
}

/// Where the reader is.
#[derive(Clone, Copy)]
struct Around {
    is_flow: bool,
}

impl<'t> Reader<'t> {
    /// One of several documents in a file; each has the same metadata.
    fn part(&mut self, part: Node<'t>) -> Result<(), SopsProblem> {
        let around = Around { is_flow: self.is_flow(&part) };
        let layout = &mut self.document.layout;
        layout.documents += 1;
        let yaml::Value::Mapping(pairs) = part.value else {
            return self.node(part, &mut Vec::new(), around);
        };
        let mut path = Vec::new();
        for pair in pairs {
            if pair.key.text != METADATA {
                self.pair(pair, &mut path, around)?;
                continue;
            }
            self.document.layout.part(self.text, &pair);
            if self.document.metadata.is_none() {
                self.document.metadata = Some(metadata(&pair.value));
            }
        }
        Ok(())
    }

    fn is_flow(&self, node: &Node<'_>) -> bool {
        self.text[node.span.start..].starts_with(['{', '['])
    }

    fn pair(
        &mut self,
        pair: yaml::Pair<'t>,
        path: &mut Vec<Rc<str>>,
        around: Around,
    ) -> Result<(), SopsProblem> {
        if pair.merged {
            return Err(SopsProblem::Metadata("fits no file with `<<`, which SOPS never writes"));
        }
        self.document.layout.mark(self.text, pair.key.span.start, path);
        path.push(Rc::from(&*pair.key.text));
        self.node(pair.value, path, around)?;
        path.pop();
        Ok(())
    }

    fn node(
        &mut self,
        node: Node<'t>,
        path: &mut Vec<Rc<str>>,
        around: Around,
    ) -> Result<(), SopsProblem> {
        if node.alias {
            return Err(SopsProblem::Metadata(
                "fits no file with aliases, which SOPS never writes",
            ));
        }
        let around = Around { is_flow: around.is_flow || self.is_flow(&node) };
        match node.value {
            yaml::Value::Null | yaml::Value::Lost => {}
            yaml::Value::Scalar(value) => {
                let form = match value.style {
                    _ if node.tag.is_some() => Form::Strange,
                    Style::Block => Form::Block,
                    _ if around.is_flow => Form::Flow,
                    _ => Form::Word,
                };
                let content = match scalar::meaning(&value.text, value.style == Style::Plain) {
                    scalar::Meaning::Null => return Ok(()),
                    scalar::Meaning::Other(other) => Content::Other(other),
                    scalar::Meaning::Text => Content::Text(value.text),
                };
                let (at, end) = (node.span.start, node.span.end);
                self.document.leaves.push(Leaf { at, end, form, path: path.clone(), content });
            }
            yaml::Value::Sequence(items) => {
                for item in items {
                    self.document.layout.mark(self.text, item.span.start, path);
                    self.node(item, path, around)?;
                }
            }
            yaml::Value::Mapping(pairs) => {
                for pair in pairs {
                    self.pair(pair, path, around)?;
                }
            }
        }
        Ok(())
    }
}

impl Document<'_> {
    fn json(&mut self, value: &Json, path: &mut Vec<Rc<str>>) {
        let content =
            match value {
                Json::Null => return,
                Json::Bool(value) => Content::Other(Other::boolean(*value)),
                // SOPS takes every number of JSON for a floating one.
                Json::Number(number) => Content::Other(number.as_f64().map_or_else(
                    || Other { kind: "float", hashed: number.to_string() },
                    Other::float,
                )),
                Json::String(text) => Content::Text(Cow::Owned(text.clone())),
                Json::Array(items) => return items.iter().for_each(|item| self.json(item, path)),
                Json::Object(fields) => {
                    for (key, value) in fields {
                        path.push(Rc::from(key.as_str()));
                        self.json(value, path);
                        path.pop();
                    }
                    return;
                }
            };
        let (at, end) = (self.leaves.len(), self.leaves.len());
        self.leaves.push(Leaf { at, end, form: Form::Strange, path: path.clone(), content });
    }
}
