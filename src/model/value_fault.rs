//! What cannot be a client id, a client secret or an access token. Every such value is checked here,
//! whatever source it comes from.

use std::fmt;

use super::document::{Document, document, document_in_header};
use super::merge_conflict::MERGE_CONFLICT_HELP;
use super::no_secret::{ClientPart, half, no_half};
use super::placeholder::{Placeholder, placeholder};
use super::visible::hidden;

/// Why a text cannot be a value. It never repeats the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueFault {
    /// There is nothing.
    Empty,
    /// It is a whole document, or several lines.
    Document(Document),
    /// A character that cannot be seen, and its position from 1.
    Hidden(char, usize),
    /// A character that OAuth does not allow.
    Character(char),
    /// Nobody has filled it in.
    Placeholder(Placeholder),
    /// It is the other half of a client, this one.
    Swapped(ClientPart),
    /// It ends where YAML takes a `#` for the beginning of a comment.
    Comment,
}

/// What is wrong with a header of HTTP, which may be `Bearer …` or `name=value`; `None` where it may be one.
/// Only what is visible in ASCII is the same to all servers.
pub fn header_fault(text: &str, allow_placeholders: bool) -> Option<ValueFault> {
    fault(text, allow_placeholders, document_in_header)
}

/// What is wrong with a value; `None` where it may be one. RFC 6749 allows the characters from space
/// to `~`. That something is a placeholder is a guess, which a project can switch off.
pub fn value_fault(text: &str, allow_placeholders: bool) -> Option<ValueFault> {
    fault(text, allow_placeholders, document)
}

/// What is wrong with one half of a client, beside what no value may be.
pub fn client_fault(text: &str, part: ClientPart, allow_placeholders: bool) -> Option<ValueFault> {
    let swapped = || half(text).filter(|half| *half != part).map(ValueFault::Swapped);
    let no_half = || {
        let found = if allow_placeholders { None } else { no_half(text, part) };
        found.map(ValueFault::Placeholder)
    };
    value_fault(text, allow_placeholders).or_else(swapped).or_else(no_half)
}

fn fault(
    text: &str,
    allow_placeholders: bool,
    document: fn(&str) -> Option<Document>,
) -> Option<ValueFault> {
    if text.trim().is_empty() {
        return Some(ValueFault::Empty);
    }
    if let Some(document) = document(text) {
        return Some(ValueFault::Document(document));
    }
    if let Some((at, character)) = hidden(text) {
        return Some(ValueFault::Hidden(character, text[..at].chars().count() + 1));
    }
    if let Some(other) = text.chars().find(|character| !(' '..='~').contains(character)) {
        return Some(ValueFault::Character(other));
    }
    if allow_placeholders {
        return None;
    }
    placeholder(text).map(ValueFault::Placeholder)
}

impl ValueFault {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Document(document) if document.has_merge_conflict() => MERGE_CONFLICT_HELP,
            Self::Document(document) if document.is_header() => {
                "write only the value itself: leave out the name of the header, and `Bearer` or `Basic`"
            }
            Self::Document(_) => {
                "write only the value itself, in one line; `!secret NAME` reads one value of secrets.yaml or secrets.sops.yaml"
            }
            Self::Placeholder(Placeholder::QuotedTag) => {
                "write the tag with its `!` and without quotes: !env_var, !file, !from and !secret are read"
            }
            Self::Placeholder(Placeholder::Brackets) => {
                "write the value without `<` and `>`; if the provider issued them, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(Placeholder::Elsewhere) => {
                "name that program under `sources` in appcred.yaml and write `!from SOURCE WHAT`; if this is what the provider issued, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(Placeholder::Command) => {
                "run it before, as in `COMMAND | appcred encrypt -`, or name it under `sources` in appcred.yaml and write `!from SOURCE WHAT`; if this is what the provider issued, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(Placeholder::Path) => {
                "`!file PATH` reads a file; if this is what the provider issued, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(Placeholder::LeftOver) => {
                "remove it; if the provider issued it like this, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(Placeholder::SeveralWords) => {
                "write only the value itself; if the provider issued it like this, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Swapped(_) => {
                "exchange the values of `client_id` and `client_secret`; a secret that was committed must be replaced at the provider"
            }
            Self::Placeholder(Placeholder::Token) => {
                "write the client secret that the provider issued for this client, and revoke the token if it was committed; `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(Placeholder::Variable) => {
                "write `!env_var NAME` where that variable has the value; if this is what the provider issued, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(Placeholder::SecretName) => {
                "write `!secret NAME`, which reads it; if this is what the provider issued, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Placeholder(
                Placeholder::Unfilled | Placeholder::Address | Placeholder::Integration,
            ) => {
                "write what the provider issued; if this is what it issued, `allow_placeholders: true` in appcred.yaml accepts it"
            }
            Self::Comment => {
                "quote the whole value if it has that `#`; if it is a comment, write a space after the `#`"
            }
            Self::Empty | Self::Hidden(..) | Self::Character(_) => {
                "copy the value from the provider's page again"
            }
        }
    }
}

/// As the end of a sentence.
impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::Document(document) => write!(f, "is {document}, and one value is needed"),
            Self::Hidden(character, at) => {
                write!(f, "has the hidden character {} at position {at}", code(*character))
            }
            Self::Character(character) => {
                let code = code(*character);
                write!(f, "has the character {code}, and only those of ASCII are allowed")
            }
            Self::Placeholder(placeholder) => placeholder.fmt(f),
            Self::Swapped(ClientPart::Id) => {
                f.write_str("is a client id, as its provider writes them")
            }
            Self::Swapped(ClientPart::Secret) => {
                f.write_str("is a client secret, as its provider writes them")
            }
            Self::Comment => f.write_str(
                "ends at a `#`, where a comment begins: what follows may be the rest of it",
            ),
        }
    }
}

/// The hidden character of a text, as `U+202E`; `None` where there is none.
pub fn hidden_character(text: &str) -> Option<String> {
    hidden(text).map(|(_, character)| match character {
        '\n' | '\r' => "a line break".to_owned(),
        other => format!("the hidden character {}", code(other)),
    })
}

fn code(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::{ValueFault, header_fault, value_fault};

    #[test]
    fn other_characters_are_named() {
        for (text, why) in [
            (" ", "is empty"),
            ("a\u{200b}b", "has the hidden character U+200B at position 2"),
            ("\u{feff}a", "has the hidden character U+FEFF at position 1"),
            ("a\tb", "has the hidden character U+0009 at position 2"),
            ("aé", "has the character U+00E9, and only those of ASCII are allowed"),
            ("a\nb", "is a text of several lines, and one value is needed"),
            ("${A}", "is a placeholder that was not filled in"),
        ] {
            assert_eq!(value_fault(text, false).unwrap().to_string(), why);
        }
        assert_eq!(value_fault("a b~!@#$%^&*()", false), None);
    }

    #[test]
    fn headers_may_be_what_a_client_secret_cannot() {
        for text in ["Bearer abc", "Basic YTpi", "CF_TOKEN=abc", "{\"a\": 1}", "\"abc\""] {
            assert!(matches!(value_fault(text, false), Some(ValueFault::Document(_))), "{text}");
            assert_eq!(header_fault(text, false), None, "{text}");
        }
        for text in ["", "a\r\nb: c", "a\tb", "aé", "${A}", "ENC[a", "$ANSIBLE_VAULT;1.1"] {
            assert!(header_fault(text, false).is_some(), "{text}");
        }
    }

    #[test]
    fn a_project_can_accept_what_is_taken_for_a_placeholder_and_nothing_else() {
        assert_eq!(value_fault("client_id", true), None);
        assert!(matches!(value_fault("client_id", false), Some(ValueFault::Placeholder(_))));
        assert!(matches!(value_fault("a\nb", true), Some(ValueFault::Document(_))));
    }
}
