//! The values of a file that are secret, encrypted or in plain text.

use crate::diagnostic::Span;
use crate::model::{AGE_HEADER, PlainText, SECRET_FIELDS, Secret, SecretField, is_variable_name};
use crate::yaml::{self, Node, Pair, Scalar, Style, Value, YamlFault};

use super::geometry::{block_header, is_flow, line_start};
use super::{Obstacle, YamlEditError};

const SEALED: &str = "ENC[";

/// A value that is secret, or encrypted.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The field.
    pub field: String,
    /// The entry's key, name or domain, the target's name, or the section of the file.
    pub of: String,
    /// Whether the value may be in plain text.
    pub plain_text: PlainText,
    /// What is there.
    pub held: SlotValue,
    /// Its place.
    pub span: Span,
    pub(super) shape: Shape,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotValue {
    /// A secret in plain text.
    Plain(Secret),
    /// An armored age file.
    Age(String),
    /// What is behind the name of an environment variable, or in place of one: it may be a secret in
    /// plain text, and is not encrypted in place, since the tag would go.
    Default(Secret),
}

impl Default for SlotValue {
    /// Nothing yet.
    fn default() -> Self {
        Self::Age(String::new())
    }
}

/// How the value is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// In `{…}`, so that it stays in one line.
    Flow,
    /// In lines of its own, below a key in this column.
    Lines { column: usize },
    /// The same, with `|` or `>` at this place.
    Block { column: usize, header: (usize, usize) },
}

/// Finds the secrets in a manifest or project file: those in plain text and those under age. What a
/// tag names, what SOPS encrypted and what is elsewhere by an alias is none.
///
/// # Errors
/// Where the text is not valid YAML.
pub fn slots(text: &str) -> Result<Vec<Slot>, YamlEditError> {
    let mut found = all_slots(text)?;
    found.retain(|slot| {
        slot.plain_text != PlainText::Usual || matches!(slot.held, SlotValue::Age(_))
    });
    Ok(found)
}

/// The same, and what is usually in plain text: client ids, and what is named in a file of secrets.
///
/// # Errors
/// Where the text is not valid YAML.
pub fn all_slots(text: &str) -> Result<Vec<Slot>, YamlEditError> {
    let parsed = yaml::parse(text);
    if let Some(first) = parsed.faults.first() {
        // Not every reader takes the last of two.
        let is_twice = parsed.faults.iter().all(YamlFault::is_duplicate_key);
        let twice = || YamlEditError::Line(first.line(), Obstacle::Twice);
        return Err(if is_twice { twice() } else { YamlEditError::NotYaml });
    }
    if yaml::is_sops(&parsed.documents) {
        return Err(YamlEditError::Sops);
    }
    let mut found = Vec::new();
    for document in &parsed.documents {
        let flow = is_flow(document, text);
        // A file of secrets has names of people's own, below no section. Of two ways to write one name, the one
        // that has the slash itself comes first.
        in_mapping(document, KeyMeaning::OwnOnes(String::new()), text, flow, &mut found);
        let own = pairs(document).iter().filter(|pair| !is_section(&pair.key.text));
        for pair in own.filter(|pair| pair.value.tag.is_none() && !pair.merged) {
            let inner = KeyMeaning::OwnOnes(format!("{}/", pair.key.text));
            in_mapping(&pair.value, inner, text, flow, &mut found);
        }
        for pair in pairs(document) {
            let section = pair.key.text.as_ref();
            if is_section(section) {
                in_section(section, &pair.value, text, flow, &mut found);
            }
        }
    }
    Ok(found)
}

/// Finds the secrets in a section: in its mapping, or in the mappings of its list or mapping.
fn in_section(section: &str, node: &Node<'_>, text: &str, flow: bool, into: &mut Vec<Slot>) {
    if node.alias {
        return;
    }
    let flow = flow || is_flow(node, text);
    let fields = |of: String| KeyMeaning::Fields { section: section.to_owned(), of };
    in_mapping(node, fields(section.to_owned()), text, flow, into);
    for pair in pairs(node).iter().filter(|pair| !pair.merged) {
        in_mapping(&pair.value, fields(pair.key.text.to_string()), text, flow, into);
    }
    if let Value::Sequence(items) = &node.value {
        for item in items {
            in_mapping(item, fields(name_of(item)), text, flow, into);
        }
    }
}

fn is_section(key: &str) -> bool {
    SECRET_FIELDS.iter().any(|field| field.section == key)
}

/// What the keys of a mapping mean.
enum KeyMeaning {
    /// They are names of people's own, behind this.
    OwnOnes(String),
    /// They are names of people's own, below this field of an item of a section.
    Below { field: &'static SecretField, of: String },
    /// They are fields of an item of a section.
    Fields { section: String, of: String },
}

impl KeyMeaning {
    /// What this key is called, and whether its value may be in plain text; `None` where it is no secret
    /// at all.
    fn meaning(&self, key: &str) -> Option<(String, PlainText)> {
        match self {
            Self::OwnOnes(above) => Some((format!("{above}{key}"), PlainText::Usual)),
            Self::Below { field, .. } => Some((field.name.to_owned(), field.plain_text)),
            Self::Fields { .. } => {
                let field = self.field(key).filter(|field| !field.is_mapping)?;
                Some((key.to_owned(), field.plain_text))
            }
        }
    }

    /// The field that this key is.
    fn field(&self, key: &str) -> Option<&'static SecretField> {
        let Self::Fields { section, .. } = self else { return None };
        SECRET_FIELDS.iter().find(|field| field.section == section && field.name == key)
    }

    fn of(&self) -> &str {
        match self {
            Self::OwnOnes(_) => "",
            Self::Below { of, .. } | Self::Fields { of, .. } => of,
        }
    }
}

/// Whether a text is taken for an encrypted value.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED) || text.starts_with(AGE_HEADER)
}

pub(super) fn pairs<'n, 't>(node: &'n Node<'t>) -> &'n [Pair<'t>] {
    match &node.value {
        Value::Mapping(pairs) => pairs,
        _ => &[],
    }
}

fn name_of(entry: &Node<'_>) -> String {
    let text = |name: &str| {
        pairs(entry).iter().find_map(|pair| match &pair.value.value {
            Value::Scalar(scalar) if pair.key.text == name => Some(scalar.text.to_string()),
            _ => None,
        })
    };
    text("key").or_else(|| text("name")).or_else(|| text("domain")).unwrap_or_default()
}

fn in_mapping(node: &Node<'_>, names: KeyMeaning, text: &str, flow: bool, into: &mut Vec<Slot>) {
    if node.alias {
        return;
    }
    let flow = flow || is_flow(node, text);
    for pair in pairs(node).iter().filter(|pair| !pair.merged && !pair.value.alias) {
        let key = pair.key.text.as_ref();
        let Value::Scalar(scalar) = &pair.value.value else {
            let below = match &names {
                // Those below the top are looked at after all that are there.
                KeyMeaning::OwnOnes(above) if !above.is_empty() && pair.value.tag.is_none() => {
                    Some(KeyMeaning::OwnOnes(format!("{above}{key}/")))
                }
                _ => names
                    .field(key)
                    .filter(|field| field.is_mapping)
                    .map(|field| KeyMeaning::Below { field, of: names.of().to_owned() }),
            };
            if let Some(below) = below {
                in_mapping(&pair.value, below, text, flow, into);
            }
            continue;
        };
        let Some((field, plain_text)) = names.meaning(key) else { continue };
        let Some(held) = held(scalar, pair) else { continue };
        let Some(shape) = shape(scalar, pair, text, flow) else { continue };
        let (of, span) = (names.of().to_owned(), pair.value.span);
        into.push(Slot { field, of, plain_text, held, span, shape });
    }
}

fn held(scalar: &Scalar<'_>, pair: &Pair<'_>) -> Option<SlotValue> {
    let text = scalar.text.trim();
    if let Some(tag) = &pair.value.tag {
        let is_default = tag.name == "env_var" && !is_variable_name(text);
        return is_default.then(|| SlotValue::Default(Secret::new(text)));
    }
    if text.is_empty() || text.starts_with(SEALED) {
        return None;
    }
    if text.starts_with(AGE_HEADER) {
        return Some(SlotValue::Age(text.to_owned()));
    }
    Some(SlotValue::Plain(Secret::new(text)))
}

fn shape(scalar: &Scalar<'_>, pair: &Pair<'_>, text: &str, flow: bool) -> Option<Shape> {
    if flow {
        return Some(Shape::Flow);
    }
    let before = &text[line_start(text, pair.key.span.start)..pair.key.span.start];
    let column = before.chars().count();
    if scalar.style != Style::Block {
        return Some(Shape::Lines { column });
    }
    let key_end = pair.key.span.end;
    let header = block_header(text.get(key_end..)?, pair.value.span.start.checked_sub(key_end)?)?;
    Some(Shape::Block { column, header: (key_end + header.start, key_end + header.end) })
}
