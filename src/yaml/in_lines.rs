//! Client secrets in plain text in a text of any kind: a copy of a manifest may be anywhere, under any name.

use super::commented::{plain, values_of};
use crate::model::{CLIENT_ID, CLIENT_SECRET, ClientPart, Secret, client_fault, value_fault};

/// What is shorter and has no digit may be a word.
const SHORTEST_OF_LETTERS: usize = 16;
/// What is shorter is no secret of a variable.
const SHORTEST_OF_VARIABLE: usize = 8;

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

/// The secret in plain text that a line gives a variable, as `NAME=secret`, `export NAME="secret"` or `NAME: secret`.
pub fn secret_of_variable<'l>(line: &'l str, variable: &str) -> Option<&'l str> {
    let values = line.match_indices(variable).filter_map(|(at, name)| {
        // What begins with `${` is read there, and given no value.
        let is_other = |before: char| before.is_alphanumeric() || "_{$".contains(before);
        let behind = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        let value = behind.strip_prefix(['=', ':']).filter(|_| !line[..at].ends_with(is_other))?;
        // The quote may be before the name.
        plain(value.trim()).map(|value| value.trim_end_matches(['"', '\'']))
    });
    let is_secret = |value: &&str| {
        value.len() >= SHORTEST_OF_VARIABLE
            && is_no_word(value)
            && value_fault(value, false).is_none()
    };
    values.into_iter().find(is_secret)
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
    use super::{secret_of_variable, secrets_in_lines};

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
    fn a_variable_is_given_its_secret_in_many_ways() {
        for line in [
            "SPOTIFY=zx81qw99plain",
            "export SPOTIFY='zx81qw99plain'",
            "SPOTIFY=\"zx81qw99plain\" # of Ann",
            "      SPOTIFY: zx81qw99plain",
            "    - SPOTIFY=zx81qw99plain",
            "Environment=\"SPOTIFY=zx81qw99plain\"",
            "{\"SPOTIFY\": \"zx81qw99plain\"}",
            "set -x SPOTIFY x; SPOTIFY=zx81qw99plain",
        ] {
            assert_eq!(secret_of_variable(line, "SPOTIFY"), Some("zx81qw99plain"), "{line}");
        }
        for line in [
            "SPOTIFY=",
            "SPOTIFY=$OTHER_99",
            "SPOTIFY: ${{ secrets.SPOTIFY99 }}",
            "echo ${SPOTIFY:0:12345678}",
            "client_secret: !env_var SPOTIFY",
            "MY_SPOTIFY=zx81qw99plain",
            "SPOTIFY=ENC[AES256_GCM,data:x1]",
            "SPOTIFY=your-secret-here",
            "if [ $SPOTIFY = zx81qw99plain ]; then",
            "SPOTIFY: the secret of the house in 2026",
            "SPOTIFY=op://vault/item/field99",
        ] {
            assert_eq!(secret_of_variable(line, "SPOTIFY"), None, "{line}");
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
