//! A second opinion on what was edited in place: serde_yaml must read it as our reader does.

use serde::Deserialize;
use serde_yaml::Value as Other;

use crate::yaml::{Kind, Node, Parsed, Value};

/// Whether serde_yaml finds the same documents in the text.
pub(super) fn agrees(text: &str, parsed: &Parsed<'_>) -> bool {
    let mut others = serde_yaml::Deserializer::from_str(text);
    let is_same = |node: &Node<'_>| {
        let Some(Ok(mut other)) = others.next().map(Other::deserialize) else { return false };
        other.apply_merge().is_ok() && same(node, &other)
    };
    // To serde_yaml an empty text is a document that says nothing.
    let is_empty = parsed.documents.is_empty();
    parsed.documents.iter().all(is_same)
        && others.all(|other| is_empty && Other::deserialize(other).is_ok_and(|it| it.is_null()))
}

/// Whether serde_yaml can read a text at all.
pub(super) fn is_readable(text: &str) -> bool {
    serde_yaml::Deserializer::from_str(text).all(|document| Other::deserialize(document).is_ok())
}

/// Whether our reader and serde_yaml, or the intended value, are the same.
pub(super) fn same(node: &Node<'_>, other: &Other) -> bool {
    let other = match (&node.tag, other) {
        (Some(tag), Other::Tagged(tagged)) if tagged.tag == *tag.name => &tagged.value,
        (None, Other::Tagged(_)) | (Some(_), _) => return false,
        (None, other) => other,
    };
    match (&node.value, other) {
        (Value::Null | Value::Invalid, other) => other.is_null(),
        (Value::Scalar(scalar), Other::String(text)) => scalar.text == *text,
        // A number's text is lost to serde_yaml.
        (Value::Scalar(scalar), Other::Number(_) | Other::Bool(_)) => scalar.kind() != Kind::Text,
        (Value::Scalar(scalar), Other::Null) => node.tag.is_some() && scalar.text.is_empty(),
        (Value::Sequence(items), Other::Sequence(others)) => {
            items.len() == others.len()
                && items.iter().zip(others).all(|(one, other)| same(one, other))
        }
        (Value::Mapping(pairs), Other::Mapping(others)) => {
            let has = |text: &str| others.get(text);
            let is_text = |key: &Other| key.is_string();
            let texts = others.keys().filter(|key| is_text(key)).count();
            let found = pairs.iter().filter_map(|pair| Some((pair, has(&pair.key.text)?)));
            let found: Vec<_> = found.collect();
            pairs.len() == others.len()
                && found.len() == texts
                && found.iter().all(|(pair, other)| same(&pair.value, other))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::agrees;
    use crate::yaml::parse;

    #[test]
    fn both_readers_see_the_same_in_what_people_write() {
        for text in [
            "",
            "a: 1\nb: [yes, 0x1F, ~, 'x']\n---\nc: {d: }\n",
            "x: &a {p: 1}\ny: *a\nz:\n  <<: *a\n  q: 2\n",
            "a: !secret x\nb: !env_var\n  X\nc: |\n  text\n\n",
            "1: a\ntrue: b\nc: d\n",
            "a: \"\\u202e\"\n",
        ] {
            assert!(agrees(text, &parse(text)), "{text}");
        }
    }

    #[test]
    fn a_difference_is_found() {
        for (one, other) in [
            ("a: b\n", "a: c\n"),
            ("a: b\n", "a: b\n---\na: b\n"),
            ("a: [b]\n", "a: b\n"),
            ("a: !x b\n", "a: b\n"),
            ("a: 1\n", "a: 1\nb: 2\n"),
            ("a: '1'\n", "a: 1\n"),
        ] {
            assert!(!agrees(other, &parse(one)), "{one} {other}");
        }
    }
}
