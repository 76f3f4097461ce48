//! A key that the project file's policy names as forgotten.

use crate::yaml::{self, Node, Pair, Parsed, Value};

use super::YamlEditError;
use super::change::TextChanges;
use super::entry::texts;
use super::geometry::{dash_column, is_flow, line_break, line_start, next_line, value_end};
use super::reread::agrees;
use super::same::same;
use super::write::word;

const POLICY: &str = "policy";
const FORGOTTEN: &str = "forgotten";

/// Adds keys to those that a project file says are forgotten.
///
/// # Errors
/// Where more than that would change.
pub fn forget_keys(text: &str, keys: &[&str]) -> Result<String, YamlEditError> {
    let parsed = yaml::parse(text);
    if !parsed.faults.is_empty() || parsed.documents.len() > 1 {
        return Err(YamlEditError::NotYaml);
    }
    if yaml::is_sops(&parsed.documents) {
        return Err(YamlEditError::Sops);
    }
    let known = parsed.documents.first().map(|top| forgotten(top)).unwrap_or_default();
    let new: Vec<&str> =
        keys.iter().copied().filter(|key| !known.iter().any(|known| known == key)).collect();
    if new.is_empty() {
        return Ok(text.to_owned());
    }
    let words: Vec<String> = new.iter().map(|key| word(key)).collect();
    let mut changes = TextChanges::new(text);
    let line = add(text, parsed.documents.first(), &words.join(", "), &mut changes);
    let line = line.unwrap_or(0);
    let unfit = YamlEditError::unfit(text, line..line);
    let made = changes.made().ok_or(unfit)?;
    let expected: Vec<String> =
        known.into_iter().chain(new.into_iter().map(str::to_owned)).collect();
    if is_meant(parsed, &made, &expected) { Ok(made) } else { Err(unfit) }
}

/// Adds them, separated by commas; answers where, if they belong somewhere.
fn add(
    text: &str,
    top: Option<&Node<'_>>,
    words: &str,
    changes: &mut TextChanges<'_>,
) -> Option<usize> {
    let ends = line_break(text);
    let opened = if text.is_empty() || text.ends_with('\n') { "" } else { ends };
    let Some(Value::Mapping(pairs)) = top.map(|top| &top.value) else {
        let lines = format!("{opened}{POLICY}:{ends}  {FORGOTTEN}: [{words}]{ends}");
        changes.insert(text.len(), lines);
        return None;
    };
    let top = top.filter(|top| !top.alias)?;
    let Some(policy) = own(pairs, POLICY) else {
        match is_flow(top, text) {
            true => {
                let comma = if pairs.is_empty() { "" } else { ", " };
                let field = format!("{POLICY}: {{{FORGOTTEN}: [{words}]}}{comma}");
                changes.insert(top.span.start + 1, field);
            }
            false => {
                let column = pairs.first()?.key.span.start;
                let indent = " ".repeat(column - line_start(text, column));
                let at = value_end(top, text);
                let opened = if text[..at].ends_with('\n') { "" } else { ends };
                changes.insert(
                    at,
                    format!(
                        "{opened}{indent}{POLICY}:{ends}{indent}  {FORGOTTEN}: [{words}]{ends}"
                    ),
                );
            }
        }
        return Some(top.span.start);
    };
    let at = policy.key.span.start;
    let node = &policy.value;
    let list = match &node.value {
        Value::Mapping(pairs) if !node.alias => own(pairs, FORGOTTEN),
        _ => None,
    };
    match (list.map(|list| &list.value), &node.value) {
        _ if node.alias => {}
        (Some(list), _) => extend(list, text, words, changes),
        (None, Value::Mapping(pairs)) if is_flow(node, text) => {
            let comma = if pairs.is_empty() { "" } else { ", " };
            changes.insert(node.span.start + 1, format!("{FORGOTTEN}: [{words}]{comma}"));
        }
        (None, Value::Mapping(pairs)) => {
            let first = pairs.first()?;
            let start = first.key.span.start;
            let indent = " ".repeat(start - line_start(text, start));
            let at = value_end(&first.value, text);
            let opened = if text[..at].ends_with('\n') { "" } else { ends };
            changes.insert(at, format!("{opened}{indent}{FORGOTTEN}: [{words}]{ends}"));
        }
        (None, Value::Null) => {
            let indent = " ".repeat(at - line_start(text, at) + 2);
            let end = next_line(text, policy.key.span.end);
            let opened = if text[..end].ends_with('\n') { "" } else { ends };
            changes.insert(end, format!("{opened}{indent}{FORGOTTEN}: [{words}]{ends}"));
        }
        _ => {}
    }
    Some(at)
}

/// Adds to a list, or to the one text that is there.
fn extend(list: &Node<'_>, text: &str, words: &str, changes: &mut TextChanges<'_>) {
    match &list.value {
        _ if list.alias => {}
        Value::Sequence(items) if is_flow(list, text) => match items.last() {
            Some(last) => changes.insert(last.span.end, format!(", {words}")),
            None => changes.insert(list.span.start + 1, words),
        },
        Value::Sequence(items) => {
            let (Some(last), Some(column)) = (items.last(), dash_column(items, text)) else {
                return;
            };
            let (at, ends) = (value_end(last, text), line_break(text));
            let opened = if text[..at].ends_with('\n') { "" } else { ends };
            let lines =
                words.split(", ").map(|word| format!("{}- {word}{ends}", " ".repeat(column)));
            changes.insert(at, opened.to_owned() + &lines.collect::<String>());
        }
        Value::Scalar(_) => {
            let old = &text[list.span.start..list.span.end];
            changes.replace(list.span.start..list.span.end, format!("[{old}, {words}]"));
        }
        Value::Null | Value::Invalid | Value::Mapping(_) => {}
    }
}

fn own<'p, 't>(pairs: &'p [Pair<'t>], name: &str) -> Option<&'p Pair<'t>> {
    pairs.iter().find(|pair| pair.key.text == name && !pair.merged)
}

/// The keys that are forgotten, as they are written.
fn forgotten(top: &Node<'_>) -> Vec<String> {
    let Value::Mapping(pairs) = &top.value else { return Vec::new() };
    let Some(Value::Mapping(policy)) = own(pairs, POLICY).map(|policy| &policy.value.value) else {
        return Vec::new();
    };
    own(policy, FORGOTTEN).map(|list| texts(&list.value)).unwrap_or_default()
}

/// Whether the forgotten keys are those expected now, and nothing else has changed.
fn is_meant(mut before: Parsed<'_>, made: &str, expected: &[String]) -> bool {
    let mut after = yaml::parse(made);
    let Some(top) = after.documents.first_mut() else { return false };
    if !after.faults.is_empty() || forgotten(top) != expected {
        return false;
    }
    let is_empty = |top: &Node<'_>| match &top.value {
        Value::Mapping(pairs) => pairs.is_empty(),
        value => matches!(value, Value::Null),
    };
    take(top);
    let rest = match before.documents.first_mut() {
        None => is_empty(top),
        Some(old) => {
            take(old);
            is_empty(old) && is_empty(top) || same(old, top, &|_| None)
        }
    };
    rest && agrees(made, &yaml::parse(made))
}

/// Takes the forgotten keys out of a tree, and the policy where it is empty then.
fn take(top: &mut Node<'_>) {
    let Value::Mapping(pairs) = &mut top.value else { return };
    for policy in pairs.iter_mut().filter(|pair| pair.key.text == POLICY) {
        if let Value::Mapping(fields) = &mut policy.value.value {
            fields.retain(|field| field.key.text != FORGOTTEN);
        }
    }
    pairs.retain(|pair| {
        pair.key.text != POLICY
            || !match &pair.value.value {
                Value::Mapping(fields) => fields.is_empty(),
                value => matches!(value, Value::Null),
            }
    });
}

#[cfg(test)]
mod tests {
    use super::forget_keys;
    use crate::yaml_edit::{Obstacle, YamlEditError};

    #[test]
    fn a_key_is_added_and_every_other_byte_stays() {
        for (before, after) in [
            ("", "policy:\n  forgotten: [a]\n"),
            ("# mine\n", "# mine\npolicy:\n  forgotten: [a]\n"),
            ("owner: house # it", "owner: house # it\npolicy:\n  forgotten: [a]\n"),
            ("owner: h\r\n# end\r\n", "owner: h\r\npolicy:\r\n  forgotten: [a]\r\n# end\r\n"),
            ("{owner: house}\n", "{policy: {forgotten: [a]}, owner: house}\n"),
            ("{}\n", "{policy: {forgotten: [a]}}\n"),
            ("policy: {prune: none} # p\n", "policy: {forgotten: [a], prune: none} # p\n"),
            ("policy: {}\nowner: h\n", "policy: {forgotten: [a]}\nowner: h\n"),
            ("policy:\nowner: h\n", "policy:\n  forgotten: [a]\nowner: h\n"),
            (
                "policy:\n    prune: none # p\nowner: h\n",
                "policy:\n    prune: none # p\n    forgotten: [a]\nowner: h\n",
            ),
            ("policy: {forgotten: [b, c]}\n", "policy: {forgotten: [b, c, a]}\n"),
            ("policy: {forgotten: []}\n", "policy: {forgotten: [a]}\n"),
            ("policy: {forgotten: b}\n", "policy: {forgotten: [b, a]}\n"),
            (
                "policy:\n  forgotten:\n  - b # it\nowner: h\n",
                "policy:\n  forgotten:\n  - b # it\n  - a\nowner: h\n",
            ),
            ("policy: {forgotten: [a]}\n", "policy: {forgotten: [a]}\n"),
        ] {
            assert_eq!(forget_keys(before, &["a"]).as_deref(), Ok(after), "{before}");
        }
        let two = forget_keys("policy: {forgotten: [b]}\n", &["b", "a", "yes"]).unwrap();
        assert_eq!(two, "policy: {forgotten: [b, a, \"yes\"]}\n");
    }

    #[test]
    fn what_is_written_elsewhere_is_not_changed() {
        let text = "x: &p {prune: none}\npolicy: *p\n";
        assert_eq!(forget_keys(text, &["a"]), Err(YamlEditError::Line(2, Obstacle::Alias)));
    }
}
