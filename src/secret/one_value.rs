//! A secret is one value. What is plainly a document is refused, or the whole document would become
//! the secret.

use super::Unreadable;
use crate::model::Secret;

/// The secret, where it is one value.
pub(super) fn checked(secret: Secret) -> Result<Secret, Unreadable> {
    match document(secret.expose()) {
        _ if secret.expose().is_empty() => Err(Unreadable::Empty),
        Some(kind) => Err(Unreadable::Document(kind)),
        None => Ok(secret),
    }
}

/// What a text looks like that is no single value; `None` where it may be one.
pub(super) fn document(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if text.starts_with("ENC[") {
        return Some("a value that SOPS encrypted, without its document");
    }
    if text.starts_with("-----BEGIN AGE ENCRYPTED FILE") || text.starts_with("age-encryption.org/")
    {
        return Some("an age file");
    }
    if text.starts_with("-----BEGIN ") {
        return Some("a key or certificate in PEM form");
    }
    if is_json(text) {
        return Some(if is_download(text) {
            "the JSON file that a provider offers for download"
        } else {
            "a JSON document"
        });
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_one_line = text.lines().count() == 1;
    if is_one_line {
        return lines.next().and_then(named_value);
    }
    let lines = || lines.clone().filter(|line| !line.starts_with(['#', ';']));
    let is_sops = text.contains("sops_version=") || text.contains("sops_mac=");
    Some(if is_sops && lines().all(|line| line.contains('=')) {
        "a SOPS document in dotenv form"
    } else if lines().any(|line| line == "[sops]") {
        "a SOPS document in INI form"
    } else if lines().next().is_some_and(|line| line.starts_with('[') && line.ends_with(']')) {
        "an INI document"
    } else if lines().all(|line| is_pair(line, '=')) {
        "a file of environment variables"
    } else if lines().any(|line| is_pair(line, ':')) {
        "a YAML document"
    } else {
        "a text of several lines"
    })
}

fn is_json(text: &str) -> bool {
    text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Google and others offer a client as a file with this in it.
fn is_download(text: &str) -> bool {
    text.contains("\"client_secret\"")
}

/// One line such as `client_secret: x`, of which only the value is meant.
fn named_value(line: &str) -> Option<&'static str> {
    let (name, kind) = [('=', "an environment variable with its name"), (':', "a YAML mapping")]
        .into_iter()
        .find(|(mark, _)| is_pair(line, *mark))
        .and_then(|(mark, kind)| Some((line.split(mark).next()?.to_ascii_lowercase(), kind)))?;
    let is_telling =
        ["secret", "token", "client", "password"].iter().any(|part| name.contains(part));
    is_telling.then_some(kind)
}

/// Whether a line is a name, this mark and a value, as in `NAME=value` or `name: value`.
fn is_pair(line: &str, mark: char) -> bool {
    line.split_once(mark).is_some_and(|(name, value)| {
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        let is_name = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.');
        let is_apart = mark != ':' || value.is_empty() || value.starts_with(' ');
        !name.is_empty() && name.chars().all(is_name) && is_apart
    })
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn a_document_is_no_secret() {
        for (text, kind) in [
            ("ENC[AES256_GCM,data:x]", "a value that SOPS encrypted, without its document"),
            ("-----BEGIN AGE ENCRYPTED FILE-----\nx", "an age file"),
            ("-----BEGIN PRIVATE KEY-----\nx", "a key or certificate in PEM form"),
            (
                r#"{"web":{"client_id":"a","client_secret":"b"}}"#,
                "the JSON file that a provider offers for download",
            ),
            (r#"{"a": 1}"#, "a JSON document"),
            ("[1]", "a JSON document"),
            ("A=ENC[x]\nsops_version=3.11.0\n", "a SOPS document in dotenv form"),
            ("[s]\na = ENC[x]\n[sops]\nmac = x", "a SOPS document in INI form"),
            ("[s]\na = b", "an INI document"),
            ("# mine\nexport A=b\nC=d", "a file of environment variables"),
            ("client_secret: b\nname: c", "a YAML document"),
            ("one\ntwo", "a text of several lines"),
            ("client_secret: b", "a YAML mapping"),
            ("CLIENT_SECRET=b", "an environment variable with its name"),
        ] {
            assert_eq!(document(text), Some(kind), "{text}");
        }
        for secret in [
            "GOCSPX-abc_def",
            "aGVsbG8=",
            "a=b",
            "a:b",
            "https://hooks.example/x?token=y",
            "{not json",
            "[x",
            "with spaces: in it, secret",
            "eyJ.a-b.c",
        ] {
            assert_eq!(document(secret), None, "{secret}");
        }
    }
}
