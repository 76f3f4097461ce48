//! Values that a document of SOPS has in plain text, because its rules choose others.

use super::is_sealed;
use crate::diagnostic::Span;
use crate::model::Secret;
use crate::model::sops::{Leaf, ScalarStyle, Tree};
use crate::yaml::{MERGE, sops_in_text};

/// One of them.
pub struct ClearValue {
    /// The keys that lead to it, as in `home/spotify`.
    pub name: String,
    /// Whether the document has no other value.
    pub is_only: bool,
    /// Its line, from 1.
    pub line: u32,
    /// The value.
    pub value: Secret,
}

/// All of them but those in lists, which nobody can name; `None` where the text is no document of SOPS. One
/// that is damaged has none.
pub fn clear_values(text: &str) -> Option<Vec<ClearValue>> {
    let Ok(parts) = sops_in_text(text)? else { return Some(Vec::new()) };
    let tree = Tree { text, parts: &parts };
    let is_clear = |leaf: &&Leaf| {
        let value = leaf.text.of(text).trim();
        let is_named = leaf.form != ScalarStyle::Strange && !leaf.in_list;
        is_named && !value.is_empty() && !is_sealed(value)
    };
    let clear = parts.leaves.iter().filter(is_clear).map(|leaf| {
        let keys = tree.keys(leaf.path);
        let names: Vec<&str> = keys.iter().copied().filter(|key| *key != MERGE).collect();
        ClearValue {
            name: names.join("/"),
            is_only: parts.leaves.len() == 1,
            line: line(leaf, keys.last().copied(), text),
            value: Secret::new(leaf.text.of(text)),
        }
    });
    Some(clear.collect())
}

/// The line of a value. In other forms than YAML only its key is known.
fn line(leaf: &Leaf, key: Option<&str>, text: &str) -> u32 {
    let of_key = || key.and_then(|key| text.find(key)).unwrap_or_default();
    let at = if leaf.at == 0 { of_key() } else { leaf.at as usize };
    Span::of(text, at..at).line
}
