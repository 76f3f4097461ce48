//! YAML values as JSON, for answers that are handed on to HA as they are, and JSON as a tree.

use std::borrow::Cow;

use serde_json::{Map, Number, Value as Json};

use super::scalar::{self, Kind};
use super::{MappingKey, Node, Pair, Parsed, Scalar, Style, Value, YamlFault};
use crate::diagnostic::{ProblemCode, Span};

/// JSON as if it had been read from YAML, but for the places: none is known. All its numbers are
/// floating ones.
pub(crate) fn from_json(json: &Json) -> Parsed<'_> {
    Parsed { documents: vec![node(json)], faults: Vec::new(), whole: true }
}

fn node(json: &Json) -> Node<'_> {
    let plain = |text| Value::Scalar(Scalar { text, style: Style::Plain });
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => plain(Cow::Borrowed(if *value { "true" } else { "false" })),
        Json::Number(number) => plain(Cow::Owned(match number.as_f64() {
            // Never without a point or an exponent.
            Some(value) => format!("{value:?}"),
            None => number.to_string(),
        })),
        Json::String(text) => {
            Value::Scalar(Scalar { text: Cow::Borrowed(text), style: Style::Quoted })
        }
        Json::Array(items) => Value::Sequence(items.iter().map(node).collect()),
        Json::Object(fields) => Value::Mapping(
            fields
                .iter()
                .map(|(key, value)| Pair {
                    key: MappingKey {
                        text: Cow::Borrowed(key),
                        span: Span::default(),
                        lost: false,
                    },
                    value: node(value),
                    merged: false,
                })
                .collect(),
        ),
    };
    Node { value, tag: None, span: Span::default(), alias: false }
}

/// The node as JSON, as HA's own reader would understand it.
pub(crate) fn to_json(node: &Node<'_>) -> Result<Json, YamlFault> {
    if let Some(tag) = &node.tag {
        return Err(YamlFault::new(
            ProblemCode::UnexpectedTag,
            tag.span,
            "a tag is not possible here",
        ));
    }
    match &node.value {
        Value::Null | Value::Lost => Ok(Json::Null),
        Value::Scalar(scalar) => match scalar.kind() {
            Kind::Null => Ok(Json::Null),
            Kind::Bool => Ok(Json::Bool(scalar::boolean(&scalar.text) == Some(true))),
            Kind::Number if is_too_large(&scalar.text) => Err(too_large(node)),
            Kind::Number => number(&scalar.text).map(Json::Number).ok_or_else(|| unclear(node)),
            Kind::Date => Err(unclear(node)),
            Kind::Text => Ok(Json::String(scalar.text.to_string())),
        },
        Value::Sequence(items) => {
            items.iter().map(to_json).collect::<Result<_, _>>().map(Json::Array)
        }
        Value::Mapping(pairs) => {
            let mut map = Map::new();
            for pair in pairs {
                map.insert(pair.key.text.to_string(), to_json(&pair.value)?);
            }
            Ok(Json::Object(map))
        }
    }
}

fn unclear(node: &Node<'_>) -> YamlFault {
    YamlFault::new(
        ProblemCode::UnclearValue,
        node.span,
        "versions of YAML disagree on what this value is",
    )
    .help("quote it if it is text, or write a decimal number")
}

fn too_large(node: &Node<'_>) -> YamlFault {
    let why = "this number is too large to be kept as it is";
    YamlFault::new(ProblemCode::UnclearValue, node.span, why).help("quote it if it is text")
}

/// A whole number that would be rounded.
fn is_too_large(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.parse::<u64>().is_err()
        && text.parse::<i64>().is_err()
}

/// A number in a form that all versions of YAML read alike.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let octal_in_yaml_1_1 = digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if octal_in_yaml_1_1 {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(Number::from);
    }
    let whole =
        text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    whole.ok().or_else(|| Number::from_f64(text.parse().ok()?))
}
