//! Which values of a file may appear in a message.

use crate::integrations::known;
use crate::model::{ClientPart, Domain, ValueFault, client_fault, is_name};
use crate::secret::{holds_identity, is_argument};
use crate::suggest::nearest;

/// Fields whose values are names, or words of ours.
const NAMES: &[&str] = &[
    "accounts",
    "adopt",
    "allow_empty",
    "allow_outside_files",
    "allow_placeholders",
    "allow_plaintext",
    "custom_integrations",
    "days",
    "domain",
    "forgotten",
    "formerly",
    "implementation",
    "key",
    "labels",
    "on_delete",
    "on_drift",
    "owner",
    "previous_owners",
    "protect",
    "prune",
    "setup",
    "suspend",
    "targets",
];

/// Fields whose values are paths.
const PATHS: &[&str] = &["ca_file", "client_certificate", "config_dir", "identities", "manifests"];

/// Other fields whose values are no secrets, and the section that has them: elsewhere they are unknown, and a
/// `url` below `notify` is most likely that of a webhook, which is a secret.
const OTHERS: &[(&str, &str)] = &[
    ("authorize_url", "application_credentials"),
    ("client_id", "application_credentials"),
    ("expires", "application_credentials"),
    ("expiring_within", "expiring_within"),
    ("from", "policy"),
    ("match", "policy"),
    ("max", "policy"),
    ("max_deletes", "policy"),
    ("name", "application_credentials"),
    ("pause", "policy"),
    ("recipients", "age"),
    ("rotate_after", "application_credentials"),
    ("time_zone", "policy"),
    ("timeout", "sops_program"),
    ("timeout", "sources"),
    ("to", "policy"),
    ("token_url", "application_credentials"),
    ("url", "targets"),
];

/// Words that may be followed by something that is not harmless.
const ALARMING: &[&str] = &["secret", "token", "passw", "auth"];

/// How many bytes of a value can be shown where it is the value of this key in this section of a file.
///
/// A lost line break or comma makes a secret part of the value before it, so a value ends where
/// another key could begin. A secret may also be typed in the place of any of these values.
pub(super) fn shown_of(section: &str, key: &str, raw: &str) -> usize {
    if holds_identity(raw) {
        return 0;
    }
    if key == "url" && section == "targets" && is_address(raw.trim().trim_matches(['"', '\''])) {
        return raw.len();
    }
    let has_names = NAMES.contains(&key) || PATHS.contains(&key);
    // Where such a key is misspelt, what looks like a name is shown all the same.
    let has_names_most_likely = has_names || nearest(key, NAMES.iter().copied()).is_some();
    if has_names_most_likely && is_harmless(key, raw) {
        return raw.len();
    }
    let section = nearest(section, OTHERS.iter().map(|(_, section)| *section)).unwrap_or_default();
    if !has_names && !OTHERS.contains(&(key, section)) {
        return 0;
    }
    let end = end_of_value(key, raw);
    if is_harmless(key, &raw[..end]) { end } else { 0 }
}

/// Whether a value, or each one of a list, is what the field should have, and not a secret.
fn is_harmless(key: &str, shown: &str) -> bool {
    const AROUND: [char; 7] = ['"', '\'', ' ', '[', ']', '{', '}'];
    if matches!(key, "client_id" | "name") {
        return true;
    }
    let mut texts =
        shown.split(',').map(|text| text.trim_matches(AROUND)).filter(|text| !text.is_empty());
    texts.all(|text| match key {
        "adopt" => is_name(text) || is_id(text),
        "domain" => {
            text.split(' ').all(|word| is_name(word) || known().contains(&Domain::new(word)))
        }
        "owner" => text.split(' ').all(is_name),
        "labels" | "match" => is_short_name(text) || text.split(' ').all(is_name),
        // In a pattern `*` and `?` are for any characters.
        "targets" => {
            let name = text.replace(['*', '?'], "");
            is_short_name(&name) || is_name(&name)
        }
        "url" | "token_url" | "authorize_url" => {
            ["http://", "https://"].iter().any(|start| text.starts_with(start)) || is_name(text)
        }
        "recipients" => text.starts_with("age1") || text.starts_with("ssh-"),
        "max_deletes" | "expiring_within" => text.len() <= 4,
        "max" | "pause" | "timeout" => text.len() <= 6,
        "from" | "to" => {
            text.len() <= 8
                && (text.len() <= 5
                    || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'))
        }
        "time_zone" => text.split('/').all(is_name),
        "expires" | "rotate_after" => {
            let is_number = |byte: u8| byte.is_ascii_digit() || b"-./ ".contains(&byte);
            text.len() <= 4 || text.len() <= 10 && text.bytes().all(is_number)
        }
        _ if PATHS.contains(&key) => {
            is_argument(text) || is_short_name(text.trim_start_matches("./"))
        }
        _ => is_name(text),
    })
}

/// Whether this is the address of a host, with or without a scheme of any kind: of names, numbers and nothing else,
/// as in `ws://192.168.1.5:8123/api`. No password or token looks like one.
fn is_address(text: &str) -> bool {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let is_number = |part: &str, most: usize| {
        part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_part = |part: &str| is_name(part) || !part.is_empty() && is_number(part, 3);
    (scheme.is_empty() || is_name(scheme))
        && (host.contains('.') || !scheme.is_empty() || !port.is_empty())
        && host.split('.').all(is_part)
        && is_number(port, 5)
        && path.split('/').all(|part| part.is_empty() || is_part(part))
}

/// Whether this is the id of a credential: an integration and a client id.
fn is_id(text: &str) -> bool {
    text.match_indices('_').any(|(at, _)| known().contains(&Domain::new(&text[..at])))
}

/// Whether this is too short to be a secret, as in `home2` or `3`.
pub(super) fn is_short_name(text: &str) -> bool {
    text.len() <= 6
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Where a value ends that another key may follow.
fn end_of_value(key: &str, raw: &str) -> usize {
    let line = raw.split(['\n', '\r']).next().unwrap_or_default();
    let mut end = line.len();
    let mut cut = |at: Option<usize>| end = end.min(at.unwrap_or(end));
    let gap = if matches!(key, "domain" | "name" | "owner") { "  " } else { " " };
    let lead = line.len() - line.trim_start_matches([' ', '"', '\'']).len();
    cut(line[lead..].find(gap).map(|at| lead + at));
    // The path of a token endpoint has such words.
    if !key.ends_with("url") || !line.contains("://") {
        let lower = line.to_ascii_lowercase();
        for word in ALARMING {
            cut(lower.find(word).map(|at| word_before(line, at)));
        }
        cut(misspelt_secret(&lower));
    }
    if matches!(key, "client_id" | "name") {
        cut(line.find("GOCSPX-").map(|at| word_before(line, at)));
    }
    if key == "client_id" {
        // A whole document may be there by mistake, its line breaks and quotes escaped.
        let text = line.trim_matches(['"', '\'']);
        let is_secret = matches!(
            client_fault(text, ClientPart::Id, true),
            Some(ValueFault::Document(_) | ValueFault::Swapped(_))
        );
        cut((is_secret || line.contains('\\')).then_some(0));
    }
    match line.find("://") {
        Some(at) => {
            cut(line.find('@').map(|_| at + 3));
            cut(line.find(['?', '#']));
            // No name is an address. One of a webhook has its secret in the path.
            cut(line[at + 3..].find('/').filter(|_| key == "name").map(|path| at + 3 + path));
            cut(line[at + 3..].find(": ").map(|colon| word_before(line, at + 3 + colon)));
        }
        // A time of the day has one.
        None if matches!(key, "from" | "to") || is_time(line) => {}
        None => cut(line.find(':').map(|at| word_before(line, at))),
    }
    end
}

/// Whether this is a time of the day, as in `12:30`.
fn is_time(line: &str) -> bool {
    line.len() <= 8 && line.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
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
    use super::{OTHERS, shown_of};
    use crate::integrations::known;

    #[test]
    fn the_integration_of_an_entry_is_shown() {
        for domain in known() {
            let shown = shown_of("application_credentials", "domain", domain.as_str());
            assert_eq!(shown, domain.as_str().len(), "{domain}");
        }
    }

    #[test]
    fn dates_and_days_are_shown_and_nothing_else_in_their_place() {
        for (key, raw, shown) in [
            ("expires", "2027-03-01", "2027-03-01"),
            ("expires", "\"2027-02-30\"", "\"2027-02-30\""),
            ("rotate_after", "90d", "90d"),
            ("expires", "01.03.2027", "01.03.2027"),
            ("rotate_after", "2027-03-01-a8b7", ""),
            ("expires", "4f5c0a8812", ""),
            ("expiring_within", "4f5c0a8812", ""),
        ] {
            let section = OTHERS.iter().find(|(name, _)| *name == key).unwrap().1;
            assert_eq!(&raw[..shown_of(section, key, raw)], shown, "{key}: {raw}");
        }
    }

    #[test]
    fn what_is_too_short_for_a_secret_is_shown_where_names_and_times_are() {
        for (section, key, raw, shown) in [
            ("application_credentials", "targets", "[lab-*, home2, '*']", "[lab-*, home2, '*']"),
            ("application_credentials", "targets", "[hunter2]", ""),
            ("targets", "labels", "\"3\"", "\"3\""),
            ("targets", "labels", "hunter2", ""),
            ("policy", "match", "canary", "canary"),
            ("policy", "pause", "10", "10"),
            ("policy", "pause", "4f5c0a88", ""),
            ("policy", "max", "10x", "10x"),
            ("application_credentials", "name", "12:30", "12:30"),
        ] {
            assert_eq!(&raw[..shown_of(section, key, raw)], shown, "{key}: {raw}");
        }
    }

    #[test]
    fn harmless_values_are_shown_up_to_what_may_be_none() {
        let check = |key: &str, raw: &str, shown: &str| {
            let section = OTHERS.iter().find(|(name, _)| *name == key).map(|(_, section)| *section);
            let shown_in = |section| &raw[..shown_of(section, key, raw)];
            assert_eq!(shown_in(section.unwrap_or_default()), shown, "{key}: {raw}");
            if section.is_some() {
                assert_eq!(shown_in("notify"), "", "{key}: {raw}");
            }
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
        check("domain", "Home Connect", "Home Connect");
        for key in ["setup", "adopt", "targets", "key", "owner", "prune", "token_url", "config_dir"]
        {
            check(key, "4f5c0a8812d04f5c", "");
            check(key, "\"GOCSPX-a1b2_c3\"", "");
            check(key, "spotify_home", "spotify_home");
        }
        check("allow_plaintext", "hunter2", "");
        check("adopt", "spotify_4f5c0a8812d04f5c", "spotify_4f5c0a8812d04f5c");
        check("max_deletes", "20%", "20%");
        check("max_deletes", "4f5c0a88", "");
        check("config_dir", "./ha", "./ha");
        check("identities", "~/.config/age/keys.txt", "~/.config/age/keys.txt");
        check("clientid", "spotify", "");
        check("name", "Spotify (family)", "Spotify (family)");
        check("name", "Spotify   client_secret x", "Spotify");
        check("client_id", "a client_secret x", "a");
        check("name", "a clint_secre x", "a ");
        check("owner", "é client_secre:x", "");
        check("targets", " [home, cabin]", " [home, cabin]");
        check("client_id", "a\n  b", "a");
        check("client_id", "<b>x</b>", "");
        check("client_id", "<your-id>", "<your-id>");
        check("client_id", "\"{\\\"x\\\"", "");
        check("client_id", "'{\"x\": \"y\"}'", "");
        check("client_id", "GOCSPX-a1b2_c3", "");
        check("client_id", "amzn1.oa2-cs.v1.4f5c0a88", "");
        check("name", "House GOCSPX-a1b2_c3", "House ");
        check("client_id", "\"${ID}\"", "\"${ID}\"");
        check("client_id", "\" a\"", "\" a\"");
        check("domain", "spotify, other: x", "spotify, ");
        check("client_id", "fooclient_secret: x", "");
        check("recipients", "AGE-SECRET-KEY-1XYZ", "");
        check("url", "https://ha.example:8123", "https://ha.example:8123");
        check("url", "https://me:x@ha.example", "https://");
        check("url", "https://ha.example?x=y", "https://ha.example");
        check(
            "token_url",
            "https://a.example/oauth2/v1/4f5c0a",
            "https://a.example/oauth2/v1/4f5c0a",
        );
        check("name", "https://hooks.example/T0/4f5c0a", "https://hooks.example");
    }
}
