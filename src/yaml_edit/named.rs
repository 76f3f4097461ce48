//! What is named in a file: other files, and secrets by their names.

use super::slots::pairs;
use crate::model::{PlainText, SECRET_FIELDS, SecretField};
use crate::yaml::{self, ExposedSecret, Node, Pair, Value};

/// The fields of a target with the path of a file that holds a secret.
const OF_TARGETS: [&str; 2] = ["token_file", "client_key"];

/// What secrets are read from.
#[derive(Default)]
pub struct SecretsNamed {
    /// The files, as they are named.
    pub files: Vec<String>,
    /// The names in files of several.
    pub names: Vec<String>,
}

impl SecretsNamed {
    fn add_file(&mut self, argument: &str) {
        self.files.push(argument.to_owned());
        // The name of a file may have a `#` as well.
        if let Some((file, name)) = argument.rsplit_once('#') {
            self.files.push(file.to_owned());
            self.names.push(name.to_owned());
        }
    }
}

/// What secrets of a manifest or project file are read from: what `!file` and `!secret` name there, and the files of a
/// token or a key.
pub fn secrets_named(text: &str) -> SecretsNamed {
    fn in_node(node: &Node<'_>, named: &mut SecretsNamed) {
        if let Value::Sequence(items) = &node.value {
            items.iter().for_each(|item| in_node(item, named));
        }
        for Pair { key, value, .. } in pairs(node) {
            let is_secret = |field: &SecretField| {
                field.name == key.text && field.plain_text != PlainText::Usual
            };
            match (&value.value, &value.tag) {
                (Value::Scalar(scalar), Some(tag)) if SECRET_FIELDS.iter().any(is_secret) => {
                    let argument = scalar.text.trim();
                    match tag.name.as_str() {
                        "file" => named.add_file(argument),
                        "secret" => named.names.push(argument.to_owned()),
                        _ => {}
                    }
                }
                (Value::Scalar(scalar), None) if OF_TARGETS.contains(&key.text.as_ref()) => {
                    let path = scalar.text.lines().next();
                    named.files.extend(path.map(|path| path.trim().to_owned()));
                }
                _ => in_node(value, named),
            }
        }
    }
    let mut named = SecretsNamed::default();
    yaml::parse(text).documents.iter().for_each(|document| in_node(document, &mut named));
    named
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
