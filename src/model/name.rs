//! Names that people make, and how messages repeat them. A secret can be typed in the place of a name, so
//! only what has the form of a name is repeated.

use std::fmt;

/// No name is longer.
const LONGEST: usize = 100;
/// The longest word, unless it says itself what it is for.
const LONGEST_WORD: usize = 16;
/// No access token is shorter.
const SHORTEST_TOKEN: usize = 32;
/// Digits in all; a secret mostly has more.
const DIGITS: usize = 4;
/// The digits of a number at the end of a word.
const NUMBER: usize = 2;
/// The letters of a word with a number at its end.
const SHORTEST_NUMBERED: usize = 3;
/// Consonants in a row; a random word mostly has more.
const CONSONANTS: usize = 5;
/// What long words may consist of, as in `spotifyclientsecret`.
const PURPOSES: &[&str] = &["secret", "token", "client", "password", "integration", "assistant"];

/// Whether a text has the form of a name: words in one case, and few digits, which are words of their own or
/// number a word, as in `google_oauth2`. What a provider or a person makes as a secret mostly mixes cases,
/// letters and digits.
pub fn is_name(text: &str) -> bool {
    let words = || text.split(['_', '-', '.', '/']);
    // One word with a number is what people take for a password.
    let may_be_numbered = words().nth(1).is_some() || is_in_capitals(text);
    let unnumbered = |word| if may_be_numbered { without_number(word) } else { word };
    let has = |is: fn(char) -> bool| text.contains(is);
    text.len() <= LONGEST
        && has(|character| character.is_ascii_alphabetic())
        && text.bytes().filter(u8::is_ascii_digit).count() <= DIGITS
        && words()
            .all(|word| word.bytes().all(|byte| byte.is_ascii_digit()) || is_word(unnumbered(word)))
        && !(words().any(is_capital) && has(|character| character.is_ascii_lowercase()))
}

/// Whether what should be the path of a file could be an access token: those of Home Assistant have three
/// parts between dots, others are long, and none has a slash.
pub fn may_be_token(path: &str) -> bool {
    let is_web_token = path.starts_with("eyJ") && path.matches('.').count() == 2;
    !path.contains('/') && (is_web_token || path.len() >= SHORTEST_TOKEN && !is_name(path))
}

/// A name without the number at its end, where it has one; a word of a few letters is none.
pub fn without_number(name: &str) -> &str {
    let word = name.trim_end_matches(|character: char| character.is_ascii_digit());
    if word.len() >= SHORTEST_NUMBERED && name.len() - word.len() <= NUMBER { word } else { name }
}

fn is_in_capitals(text: &str) -> bool {
    !text.contains(|character: char| character.is_ascii_lowercase())
}

fn is_capital(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Whether this is a word of letters in one case, or of several such words, as in `clientSecret`.
fn is_word(word: &str) -> bool {
    let capitals = word.bytes().skip(1).filter(u8::is_ascii_uppercase).count();
    let is_in_one_case = word.bytes().all(|byte| byte.is_ascii_uppercase());
    word.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (is_in_one_case || capitals * 4 <= word.len())
        && is_readable(word)
}

fn is_readable(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let is_vowel = |character: char| "aeiouy".contains(character);
    let is_long = lower.len() > LONGEST_WORD;
    (lower.len() <= CONSONANTS || lower.contains(is_vowel))
        && lower.split(is_vowel).all(|consonants| consonants.len() <= CONSONANTS)
        && (!is_long || PURPOSES.iter().any(|purpose| lower.contains(purpose)))
}

/// A thing with its name, where it can be shown.
pub fn named<'n>(what: &'n str, name: &'n str) -> Named<'n> {
    Named { what, name }
}

/// See [`named`]; most are never shown, and cost nothing until they are.
#[derive(Clone, Copy)]
pub struct Named<'n> {
    what: &'n str,
    name: &'n str,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, name } = self;
        if is_name(name) {
            write!(f, "{what} `{name}`")
        } else {
            write!(f, "{what} (the name is not shown, since it could be a secret)")
        }
    }
}

/// A field of a file as messages call it.
#[derive(Clone, Copy)]
pub struct FieldName<'k>(pub &'k str);

impl fmt::Display for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_name(self.0) { write!(f, "`{}`", self.0) } else { f.write_str("a key") }
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldName, is_name, named};

    #[test]
    fn names_have_the_form_of_names() {
        for name in [
            "domain",
            "client_secert",
            "Client-Secret",
            "spotify_client_secret",
            "spotify-secret",
            "SPOTIFY_SECRET_2",
            "spotifyClientSecret",
            "clientId",
            "spotifyclientsecret",
            "home/spotify",
            "/run/secrets/spotify_client_secret",
            "../keys/netatmo.txt",
            ".storage/x",
            "home_2026",
            "HASS_TOKEN",
            "google_assistant_sdk",
            "x",
            "mqtt_ssl",
            "SPOTIFY_SECRET2",
            "google_oauth2",
            "NETATMO2",
            "HUE2",
            "spotify2_client_secret",
            "keys/netatmo12.txt",
        ] {
            assert!(is_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_do_not() {
        for secret in [
            "",
            "1234",
            "4f5c0a8812d04f5c",
            "deadbeefdeadbeefdeadbeefdeadbeef",
            "GOCSPX-a1b2c3d4e5f6",
            "GOCSPX-abcdefghijkl",
            "hunter2",
            "hunter2_a1b2c3",
            "ab1_cd2",
            "GOCSPX-abcdef12",
            "token_a1b2c3d4",
            "s3cr3t",
            "Tr0ub4dor&3",
            "aBcDeFgHiJkLmNoPqRsT",
            "XkcdQwErTyUiOpAsDf",
            "qzkxwvbnmplk",
            "qwmxnertzuiopasdfghjkl",
            "THE_SECRET_itself",
            "correct horse battery staple",
            "aGVsbG8=",
            "a+b/c",
            "päss",
            "AGE-SECRET-KEY-1QQQ",
            "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.abc",
            "4f5c0a88-12d0-4f5c-0a88-12d04f5c0a88",
        ] {
            assert!(!is_name(secret), "{secret}");
        }
    }

    #[test]
    fn a_message_says_why_it_repeats_no_name() {
        assert_eq!(named("unknown target", "cabin").to_string(), "unknown target `cabin`");
        assert_eq!(
            named("unknown target", "hunter2").to_string(),
            "unknown target (the name is not shown, since it could be a secret)"
        );
        assert_eq!(FieldName("domain").to_string(), "`domain`");
        assert_eq!(FieldName("4f5c0a8812d04f5c").to_string(), "a key");
    }
}
