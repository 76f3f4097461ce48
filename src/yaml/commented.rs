//! Secrets in comments: a line is often taken out of use by making it one, with what is in it.

use super::build::comments;
use crate::diagnostic::Span;
use crate::model::{
    CLIENT_SECRET, PlainText, SECRET_FIELDS, Secret, SecretField, TOKEN, is_client_secret, is_name,
    may_be_token, value_fault,
};

/// Nothing longer is looked at: a line may have a whole file in it.
const LONGEST: usize = 4096;

/// A field in a comment, with a secret in plain text.
pub struct CommentedSecret {
    /// The field.
    pub field: &'static str,
    /// The secret.
    pub secret: Secret,
    /// The comment.
    pub span: Span,
}

/// Finds the secrets in plain text in the comments of a text. What has the form of a name is prose, and
/// none.
pub fn commented_secrets(text: &str) -> Vec<CommentedSecret> {
    // Most texts have none, and the comments of a text are found by parsing it.
    if !text.lines().any(|line| line.contains('#') && secrets_of(line).next().is_some()) {
        return Vec::new();
    }
    let found = comments(text).into_iter().flat_map(|span| {
        let secrets = secrets_of(&text[span.start..span.end]);
        secrets.map(move |(field, secret)| CommentedSecret { field, secret, span })
    });
    found.collect()
}

fn secrets_of(line: &str) -> impl Iterator<Item = (&'static str, Secret)> {
    let fields = SECRET_FIELDS.iter().filter(|field| field.plain_text == PlainText::Refused);
    let named = fields.filter_map(|field| Some((field.name, value_of(line, field)?)));
    let words = line.split(|part: char| part.is_whitespace() || "\"'`,;:=()".contains(part));
    let known = words.filter(|word| value_fault(word, false).is_none()).filter_map(known_secret);
    named
        .chain(known.filter(|_| !line.contains(CLIENT_SECRET.name) && !line.contains(TOKEN.name)))
        .map(|(field, secret)| (field, Secret::new(secret)))
}

/// What is a secret without its field, as whoever issued it writes them.
fn known_secret(word: &str) -> Option<(&'static str, &str)> {
    let is_token = word.starts_with("eyJ") && may_be_token(word);
    if is_token {
        return Some((TOKEN.name, word));
    }
    is_client_secret(word).then_some((CLIENT_SECRET.name, word))
}

/// The value that a line gives a field in plain text. What has the form of a name is prose.
fn value_of<'l>(line: &'l str, field: &SecretField) -> Option<&'l str> {
    // A client secret is never a sentence; what is said of a token may be.
    let is_value = |value: &&str| {
        !is_name(value) && (field.name == CLIENT_SECRET.name || !value.contains(' '))
    };
    values_of(line, field).find(is_value)
}

/// The values that a line gives a field, and that are no placeholders.
pub(super) fn values_of<'l>(line: &'l str, field: &SecretField) -> impl Iterator<Item = &'l str> {
    line.match_indices(field.name).filter_map(|(at, name)| {
        let is_inside =
            line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let behind = &line[at + name.len()..];
        let is_quoted = behind.starts_with(['"', '\'']);
        let value = behind.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
        if is_inside || !(is_quoted || value.starts_with([' ', '\t'])) {
            return None;
        }
        let value = value.char_indices().nth(LONGEST).map_or(value, |(end, _)| &value[..end]);
        plain(value.trim()).filter(|value| value_fault(value, false).is_none())
    })
}

/// A scalar without its quotes, and without what is behind it; none where it is a tag, a block, an
/// alias, or encrypted.
pub(super) fn plain(value: &str) -> Option<&str> {
    if value.starts_with(['!', '|', '>', '*', '&', '<', '$', '{', '[']) || value.starts_with("ENC[")
    {
        return None;
    }
    for quote in ['"', '\''] {
        if let Some(inside) = value.strip_prefix(quote) {
            return inside.split(quote).next();
        }
    }
    let value = value.split(" #").next().unwrap_or(value);
    Some(value.split([',', '}']).next().unwrap_or(value).trim())
}

#[cfg(test)]
mod tests {
    use super::commented_secrets;

    fn found(text: &str) -> Vec<(u32, &'static str, String)> {
        let found = commented_secrets(text).into_iter();
        found.map(|one| (one.span.line, one.field, one.secret.expose().to_owned())).collect()
    }

    #[test]
    fn what_was_taken_out_of_use_is_found_with_its_secret() {
        let text = "application_credentials:\n  #- domain: fitbit\n  #  client_secret: 9a8B7c6D5e4F\n  - domain: spotify # client_secret: \"4f5c0A7d2b9E\"\n    #  token: eyJhbGciOi.J9.c2ln\n    # - {domain: x, client_secret: 'aB3dE6gH9k', key: y}\n";
        let expected = [
            (3, "client_secret", "9a8B7c6D5e4F"),
            (4, "client_secret", "4f5c0A7d2b9E"),
            (5, "token", "eyJhbGciOi.J9.c2ln"),
            (6, "client_secret", "aB3dE6gH9k"),
        ];
        let expected = expected.map(|(line, field, secret)| (line, field, secret.to_owned()));
        assert_eq!(found(text), expected);
    }

    #[test]
    fn what_is_certainly_a_secret_is_found_without_its_field() {
        let text = "# eyJhbGciOi.eyJpc3MiOi.c2ln\na: 1 # was GOCSPX-a1b2_c3\n# GOCSPX-xxxx\n# GOCSPX-...\n";
        let expected =
            [(1, "token", "eyJhbGciOi.eyJpc3MiOi.c2ln"), (2, "client_secret", "GOCSPX-a1b2_c3")];
        assert_eq!(
            found(text),
            expected.map(|(line, field, secret)| (line, field, secret.to_owned()))
        );
    }

    #[test]
    fn what_a_comment_says_of_a_secret_is_no_secret() {
        let text = "# client_secret: required\n# client_secret: !secret spotify\n# client_secret: |\n#   -----BEGIN AGE ENCRYPTED FILE-----\n# client_secret: ENC[AES256_GCM,data:x]\n# client_secret: <your secret>\n# client_secret: changeme\n# token: a long-lived access token of 2026\n# client_secret:\nclient_secret: 9a8B7c6D5e4F\nmy_client_secret: 9a8B7c6D5e4F # x\n";
        assert_eq!(found(text), []);
    }

    #[test]
    fn a_number_sign_in_a_value_begins_no_comment() {
        assert_eq!(found("a: 'x # client_secret: 9a8B7c6D5e4F'\n"), []);
    }
}
