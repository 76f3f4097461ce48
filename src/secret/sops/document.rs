//! A document as SOPS sees it: its leaves in order, each with the keys that lead to it.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::Value as Json;

use super::{SopsProblem, scalar};
use crate::yaml::{self, Node, Style};

/// The key under which SOPS keeps what it needs itself.
const METADATA: &str = "sops";

/// A parsed document.
#[derive(Default)]
pub(super) struct Document<'t> {
    /// All values in order but nulls, which SOPS leaves out as well.
    pub(super) leaves: Vec<Leaf<'t>>,
    /// What SOPS says of it.
    pub(super) metadata: Option<Json>,
}

/// A value.
pub(super) struct Leaf<'t> {
    /// The first byte of its text; in JSON, its number.
    pub(super) at: usize,
    /// The keys that lead to it; places in lists do not count.
    pub(super) path: Vec<Rc<str>>,
    pub(super) content: Content<'t>,
}

/// What a leaf holds.
pub(super) enum Content<'t> {
    /// Text.
    Text(Cow<'t, str>),
    /// A number, boolean or time, as it is hashed.
    Other(String),
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

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Takes a document apart; JSON where it begins as JSON does.
pub(super) fn parse(text: &str) -> Result<Document<'_>, SopsProblem> {
    let mut document = Document::default();
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
    for part in parsed.documents {
        document.part(part)?;
    }
    Ok(document)
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

impl<'t> Document<'t> {
    /// One of several documents in a file; each has the same metadata.
    fn part(&mut self, part: Node<'t>) -> Result<(), SopsProblem> {
        let yaml::Value::Mapping(pairs) = part.value else {
            return self.node(part, &mut Vec::new());
        };
        let mut path = Vec::new();
        for pair in pairs {
            if pair.key.text != METADATA {
                self.pair(pair, &mut path)?;
            } else if self.metadata.is_none() {
                self.metadata = Some(metadata(&pair.value));
            }
        }
        Ok(())
    }

    fn pair(&mut self, pair: yaml::Pair<'t>, path: &mut Vec<Rc<str>>) -> Result<(), SopsProblem> {
        if pair.merged {
            return Err(SopsProblem::Metadata("fits no file with `<<`, which SOPS never writes"));
        }
        path.push(Rc::from(&*pair.key.text));
        self.node(pair.value, path)?;
        path.pop();
        Ok(())
    }

    fn node(&mut self, node: Node<'t>, path: &mut Vec<Rc<str>>) -> Result<(), SopsProblem> {
        if node.alias {
            return Err(SopsProblem::Metadata(
                "fits no file with aliases, which SOPS never writes",
            ));
        }
        match node.value {
            yaml::Value::Null | yaml::Value::Lost => {}
            yaml::Value::Scalar(value) => {
                let content = match scalar::meaning(&value.text, value.style == Style::Plain) {
                    scalar::Meaning::Null => return Ok(()),
                    scalar::Meaning::Other(hashed) => Content::Other(hashed),
                    scalar::Meaning::Text => Content::Text(value.text),
                };
                self.leaves.push(Leaf { at: node.span.start, path: path.clone(), content });
            }
            yaml::Value::Sequence(items) => {
                for item in items {
                    self.node(item, path)?;
                }
            }
            yaml::Value::Mapping(pairs) => {
                for pair in pairs {
                    self.pair(pair, path)?;
                }
            }
        }
        Ok(())
    }

    fn json(&mut self, value: &Json, path: &mut Vec<Rc<str>>) {
        let content = match value {
            Json::Null => return,
            Json::Bool(value) => Content::Other(scalar::boolean(*value)),
            // SOPS takes every number of JSON for a floating one.
            Json::Number(number) => {
                Content::Other(number.as_f64().map_or_else(|| number.to_string(), scalar::float))
            }
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
        self.leaves.push(Leaf { at: self.leaves.len(), path: path.clone(), content });
    }
}
