use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{MAX_DEPTH, MAX_DOCUMENTS, Node, Parsed, Value, parse, sops_parts, to_json};
use crate::model::sops::{Leaf, SopsText, Tree};

fn one(text: &str) -> Node<'_> {
    let mut parsed = parse(text);
    assert!(parsed.faults.is_empty(), "{:?}", parsed.faults);
    assert_eq!(parsed.documents.len(), 1);
    parsed.documents.remove(0)
}

fn json(text: &str) -> serde_json::Value {
    to_json(&one(text)).unwrap()
}

/// Every scalar and key with what the source has at its span.
fn spans(node: &Node<'_>, text: &str, into: &mut String) {
    let at = |start: usize, end: usize| text[start..end].to_owned();
    match &node.value {
        Value::Null | Value::Invalid => {}
        Value::Scalar(scalar) => {
            let span = node.span;
            let source = at(span.start, span.end);
            writeln!(into, "{}:{} {source:?} = {:?}", span.line, span.column, scalar.text).unwrap();
        }
        Value::Sequence(items) => items.iter().for_each(|item| spans(item, text, into)),
        Value::Mapping(pairs) => {
            for pair in pairs {
                let span = pair.key.span;
                write!(into, "{}:{} {}: ", span.line, span.column, at(span.start, span.end))
                    .unwrap();
                into.push_str(if pair.merged { "(merged) " } else { "" });
                spans(&pair.value, text, into);
            }
        }
    }
}

#[test]
fn every_value_knows_where_it_stands() {
    let text = "\u{feff}é: \"ü\\n\"   # note\nb: |2-\n    x\n    y\n? c\n: {d: 'e''f', g: h i }\nj: !env_var K\n";
    let mut found = String::new();
    spans(&one(text), text, &mut found);
    insta::assert_snapshot!(found, @r#"
    1:1 é: 1:4 "\"ü\\n\"" = "ü\n"
    2:1 b: 3:3 "  x\n    y\n" = "  x\n  y"
    5:3 c: 6:4 d: 6:7 "'e''f'" = "e'f"
    6:15 g: 6:18 "h i" = "h i"
    7:1 j: 7:13 "K" = "K"
    "#);
}

#[test]
fn collections_reach_from_their_first_to_their_last() {
    let text = "a:\n  - b: 1\n    c: [1, 2]\n\nd: {e: f}\n";
    let root = one(text);
    let Value::Mapping(pairs) = &root.value else { panic!("{root:?}") };
    let stretch = |node: &Node<'_>| text[node.span.start..node.span.end].to_owned();
    assert_eq!(stretch(&pairs[0].value), "- b: 1\n    c: [1, 2]");
    assert_eq!(stretch(&pairs[1].value), "{e: f}");
    assert_eq!(stretch(&root), text.trim_end());
}

#[test]
fn aliases_and_merge_keys_are_expanded() {
    let text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\n\
                one: {<<: *b, x: 5}\nboth: {<<: [*o, *b]}\nlist: [*b, &n 7, *n]\n";
    assert_eq!(
        json(text),
        serde_json::json!({
            "base": {"x": 1, "y": 2}, "other": {"y": 3, "z": 4},
            "one": {"x": 5, "y": 2}, "both": {"y": 3, "z": 4, "x": 1},
            "list": [{"x": 1, "y": 2}, 7, 7],
        })
    );
}

#[test]
fn an_alias_is_where_it_is_used() {
    let text = "a: &x one\nb: *x\n";
    let root = one(text);
    let Value::Mapping(pairs) = &root.value else { panic!("{root:?}") };
    let span = pairs[1].value.span;
    assert_eq!((&text[span.start..span.end], span.line, span.column), ("*x", 2, 4));
    assert!(pairs[1].value.alias && !pairs[0].value.alias);
}

#[test]
fn answers_are_what_home_assistant_reads() {
    let text =
        "{a: yes, b: 'yes', c: 1.5, d: 0x1F, e: ~, f: !!str 12, g: -3, h: 18446744073709551615}";
    assert_eq!(
        json(text),
        serde_json::json!({
            "a": true, "b": "yes", "c": 1.5, "d": 31, "e": null, "f": "12", "g": -3,
            "h": 18_446_744_073_709_551_615_u64,
        })
    );
    for unclear in ["0123", "1:30", "2026-11-23", "1_000", "0b1", "!x 1"] {
        assert!(to_json(&one(unclear)).is_err(), "{unclear}");
    }
}

#[test]
fn limits_are_where_they_are_said_to_be() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let whole = |text: &str| parse(text).faults.is_empty();
    assert!(whole(&nested(MAX_DEPTH)));
    assert!(!whole(&nested(MAX_DEPTH + 1)));
    let aliased = format!("- &a {}\n- [[*a]]\n", nested(MAX_DEPTH - 3));
    assert!(whole(&aliased), "an alias is as deep as what it refers to");
    let aliased = format!("- &a {}\n- [[[*a]]]\n", nested(MAX_DEPTH - 3));
    assert!(!whole(&aliased));
    assert!(whole(&"---\n".repeat(MAX_DOCUMENTS)));
    assert!(!whole(&"---\n".repeat(MAX_DOCUMENTS + 1)));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
    assert!(!whole(&long), "text that is repeated counts too");
}

#[test]
fn a_broken_document_does_not_hide_the_others() {
    let Parsed { documents, faults, whole, .. } = parse("a: [1\n---\nb: 2\n---\n'c\n---\nd: *e\n");
    assert_eq!((documents.len(), faults.len(), whole), (2, 3, false));
}

#[test]
fn many_keys_are_compared_as_few_are() {
    let mut text = String::new();
    for key in 0..40 {
        writeln!(text, "k{key}: 1").unwrap();
    }
    assert!(parse(&text).faults.is_empty());
    text.push_str("k7: 2\nk7: 3\n");
    assert_eq!(parse(&text).faults.len(), 2);
}

/// The other reader knows no YAML 1.1, so the cases have none of its own words.
#[test]
fn another_reader_reads_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/schema/valid");
    let mut compared = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let ours: Vec<_> = parse(&text).documents.iter().map(plain).collect();
        let theirs: Vec<_> = serde_yaml::Deserializer::from_str(&text)
            .map(|document| {
                let mut value =
                    <serde_yaml::Value as serde::Deserialize>::deserialize(document).unwrap();
                value.apply_merge().unwrap();
                value
            })
            .collect();
        assert_eq!(ours, theirs, "{}", path.display());
        compared += 1;
    }
    assert!(compared > 5, "the cases were not found");
}

/// Our tree in the other reader's type.
fn plain(node: &Node<'_>) -> serde_yaml::Value {
    let value = match &node.value {
        Value::Sequence(items) => serde_yaml::Value::Sequence(items.iter().map(plain).collect()),
        Value::Mapping(pairs) => serde_yaml::Value::Mapping(
            pairs
                .iter()
                .map(|pair| (pair.key.text.to_string().into(), plain(&pair.value)))
                .collect(),
        ),
        Value::Scalar(scalar) if node.tag.is_some() => scalar.text.to_string().into(),
        Value::Null | Value::Invalid | Value::Scalar(_) => {
            serde_yaml::to_value(to_json(node).unwrap()).unwrap()
        }
    };
    match &node.tag {
        Some(tag) => {
            let tag = serde_yaml::value::Tag::new(tag.name.clone());
            serde_yaml::Value::Tagged(Box::new(serde_yaml::value::TaggedValue { tag, value }))
        }
        None => value,
    }
}

#[test]
fn a_document_of_sops_is_kept_small() {
    let text =
        "list:\n- {a: x, b: {c: 'y'}}\n- a: \"z\\n\"\n  b: {c: y}\n  d: null\nsops: {mac: m}\n";
    let parts = sops_parts(text, &parse(text), &mut |_, _| {}).unwrap();
    let tree = Tree { text, parts: &parts };
    let path = |leaf: &Leaf| tree.backwards(leaf.path).collect::<Vec<_>>();
    let leaves: Vec<_> = parts.leaves.iter().map(|leaf| (path(leaf), leaf.text.of(text))).collect();
    let (a, c) = (vec!["a", "list"], vec!["c", "b", "list"]);
    assert_eq!(leaves, [(a.clone(), "x"), (c.clone(), "y"), (a, "z\n"), (c, "y")]);
    // Keys that lead to several values are there once, and texts that are in the file are not copied.
    assert_eq!(parts.keys.len(), 5);
    let copied = parts.leaves.iter().filter(|leaf| matches!(leaf.text, SopsText::Own(_)));
    assert_eq!(copied.count(), 1);
    assert!(size_of::<Leaf>() <= 40);
}
