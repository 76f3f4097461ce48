//! Text from outside on its way out: names from Home Assistant, values of files, names of files.

use std::borrow::Cow;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Characters that cannot be seen, or that change how their neighbours are read: control characters,
/// line breaks among them, zero-width and bidirectional ones, byte order marks. Emoji are matched
/// first, since a joiner or a variation selector inside of them hides nothing.
static HIDDEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let emoji = r"\p{Extended_Pictographic}[\x{FE0F}\p{Emoji_Modifier}]?";
    let hidden = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\x{2800}]";
    // A test builds it.
    Regex::new(&format!(r"{emoji}(?:\x{{200D}}{emoji})*|(?P<hidden>{hidden})")).ok()
});

/// The text with every hidden character escaped, so that it stays in its line and shows what it holds.
/// Every foreign text goes through here before a person or a program reads it.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_harmless = |byte: u8| (b' '..=b'~').contains(&byte);
    if text.bytes().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    escaped(text, |character| character.escape_default().to_string())
}

/// A path, like [`visible`].
pub fn visible_path(path: &Path) -> String {
    visible(&path.to_string_lossy()).into_owned()
}

/// A JSON document with hidden characters as JSON's own escapes; it still says the same. Its line
/// breaks stay.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    escaped(json, |character| match character {
        '\n' => "\n".to_owned(),
        other => {
            let mut units = [0; 2];
            other.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
    })
}

/// Whether a character is hidden where no emoji is around it.
pub fn is_hidden(character: char) -> bool {
    !(' '..='~').contains(&character) && hidden(character.encode_utf8(&mut [0; 4])).is_some()
}

/// The first hidden character of a text, and the byte where it stands.
pub fn hidden(text: &str) -> Option<(usize, char)> {
    let pattern = HIDDEN.as_ref()?;
    let found = pattern.captures_iter(text).find_map(|found| found.name("hidden"))?;
    Some((found.start(), found.as_str().chars().next()?))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    let Some(pattern) = HIDDEN.as_ref() else {
        return Cow::Owned(text.escape_default().to_string());
    };
    pattern.replace_all(text, |found: &Captures<'_>| match found.name("hidden") {
        Some(hidden) => hidden.as_str().chars().map(&escape).collect(),
        None => found[0].to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{HIDDEN, hidden, visible, visible_json};

    #[test]
    fn hidden_characters_are_escaped_and_all_others_stay() {
        assert!(HIDDEN.is_some());
        for (text, shown) in [
            ("Spotify (family)", "Spotify (family)"),
            ("Küche 日本 עברית", "Küche 日本 עברית"),
            ("☀️ 👨‍👩‍👧 👍🏽", "☀️ 👨‍👩‍👧 👍🏽"),
            ("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
            ("a\u{200b}b\u{200d}c\u{ad}d\u{2060}", "a\\u{200b}b\\u{200d}c\\u{ad}d\\u{2060}"),
            ("\u{feff}a\u{3164}\u{e0041}\u{2800}", "\\u{feff}a\\u{3164}\\u{e0041}\\u{2800}"),
            (
                "a\n::error::b\r\t\u{1b}[31m\u{85}\u{2028}",
                "a\\n::error::b\\r\\t\\u{1b}[31m\\u{85}\\u{2028}",
            ),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(hidden(text).is_some(), text != shown, "{text:?}");
        }
        assert_eq!(hidden("ab\u{200b}"), Some((2, '\u{200b}')));
    }

    #[test]
    fn json_says_the_same_with_its_escapes() {
        let json = "{\n  \"a\": \"\u{202e}\u{e0041}ü\"\n}";
        let shown = visible_json(json);
        assert_eq!(shown, "{\n  \"a\": \"\\u202e\\udb40\\udc41ü\"\n}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(json), read(&shown));
    }
}
