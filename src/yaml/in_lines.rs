//! Client secrets in plain text in a text of any kind: a copy of a manifest may be anywhere, under any name.

use super::commented::values_of;
use crate::model::{CLIENT_ID, CLIENT_SECRET, ClientPart, Secret, client_fault};

/// What is shorter and has no digit may be a word.
const SHORTEST_OF_LETTERS: usize = 16;

/// The client secrets in plain text of what has the lines of an entry, each with its line from 1; none where the text
/// is of something else, as a program or its translations are.
pub fn secrets_in_lines(text: &str) -> Vec<(u32, Secret)> {
    if !text.contains(CLIENT_SECRET.name) {
        return Vec::new();
    }
    let found = (1..).zip(text.lines()).flat_map(|(number, line)| {
        let values = values_of(line, &CLIENT_SECRET).filter(|value| is_secret(value));
        values.map(move |value| (number, Secret::new(value)))
    });
    let found: Vec<_> = found.collect();
    let is_of_entry = !found.is_empty() && text.lines().any(is_line_of_entry);
    if is_of_entry { found } else { Vec::new() }
}

fn is_no_word(value: &str) -> bool {
    !value.contains(' ')
        && (value.len() >= SHORTEST_OF_LETTERS || value.bytes().any(|byte| byte.is_ascii_digit()))
}

fn is_secret(value: &str) -> bool {
    is_no_word(value) && client_fault(value, ClientPart::Secret, false).is_none()
}

/// Whether a line names an integration as an entry does, or has a client id.
fn is_line_of_entry(line: &str) -> bool {
    let names_domain = || {
        let (before, behind) = line.split_once("domain")?;
        let value = behind.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
        let is_key = !before.contains(|part: char| part.is_ascii_alphanumeric() || part == '_');
        let domain = value.trim_start().trim_start_matches(['"', '\'']);
        Some(is_key && domain.starts_with(|first: char| first.is_ascii_lowercase()))
    };
    names_domain() == Some(true) || values_of(line, &CLIENT_ID).any(is_no_word)
}

#[cfg(test)]
mod tests {
    use super::secrets_in_lines;

    fn lines(text: &str) -> Vec<u32> {
        secrets_in_lines(text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn an_entry_is_found_in_a_text_of_any_kind() {
        for text in [
            "- domain: spotify\n  client_secret: zx81qw99plain\n",
            "# House\n\n    - {domain: spotify, client_id: x, client_secret: zx81qw99}\n",
            "+- domain: spotify\n+  client_secret: \"zx81qw99plain\"\n",
            "<<<<<<< HEAD\n- domain: spotify\n=======\n  client_secret: 'zx81qw99plain' # old\n",
            "{\"domain\":\"spotify\",\"client_secret\":\"zx81qw99plain\"}",
            "netatmo:\n  client_id: 5f0c1b2a\n  client_secret: plain-text-of-letters\n",
        ] {
            assert_eq!(lines(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_program_a_translation_and_what_holds_no_secret_are_none() {
        for text in [
            "class Entry:\n    domain: str\n    client_id: str\n    client_secret: str\n",
            "{\"client_id\": \"Client-ID\", \"client_secret\": \"Client-Geheimnis\"}",
            "- domain: spotify\n  client_secret: !env_var SPOTIFY_2\n",
            "- domain: spotify\n  client_secret: ENC[AES256_GCM,data:x1]\n",
            "- domain: spotify\n  client_secret: your-client-secret\n",
            "- domain: spotify\n  client_secret: {{ secret_1 }}\n",
            "- domain: spotify\n  client_secret: the secret of 2026\n",
            "client_secret: zx81qw99plain\n",
        ] {
            assert_eq!(lines(text), [0; 0], "{text}");
        }
    }
}
