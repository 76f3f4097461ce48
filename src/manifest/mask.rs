//! Which bytes of a file must not be shown. Everything is hidden but what is known to be harmless.

use std::ops::Range;

use super::shown::{is_short_name, shown_of};
use super::tags;
use crate::integrations;
use crate::model::{
    CLIENT_ID, Domain, HEADERS, SECRET_FIELDS, conflict_marker, is_name, without_number,
};
use crate::secret::is_argument;
use crate::suggest::nearest;
use crate::yaml::{self, Node, Value};

/// The bytes that may be secret, for [`SourceFile::new`](crate::diagnostic::SourceFile::new).
///
/// Shown are the names of fields, the values of fields that hold no secrets, the names behind known tags
/// that have the form of names, and what YAML's structure needs. Comments are hidden: a line may have been
/// taken out of use by making it one.
pub fn mask(text: &str) -> Vec<Range<usize>> {
    let parsed = yaml::parse(text);
    let mut known = Vec::new();
    if parsed.whole {
        for document in &parsed.documents {
            collect(document, "", "", text, &mut known);
        }
        known.sort_by_key(|stretch| stretch.start);
    } else {
        by_line(text, &mut known);
    }
    hidden(text, &known, parsed.whole)
}

/// A range that is understood: shown up to `shown`, hidden from there to its end.
struct MaskedRange {
    start: usize,
    shown: usize,
    end: usize,
}

/// What is in a node below this key, in this section of a file: the first key that leads there.
fn collect(node: &Node<'_>, section: &str, key: &str, text: &str, into: &mut Vec<MaskedRange>) {
    let (start, end) = (node.span.start, node.span.end);
    if node.alias {
        into.push(MaskedRange { start, shown: start, end });
        return;
    }
    // Where a tag is misspelt, what looks like a name is shown all the same.
    let known_tag = node.tag.as_ref().is_some_and(|tag| tags::is_shown(&tag.name));
    if let Some(tag) = &node.tag {
        let (start, end) = (tag.span.start, tag.span.end);
        into.push(MaskedRange {
            start,
            shown: if tags::is_shown(&tag.name) { end } else { start },
            end,
        });
    }
    match &node.value {
        Value::Null | Value::Invalid => {}
        Value::Scalar(_) if node.tag.is_some() => {
            let raw = text.get(start..end).unwrap_or_default();
            let shown = start + if known_tag { argument(node, raw) } else { 0 };
            into.push(MaskedRange { start, shown, end });
        }
        Value::Scalar(_) => {
            let raw = text.get(start..end).unwrap_or_default();
            let shown = start + shown_of(section, key, raw);
            // What is shown from its quote on ends with one.
            let is_quoted = ['"', '\'']
                .iter()
                .any(|mark| raw.len() > 1 && raw.starts_with(*mark) && raw.ends_with(*mark));
            let end = end - usize::from(is_quoted && shown > start && shown < end);
            into.push(MaskedRange { start, shown, end });
        }
        Value::Sequence(items) => {
            for item in items {
                collect(item, section, key, text, into);
            }
        }
        Value::Mapping(pairs) => {
            for pair in pairs.iter().filter(|pair| !pair.merged) {
                let (start, end) = (pair.key.span.start, pair.key.span.end);
                let is_target = key == "targets" && section == "targets";
                let is_shown = pair.key.text == "<<"
                    || is_name(&pair.key.text)
                    || is_target && is_short_name(&pair.key.text);
                let shown = if is_shown { end } else { start };
                into.push(MaskedRange { start, shown, end });
                let is_label = key == "labels"
                    || key == "match" && section == "policy"
                    || key == "targets" && section == CLIENT_ID.section;
                let is_above = key == HEADERS.name || is_label && !is_secret_field(&pair.key.text);
                let key = if is_above { key } else { &pair.key.text };
                let section = if section.is_empty() { &pair.key.text } else { section };
                collect(&pair.value, section, key, text, into);
            }
        }
    }
}

/// Whether this is a field of secrets, or was most likely meant to be one: a line may be indented too far.
fn is_secret_field(key: &str) -> bool {
    nearest(key, SECRET_FIELDS.iter().map(|field| field.name)).is_some()
}

/// How many bytes can be shown of what is behind a known tag. Behind the name of a variable may be a
/// default, which may be a secret.
fn argument(node: &Node<'_>, raw: &str) -> usize {
    let has_tag = |name: &str| node.tag.as_ref().is_some_and(|tag| tag.name == name);
    // A source, and what it is asked for.
    if has_tag("from") && raw.split_whitespace().all(is_argument) {
        return raw.len();
    }
    let is_variable = has_tag("env_var");
    let name = raw.split(char::is_whitespace).next().filter(|_| is_variable).unwrap_or(raw);
    // One word with a number may be a password, but not where it is an integration.
    let is_integration = integrations::known().contains(&Domain::new(without_number(name)));
    if is_argument(name) || is_integration { name.len() } else { 0 }
}

/// What can be shown of a text that is no YAML: on each line the dashes, the first key, and its value
/// where it is harmless; nothing of lines that may go on with a hidden value.
fn by_line(text: &str, into: &mut Vec<MaskedRange>) {
    let (mut start, mut section) = (0, "");
    let mut hides_deeper_than = None;
    for line in text.split_inclusive('\n') {
        let body = line.trim_end();
        let lead = body.len() - body.trim_start_matches([' ', '\t', '-', '{', '[']).len();
        let hidden = hides_deeper_than.is_some_and(|column| lead > column && !body.is_empty());
        let end = start + line.len();
        if let Some(marker) = conflict_marker(line) {
            into.push(MaskedRange { start, shown: start + marker.len(), end });
            start = end;
            continue;
        }
        let mut shown = start + body.len() - body.trim_start().len();
        if !hidden {
            hides_deeper_than = None;
            shown = start + lead;
            if let Some((key, value)) = first_key(&body[lead..]) {
                if lead == 0 {
                    section = key;
                }
                let gap = value.len() - value.trim_start().len();
                let harmless = gap.max(shown_of(section, key, value));
                shown = start + body.len() - value.len() + harmless;
                if harmless < value.len() || key == HEADERS.name {
                    hides_deeper_than = Some(lead);
                }
            }
        }
        into.push(MaskedRange { start, shown, end });
        start = end;
    }
}

/// `key: value`, where the key can be shown.
fn first_key(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let parted = value.is_empty() || value.starts_with([' ', '\t']);
    (parted && is_name(key)).then_some((key, value))
}

/// Characters of YAML's own syntax; between values they reveal nothing.
const STRUCTURE: &[u8] = b" \t-:{}[],|>\"'?&*!<";

fn hidden(text: &str, known: &[MaskedRange], structured: bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    for stretch in known {
        if structured && stretch.start > at {
            hide_between(text, at..stretch.start, &mut ranges);
        }
        hide_lines(text, stretch.shown.max(at)..stretch.end, &mut ranges);
        at = at.max(stretch.end);
    }
    hide_between(text, at..text.len(), &mut ranges);
    ranges
}

/// Hides what is between values except structure: comments, anchors, directives.
fn hide_between(text: &str, range: Range<usize>, into: &mut Vec<Range<usize>>) {
    let mut comment = false;
    for at in range {
        let byte = text.as_bytes()[at];
        match byte {
            b'\n' => comment = false,
            b'#' if !comment => comment = true,
            b' ' | b'\t' | b'\r' => {}
            _ if comment || !STRUCTURE.contains(&byte) => into.push(at..at + 1),
            _ => {}
        }
    }
}

/// Hides a value, but for its indentation.
fn hide_lines(text: &str, range: Range<usize>, into: &mut Vec<Range<usize>>) {
    let Some(hidden) = text.get(range.clone()) else {
        into.push(range.start.min(range.end)..range.end);
        return;
    };
    let mut start = range.start;
    for (number, line) in hidden.split_inclusive('\n').enumerate() {
        let indent = if number == 0 { 0 } else { line.len() - line.trim_start().len() };
        into.push(start + indent..start + line.len());
        start += line.len();
    }
}
