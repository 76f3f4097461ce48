//! What is certainly no half of a client: what was copied along with one, what would have led to one, and,
//! as a secret, words and addresses. A client id may be a word or an address.

use super::placeholder::{MISSING, Placeholder, SHORT};
use super::text::Domain;
use super::value_rule::ValueRule;
use super::words::{Words, begins, is_in, words};

/// The two halves of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPart {
    /// Its id.
    Id,
    /// Its secret.
    Secret,
}

/// Programs that print secrets, and what a shell writes around a command.
const COMMANDS: &[&str] = &[
    r"^(sudo )?(age|aws|az|bash|bw|cat|curl|dashlane|doppler|echo|env|export|gcloud|get|gopass|gpg|infisical|jq|keepassxc-cli|keyring|kubectl|lpass|op|openssl|pass|passage|pbpaste|printenv|printf|rbw|secret-tool|security|sh|sops|ssh|vault) [^ ]",
    r"^`[^`]+`$",
    r"\$\([\w./~][\w ./~:@-]*\)",
    r"^[<>|]\([^()]*\)$",
];

/// Paths. Base64 has slashes too, but no dots.
const PATHS: &[&str] = &[
    r"^(~[\w-]*|\.{1,2}|\$HOME|\$\{HOME\}|%[A-Z]+%)[/\\][\w./\\ -]*$",
    r"^/(app|config|data|dev|etc|home|media|mnt|opt|private|proc|root|run|secrets?|srv|tmp|Users|usr|var|vault|Volumes)/[\w./ -]+$",
    r"^([A-Za-z]:|\\)\\[\w.\\ -]+$",
];

/// How the names of files end that people keep secrets in.
const EXTENSIONS: &str = "age|asc|conf|csv|enc|gpg|ini|json|kdbx|pem|toml|txt|yaml|yml";

/// Addresses of secrets that other programs read, beside those that are placeholders everywhere.
const ELSEWHERE: &[&str] = &[
    r"(?i)^(1password|akv|awssecret|azure-?keyvault|bitwarden|bws?|config|credstash|doppler|gcp|gcp-?secrets?|gsm|hashivault|infisical|keepass|kms|kube|k8s|lastpass|lpass|op|pass|sm|sops|secrets?|store|var):[A-Za-z_/.-]+",
    r"(?i)^(process\.env|os\.(environ|getenv)|env|secrets|vars?|local|module|config|settings|inputs)([.\[(]['\x22]?[A-Za-z_]+)+['\x22]?[\])]*$",
    r"^([a-z]+\.)?(getenv|lookup|secret|file|env)\(.*\)$",
    r"^os\.environ$",
    r"^data([.\[]['\x22]?[A-Za-z_]+['\x22]?\]?){2,}$",
];
/// What comes before a dot there.
const READERS: &str = "process|os|data|env|secrets|var|vars|local|module|config|settings|inputs";

/// Addresses of the web and of persons.
const ADDRESSES: &[&str] = &[
    r"(?i)^[a-z][a-z0-9+.-]*://",
    r"^www\.[\w.-]+",
    r"^([a-z0-9-]{2,}\.)+(app|cloud|com|de|dev|eu|fr|gov|house|io|me|net|nl|org|uk)([:/?][\w./?=&%:#-]*)?$",
    r"^mailto:|^[\w.+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,10}$",
];

/// Tokens that services issue to persons and programs, by how they begin.
const TOKENS: &[&str] = &[
    r"^gh[opsur]_[A-Za-z0-9]{30,}$|^github_pat_\w{30,}$",
    r"^gl(pat|dt|cbt|rt)-[\w.-]{20,}$",
    r"^xox[abeprs]-[\w-]{10,}$",
    r"^(AKIA|ASIA)[A-Z0-9]{16}$",
    r"^(hvs|hvb)\.[\w-]{24,}$",
    r"^(ops_ey|dop_v1_|npm_|pypi-|dckr_pat_|tskey-)[\w.-]{20,}$",
];
const TOKEN_BEGINNINGS: &str =
    "gh|github_pat_|gl|xox|AKIA|ASIA|hvs.|hvb.|ops_ey|dop_v1_|npm_|pypi-|dckr_pat_|tskey-";

/// Words that are no secret, with those that say that something is missing.
const WORDS: &str = "hidden|masked|removed|sensitive|private|confidential|stripped|omitted|deleted|encrypted|\
    protected|blank|empty|missing|unknown|unavailable|default|testing|test|demo|foo|bar|baz|qux|qwerty|qwertz|asdf|\
    letmein|admin|password|passwords|passwd|passphrase|passwort|passw0rd|p@ssword|p@ssw0rd|pass|p@ss|pwd|void|not|\
    available|applicable|set|later|soon|coming|rotate|renew|update|edit|same|see|above|below|abc|lorem|ipsum|credential|\
    credentials|some|any|yes|off|unused|required|optional|provided|generated|issued|geheim|secreto|my|the|this|that|with|\
    from|and|oauth|oauth2|api|app|apps|application|client|customer|consumer|developer|user|id|identifier|key|secret|\
    secrets|token|access|value|string|real|actual|own|please|home|assistant|hass";

/// Programs that keep secrets, by their names, and more words that are no secret.
const KEEPERS: &str = "1password|1passw0rd|1pw|bitwarden|vaultwarden|lastpass|keepass|keepassxc|keepassx|keepassdx|\
    dashlane|passbolt|nordpass|enpass|roboform|protonpass|proton pass|keychain|kwallet|gopass|doppler|infisical|vault|\
    psono|passman|copied|siehe|fake|mock|invalid|pending|tba|tbc|s3cr3t|kennwort|geheimnis|hier|motdepasse|contrasena";

/// What begins a sentence that says where a secret is, beside what begins any sentence.
const POINTING: &str = "ask|check|cop(?:y|ied)|find|found|get|go|inside|its|kept|look|open|our|pasted?|request|saved?|siehe|\
    store[ds]?|under|use|voir";

/// What begins a sentence that says where a secret is; no provider's secret has spaces.
const BEGINNING: &str = "at|from|in|is|it|my|on|please|same|see|the|this|your";

/// What such a sentence is about.
const SUBJECTS: &str = "client|credentials?|passwords?|passphrase|secrets?|tokens?";

/// One word of it.
const WORD: &str = r"[\w'.,:;/()@-]+";

/// The name of an environment variable: words in capitals, each perhaps with a number.
const VARIABLE_NAME: &str = r"^[A-Z]+[0-9]{0,2}(_([A-Z]+[0-9]{0,2}|[0-9]{1,2}))+$";

/// What is shown in place of a part of a value.
const ELISIONS: &[&str] =
    &[r"^.{0,24}\.{3,}$|^[\w-]{1,16}\.{3,}[\w-]{1,16}$", r"\*{4,}|^\*{3}|\*{3}$"];

/// A character as HTML writes it.
const ENTITY: &str = r"&(amp|lt|gt|quot|apos|nbsp|#\d{2,5}|#x[0-9A-Fa-f]{2,4});";

/// What programs and shells show before somebody types, with what was typed: a sign alone, or what is asked for.
const PROMPTS: &[&str] = &[
    r"^[?$>%|*-] +\S",
    r"(?i)^[\w .'?()\[\]-]*\b(code|passphrase|password|pin|secret|token)( (for|of) [^:]+)?: ",
];

/// Words that people make longer by a number.
const NUMBERED: &str = "abc|admin|asdf|bar|changeme|foo|letmein|password|passw0rd|passwort|pass|qwerty|qwertz|secret|test";

static COMMAND: ValueRule =
    ValueRule::new(|text| text.contains([' ', '`', '$', '(']), || COMMANDS.join("|"));
static PATH: ValueRule = ValueRule::new(
    |text| text.starts_with(['~', '.', '$', '%', '/', '\\']) || text.contains(":\\"),
    || PATHS.join("|"),
);
static OTHER_PROGRAM: ValueRule = ValueRule::new(
    |text| {
        text.contains([':', '[', '('])
            || text
                .split_once('.')
                .is_some_and(|(first, _)| is_in(READERS, &first.to_ascii_lowercase()))
    },
    || ELSEWHERE.join("|"),
);
static ADDRESS: ValueRule =
    ValueRule::new(|text| text.contains([':', '.', '@']), || ADDRESSES.join("|"));
static TOKEN: ValueRule = ValueRule::new(
    |text| TOKEN_BEGINNINGS.split('|').any(|beginning| text.starts_with(beginning)),
    || TOKENS.join("|"),
);
static VARIABLE: ValueRule = ValueRule::new(
    |text| text.contains('_') && text.starts_with(|first: char| first.is_ascii_uppercase()),
    || VARIABLE_NAME.to_owned(),
);
static ELIDED: ValueRule =
    ValueRule::new(|text| text.contains("...") || text.contains("***"), || ELISIONS.join("|"));
static PROMPT: ValueRule = ValueRule::new(|text| text.contains(' '), || PROMPTS.join("|"));
static LEFT_ENTITY: ValueRule = ValueRule::new(|text| text.contains('&'), || ENTITY.to_owned());
static ALL_WORDS: Words = Words::new(|| words(&[MISSING, WORDS, KEEPERS], SHORT));
static SENTENCE: ValueRule = ValueRule::new(
    |text| text.contains(' '),
    || {
        format!(
            "(?i)^[^a-z0-9]*(?:(?:{BEGINNING}|{POINTING})(?: +{WORD})+|(?:{WORD} +)+(?:{KEEPERS}|{SUBJECTS})(?: +{WORD})*|(?:{KEEPERS}|{SUBJECTS})(?: +{WORD})+)[^a-z0-9]*$"
        )
    },
);

/// Why a text is most likely no half of a client; `None` where it may be this one.
pub(super) fn no_half(text: &str, part: ClientPart) -> Option<Placeholder> {
    if COMMAND.is_match(text) {
        return Some(Placeholder::Command);
    }
    if PATH.is_match(text) || is_file_name(text) {
        return Some(Placeholder::Path);
    }
    if OTHER_PROGRAM.is_match(text) {
        return Some(Placeholder::Elsewhere);
    }
    if part == ClientPart::Secret && ADDRESS.is_match(text) {
        return Some(Placeholder::Address);
    }
    if TOKEN.is_match(text) {
        return Some(Placeholder::Token);
    }
    if VARIABLE.is_match(text) {
        return Some(Placeholder::Variable);
    }
    let is_word = part == ClientPart::Secret
        && (ELIDED.is_match(text)
            || ALL_WORDS.are_all_of(text)
            || is_numbered(text)
            || SENTENCE.is_match(text)
            || is_counting(text));
    if is_word {
        return Some(Placeholder::Unfilled);
    }
    if LEFT_ENTITY.is_match(text) || has_left_over(text) {
        return Some(Placeholder::LeftOver);
    }
    PROMPT.is_match(text).then_some(Placeholder::SeveralWords)
}

/// Whether a text is a name that was written in the place of a client secret for this integration: its own, or one that
/// says whose secret it is. A client id may be such a name, where people choose it.
pub fn is_name_for(text: &str, part: ClientPart, domain: &Domain) -> bool {
    let split = |text: &str| -> Vec<String> {
        let words = text.split(|part: char| !part.is_ascii_alphanumeric());
        words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
    };
    let (words, named) = (split(text), split(domain.as_str()));
    let at = words.windows(named.len().max(1)).position(|some| some == named);
    let Some(at) = at else { return false };
    let rest = [&words[..at], &words[at + named.len()..]].concat();
    part == ClientPart::Secret && (rest.is_empty() || ALL_WORDS.are_all_of(&rest.join("-")))
}

/// Whether a text is the name of a file with an extension.
fn is_file_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.rsplit_once('.').is_some_and(|(stem, extension)| {
        is_in(EXTENSIONS, &extension.to_ascii_lowercase())
            && stem.split('.').all(|part| !part.is_empty() && part.bytes().all(is_part))
    })
}

/// Whether a text is one word with a number of up to six digits.
fn is_numbered(text: &str) -> bool {
    let text = text.trim_matches(|character: char| !character.is_ascii_alphanumeric()).as_bytes();
    NUMBERED.split('|').filter(|word| begins(text, word)).any(|word| {
        let number = &text[word.len()..];
        (1..=6).contains(&number.len()) && number.iter().all(u8::is_ascii_digit)
    })
}

/// Whether a value has something around it that belongs to the text that it is from, as a line of JSON ends
/// with a comma, or is written as in a URL or a string. A secret of all characters may do so as well: then it has others
/// of them inside.
fn has_left_over(text: &str) -> bool {
    let value = inner(text);
    value.len() < text.len() && is_usual(value) || is_link(text) || is_escaped(text)
}

/// What is between quotes, brackets, marks of Markdown, and what other texts have around a value.
fn inner(text: &str) -> &str {
    const MARKS: [&str; 5] = ["**", "__", "~~", "||", "*"];
    let between = |mark: &&str| text.strip_prefix(*mark)?.strip_suffix(*mark);
    if let Some(marked) = MARKS.iter().find_map(between) {
        return marked;
    }
    // `b'…'`, as Python writes bytes.
    let quoted = text.strip_prefix('b').filter(|rest| rest.starts_with(['"', '\'']));
    let start = quoted.unwrap_or(text);
    let start = start.trim_start_matches(['"', '\'', '`', '=', ':', ',', '\\', '(', '[', '{']);
    let value = start.trim_end_matches(['"', '\'', '`', ',', ';', '\\', ')', '}', ']']);
    // `\n` of a string.
    ["\\n", "\\r"].iter().fold(value, |value, end| value.trim_end_matches(end))
}

/// Whether a text has nothing but what most providers make their secrets of.
fn is_usual(text: &str) -> bool {
    let is_usual = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=')
    };
    text.len() > 3 && text.bytes().all(is_usual)
}

/// Whether a text is a link of Markdown, as in `[text](address)`.
fn is_link(text: &str) -> bool {
    let behind = text.strip_prefix('!').unwrap_or(text).strip_prefix('[');
    behind.is_some_and(|behind| behind.ends_with(')') && behind.contains("]("))
}

/// Whether some characters are written as a URL (`%2B`), a string (`\u0026`, `\/`) or a mail (`=3D`) has them, and the
/// others are usual.
fn is_escaped(text: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let (mut rest, mut plain, mut count) = (text, String::new(), 0);
    while let Some(first) = rest.chars().next() {
        let digits = |from: usize, to: usize| rest.get(from..to).is_some_and(is_hex);
        let length = match first {
            '%' if digits(1, 3) => 3,
            '\\' if rest[1..].starts_with('u') && digits(2, 6) => 6,
            '\\' if rest[1..].starts_with('x') && digits(2, 4) => 4,
            '\\' if rest[1..].starts_with(['/', '"', '\'', '\\']) => 2,
            '=' if rest[1..].starts_with("3D") => 3,
            _ => {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        count += 1;
        rest = &rest[length..];
    }
    count > 0 && is_usual(&plain)
}

/// Whether the letters and digits follow each other, as in `123456` and `abcdef`.
fn is_counting(text: &str) -> bool {
    let mut letters =
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    let Some(mut last) = letters.next() else { return false };
    let mut count = 1;
    let follows = letters.all(|letter| {
        let is_next = letter == last + 1 || matches!((last, letter), (b'9', b'0' | b'a'));
        (last, count) = (letter, count + 1);
        is_next
    });
    follows && count >= 4
}

/// Whether a text is a token that a service issued to a person or a program, by its form.
pub(super) fn is_issued_token(text: &str) -> bool {
    TOKEN.is_match(text)
}

/// Whether a text is a client secret, as its provider writes them.
pub fn is_client_secret(text: &str) -> bool {
    half(text) == Some(ClientPart::Secret)
}

/// Which half of a client a text is, whatever the field, as its provider writes it; `None` where that cannot be
/// seen.
pub(super) fn half(text: &str) -> Option<ClientPart> {
    if text.ends_with(".apps.googleusercontent.com")
        || text.starts_with("amzn1.application-oa2-client.")
    {
        return Some(ClientPart::Id);
    }
    let is_secret =
        text.starts_with("GOCSPX-") || text.starts_with("amzn1.oa2-cs.v1.") || is_of_entra(text);
    is_secret.then_some(ClientPart::Secret)
}

/// Whether this is a secret of Microsoft Entra: three characters, a digit and `Q~` begin it.
fn is_of_entra(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    matches!(text.as_bytes(), [_, _, _, b'0'..=b'9', b'Q', b'~', ..])
        && (36..=44).contains(&text.len())
        && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
    use regex::bytes::Regex;

    use super::{
        ADDRESS, ALL_WORDS, COMMAND, ClientPart, ELIDED, EXTENSIONS, KEEPERS, LEFT_ENTITY, MISSING,
        NUMBERED, OTHER_PROGRAM, PATH, PROMPT, SENTENCE, SHORT, TOKEN, VARIABLE, WORDS, half,
        is_file_name, is_name_for, is_numbered, no_half,
    };
    use crate::model::Domain;
    use crate::model::placeholder::Placeholder;
    use crate::model::words::tests::{pattern, texts_of};

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

        #[test]
        fn words_are_found_as_a_pattern_finds_them(
            text in texts_of(&[MISSING, WORDS, KEEPERS, SHORT])
        ) {
            static ALL: LazyLock<Regex> = LazyLock::new(|| {
                let words = format!("(?:{MISSING}|{WORDS}|{KEEPERS})(?:{SHORT}){{0,2}}");
                pattern(&format!("^[^a-z0-9]*(?:(?:{words}|\\b(?:{SHORT})\\b)[^a-z0-9]*)+$"))
            });
            let parted = text.replace('_', "-");
            prop_assert_eq!(ALL_WORDS.are_all_of(&text), ALL.is_match(parted.as_bytes()));
        }

        #[test]
        fn numbered_words_and_names_of_files_are_found_as_patterns_find_them(
            text in texts_of(&[NUMBERED, EXTENSIONS])
        ) {
            static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
                pattern(&format!("^[^a-z0-9]*(?:{NUMBERED})\\d{{1,6}}[^a-z0-9]*$"))
            });
            static FILE: LazyLock<Regex> = LazyLock::new(|| {
                pattern(&format!("^[\\w-]+(\\.[\\w-]+)*\\.({EXTENSIONS})$"))
            });
            prop_assert_eq!(is_numbered(&text), NUMBER.is_match(text.as_bytes()));
            prop_assert_eq!(is_file_name(&text), FILE.is_match(text.as_bytes()));
        }
    }

    /// As providers make them.
    const SECRETS: &[&str] = &[
        "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",
        "9d0c1f7be24a4c56a1f38e5d6b7c8092",
        "5db4c8f1e90a4b3d8c7e6f5a4b3c2d1e",
        "Hx~8Q~Pz.kD1mVn-5rTq_YwCsB3uJfLg0aEoXi2K",
        ".aB3Q~x.Yz-0kLmN_pQrStUvWxYz1234567890AB",
        "7Ab8Q~-_.~abcDEFghiJKLmnoPQRstuVWXyz0123",
        "Xk2PzR8vNq4WmTcY6bLdHs9JfGe3Aa",
        "64b1fd02c8e94a6793d5b7e2f1a0c3d845e6f7a8b9c0d1e2f3a4b5c6d7e8f901",
        "F3C1A2B4D5E6F7081923A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F9",
        "4f5c0a88-12d0-4f5c-8a88-12d04f5c0a88",
        "2k8zq0vw5m1xj7c3n9bt6rdyfh4gsl",
        "q7w2z9x4c1v8b3n",
        "0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b",
        "sec_v1_p0Zx8RkQ2mVn5TcY7bLdHs==",
        "mnzconf.k8Zq0vw5m1xj7c3n9bt6rdyfh4gsl+/Pz8RkQ2mVn5TcY==/x",
        "ta-secret.p@s%s$w^dK7!z",
        "aGVsbG8gd29ybGQgb2YgYXV0aG9yaXphdGlvbg==",
        "/9j4AAQSkZJRgABAQEASABIAAD+2wBDAAMCAgICAgM=",
        "etc/Zq0vw5m1xj7c3n9bt6rdyfh4gslPz8RkQ2mVn5A",
        "amzn1.oa2-cs.v1.5e8f0c1d2b3a4958677869504a3b2c1d",
        "JR7TQZ2MXW4KPV9L",
        "v^9e,;8\"Tz:k{w}@]Q",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJob3VzZSJ9.c2lnbmF0dXJlLW9mLWl0",
        "correct horse battery staple",
        "m4rk3d: three",
        "Zq7a #m4rk3d",
        "zx81abc#old",
        "zx81$abc",
        "$2y$10$abcdefghijk/x.",
        "zx81\\abc",
        "zx81%abc!d",
        "zx81%2",
        "\\x1",
        "sk_live_51H8xQ2eZvKYlo2C0a9Bd7Ef3Gh1Jk5Lm",
        "gloas-5e8f0c1d2b3a4958677869504a3b2c1d5e8f0c1d2b3a4958677869504a3b2c1d",
        "WPL_AP1.k3v9XwQz1mRt8YbN.c5LdHs==",
        "secret_k3v9XwQz1mRt8YbNc5LdHs7AePz4Uy6Gf2Jo0Ti",
        "ATOAk3v9XwQz1mRt8YbNc5LdHs7AePz4Uy6Gf2Jo0Ti8E51F3B22",
        "k3v_XwQz-1mRt8YbNc5LdHs7Ae",
        "sk-proj-k3v9XwQz1mRt8YbNc5LdHs7AePz4",
        "u3v9x1w5z7q2m4n",
        "s-s4t2ud-5e8f0c1d2b3a4958677869504a3b2c1d",
        "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",
        "cfut_k3v9XwQz1mRt8YbNc5LdHs7AePz4Uy6Gf2Jo",
        "3MVG9.k3v9XwQz1mRt8YbNc5LdHs7AePz4Uy6Gf2Jo0Ti_8E51F3B22",
        "in4f5c0a88see12d0",
        "a-s3cr3t-of-anna",
        "anna-is-in-banana",
        "no-nanana",
        "q*k**c&d;x...f~g.w",
    ];

    #[test]
    fn what_providers_make_may_be_a_secret() {
        let rules = [
            &COMMAND,
            &PATH,
            &OTHER_PROGRAM,
            &ADDRESS,
            &TOKEN,
            &ELIDED,
            &LEFT_ENTITY,
            &SENTENCE,
            &VARIABLE,
            &PROMPT,
        ];
        assert!(rules.into_iter().all(|rule| rule.regex().is_some()));
        for secret in SECRETS {
            assert_eq!(no_half(secret, ClientPart::Secret), None, "{secret}");
            assert_ne!(half(secret), Some(ClientPart::Id), "{secret}");
        }
    }

    #[test]
    fn a_client_id_may_be_a_word_or_an_address() {
        for id in [
            "home-assistant",
            "my-app",
            "test",
            "12345",
            "https://home.example/client",
            "api://4f5c0a88-12d0",
            "home.example.com",
            "1234567890-abc123def456.apps.googleusercontent.com",
            "client.house.a1b2",
        ] {
            assert_eq!(no_half(id, ClientPart::Id), None, "{id}");
            assert_ne!(half(id), Some(ClientPart::Secret), "{id}");
        }
    }

    /// `all` has a semicolon and a space between texts.
    #[track_caller]
    fn check(all: &str, expected: Placeholder, parts: &[ClientPart]) {
        for (text, part) in
            all.split(" ; ").flat_map(|text| parts.iter().map(move |part| (text, *part)))
        {
            assert_eq!(no_half(text, part), Some(expected), "{text}");
        }
    }

    const BOTH: &[ClientPart] = &[ClientPart::Id, ClientPart::Secret];
    const SECRET: &[ClientPart] = &[ClientPart::Secret];

    #[test]
    fn what_would_have_led_to_a_value_is_none() {
        let commands = "`cat secret` ; `./get x` ; pass show spotify ; x$(cat ~/a) ; $(<x) $(op read x) ; op read secret ; echo abc";
        check(commands, Placeholder::Command, BOTH);
        let paths = "~/.secret ; ~me/x ; ./secret.txt ; ../x ; ./x ; /run/x ; /etc/ha/spotify ; /home/me/a b ; C:\\a\\b.txt ; \\\\nas\\x ; spotify.secret.txt ; secrets.yaml ; client_secret.json ; .\\x";
        check(paths, Placeholder::Path, BOTH);
        let elsewhere = "gcp:secretmanager:projects/x ; secrets.SPOTIFY ; process.env.SECRET ; os.environ['X'] ; var.client_secret ; bitwarden:spotify ; secret:spotify ; sm:/a ; lookup('env', 'X') ; env.X ; os.environ ; data.vault.x ; data.vault_generic_secret.a.data[\"b\"]";
        check(elsewhere, Placeholder::Elsewhere, BOTH);
        let tokens = "ghp_k3v9XwQz1mRt8YbNc5LdHs7AePz4Uy6Gf2Jo ; github_pat_11ABCDEFG0k3v9XwQz1mRt8YbNc5LdHs7AePz4 ; glpat-k3v9XwQz1mRt8YbNc5Ld ; xoxb-123456789012-k3v9XwQz ; AKIAIOSFODNN7EXAMPLE ; hvs.CAESIJk3v9XwQz1mRt8YbNc5LdHs ; npm_k3v9XwQz1mRt8YbNc5LdHs7AePz4Uy6Gf2Jo";
        check(tokens, Placeholder::Token, BOTH);
        let variables = "NETATMO_SECRET ; SPOTIFY_2 ; HA_SPOTIFY_CLIENT ; X_Y ; MY_ID_3";
        check(variables, Placeholder::Variable, BOTH);
        let left = "abc123def, ; \"abc123def\", ; \"abc123def ; abc123def' ; abc123def; ; =abc123def ; abc123def\"} ; abc123def\\n ; 'abc123def', ; a1b2&amp;c3 ; &lt;secret&gt; ; it&#39;s4f5c ; (abc123def) ; {4f5c0a88-12d0} ; **abc123def** ; ||abc123def|| ; __4f5c0a88__ ; b'abc123def' ; \\\"abc123def\\\" ; [abc123def](https://x.y) ; ![a](b) ; abc\\u0026123def ; abc123\\/def ; abc123%2Bdef%3D ; abc123def=3D";
        check(left, Placeholder::LeftOver, BOTH);
    }

    #[test]
    fn what_was_typed_behind_a_prompt_is_no_half() {
        let prompts = "? Master password: [hidden] ; ? Master password: zx81abc ; $ zx81abc ; > zx81abc ; - zx81abc ; Vault token: zx81abc ; Enter passphrase for key: zx81abc ; | zx81abc |";
        for (text, part) in
            prompts.split(" ; ").flat_map(|text| BOTH.iter().map(move |part| (text, *part)))
        {
            let expected = [Some(Placeholder::SeveralWords), Some(Placeholder::Unfilled)];
            assert!(expected.contains(&no_half(text, part)), "{text}");
        }
    }

    #[test]
    fn a_name_with_that_of_the_integration_is_no_half_of_its_client() {
        let netatmo = Domain::new("netatmo");
        let home_connect = Domain::new("home_connect");
        for (text, domain) in [
            ("netatmo_secret", &netatmo),
            ("my-netatmo-secret", &netatmo),
            ("NETATMO_CLIENT_SECRET", &netatmo),
            ("home-connect key", &home_connect),
        ] {
            assert!(is_name_for(text, ClientPart::Secret, domain), "{text}");
            assert!(!is_name_for(text, ClientPart::Id, domain), "{text}");
        }
        for (text, domain) in [("Netatmo", &netatmo), ("home connect", &home_connect)] {
            assert!(is_name_for(text, ClientPart::Secret, domain), "{text}");
            assert!(!is_name_for(text, ClientPart::Id, domain), "{text}");
        }
        for text in ["netatmo-4f5c0a88", "anetatmo", "netatmo_of_anna", "secret", "x"] {
            assert!(!is_name_for(text, ClientPart::Secret, &netatmo), "{text}");
        }
    }

    #[test]
    fn words_and_addresses_are_no_secret() {
        let addresses = "https://developer.spotify.com/dashboard ; http://x ; www.fitbit.com ; developer.spotify.com/dashboard ; dev.netatmo.com ; me@home.example ; mailto:me@x.y ; HTTPS://x";
        check(addresses, Placeholder::Address, SECRET);
        let words = "password ; Password123 ; hidden ; secret ; my-secret ; N/A ; NaN ; n/a ; not set ; SECRET ; client secret ; the secret key ; (secret) ; test ; admin ; 1234 ; 12345678 ; 1234567890 ; abcdef ; P@ssw0rd ; see above ; secret123 ; foobar ; qwerty ; home assistant ; see 1Password ; in Bitwarden ; lastpass ; Value copied ; KeePassXC ; stored in vault ; ask Anna ; in the kitchen drawer ; client secret from the Spotify dashboard ; Spotify secret ; siehe Wiki ; copy from 1password ; fake-secret ; na ; NA ; rotate me ; rotate-me ; coming soon ; tbc ; update me later ; (see vault) ; s3cr3t ; token of Anna ; sk_live_... ; 4f5c...8e ; ... ; ****4f5c ; ***4f5c ; 4f5c0a***";
        check(words, Placeholder::Unfilled, SECRET);
    }

    #[test]
    fn what_a_provider_writes_shows_which_half_it_is() {
        for (id, part) in [
            ("61-a.apps.googleusercontent.com", ClientPart::Id),
            ("amzn1.application-oa2-client.4f", ClientPart::Id),
        ] {
            assert_eq!(half(id), Some(part));
        }
        for secret in
            ["GOCSPX-a1b2_c3", "amzn1.oa2-cs.v1.4f5c", "7Ab8Q~-_.~abcDEFghiJKLmnoPQRstuVWXyz0123"]
        {
            assert_eq!(half(secret), Some(ClientPart::Secret), "{secret}");
        }
    }
}
