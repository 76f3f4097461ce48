//! Secrets in plain text in fields that hold none: what validates a file and what searches its old versions look for
//! the same.

use super::name::{is_name, may_be_token};
use super::no_secret::{ClientPart, is_client_secret, is_issued_token};
use super::value_fault::client_fault;

/// What the name of a form's field has in it where its answer is a secret.
const OF_ANSWERS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "private_key"];

/// What an option of a program, a header or a variable ends with where a secret follows.
const OF_ARGUMENTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api-key",
    "api_key",
    "apikey",
    "bearer",
    "private-token",
];

/// Nothing shorter is taken for a secret because of what is before it.
const SHORTEST: usize = 6;
/// Nothing shorter is one in the place of a name.
const SHORTEST_RANDOM: usize = 12;

/// Whether the answer to a form's field of this name is a secret.
pub fn is_secret_answer(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    field == "pin" || OF_ANSWERS.iter().any(|part| field.contains(part))
}

/// The same where the answer is a number.
pub fn is_secret_number(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    field == "pin" || field.contains("pass")
}

/// The user and the password of an address, as in `https://user:password@host`, that are in plain text; the scheme may
/// be missing. A name alone is none.
pub fn password_of_url(address: &str) -> Option<&str> {
    let behind = address.split_once("://").map_or(address, |(_, behind)| behind);
    let authority = behind.split(['/', '?', '#']).next().unwrap_or(behind);
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    // A password of people's own may have what ends the name of a host.
    let is_cut = !authority.contains('@') && port.contains(|part: char| !part.is_ascii_digit());
    let is_cut = is_cut && !authority.starts_with('[');
    let (user, _) = if is_cut { behind } else { authority }.rsplit_once('@')?;
    let is_secret = |text: &str| !text.is_empty() && !is_variable(text);
    match user.split_once(':') {
        Some((_, password)) => is_secret(password).then_some(user),
        // A token may be in the place of the user.
        None => (is_secret(user) && !is_name(user) && user.len() >= SHORTEST).then_some(user),
    }
}

/// The secret in a word of a command, with the word before it.
pub fn secret_argument<'w>(before: Option<&str>, word: &'w str) -> Option<&'w str> {
    if word.contains("://") && password_of_url(word).is_some() {
        return Some(word);
    }
    let separated = |part: char| part.is_whitespace() || "\"'`,;:=()".contains(part);
    let is_issued = |part: &&str| {
        part.starts_with("eyJ") && may_be_token(part)
            || is_issued_token(part)
            || is_client_secret(part)
            || part.starts_with("AGE-SECRET-KEY-")
    };
    let is_own = |part: &str| client_fault(part, ClientPart::Secret, false).is_none();
    if let Some(found) = word.split(separated).find(is_issued) {
        return Some(found);
    }
    let announced = |text: &str| {
        let text = text.trim_end_matches([':', '=', ' ']).to_ascii_lowercase();
        OF_ARGUMENTS.iter().any(|end| text.ends_with(end))
    };
    let is_secret = |part: &&str| {
        part.len() >= SHORTEST
            && !part.starts_with('-')
            && !part.contains(['/', ' ', '{'])
            && !is_variable(part)
            && !is_name(part)
            && is_own(part)
    };
    let inside = || {
        let places = word.match_indices([':', '=', ' ']);
        let mut behind = places.filter(|(at, _)| announced(&word[..*at]));
        behind.find_map(|(at, _)| {
            let value = word[at + 1..].trim_matches([' ', '"', '\'']);
            Some(value).filter(is_secret)
        })
    };
    let is_option = |text: &str| text.starts_with('-') && announced(text);
    inside().or_else(|| before.filter(|text| is_option(text)).and(Some(word)).filter(is_secret))
}

/// Whether what is in the place of a name is most likely a secret: one word of letters and digits without order.
pub fn is_no_name(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    let is_random = || {
        text.len() >= SHORTEST_RANDOM
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
            && !text.contains(['/', '.', '#', ' '])
            && !is_name(text)
            && client_fault(text, ClientPart::Secret, false).is_none()
    };
    text.starts_with("eyJ") && may_be_token(text) || is_client_secret(text) || is_random()
}

/// Whether a shell would put something in the place of this, or a program what it is asked for.
fn is_variable(text: &str) -> bool {
    text.starts_with(['$', '{', '%', '<'])
}

#[cfg(test)]
mod tests {
    use super::{is_secret_answer, password_of_url, secret_argument};

    #[test]
    fn an_answer_is_a_secret_by_the_name_of_its_field() {
        for field in ["password", "Wifi_Password", "pin", "PIN", "api_key", "access_token"] {
            assert!(is_secret_answer(field), "{field}");
        }
        for field in ["user", "pinned", "host", "name"] {
            assert!(!is_secret_answer(field), "{field}");
        }
    }

    #[test]
    fn a_password_is_before_the_host_of_an_address() {
        for (address, user) in [
            ("https://me:hunter2@ha.example:8123/x", "me:hunter2"),
            ("http://:hunter2@proxy", ":hunter2"),
            ("me:hun@ter2@proxy:3128", "me:hun@ter2"),
            ("https://me:hun/ter2@ha.example", "me:hun/ter2"),
            ("https://me:hun#ter?2@ha.example/x", "me:hun#ter?2"),
            ("https://ghp_k3v9XwQz1mRt8Yb@ha.example", "ghp_k3v9XwQz1mRt8Yb"),
        ] {
            assert_eq!(password_of_url(address), Some(user), "{address}");
        }
        for address in [
            "https://ha.example/a@b:c",
            "https://ha.example?x=a:b@c",
            "https://ha.example:8123/a@b",
            "https://[fe80::1]/a:b@c",
            "https://git@ha.example",
            "https://ha.example:8123",
            "https://${USER}:${PASSWORD}@ha.example",
        ] {
            assert_eq!(password_of_url(address), None, "{address}");
        }
    }

    #[test]
    fn a_command_has_a_secret_by_its_form_or_by_what_is_before_it() {
        for (before, word) in [
            (None, "eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl"),
            (None, "Authorization: Bearer eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl"),
            (None, "Authorization: Bearer 4f5c0a88x2d0"),
            (None, "-token=hvs.CAESIJk3v9XwQz1mRt8YbNc5LdHs"),
            (None, "--password=hunter2x"),
            (None, "X-Api-Key: 4f5c0a88x2d0"),
            (None, "https://me:hunter2x@vault.example/v1"),
            (None, "export BW_PASSWORD='hunter2x'"),
            (Some("--token"), "4f5c0a88x2d0"),
            (Some("-H"), "PRIVATE-TOKEN: glpat-k3v9XwQz1mRt8YbNc5Ld"),
        ] {
            assert!(secret_argument(before, word).is_some(), "{before:?} {word}");
        }
        for (before, word) in [
            (None, "op"),
            (None, "op://House/Spotify/client_secret"),
            (None, "--field=password"),
            (Some("--field"), "password"),
            (Some("--token"), "$TOKEN"),
            (Some("--token"), "{}"),
            (None, "--token-file=/run/secrets/token1"),
            (None, "-token=${VAULT_TOKEN}"),
            (Some("show"), "home-assistant/token2"),
            (None, "--password-file=x1y2z3a4"),
            (None, "Authorization: Bearer {}"),
            (None, "cat \"$1\" | jq -r .token"),
        ] {
            assert_eq!(secret_argument(before, word), None, "{before:?} {word}");
        }
    }
}
