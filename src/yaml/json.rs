//! YAML values as JSON, for answers that are handed on to HA as they are, and JSON as a tree.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value as Json};

use super::scalar::{self, Kind};
use super::{MAX_DEPTH, Node, Pair, Parsed, Scalar, Style, Value, YamlFault};
use crate::diagnostic::{ProblemCode, Span};

/// JSON as if it had been read from YAML, with all pairs of a key that is there twice; nothing where it is not
/// whole. Of a place its bytes alone are known. All its numbers are floating ones.
pub(crate) fn parse_json(text: &str) -> Option<Parsed<'_>> {
    let whole: &RawValue = serde_json::from_str(text).ok()?;
    let document = JsonText(text).node(whole, MAX_DEPTH)?;
    Some(Parsed { documents: vec![document], whole: true, ..Parsed::default() })
}

/// JSON without places.
pub(super) fn from_json(json: Json) -> Node<'static> {
    let plain = |text| Value::Scalar(Scalar { text, style: Style::Plain });
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => plain(Cow::Borrowed(if value { "true" } else { "false" })),
        Json::Number(number) => plain(Cow::Owned(match number.as_f64() {
            // Never without a point or an exponent.
            Some(value) => format!("{value:?}"),
            None => number.to_string(),
        })),
        Json::String(text) => {
            Value::Scalar(Scalar { text: Cow::Owned(text), style: Style::Quoted })
        }
        Json::Array(items) => Value::Sequence(items.into_iter().map(from_json).collect()),
        Json::Object(fields) => {
            let fields = fields.into_iter();
            Value::Mapping(fields.map(|(key, value)| Pair::of_json(key, value)).collect())
        }
    };
    Node { value, tag: None, span: Span::default(), alias: false }
}

/// A text of which each value of JSON is a stretch.
struct JsonText<'t>(&'t str);

impl<'t> JsonText<'t> {
    fn node(&self, raw: &'t RawValue, depth: usize) -> Option<Node<'t>> {
        let (text, deeper) = (raw.get(), depth.checked_sub(1)?);
        let value = match text.as_bytes().first()? {
            b'{' => {
                let JsonFields(fields) = serde_json::from_str(text).ok()?;
                let pair = |(key, value): (&'t RawValue, &'t RawValue)| {
                    let name: String = serde_json::from_str(key.get()).ok()?;
                    Some(Pair::new(name.into(), self.span(key), self.node(value, deeper)?))
                };
                Value::Mapping(fields.into_iter().map(pair).collect::<Option<_>>()?)
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                let items = items.into_iter().map(|item| self.node(item, deeper));
                Value::Sequence(items.collect::<Option<_>>()?)
            }
            _ => from_json(serde_json::from_str(text).ok()?).value,
        };
        Some(Node { value, tag: None, span: self.span(raw), alias: false })
    }

    fn span(&self, raw: &RawValue) -> Span {
        let start = (raw.get().as_ptr() as usize).saturating_sub(self.0.as_ptr() as usize);
        Span { start, end: start + raw.get().len(), ..Span::default() }
    }
}

/// All pairs of an object.
struct JsonFields<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'t> Deserialize<'t> for JsonFields<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllPairs;
        impl<'t> Visitor<'t> for AllPairs {
            type Value = JsonFields<'t>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<JsonFields<'t>, A::Error> {
                let mut fields = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    fields.push(pair);
                }
                Ok(JsonFields(fields))
            }
        }
        deserializer.deserialize_map(AllPairs)
    }
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
        Value::Null | Value::Invalid => Ok(Json::Null),
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
