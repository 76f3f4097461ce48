//! What is plainly a document. As a value it would be a client secret of many lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::merge_conflict::has_merge_conflict;
use super::value_rule::ValueRule;

const INI: &str = "an INI or TOML document";
const VARIABLES: &str = "a file of environment variables";
const HEADER: &str = "a header of HTTP";
const CONFLICT: &str = "a text with an unresolved merge conflict";

/// What a text looks like that is no single value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    kind: &'static str,
    /// The fields in it that hold a client, as in `web.client_secret`.
    fields: Vec<String>,
}

impl Document {
    pub(super) fn is_header(&self) -> bool {
        self.kind == HEADER
    }

    pub(super) fn has_merge_conflict(&self) -> bool {
        self.kind == CONFLICT
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match self.fields.as_slice() {
            [] => Ok(()),
            fields => write!(f, " (the values are those of `{}` in it)", fields.join("` and `")),
        }
    }
}

/// How encrypted values begin.
const ENCRYPTED: &[(&str, &str)] = &[
    ("ENC[PKCS7,", "a value that eyaml encrypted"),
    ("ENC[", "a value that SOPS encrypted, without its document"),
    ("ENC(", "a value that Jasypt encrypted"),
    ("DEC::PKCS7[", "a value for eyaml to encrypt"),
    ("EJ[1:", "a value that EJSON encrypted"),
    ("encrypted:", "a value that dotenvx encrypted"),
    ("{cipher}", "a value that Spring encrypted"),
    ("gAAAAAB", "a value that Fernet encrypted"),
    ("AQICAH", "a value that AWS KMS encrypted"),
    ("-----BEGIN PGP MESSAGE-----", "a file that GPG encrypted"),
    ("hQEMA", "a file that GPG encrypted"),
    ("hQIMA", "a file that GPG encrypted"),
    ("U2FsdGVkX1", "a file that OpenSSL encrypted, as transcrypt does"),
    ("Salted__", "a file that OpenSSL encrypted, as transcrypt does"),
    ("YWdlLWVuY3J5cHRpb24", "an age file in base64"),
    ("-----BEGIN AGE ENCRYPTED FILE", "an age file"),
    ("age-encryption.org/", "an age file"),
    ("$ANSIBLE_VAULT;", "a value that Ansible encrypted"),
];

/// How other documents begin that can be recognised by that.
const BEGINNINGS: &[(&str, &str)] = &[
    ("LS0tLS1CRUdJTi", "a key, certificate or age file in base64"),
    ("AGE-SECRET-KEY-", "an age identity"),
    ("AGE-PLUGIN-", "an age identity"),
    ("-----BEGIN ", "a key or certificate in PEM form"),
    ("ssh-ed25519 ", "an SSH key"),
    ("ssh-rsa ", "an SSH key"),
    ("ecdsa-sha2-", "an SSH key"),
    ("sk-ssh-", "an SSH key"),
    ("sk-ecdsa-", "an SSH key"),
    ("Bearer ", HEADER),
    ("Basic ", HEADER),
    ("Authorization: ", HEADER),
    ("version https://git-lfs.github.com/", "a pointer of Git LFS"),
    ("data:", "a data URI"),
    ("<!", "a page of HTML or XML"),
    ("<?xml", "a page of HTML or XML"),
];

/// Patterns of the error messages that programs print in the place of a secret.
const ERRORS: &[&str] = &[
    r"^(error|errors|fatal|warning|panic|traceback|usage|exception|oserror|ioerror|invalid|cannot|could not|unable|failed|please) ",
    r"^(error|fatal|warning|panic|traceback|usage|exception)(: |:$|$)",
    r"^([a-z_]+error|[a-z_]+exception)(: |:$|$)",
    r"^(age|ash|aws|az|bash|bw|cat|curl|dash|docker|env|fish|gcloud|git|gopass|gpg|jq|kubectl|ls|node|op|pass|python3?|rbw|sed|sh|sops|ssh|sudo|vault|wget|zsh)(\.exe)?: ",
    r"permission denied|access (is )?denied|no such (file|host|key|secret)|not found|does not exist|doesn't exist|not recognized as|connection (refused|reset|timed out)|could not resolve|timed out|not permitted|not allowed|is a directory|not a directory|not in the password store|not (logged|signed) in|not authenticated|unauthorized|decryption failed|no secret key|syntax error|unexpected (token|end)|(unknown|invalid) (command|option|argument|flag)|segmentation fault|is not set|unbound variable|must be (set|root)|no space left",
];

/// Only a text with a space in it is a message.
fn is_error(line: &str) -> bool {
    (line.contains(' ') || line.ends_with(':')) && ERROR.is_match(line)
}

static ERROR: ValueRule = ValueRule::new(|_| true, || format!("(?i){}", ERRORS.join("|")));

/// The names that providers give to the halves of a client in what they offer for download.
const CLIENT_FIELDS: &[&str] = &[
    "client_id",
    "clientid",
    "client_secret",
    "clientsecret",
    "app_id",
    "app_secret",
    "secret",
    "token",
    "access_token",
];

/// What a text looks like; `None` where it may be one value.
pub(super) fn document(text: &str) -> Option<Document> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Some(document) = encrypted(text).or_else(|| beginning(text, BEGINNINGS)) {
        return Some(document);
    }
    if text.starts_with(['{', '['])
        && let Ok(keys) = serde_json::from_str::<Keys>(text)
    {
        return Some(json(&keys));
    }
    let kind = if text.lines().nth(1).is_none() { of_line(text)? } else { of_lines(text) };
    Some(Document { kind, fields: Vec::new() })
}

/// What the value of an HTTP header cannot be either: something encrypted, or several lines.
pub(super) fn document_in_header(text: &str) -> Option<Document> {
    let lines = || {
        let kind = text.lines().nth(1).map(|_| of_lines(text))?;
        Some(Document { kind, fields: Vec::new() })
    };
    encrypted(text).or_else(lines)
}

/// What a file of names and values is that is not YAML.
pub fn of_other_names(text: &str) -> Option<&'static str> {
    [INI, VARIABLES].into_iter().find(|kind| *kind == of_lines(text))
}

/// What a file is that is encrypted as a whole.
pub fn encrypted_file(bytes: &[u8]) -> Option<Document> {
    let text = String::from_utf8_lossy(bytes);
    beginning(text.trim_start_matches('\u{feff}').trim_start(), ENCRYPTED)
}

fn encrypted(text: &str) -> Option<Document> {
    let sealed = || {
        let kind = "a value that Sealed Secrets encrypted for a cluster";
        is_sealed_secret(text).then(|| Document { kind, fields: Vec::new() })
    };
    beginning(text, ENCRYPTED).or_else(sealed)
}

fn beginning(text: &str, known: &[(&str, &'static str)]) -> Option<Document> {
    let (_, kind) = known.iter().find(|(beginning, _)| text.starts_with(beginning))?;
    Some(Document { kind, fields: Vec::new() })
}

/// Whether this begins as Sealed Secrets does, with the length of the key that is in it, and is in base64.
fn is_sealed_secret(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    text.len() > 40
        && ["AgA", "AgB", "AgC", "AgD"].iter().any(|start| text.starts_with(start))
        && text.bytes().all(is_base64)
}

fn json(keys: &Keys) -> Document {
    let mut fields = Vec::new();
    keys.clients("", &mut fields);
    let has_sops = keys.0.iter().any(|(key, _)| key == "sops");
    let kind = match (has_sops, fields.is_empty()) {
        (true, _) => "a SOPS document",
        (false, true) => "a JSON document",
        (false, false) => "the JSON file that a provider offers for download",
    };
    Document { kind, fields }
}

fn of_line(line: &str) -> Option<&'static str> {
    if line.starts_with('<') && line.contains("</") {
        return Some("a page of HTML or XML");
    }
    if line.starts_with("# ") {
        return Some("a comment");
    }
    if is_recipient(line) {
        return Some("an age recipient");
    }
    if is_status(line) || is_error(line) {
        return Some("an error message");
    }
    if line.len() > 2
        && ['"', '\''].iter().any(|mark| line.starts_with(*mark) && line.ends_with(*mark))
    {
        return Some("a value in quotes, which would be a part of it");
    }
    if line.starts_with('{') && line.ends_with('}') && line.contains(": ") {
        return Some("a YAML mapping");
    }
    named_value(line)
}

fn of_lines(text: &str) -> &'static str {
    if has_merge_conflict(text) {
        return CONFLICT;
    }
    let lines = text.lines().map(str::trim);
    let lines = || lines.clone().filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let is_sops = text.contains("sops_version=") || text.contains("sops_mac=");
    if is_sops && lines().all(|line| line.contains('=')) {
        "a SOPS document in dotenv form"
    } else if lines().any(|line| line == "[sops]") {
        "a SOPS document in INI form"
    } else if lines().any(|line| line == "sops:") {
        "a SOPS document"
    } else if lines().next().is_some_and(|line| line.starts_with('[') && line.ends_with(']'))
        && serde_json::from_str::<IgnoredAny>(text).is_err()
    {
        INI
    } else if text.starts_with('<') {
        "a page of HTML or XML"
    } else if text.starts_with(['{', '[']) {
        "a JSON document"
    } else if lines().all(|line| is_pair(line, '=')) {
        VARIABLES
    } else if lines().any(|line| is_pair(line.trim_start_matches("- "), ':')) {
        "a YAML document"
    } else {
        "a text of several lines"
    }
}

/// One line such as `client_secret: x`, of which only the value is meant.
fn named_value(line: &str) -> Option<&'static str> {
    let line = line.trim_start_matches("- ");
    let (mark, kind) = [('=', "an environment variable with its name"), (':', "a YAML mapping")]
        .into_iter()
        .find(|(mark, _)| is_pair(line, *mark))?;
    let (name, value) = line.split_once(mark)?;
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_variable = mark == '=' && is_variable(name);
    let name = name.to_ascii_lowercase();
    // What ends with `=` alone is a value in base64.
    let has_value = !value.trim_matches(['=', ' ']).is_empty();
    let is_telling = ["secret", "token", "client", "client_id", "clientid", "password", "key"]
        .iter()
        .any(|end| name.ends_with(end));
    (has_value && (is_telling || is_variable)).then_some(kind)
}

/// What a file is that has one value under a name, as in `sp: x` and `SP=x`, where one value alone is meant.
/// Elsewhere only names that say what they are for count.
pub fn named_in_file(text: &str) -> Option<&'static str> {
    let line = text.trim();
    if line.lines().nth(1).is_some() {
        return None;
    }
    let (name, value) = line.split_once([':', '='])?;
    // What ends with `=` alone is a value in base64.
    if value.trim_matches(['=', ' ']).is_empty() {
        return None;
    }
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    if is_pair(line, ':') {
        Some("a YAML mapping")
    } else if is_pair(line, '=') && name.len() > 1 && is_upper(name) {
        Some("an environment variable with its name")
    } else {
        None
    }
}

/// Whether a variable of the environment is called so: no value in base64 has that before a `=`.
fn is_variable(name: &str) -> bool {
    name.len() >= 3 && is_upper(name)
}

fn is_upper(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether this is a whole recipient, of age itself or of a plugin.
fn is_recipient(line: &str) -> bool {
    line.len() >= 60
        && line.starts_with("age1")
        && line.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Whether this is an answer of HTTP that somebody saved, as in `404: Not Found`.
fn is_status(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(status, words)| {
        let status = status.trim_end_matches(':');
        status.len() == 3
            && status.bytes().all(|byte| byte.is_ascii_digit())
            && status.starts_with(['4', '5'])
            && words.split(' ').all(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()))
    })
}

/// Whether a line is a name, this mark and a value, as in `NAME=value` or `name: value`.
fn is_pair(line: &str, mark: char) -> bool {
    line.split_once(mark).is_some_and(|(name, value)| {
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        let is_part = |part: char| part.is_ascii_alphanumeric() || matches!(part, '_' | '-' | '.');
        let is_apart = mark != ':' || value.is_empty() || value.starts_with(' ');
        !name.is_empty() && name.chars().all(is_part) && is_apart
    })
}

/// The keys of a JSON document without its values, which may be secret.
struct Keys(Vec<(String, Self)>);

impl Keys {
    /// Finds the fields that hold a client, with the keys that lead to them.
    fn clients(&self, above: &str, into: &mut Vec<String>) {
        for (key, inner) in &self.0 {
            if CLIENT_FIELDS.contains(&key.to_ascii_lowercase().as_str()) {
                into.push(format!("{above}{key}"));
            }
            // Another key may be a secret itself.
            if matches!(key.as_str(), "web" | "installed" | "client" | "credentials" | "oauth") {
                inner.clients(&format!("{above}{key}."), into);
            }
        }
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some(pair) = map.next_entry()? {
            keys.push(pair);
        }
        Ok(Keys(keys))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Keys(Vec::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::document;

    const DOCUMENTS: &[(&str, &str)] = &[
        ("data:application/json;base64,eyJhIjoxfQ==", "a data URI"),
        (
            "AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq/aVxOpMkBgTa",
            "a value that Sealed Secrets encrypted for a cluster",
        ),
        ("DEC::PKCS7[x]!", "a value for eyaml to encrypt"),
        ("encrypted:BDqDBibm4wsYqM", "a value that dotenvx encrypted"),
        ("{cipher}4f5c0a", "a value that Spring encrypted"),
        ("gAAAAABnX0a1", "a value that Fernet encrypted"),
        ("AQICAHh0Jm5", "a value that AWS KMS encrypted"),
        ("hQEMA7yWx", "a file that GPG encrypted"),
        ("-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "a file that GPG encrypted"),
        ("ENC[AES256_GCM,data:x]", "a value that SOPS encrypted, without its document"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\nx", "an age file"),
        ("-----BEGIN PRIVATE KEY-----\nx", "a key or certificate in PEM form"),
        ("-----BEGIN PRIVATE KEY----- x", "a key or certificate in PEM form"),
        ("AGE-SECRET-KEY-1QQQ", "an age identity"),
        ("$ANSIBLE_VAULT;1.1;AES256 6161", "a value that Ansible encrypted"),
        (
            r#"{"web":{"client_id":"a","x":[1,null,true,1.5,-1],"client_secret":"b"}}"#,
            "the JSON file that a provider offers for download (the values are those of `web.client_id` and `web.client_secret` in it)",
        ),
        (
            "{\n  \"clientSecret\": \"b\\u0041\"\n}",
            "the JSON file that a provider offers for download (the values are those of `clientSecret` in it)",
        ),
        (r#"{"a": "ENC[x]", "sops": {}}"#, "a SOPS document"),
        (r#"{"a": 1}"#, "a JSON document"),
        ("[1]", "a JSON document"),
        ("{\n\"a\": ", "a JSON document"),
        ("{client_secret: b}", "a YAML mapping"),
        ("a: ENC[x]\nsops:\n  mac: x", "a SOPS document"),
        ("A=ENC[x]\nsops_version=3.11.0\n", "a SOPS document in dotenv form"),
        ("[s]\na = ENC[x]\n[sops]\nmac = x", "a SOPS document in INI form"),
        ("[s]\na = b", "an INI or TOML document"),
        ("# mine\nexport A=b\nC=d", "a file of environment variables"),
        ("client_secret: b\nname: c", "a YAML document"),
        ("- client_secret: b\n- c", "a YAML document"),
        ("<!DOCTYPE html><html>", "a page of HTML or XML"),
        ("<html><body>Not found</body></html>", "a page of HTML or XML"),
        ("<html>\n<body>", "a page of HTML or XML"),
        ("one\ntwo", "a text of several lines"),
        ("client_secret: b", "a YAML mapping"),
        ("- token: b", "a YAML mapping"),
        ("CLIENT_SECRET=b", "an environment variable with its name"),
        ("SPOTIFY=abc123def", "an environment variable with its name"),
        ("export BW_SESSION=abc", "an environment variable with its name"),
        ("\"abc123def\"", "a value in quotes, which would be a part of it"),
        ("'abc123def'", "a value in quotes, which would be a part of it"),
        ("404: Not Found", "an error message"),
        ("503 Service Unavailable", "an error message"),
        ("curl: (6) Could not resolve host", "an error message"),
        ("Error making API request.", "an error message"),
        ("bash: pass: command not found", "an error message"),
        ("cat: x: No such file or directory", "an error message"),
        ("Permission denied", "an error message"),
        ("'op' is not recognized as an internal or external command", "an error message"),
        ("Traceback (most recent call last):", "an error message"),
        ("error: x", "an error message"),
        ("KeyError: 'x'", "an error message"),
        ("sh: 1: op: not found", "an error message"),
        ("You are not logged in.", "an error message"),
        ("usage: pass [x]", "an error message"),
        ("gpg: decryption failed: No secret key", "an error message"),
        ("version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        ("# Secret", "a comment"),
        ("Bearer abc", "a header of HTTP"),
        ("YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+", "an age file in base64"),
        ("age17xa6vukfh6tunre0lun32jav9azm2jc96qtrms3nft2gv7aeqfgqdftp3y", "an age recipient"),
        ("ENC[PKCS7,MIIB]", "a value that eyaml encrypted"),
        ("ENC(abc==)", "a value that Jasypt encrypted"),
        ("EJ[1:a:b:c]", "a value that EJSON encrypted"),
        ("ecdsa-sha2-nistp256 AAAA x@y", "an SSH key"),
        ("\u{feff}export TOKEN=b", "an environment variable with its name"),
    ];

    #[test]
    fn a_document_is_no_secret() {
        assert!(super::ERROR.regex().is_some());
        for (text, kind) in DOCUMENTS {
            assert_eq!(document(text).unwrap().to_string(), *kind, "{text}");
        }
    }

    #[test]
    fn a_secret_is_no_document() {
        for secret in [
            "GOCSPX-abc_def",
            "aGVsbG8=",
            "c29tZXRva2Vu==",
            "abctoken=",
            "a=b",
            "a:b",
            "https://hooks.example/x?token=y",
            "{not json",
            "{4f5c0a88-12d0-4f5c-0a88-12d04f5c0a88}",
            "[x",
            "\"",
            "\"half",
            "age1",
            "404-abc",
            "A1=b",
            "#abc",
            "Errorx",
            "[abc]",
            "with spaces: in it, secret",
            "eyJ.a-b.c",
        ] {
            assert_eq!(document(secret), None, "{secret}");
        }
    }
}
