//! YAML in writing. serde_yaml makes it, and serde_json what must stay in one line: a text of JSON is
//! a double-quoted text of YAML.

use serde::Serialize;
use serde_json::Value as Json;
use serde_yaml::Value as Meant;

use super::change::TextChanges;
use crate::model::{hidden, is_hidden};
use crate::yaml::{self, Node, Style, Value};

/// A value as a YAML document in block style. A text that another version of YAML takes for something
/// else, as `yes`, is quoted; serde_yaml quotes by YAML 1.2 alone, and Home Assistant reads 1.1.
///
/// # Errors
/// Where the value is nothing that YAML can hold.
pub fn document<T: Serialize>(value: &T) -> Result<String, serde_yaml::Error> {
    let text = serde_yaml::to_string(value)?;
    let meant = serde_yaml::to_value(value)?;
    let parsed = yaml::parse(&text);
    let mut changes = TextChanges::new(&text);
    for node in &parsed.documents {
        quote_texts(node, &meant, &mut changes);
    }
    Ok(changes.made().unwrap_or(text.clone()))
}

/// Quotes what is meant as a text, but would be read as something else.
fn quote_texts(node: &Node<'_>, meant: &Meant, changes: &mut TextChanges<'_>) {
    match (&node.value, meant) {
        (Value::Mapping(pairs), Meant::Mapping(meant)) => {
            let values = pairs.iter().zip(meant.values());
            values.for_each(|(pair, meant)| quote_texts(&pair.value, meant, changes));
        }
        (Value::Sequence(items), Meant::Sequence(meant)) => {
            let items = items.iter().zip(meant);
            items.for_each(|(item, meant)| quote_texts(item, meant, changes));
        }
        (Value::Scalar(scalar), Meant::String(meant))
            if scalar.style == Style::Plain && !yaml::is_plain_text(&scalar.text) =>
        {
            changes.replace(node.span.start..node.span.end, quoted(meant));
        }
        _ => {}
    }
}

/// A text in one line, in quotes only where it needs them.
pub(crate) fn word(text: &str) -> String {
    // In `{…}` and `[…]` these end a text without quotes, and neither `:` nor `?` begins one.
    let ends = text.contains([',', '[', ']', '{', '}']) || text.contains(":?");
    if hidden(text).is_some() || ends || text.starts_with([':', '?']) {
        return quoted(text);
    }
    // Only the line break is no part of it: other white space at the end is.
    document(&text)
        .map_or_else(|_| quoted(text), |written| written.trim_end_matches('\n').to_owned())
}

/// A value in one line, as in a list in brackets.
pub(super) fn flow(value: &Meant) -> String {
    match value {
        Meant::Mapping(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", flow(key), flow(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Meant::Sequence(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Meant::String(text) => word(text),
        // What else there is in JSON is the same in YAML.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// A text in double quotes, in one line.
pub(crate) fn quoted(text: &str) -> String {
    let json = Json::String(text.to_owned()).to_string();
    let mut quoted = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) && character <= '\u{ffff}' {
            quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            quoted.push(character);
        }
    }
    quoted
}

/// The lines of a text, indented, as they are below the `|` of a block.
pub(crate) fn indented(text: &str, indent: usize, line_break: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 16 * indent);
    for line in text.trim_end().lines() {
        if !line.is_empty() {
            lines.extend(std::iter::repeat_n(' ', indent));
            lines.push_str(line);
        }
        lines.push_str(line_break);
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{any, proptest};

    use super::{document, quoted, word};
    use crate::yaml::{self, Kind, Value};

    #[test]
    fn a_text_stays_a_text_in_every_version_of_yaml() {
        for (text, written) in [
            ("spotify", "spotify"),
            ("Spotify (family)", "Spotify (family)"),
            ("yes", "\"yes\""),
            ("1:30", "\"1:30\""),
            ("0123", "'0123'"),
            ("2026-11-25", "\"2026-11-25\""),
            ("a: b", "'a: b'"),
            ("a, b", "\"a, b\""),
            ("http://a\"b", "http://a\"b"),
            ("!secret x", "'!secret x'"),
            ("two\nlines", "\"two\\nlines\""),
            ("thin space\u{2006}", "thin space\u{2006}"),
            ("", "''"),
        ] {
            assert_eq!(word(text), written);
        }
        let all = BTreeMap::from([("a", vec!["on", "x"]), ("b", vec![])]);
        assert_eq!(document(&all).unwrap(), "a:\n- \"on\"\n- x\nb: []\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in any::<String>()) {
            for written in [word(&text), quoted(&text)] {
                // A document that begins with `<a>` is taken for a page of the web.
                let document = format!("- {written}");
                let parsed = yaml::parse(&document);
                assert!(parsed.faults.is_empty(), "{written}");
                let [node] = parsed.documents.as_slice() else { panic!("{written}") };
                let Value::Sequence(items) = &node.value else { panic!("{written}") };
                let [node] = items.as_slice() else { panic!("{written}") };
                let Value::Scalar(scalar) = &node.value else { panic!("{written}") };
                assert_eq!((&*scalar.text, scalar.kind()), (text.as_str(), Kind::Text));
                let again: String = serde_yaml::from_str(&written).unwrap();
                assert_eq!(again, text);
            }
        }
    }
}
