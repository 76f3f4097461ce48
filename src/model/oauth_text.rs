//! What cannot be a client id or a client secret.

use std::sync::LazyLock;

use regex::Regex;

use super::visible::hidden;

/// Texts that stand for a value: of templates, of documentation, of password managers.
static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        // ${X}, {{ x }}, $(x), %X%, @x@, __X__
        r"\$\{.*\}|\{\{.*\}\}|\$\(.*\)",
        r"^(\$[A-Za-z_][A-Za-z0-9_]*|%+[A-Za-z_]+%+|@[A-Za-z_]+@|__[A-Za-z_]+__)$",
        // <your client id>, [client id]
        r"^(<.*>|\[.*\])$",
        // your-client-id, REPLACE_ME, changeme, xxxx, ...
        r"(?i)^(your|my|insert|enter|replace|put|paste|change)[-_ ]?(\w*[-_ ])*(me|this|it|here|id|key|secret|token|value)$",
        r"(?i)^(todo|tbd|fixme|none|null|undefined|redacted|placeholder|example|dummy|client_?id|client_?secret)$",
        r"(?i)^(x{3,}|\*{3,}|\.{3,}|-{3,}|_{3,}|\?{3,})$",
        // op://vault/item/field and others
        r"^(op|bw|bws|vault|keyring|pass|doppler|infisical|keychain|secretref)://",
        r"^(ref\+|vault:|vals:)",
    ];
    // A test builds it.
    Regex::new(&forms.map(|form| format!("(?:{form})")).join("|")).ok()
});

/// Why a text cannot be a client id or a client secret, as the end of a sentence; `None` where it can.
/// RFC 6749 allows the characters from space to `~`. The text itself is never repeated.
pub fn unfit_for_oauth(text: &str) -> Option<String> {
    if text.contains(['\n', '\r']) {
        return Some("has several lines".to_owned());
    }
    if let Some((at, character)) = hidden(text) {
        let count = text[..at].chars().count() + 1;
        return Some(format!("has the hidden character {} at position {count}", code(character)));
    }
    if let Some(other) = text.chars().find(|character| !(' '..='~').contains(character)) {
        let other = code(other);
        return Some(format!("has the character {other}, and OAuth allows none beyond ASCII"));
    }
    let is_placeholder = PLACEHOLDER.as_ref().is_some_and(|pattern| pattern.is_match(text));
    is_placeholder.then(|| "is a placeholder that nobody has filled in".to_owned())
}

/// The hidden character of a text, as `U+202E`; `None` where there is none.
pub fn hidden_character(text: &str) -> Option<String> {
    hidden(text).map(|(_, character)| match character {
        '\n' | '\r' => "a line break".to_owned(),
        other => format!("the hidden character {}", code(other)),
    })
}

fn code(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::{PLACEHOLDER, unfit_for_oauth};

    #[test]
    fn what_providers_hand_out_is_taken() {
        assert!(PLACEHOLDER.is_some());
        for text in [
            "4f5c0a8812d04f5c",
            "GOCSPX-a1b2_c3",
            "61.apps.googleusercontent.com",
            "a b~!@#$%^&*()",
            "my-secret-house-2026",
            "p@ssw0rd",
            "aGVsbG8=",
            "0",
        ] {
            assert_eq!(unfit_for_oauth(text), None, "{text}");
        }
    }

    #[test]
    fn what_nobody_filled_in_is_a_placeholder() {
        for text in [
            "${SPOTIFY_SECRET}",
            "{{ secret }}",
            "<your client id>",
            "YOUR_CLIENT_ID",
            "your-client-secret",
            "op://home/spotify/secret",
            "ref+vault://x",
            "changeme",
            "REPLACE_ME",
            "TODO",
            "xxxxxxxx",
            "$CLIENT_SECRET",
            "client_secret",
            "...",
        ] {
            assert!(unfit_for_oauth(text).unwrap().contains("placeholder"), "{text}");
        }
    }

    #[test]
    fn other_characters_are_named() {
        for (text, why) in [
            ("a\u{200b}b", "has the hidden character U+200B at position 2"),
            ("\u{feff}a", "has the hidden character U+FEFF at position 1"),
            ("a\tb", "has the hidden character U+0009 at position 2"),
            ("aé", "has the character U+00E9, and OAuth allows none beyond ASCII"),
            ("a\nb", "has several lines"),
        ] {
            assert_eq!(unfit_for_oauth(text).as_deref(), Some(why));
        }
    }
}
