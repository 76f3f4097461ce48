//! The values of a file that are secret, and putting encrypted ones in their place.

use crate::diagnostic::Span;
use crate::model::Secret;
use crate::yaml::{self, Node, Pair, Scalar, Style, Value};

use super::Unfit;
use super::change::Changes;
use super::geometry::{block_end, indented, is_flow, line_break, line_start, next_line, quoted};
use super::same::same;

const AGE: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const SEALED: &str = "ENC[";

/// A value that is secret, or encrypted.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The field.
    pub field: String,
    /// The entry's key, name or domain, or the target's name.
    pub of: String,
    /// What is there.
    pub held: Held,
    /// Where it stands.
    pub span: Span,
    shape: Shape,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A secret in clear.
    Plain(Secret),
    /// An armored age file.
    Age(String),
}

/// How the value is laid out.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// In `{…}`, so that it stays in one line.
    Flow,
    /// In lines of its own, below a key in this column.
    Lines { column: usize },
    /// The same, with `|` or `>` at this place.
    Block { column: usize, header: (usize, usize) },
}

/// Finds the secrets in a manifest or project file: those in clear and those under age. What a tag
/// names, what SOPS encrypted and what stands elsewhere by an alias is none.
///
/// # Errors
/// Where the text is not valid YAML.
pub fn slots(text: &str) -> Result<Vec<Slot>, Unfit> {
    let parsed = yaml::parse(text);
    if !parsed.faults.is_empty() {
        return Err(Unfit::NotYaml);
    }
    if is_sops(&parsed.documents) {
        return Err(Unfit::Sops);
    }
    let mut found = Vec::new();
    for document in &parsed.documents {
        let flow = is_flow(document, text);
        for pair in pairs(document) {
            let flow = flow || is_flow(&pair.value, text);
            match (pair.key.text.as_ref(), &pair.value.value) {
                ("application_credentials", Value::Sequence(items)) => {
                    for item in items {
                        in_mapping(item, &name_of(item), text, flow, &mut found);
                    }
                }
                ("targets", Value::Mapping(targets)) => {
                    for target in targets {
                        in_mapping(&target.value, &target.key.text, text, flow, &mut found);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Whether these are the documents of a SOPS file.
pub(super) fn is_sops(documents: &[Node<'_>]) -> bool {
    documents.iter().flat_map(pairs).any(|pair| pair.key.text == "sops")
}

fn pairs<'n, 't>(node: &'n Node<'t>) -> &'n [Pair<'t>] {
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

fn in_mapping(node: &Node<'_>, of: &str, text: &str, flow: bool, into: &mut Vec<Slot>) {
    if node.alias {
        return;
    }
    let flow = flow || is_flow(node, text);
    for pair in pairs(node).iter().filter(|pair| !pair.merged && !pair.value.alias) {
        let Value::Scalar(scalar) = &pair.value.value else { continue };
        let field = pair.key.text.as_ref();
        let is_secret = matches!(field, "client_secret" | "token");
        let Some(held) = held(scalar, pair, is_secret) else { continue };
        let Some(shape) = shape(scalar, pair, text, flow) else { continue };
        let (field, of) = (field.to_owned(), of.to_owned());
        into.push(Slot { field, of, held, span: pair.value.span, shape });
    }
}

fn held(scalar: &Scalar<'_>, pair: &Pair<'_>, is_secret: bool) -> Option<Held> {
    let text = scalar.text.trim();
    if pair.value.tag.is_some() || text.is_empty() || text.starts_with(SEALED) {
        return None;
    }
    if text.starts_with(AGE) {
        let is_reference = is_secret || pair.key.text == "client_id";
        return is_reference.then(|| Held::Age(text.to_owned()));
    }
    is_secret.then(|| Held::Plain(Secret::new(text)))
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
    // Between the key and the content: `:`, perhaps an anchor or a tag of YAML's own, then the header.
    let between = text.get(pair.key.span.end..pair.value.span.start)?;
    let mut at = between.find(':')? + 1;
    loop {
        at += between[at..].len() - between[at..].trim_start().len();
        let token = between[at..].split_whitespace().next()?;
        if token.starts_with(['|', '>']) {
            let start = pair.key.span.end + at;
            return Some(Shape::Block { column, header: (start, start + token.len()) });
        }
        if !token.starts_with(['&', '!']) {
            return None;
        }
        at += token.len();
    }
}

/// Puts armored age files in the place of what slots hold; a slot is one of [`slots`] of the same text.
///
/// # Errors
/// Where more than these values would change.
pub fn put(text: &str, new: &[(&Slot, &str)]) -> Result<String, Unfit> {
    let mut changes = Changes::new(text);
    let line_break = line_break(text);
    for (slot, armored) in new {
        replace(&mut changes, text, slot, armored, line_break);
    }
    let unfit = || Unfit::Line(new.first().map_or(0, |(slot, _)| slot.span.line));
    let made = changes.made().ok_or_else(unfit)?;
    let (before, after) = (yaml::parse(text), yaml::parse(&made));
    let changed = |start: usize| {
        new.iter()
            .find(|(slot, _)| slot.span.start == start)
            .map(|(_, armored)| (*armored).to_owned())
    };
    let is_same = after.faults.is_empty()
        && before.documents.len() == after.documents.len()
        && before
            .documents
            .iter()
            .zip(&after.documents)
            .all(|(before, after)| same(before, after, &changed));
    if is_same { Ok(made) } else { Err(unfit()) }
}

fn replace(changes: &mut Changes<'_>, text: &str, slot: &Slot, armored: &str, line_break: &str) {
    let Span { start, end, .. } = slot.span;
    let below = |changes: &mut Changes<'_>, column: usize, from: usize, to: usize| {
        let lines = indented(armored, column + 2, line_break);
        // The last line of a file may have no line break.
        let is_closed = from == 0 || text[..from].ends_with('\n');
        let lines = if is_closed { lines } else { format!("{line_break}{lines}") };
        changes.replace(from..to, lines);
    };
    match slot.shape {
        Shape::Flow => changes.replace(start..end, quoted(&format!("{}\n", armored.trim_end()))),
        Shape::Lines { column } => {
            changes.replace(start..end, "|");
            let next = next_line(text, end);
            below(changes, column, next, next);
        }
        Shape::Block { column, header } => {
            changes.replace(header.0..header.1, "|");
            let content = line_start(text, start);
            below(changes, column, content, block_end(text, start));
        }
    }
}
