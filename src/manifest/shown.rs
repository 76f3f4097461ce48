//! Which values of a file may appear in a message.

use crate::model::{ValueFault, value_fault};
use crate::secret::holds_identity;
use crate::suggest::nearest;

/// Fields whose values are no secrets.
const HARMLESS: &[&str] = &[
    "adopt",
    "allow_empty",
    "allow_outside_files",
    "allow_placeholders",
    "allow_plaintext",
    "ca_file",
    "client_id",
    "config_dir",
    "custom_integrations",
    "domain",
    "formerly",
    "identities",
    "implementation",
    "key",
    "manifests",
    "max_deletes",
    "name",
    "on_delete",
    "owner",
    "previous_owners",
    "prune",
    "recipients",
    "setup",
    "targets",
    "token_url",
    "url",
];

/// Those of them that may well have spaces.
const SPACED: &[&str] = &["domain", "name", "owner"];

/// Those whose values are names of few kinds of characters.
const NAMES: &[&str] = &["custom_integrations", "domain", "implementation", "on_delete", "prune"];

/// Whether a value looks like the name of an integration, and not like something made at random.
fn is_name(raw: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let has_digit = raw.bytes().any(|byte| byte.is_ascii_digit());
    let is_long = raw.len() > if has_digit { 12 } else { 40 };
    !is_long && raw.bytes().all(|byte| lower(byte) || byte.is_ascii_digit())
}

/// Words that may be followed by something that is not harmless.
const ALARMING: &[&str] = &["secret", "token", "passw", "auth"];

/// How many bytes of a value can be shown where it is the value of this key.
///
/// A lost line break or comma makes a secret part of the value before it, so a value ends where
/// another key could begin.
pub(super) fn shown_of(key: &str, raw: &str) -> usize {
    if holds_identity(raw) {
        return 0;
    }
    // Where such a key is misspelt, what looks like a name is shown all the same.
    if nearest(key, NAMES.iter().copied()).is_some() && is_name(raw) {
        return raw.len();
    }
    if !HARMLESS.contains(&key) {
        return 0;
    }
    let line = raw.split(['\n', '\r']).next().unwrap_or_default();
    let mut end = line.len();
    let mut cut = |at: Option<usize>| end = end.min(at.unwrap_or(end));
    let gap = if SPACED.contains(&key) { "  " } else { " " };
    let lead = line.len() - line.trim_start_matches([' ', '"', '\'']).len();
    cut(line[lead..].find(gap).map(|at| lead + at));
    let lower = line.to_ascii_lowercase();
    for word in ALARMING {
        cut(lower.find(word).map(|at| word_before(line, at)));
    }
    cut(misspelt_secret(&lower));
    if key == "client_id" {
        // A whole document may be there by mistake, its line breaks and quotes escaped.
        let text = line.trim_matches(['"', '\'']);
        let is_document = matches!(value_fault(text, true), Some(ValueFault::Document(_)));
        cut((is_document || line.contains('\\')).then_some(0));
    }
    match line.find("://") {
        Some(at) => {
            cut(line.find('@').map(|_| at + 3));
            cut(line.find(['?', '#']));
            cut(line[at + 3..].find(": ").map(|colon| word_before(line, at + 3 + colon)));
        }
        None => cut(line.find(':').map(|at| word_before(line, at))),
    }
    end
}

/// Where a word begins that was most likely meant to be the name of a secret field.
fn misspelt_secret(line: &str) -> Option<usize> {
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    let mut start = 0;
    for word in line.split(|character| !is_part(character)) {
        let far = strsim::osa_distance(word, "client_secret");
        if far <= 4 || strsim::osa_distance(word, "token") <= 1 {
            return Some(start);
        }
        start += word.len();
        start += line[start..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

/// Where the word that reaches up to here begins.
fn word_before(line: &str, at: usize) -> usize {
    line[..at].rfind([' ', ',', '{', '[', '"', '\'']).map_or(0, |before| before + 1)
}

#[cfg(test)]
mod tests {
    use super::shown_of;

    #[test]
    fn harmless_values_are_shown_up_to_what_may_be_none() {
        let check = |key: &str, raw: &str, shown: &str| {
            assert_eq!(&raw[..shown_of(key, raw)], shown, "{key}: {raw}");
        };
        check("domain", "spotify", "spotify");
        check("client_secret", "spotify", "");
        check("domian", "spotify", "spotify");
        check("domian", "4f5c0a8812d04f5c", "");
        check("client_sec", "spotify", "");
        check("secret", "spotify", "");
        check("domain", "google_auth", "google_auth");
        check("domain", "token_shop", "token_shop");
        check("domain", "a1b2c3d4e5f6a7b8_auth", "");
        check("clientid", "spotify", "");
        check("name", "Spotify (family)", "Spotify (family)");
        check("name", "Spotify   client_secret x", "Spotify");
        check("client_id", "a client_secret x", "a");
        check("name", "a clint_secre x", "a ");
        check("owner", "é client_secre:x", "é ");
        check("client_id", "a\n  b", "a");
        check("client_id", "<b>x</b>", "");
        check("client_id", "<your-id>", "<your-id>");
        check("client_id", "\"{\\\"x\\\"", "");
        check("client_id", "'{\"x\": \"y\"}'", "");
        check("client_id", "\"${ID}\"", "\"${ID}\"");
        check("client_id", "\" a\"", "\" a\"");
        check("domain", "spotify, other: x", "spotify, ");
        check("client_id", "fooclient_secret: x", "");
        check("recipients", "AGE-SECRET-KEY-1XYZ", "");
        check("url", "https://ha.example:8123", "https://ha.example:8123");
        check("url", "https://me:x@ha.example", "https://");
        check("url", "https://ha.example?x=y", "https://ha.example");
    }
}
