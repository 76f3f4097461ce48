//! Texts that people and programs write where a value is still missing.
//!
//! The rules say what a text is made of, so that no list of examples is needed: the syntax of templates,
//! references to stores of secrets, words about credentials and nothing else, and filling.

use std::fmt;

use super::value_rule::ValueRule;
use super::words::{Words, begins, is_in, words};

/// Why a text is taken for a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// Nobody has filled it in.
    Unfilled,
    /// It is between `<` and `>`.
    Brackets,
    /// Another program would have read the value from elsewhere.
    Elsewhere,
    /// A shell would have put its output here.
    Command,
    /// It is the path of a file.
    Path,
    /// It is an address of the web, or of a person.
    Address,
    /// A part of what it was copied from is still there.
    LeftOver,
    /// It has white space in it, as a prompt, a comment or a message has.
    SeveralWords,
    /// A tag of YAML inside of a text.
    QuotedTag,
    /// A token of another service, as of GitHub.
    Token,
    /// The name of an environment variable.
    Variable,
    /// The name of the integration that it is for.
    Integration,
    /// The name of a secret in a file of secrets.
    SecretName,
}

impl Placeholder {
    /// Whether it is a name by which the value may be found elsewhere.
    pub fn is_name(self) -> bool {
        matches!(self, Self::Variable | Self::Integration | Self::SecretName)
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfilled => UNFILLED,
            Self::Brackets => "is between `<` and `>`, as a placeholder is",
            Self::Elsewhere => "is a placeholder: it names a secret of another program",
            Self::Command => "is a command of a shell, which appcred does not run",
            Self::Path => "is the path of a file",
            Self::Address => "is an address, and the secret itself is needed",
            Self::LeftOver => {
                "has a quote, a comma or something else of the text that it was copied from"
            }
            Self::SeveralWords => {
                "has white space in it, and what a provider issues has none: it may be a prompt, a message, or a value with a comment"
            }
            Self::Token => "is an access token of another service",
            Self::Variable => "looks like the name of an environment variable",
            Self::Integration => "is the name of the integration",
            Self::SecretName => "is the name of a secret in a file of secrets",
            Self::QuotedTag => {
                "begins with a YAML tag, which is only text in quotes, in a file or without its `!`"
            }
        })
    }
}

/// What is wrong with what nobody has filled in.
pub const UNFILLED: &str = "is a placeholder that was not filled in";

/// Syntax of templates. Within other text, it counts only with a name in it: a random secret may
/// have such characters.
const TEMPLATES: &[&str] = &[
    r"\$\{[A-Za-z_][\w.:-]*\}|\$\([A-Za-z_][\w .-]+\)|\{\{.*\}\}|\{%.*%\}|<%.*%>",
    r"^(\$\{.*\}|\$\(.*\)|#\{.*\}#?|\(\(.*\)\)|\[\[.*\]\]|<.*>|\{[A-Za-z_]+\})$",
    r"(?i)^[(\[<*]+(hidden|masked|removed|sensitive|secret)[)\]>*]+$",
    r"^\[object \w+\]$",
    r"^%\([A-Za-z_]\w*\)s$",
    r"^(\$\$?[A-Z_][A-Z0-9_]*|\$[a-z_]+|\$env:\w+)$",
];

/// Addresses of secrets in other stores. A client id may be an address of the web.
const ELSEWHERE: &[&str] = &[
    r"^(arn:aws|projects/[^/]+/secrets/|/run/(secrets|credentials)/|@Microsoft\.KeyVault\()",
    r"(?i)^(ref\+[a-z0-9]+|vault|vals|env|env_var|file|ssm|secretref|keyring|keychain|gcpsm|awssm|aws-secretsmanager|azurekv):",
    r"^(secrets?|kv)/data/\w",
    r"(?i)^(aws|gcp|google|azure)[:/-](secrets?-?manager|ssm|kms|key-?vault)[:/]",
];

/// A tag with something behind it; one of ours also without its `!`.
const TAG: &str = r"^(![A-Za-z][\w./-]*|env_var|file|from|include|secret)\s+\S";

/// Words that say that something is missing.
pub(super) const MISSING: &str = "your|insert|enter|replace|put|paste|change|fill|goes|here|todo|tbd|fixme|redacted|\
    placeholder|example|sample|dummy|censored|undefined|null|nil|none|unset|true|false|n/a|xxx|xxxx|xxxxx";

/// Words about credentials, those between them, and digits.
const NEUTRAL: &str = "my|the|this|that|with|from|and|oauth|oauth2|api|app|apps|\
    application|client|customer|consumer|developer|user|id|identifier|key|secret|token|access|value|string|\
    password|real|actual|own|please|0|1|2|3|4|5|6|7|8|9";

/// Such words that are short, so that others are made of them, as a name of `an` and `na`.
pub(super) const SHORT: &str = "a|an|me|it|in|by|of|to|or|as|on|is|no|ok|na|nan";

/// What comes before and after a value's own part at providers.
const BEFORE: &[&str] = &["GOCSPX-", "amzn1.application-oa2-client.", "amzn1.oa2-cs.v1."];
const BEHIND: &str = ".apps.googleusercontent.com";

/// What a request for a value begins with, and what it ends with.
const VERBS: &str = "your|insert|enter|replace|put|paste|change|fill";
const OBJECTS: &str = "me|this|it|here|id|key|secret|token|value|password";

/// The same where it is one word.
const JOINED_VERBS: &str = "your|insert|replace";
const JOINED_OBJECTS: &str = "clientid|appid|secret|token|key|here";

/// What the name of a value is made of, as `client_id`.
const OWNERS: &str = "client|app|application|consumer|customer|api|oauth|oauth2|access";
const OWNED: &str = "id|key|secret|token";

/// What a note begins with.
const NOTES: &str = "todo|fixme|tbd";

static TEMPLATE: ValueRule =
    ValueRule::new(|text| text.contains(['$', '{', '<', '(', '[', '*']), || TEMPLATES.join("|"));
static OTHER_STORE: ValueRule =
    ValueRule::new(|text| text.contains([':', '/', '@']), || ELSEWHERE.join("|"));
static TAGGED: ValueRule =
    ValueRule::new(|text| text.contains(char::is_whitespace), || TAG.to_owned());
static WORDS: Words = Words::new(|| words(&[MISSING, NEUTRAL], SHORT));
static MISSING_WORDS: Words = Words::new(|| words(&[MISSING], ""));

/// What kind of placeholder a text is; `None` where it may be a value.
pub(super) fn placeholder(text: &str) -> Option<Placeholder> {
    let is_elsewhere = OTHER_STORE.is_match(text)
        || text.split_once("://").is_some_and(|(scheme, _)| is_other_scheme(scheme));
    if is_elsewhere {
        return Some(Placeholder::Elsewhere);
    }
    if TAGGED.is_match(text) {
        return Some(Placeholder::QuotedTag);
    }
    if text.starts_with('<') && text.ends_with('>') && !text.starts_with("<%") {
        return Some(Placeholder::Brackets);
    }
    let text = own_part(text);
    let is_unfilled = is_filling(text)
        || is_marked(text)
        || TEMPLATE.is_match(text)
        || is_request(text)
        || WORDS.are_all_of(text) && is_missing(text);
    is_unfilled.then_some(Placeholder::Unfilled)
}

/// Whether the name of a file or folder says that it is missing. One may be called as what is in it.
pub(super) fn is_missing_name(name: &str) -> bool {
    let is_shown = ["example", "sample"].iter().any(|shown| name.eq_ignore_ascii_case(shown));
    !is_shown && WORDS.are_all_of(name) && suffixes(name).any(has_missing_word)
}

/// Whether a name begins with the words for what somebody has to replace.
pub(super) fn asks_for_value(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("your").is_some_and(|rest| rest.starts_with(['-', '_', ' ', '.']))
}

/// Whether a word of the first list is in a text, or the name of a value.
fn is_missing(text: &str) -> bool {
    let is_name = |text: &[u8], owner: &str| {
        let name = text.get(owner.len()..).unwrap_or_default();
        let start = name.iter().position(u8::is_ascii_alphanumeric).unwrap_or_default();
        begins(text, owner)
            && OWNED
                .split('|')
                .chain(["value", "password"])
                .any(|owned| begins(&name[start..], owned))
    };
    suffixes(text).any(|rest| {
        has_missing_word(rest) || OWNERS.split('|').chain(["my"]).any(|owner| is_name(rest, owner))
    })
}

fn suffixes(text: &str) -> impl Iterator<Item = &[u8]> {
    (0..text.len()).map(|at| &text.as_bytes()[at..])
}

/// Whether a text begins with a word that says that something is missing.
fn has_missing_word(text: &[u8]) -> bool {
    MISSING_WORDS.any_begins(text)
}

/// Whether a text asks for a value, or is the name of one, with words of people's own in it.
fn is_request(text: &str) -> bool {
    const SEPARATORS: [char; 4] = ['-', '_', '.', ' '];
    let text = text.to_ascii_lowercase();
    let start = text.trim_start_matches(|character: char| !character.is_ascii_alphanumeric());
    let text = start.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
    let is_word = |word: &str, is_part: fn(&u8) -> bool| {
        !word.is_empty() && word.as_bytes().iter().all(is_part)
    };
    let is_letters = |word: &str| is_word(word, u8::is_ascii_alphabetic);

    let mut words = text.split(SEPARATORS);
    let asks = words.next().is_some_and(|first| is_in(VERBS, first))
        && words.next_back().is_some_and(|last| is_in(OBJECTS, last))
        && words.all(|word| is_word(word, u8::is_ascii_alphanumeric));
    let asks_in_one = || {
        JOINED_VERBS.split('|').filter_map(|verb| text.strip_prefix(verb)).any(|rest| {
            is_letters(rest) && JOINED_OBJECTS.split('|').any(|object| rest.ends_with(object))
        })
    };
    let is_name = || {
        let before = OWNED.split('|').find_map(|owned| text.strip_suffix(owned));
        let before = before.map(|before| before.strip_suffix(SEPARATORS).unwrap_or(before));
        before.is_some_and(|before| {
            OWNERS.split('|').filter_map(|owner| before.strip_suffix(owner)).any(|before| {
                let words = before.strip_suffix(SEPARATORS);
                before.is_empty()
                    || words.is_some_and(|words| words.split(SEPARATORS).all(is_letters))
            })
        })
    };
    let is_note = || {
        let rest = NOTES.split('|').find_map(|note| start.strip_prefix(note));
        rest.is_some_and(|rest| rest.starts_with([':', ' '])) && !text.contains('\n')
    };
    asks || asks_in_one() || is_name() || is_note()
}

/// Whether a text that may be of any words, as a name or a path, is a template or has a tag in quotes: no such thing
/// is read in it.
pub fn is_template(text: &str) -> bool {
    let text = text.trim();
    let is_in_brackets = text.len() > 2 && text.starts_with('<') && text.ends_with('>');
    is_in_brackets || TEMPLATE.is_match(text) || text.starts_with('!') && TAGGED.is_match(text)
}

/// A value without what its provider puts around it.
fn own_part(text: &str) -> &str {
    if let Some(own) = BEFORE.iter().find_map(|before| text.strip_prefix(before)) {
        return own;
    }
    let Some(own) = text.strip_suffix(BEHIND) else { return text };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    own.split_once('-').filter(|(number, _)| is_number(number)).map_or(own, |(_, own)| own)
}

/// Whether this is a scheme, and not one of the addresses that are client ids.
fn is_other_scheme(scheme: &str) -> bool {
    !matches!(scheme, "http" | "https" | "api")
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || b"0123456789+.-".contains(&byte))
}

/// Nothing but punctuation or zeros, or one letter or digit again and again, as in a UUID of zeros.
fn is_filling(text: &str) -> bool {
    let mut letters = text.chars().filter(char::is_ascii_alphanumeric);
    let Some(first) = letters.next() else { return true };
    if text.bytes().all(|byte| byte == b'0') {
        return true;
    }
    let mut count = 1;
    letters.all(|letter| {
        count += 1;
        letter.eq_ignore_ascii_case(&first)
    }) && count >= 8
}

/// Whether a name is between the same characters, as in `@@SECRET@@`.
pub(super) fn is_marked(text: &str) -> bool {
    let Some(mark) = text.chars().next().filter(char::is_ascii_punctuation) else { return false };
    let name = text.trim_start_matches(mark);
    let before = text.len() - name.len();
    let name = name.trim_end_matches(mark);
    let behind = text.len() - before - name.len();
    let is_part = |character: char| character.is_ascii_alphanumeric() || "_-. ".contains(character);
    let is_one_enough = matches!(mark, '@' | '%' | '#' | '$' | '`');
    before == behind
        && (before > 1 || is_one_enough)
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
    use regex::bytes::Regex;

    use super::{
        MISSING, NEUTRAL, NOTES, OBJECTS, OTHER_STORE, OWNERS, Placeholder, SHORT, TAGGED,
        TEMPLATE, VERBS, WORDS, is_missing, is_request, placeholder,
    };
    use crate::model::no_secret::{ClientPart, no_half};
    use crate::model::words::tests::{pattern, texts_of};

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

        #[test]
        fn words_are_found_as_patterns_find_them(text in texts_of(&[MISSING, NEUTRAL, SHORT])) {
            static ALL: LazyLock<Regex> = LazyLock::new(|| {
                let words = format!("(?:{MISSING}|{NEUTRAL})(?:{SHORT}){{0,2}}");
                pattern(&format!("^[^a-z0-9]*(?:(?:{words}|\\b(?:{SHORT})\\b)[^a-z0-9]*)+$"))
            });
            static ONE: LazyLock<Regex> = LazyLock::new(|| {
                let name = "[^a-z0-9]*(?:id|key|secret|token|value|password)";
                pattern(&format!("{MISSING}|(?:{OWNERS}|my){name}"))
            });
            let parted = text.replace('_', "-");
            prop_assert_eq!(WORDS.are_all_of(&text), ALL.is_match(parted.as_bytes()));
            prop_assert_eq!(is_missing(&text), ONE.is_match(text.as_bytes()));
        }

        #[test]
        fn requests_are_found_as_a_pattern_finds_them(
            text in texts_of(&[VERBS, OBJECTS, OWNERS, NOTES, NOTES, "clientid|appid"])
        ) {
            static REQUEST: LazyLock<Regex> = LazyLock::new(|| {
                let asks = format!("(?:{VERBS})(?:[-_. ][a-z0-9]+)*?[-_. ](?:{OBJECTS})");
                let in_one = "(?:your|insert|replace)[a-z]*(?:clientid|appid|secret|token|key|here)";
                let name = format!("(?:[a-z]+[-_. ])*(?:{OWNERS})[-_. ]?(?:id|key|secret|token)");
                let note = format!("(?:{NOTES})\\b[: ].*");
                pattern(&format!("^[^a-z0-9]*(?:{asks}|{in_one}|{name}|{note})[^a-z0-9]*$"))
            });
            prop_assert_eq!(is_request(&text), REQUEST.is_match(text.as_bytes()));
        }
    }

    /// Digits of a random number, always the same ones.
    fn random(seed: &mut u64) -> usize {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*seed >> 33).unwrap()
    }

    #[test]
    fn what_providers_hand_out_is_taken() {
        for rule in [&TEMPLATE, &OTHER_STORE, &TAGGED] {
            assert!(rule.regex().is_some());
        }
        for text in [
            "4f5c0a8812d04f5c",
            "GOCSPX-a1b2_c3",
            "61.apps.googleusercontent.com",
            "1234567890-abc123def456.apps.googleusercontent.com",
            "amzn1.application-oa2-client.4f5c0a8812d04f5c",
            "oauth2client_00009f5c0a8812d04",
            "mnzconf.aGVsbG8=/x",
            "ta-secret.p@s%s$w^d",
            "0000000048093EE3",
            "4f5c8Q~a.b_c-d",
            "{4f5c0a88-12d0-4f5c-0a88-12d04f5c0a88}",
            "23ABCD",
            "ownerapi",
            "a b~!@#$%^&*()",
            "my-secret-house-2026",
            "home-assistant",
            "my-app",
            "yourgrid",
            "p@ssw0rd",
            "aGVsbG8=",
            "[abc]",
            "!Abc9",
            "https://home.example/client",
            "api://4f5c0a88-12d0",
            "urn:client:home",
            "secret",
            "hidden-secret",
        ] {
            assert_eq!(placeholder(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_made_at_random_is_taken() {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let all: String = ('!'..='~').collect();
        let alphabets = [
            "0123456789abcdef".to_owned(),
            "abcdefghijklmnopqrstuvwxyz".to_owned(),
            format!("{letters}0123456789"),
            format!("{letters}0123456789-_.~"),
            format!("{letters}0123456789+/"),
            all,
        ];
        let mut seed = 7;
        for (alphabet, length) in alphabets.iter().zip([32, 20, 16, 40, 44, 40]) {
            let refused = (0..2000).filter(|_| {
                let pick = |_| char::from(alphabet.as_bytes()[random(&mut seed) % alphabet.len()]);
                let text: String = (0..length).map(pick).collect();
                placeholder(&text).or_else(|| no_half(&text, ClientPart::Secret)).is_some()
            });
            assert_eq!(refused.count(), 0, "{alphabet}");
        }
    }

    #[test]
    fn what_nobody_filled_in_is_a_placeholder() {
        for text in [
            "${SPOTIFY_SECRET}",
            "prefix-${SPOTIFY_SECRET}",
            "${{ secrets.X }}",
            "%(SECRET)s",
            "`pass show x`",
            "n/a",
            "true",
            "{{ secret }}",
            "$(secret)",
            "((secret))",
            "[[secret]]",
            "#{secret}#",
            "<%= secret %>",
            "{client_id}",
            "%SECRET%",
            "%X1%",
            "@secret@",
            "0",
            "000",
            "[your client id]",
            "YOUR_CLIENT_ID",
            "yourclientid",
            "yourClientSecret",
            "YOUR-SPOTIFY-APP-SECRET-HERE",
            "yourspotifyclientid",
            "your-client-secret",
            "my_client_id",
            "spotify_client_secret",
            "insert secret here",
            "xxx.apps.googleusercontent.com",
            "123456-xxx.apps.googleusercontent.com",
            "<id>.apps.googleusercontent.com",
            "your-client-id.apps.googleusercontent.com",
            ".apps.googleusercontent.com",
            "GOCSPX-xxxx",
            "GOCSPX-",
            "GOCSPX-your-client-secret",
            "***REDACTED***",
            "[REDACTED]",
            "(hidden)",
            "changeme",
            "change-me",
            "REPLACE_ME",
            "TODO",
            "TODO: ask Anna",
            "none",
            "xxxxxxxx",
            "xxxx-xxxx",
            "00000000-0000-0000-0000-000000000000",
            "$CLIENT_SECRET",
            "client_secret",
            "client-id-1",
            "[object Object]",
            "API key",
            "...",
            "-",
        ] {
            assert_eq!(placeholder(text), Some(Placeholder::Unfilled), "{text}");
        }
    }

    #[test]
    fn a_name_between_the_same_characters_is_a_placeholder() {
        let marked =
            "@@SECRET@@ @SPOTIFY_2@ ##secret## ||Client.Secret|| ::secret:: #secret# $SECRET$";
        for text in marked.split(' ') {
            assert_eq!(placeholder(text), Some(Placeholder::Unfilled), "{text}");
        }
        for text in ["@@SECRET", "-a-", "_abc_", "@@4f5c@@", "~4f5c0a~"] {
            assert_eq!(placeholder(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_between_brackets_is_a_placeholder() {
        for text in ["<your client id>", "<x>", "<8f7a2c>"] {
            assert_eq!(placeholder(text), Some(Placeholder::Brackets), "{text}");
        }
    }

    #[test]
    fn a_reference_to_another_store_and_a_quoted_tag_are_placeholders() {
        for text in [
            "op://home/spotify/secret",
            "bws://x",
            "ref+vault://x",
            "ref+awsssm:/x",
            "vault:secret/data/x#key",
            "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            "env:SECRET",
            "/run/secrets/spotify",
            "secret/data/home/spotify",
            "aws-secretsmanager:x",
            "aws:secretsmanager:x",
            "gcp/secret-manager/x",
        ] {
            assert_eq!(placeholder(text), Some(Placeholder::Elsewhere), "{text}");
        }
        for text in
            ["!vault x", "!secret spotify", "!env_var X", "!Ref x", "env_var X", "from op x"]
        {
            assert_eq!(placeholder(text), Some(Placeholder::QuotedTag), "{text}");
        }
    }
}
