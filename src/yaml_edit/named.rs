//! What is named in a file: other files, and secrets by their names.

use super::slots::pairs;
use crate::model::{PlainText, SECRET_FIELDS, SecretField};
use crate::yaml::{self, ExposedSecret, Node, Pair, Value};

/// The fields of a target with the path of a file that holds a secret.
const OF_TARGETS: [&str; 2] = ["token_file", "client_key"];

/// The files that secrets of a manifest or project file are read from: what `!file` names there, and the files of a
/// token or a key.
pub fn files_named(text: &str) -> Vec<String> {
    fn in_node(node: &Node<'_>, files: &mut Vec<String>) {
        if let Value::Sequence(items) = &node.value {
            items.iter().for_each(|item| in_node(item, files));
        }
        for Pair { key, value, .. } in pairs(node) {
            let is_secret = |field: &SecretField| {
                field.name == key.text && field.plain_text != PlainText::Usual
            };
            match (&value.value, &value.tag) {
                (Value::Scalar(scalar), Some(tag)) if tag.name == "file" => {
                    if SECRET_FIELDS.iter().any(is_secret) {
                        files.push(scalar.text.trim().to_owned());
                    }
                }
                (Value::Scalar(scalar), None) if OF_TARGETS.contains(&key.text.as_ref()) => {
                    files.extend(scalar.text.lines().next().map(|path| path.trim().to_owned()));
                }
                _ => in_node(value, files),
            }
        }
    }
    let mut files = Vec::new();
    yaml::parse(text).documents.iter().for_each(|document| in_node(document, &mut files));
    files
}

/// The secrets in plain text in fields of a manifest or project file that hold none.
pub fn exposed_secrets(text: &str) -> Vec<ExposedSecret> {
    yaml::exposed_secrets(&yaml::parse(text).documents)
}

/// Where this name is in a file of secrets, however its value is written.
pub fn place_of_name(text: &str, name: &str) -> Option<usize> {
    fn in_node(node: &Node<'_>, name: &str) -> Option<usize> {
        let own = pairs(node).iter().find(|pair| pair.key.text == name);
        own.map(|pair| pair.key.span.start).or_else(|| {
            pairs(node).iter().find_map(|pair| {
                in_node(&pair.value, name.strip_prefix(pair.key.text.as_ref())?.strip_prefix('/')?)
            })
        })
    }
    yaml::parse(text).documents.iter().find_map(|document| in_node(document, name))
}
