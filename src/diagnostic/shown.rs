//! What of a file may appear in a message. A secret can end up anywhere once a key is misspelt or a
//! colon is lost, so only what looks like a name is repeated.

use std::fmt;

/// Whether a key can be shown: it looks like a word, not like something made at random.
pub(crate) fn is_telling(key: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let has_digit = key.bytes().any(|byte| byte.is_ascii_digit());
    (key == "<<")
        || (!key.is_empty()
            && key.bytes().all(word)
            && key.len() <= if has_digit { 12 } else { 40 })
}

/// A key in a message: its name, where it can be shown.
pub(crate) fn field(key: &str) -> FieldName<'_> {
    FieldName(key)
}

/// See [`field`]; most are never shown, and cost nothing until they are.
#[derive(Clone, Copy)]
pub(crate) struct FieldName<'k>(&'k str);

impl fmt::Display for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_telling(self.0) { write!(f, "`{}`", self.0) } else { f.write_str("a key") }
    }
}

#[cfg(test)]
mod tests {
    use super::{field, is_telling};

    #[test]
    fn keys_are_shown_only_where_they_look_like_words() {
        for key in ["domain", "client_secert", "Client-Secret", "home2", "<<"] {
            assert!(is_telling(key), "{key}");
        }
        for key in ["", "4f5c0a8812d04f5c", "GOCSPX-a1b2c3d4e5f6", "a/b", "a b", "päss"] {
            assert!(!is_telling(key), "{key}");
        }
        assert_eq!(field("4f5c0a8812d04f5c").to_string(), "a key");
    }
}
