//! Text from outside on its way out: names from Home Assistant, values of files, names of files.

use std::borrow::Cow;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Serialize;

/// Characters that cannot be seen, or that change how their neighbours are read: control characters,
/// line breaks among them, zero-width and bidirectional ones, byte order marks. Emoji are matched
/// first, since a joiner or a variation selector inside of them hides nothing.
static HIDDEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let style = r"\x1B\[[0-9;]*m";
    let emoji = r"\p{Extended_Pictographic}[\x{FE0F}\p{Emoji_Modifier}]?";
    let hidden = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\x{2800}]";
    // A test builds it.
    Regex::new(&format!(r"{emoji}(?:\x{{200D}}{emoji})*|(?P<hidden>{style}|{hidden})")).ok()
});

/// Text that others chose, as people may see it.
pub trait Visible {
    /// The text with every hidden character escaped, so that it stays in its line and shows what it
    /// holds.
    fn visible(&self) -> Cow<'_, str>;
}

impl Visible for str {
    fn visible(&self) -> Cow<'_, str> {
        escaped(self, |_| false, |character| character.escape_default().to_string())
    }
}

impl Visible for Path {
    fn visible(&self) -> Cow<'_, str> {
        match self.to_string_lossy() {
            Cow::Borrowed(text) => text.visible(),
            Cow::Owned(text) => Cow::Owned(text.visible().into_owned()),
        }
    }
}

/// A text of several lines that is about to be written: its line breaks, tabs and styles stay. Whatever
/// a part of it did not escape is escaped here.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    if is_plain_layout(text) {
        return without_commands(text.into(), r"#\u{23}[");
    }
    let is_layout = |found: &str| found.starts_with("\x1b[") || matches!(found, "\n" | "\t");
    let text = escaped(text, is_layout, |character| character.escape_default().to_string());
    without_commands(text, r"#\u{23}[")
}

/// Writes JSON for others to read, one line a value. Hidden characters become JSON's own escapes, so
/// nothing of what it says is lost.
///
/// # Errors
/// Where the value cannot be written as JSON, such as a map whose keys are no strings.
#[expect(clippy::disallowed_methods, reason = "the one place that escapes what it writes")]
pub fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(visible_json(&serde_json::to_string_pretty(value)?).into_owned() + "\n")
}

/// What is wrong with a JSON text and where, but not what is there: serde repeats values, which may be secrets.
pub fn without_values(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    format!("{:?} error at line {line} column {column}", error.classify()).to_lowercase()
}

/// A JSON document with hidden characters as JSON's own escapes. Its line breaks stay.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let escape = |character: char| {
        let mut units = [0; 2];
        character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    without_commands(escaped(json, |found| found == "\n", escape), r"#\u0023[")
}

/// GitHub Actions takes `##[error]` for a command, anywhere in a line of a log.
fn without_commands<'t>(text: Cow<'t, str>, instead: &str) -> Cow<'t, str> {
    if text.contains("##[") { text.replace("##[", instead).into() } else { text }
}

/// Whether a character is hidden where no emoji is around it.
pub fn is_hidden(character: char) -> bool {
    !(' '..='~').contains(&character) && hidden(character.encode_utf8(&mut [0; 4])).is_some()
}

/// The first hidden character of a text, and the byte where it begins.
pub fn hidden(text: &str) -> Option<(usize, char)> {
    if text.bytes().all(is_plain) {
        return None;
    }
    let pattern = HIDDEN.as_ref()?;
    let found = pattern.captures_iter(text).find_map(|found| found.name("hidden"))?;
    Some((found.start(), found.as_str().chars().next()?))
}

/// Whether a byte is a character that can be seen, whatever is beside it. Most texts have no others, and the pattern
/// takes longer to build than a small plan to make.
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// Whether a text has nothing but such characters, line breaks, tabs and styles.
fn is_plain_layout(text: &str) -> bool {
    let is_plain =
        |part: &str| part.bytes().all(|byte| is_plain(byte) || matches!(byte, b'\n' | b'\t'));
    let is_number = |character: char| character.is_ascii_digit() || character == ';';
    let mut parts = text.split("\x1b[");
    parts.next().is_some_and(is_plain)
        && parts
            .all(|part| part.trim_start_matches(is_number).strip_prefix('m').is_some_and(is_plain))
}

fn escaped<'t>(
    text: &'t str,
    stays: impl Fn(&str) -> bool,
    escape: impl Fn(char) -> String,
) -> Cow<'t, str> {
    let may_have_lines = stays("\n");
    if text.bytes().all(|byte| is_plain(byte) || byte == b'\n' && may_have_lines) {
        return Cow::Borrowed(text);
    }
    let Some(pattern) = HIDDEN.as_ref() else {
        return Cow::Owned(text.escape_default().to_string());
    };
    pattern.replace_all(text, |found: &Captures<'_>| {
        if found.name("hidden").is_none() || stays(&found[0]) {
            return found[0].to_owned();
        }
        let escape = |character| match is_hidden(character) {
            true => escape(character),
            false => character.to_string(),
        };
        found[0].chars().map(escape).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::path::Path;

    use super::{HIDDEN, Visible, hidden, is_plain_layout, to_json, visible_lines};

    #[test]
    fn a_text_holds_no_command_for_github() {
        assert_eq!(visible_lines("a ###[error]b"), r"a ##\u{23}[error]b");
        let json = to_json(&"##[error]").unwrap();
        assert_eq!(json, "\"#\\u0023[error]\"\n");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "##[error]");
    }

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
            assert_eq!(text.visible(), shown);
            assert_eq!(Path::new(text).visible(), shown);
            assert_eq!(hidden(text).is_some(), text != shown, "{text:?}");
        }
        assert_eq!(hidden("ab\u{200b}"), Some((2, '\u{200b}')));
    }

    #[test]
    fn what_is_written_keeps_its_lines_and_styles_and_nothing_else() {
        let text = "\u{1b}[31;1ma\u{1b}[0m\n\tb\r\u{1b}]0;t\u{7}\u{202e}\u{1b}[2Jc";
        let written = "\u{1b}[31;1ma\u{1b}[0m\n\tb\\r\\u{1b}]0;t\\u{7}\\u{202e}\\u{1b}[2Jc";
        assert_eq!(visible_lines(text), written);
        for plain in ["", "a\n\tb", "\u{1b}[31;1ma\u{1b}[0m"] {
            assert!(is_plain_layout(plain) && matches!(visible_lines(plain), Cow::Borrowed(_)));
        }
        for other in
            ["a\r", "ü", "\u{1b}", "\u{1b}[2J", "\u{1b}[1", "\u{1b}[1\u{1b}[m", "m\u{1b}]m"]
        {
            assert!(!is_plain_layout(other), "{other:?}");
        }
    }

    #[test]
    fn json_says_the_same_with_its_escapes() {
        let value =
            serde_json::json!({"a\u{200b}": "\u{202e}\u{e0041}ü\n\u{7f}\\\u{85}☀️\u{1b}[31m"});
        let written = to_json(&value).unwrap();
        assert_eq!(
            written,
            "{\n  \"a\\u200b\": \"\\u202e\\udb40\\udc41ü\\n\\u007f\\\\\\u0085☀️\\u001b[31m\"\n}\n"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }
}
