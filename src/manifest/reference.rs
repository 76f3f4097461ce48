//! Values that are secret, or may be: in plain text, encrypted, or named by a tag.

use std::sync::Arc;

use super::fields::{Decoder, Located, unbroken};
use crate::diagnostic::ProblemCode;
use crate::diagnostic::shown::{self, FieldName};
use crate::model::{Reference, Secret, unfit_for_oauth};
use crate::secret;
use crate::suggest::{listed, nearest};
use crate::yaml::{Kind, Node, Pair, Scalar, Style, Tag, Value};

const AGE_HEADER: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// How a value begins that SOPS encrypted.
pub(super) const SOPS_HEADER: &str = "ENC[AES256_GCM,";
/// How one ends that was no text.
const NO_TEXTS: &[&str] = &[",type:int]", ",type:float]", ",type:bool]", ",type:time]"];

/// What the project says of secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Handling {
    /// Whether they may be in plain text.
    pub(super) allow_plaintext: bool,
    /// Whether it says to whom they are encrypted.
    pub(super) has_recipients: bool,
}

/// Whether what stands behind `!env_var` is no variable's name, or has a default behind it, as Home
/// Assistant reads it: either may be a secret.
fn has_default(reference: &Reference) -> bool {
    matches!(reference, Reference::Tagged { tag, argument, .. }
        if tag == "env_var" && !is_variable_name(argument))
}

/// Whether this can be the name of an environment variable.
pub(super) fn is_variable_name(text: &str) -> bool {
    text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

impl Decoder<'_> {
    /// A value that is no secret, but may be kept as one.
    pub(super) fn reference(&mut self, pair: &Pair<'_>) -> Option<Located<Reference>> {
        let node = &pair.value;
        let field = shown::field(&pair.key.text);
        let reference = match (&node.tag, &node.value) {
            (Some(tag), _) => self.tagged(node, tag, field)?,
            (None, Value::Scalar(scalar)) => self.literal(node, scalar, field)?,
            (None, _) => {
                self.wrong_kind(node, field, "text");
                return None;
            }
        };
        Some(self.located(reference, node.span))
    }

    /// A value that must not be in plain text unless the project allows it.
    pub(super) fn secret(
        &mut self,
        pair: &Pair<'_>,
        handling: &Handling,
    ) -> Option<Located<Reference>> {
        let found = self.reference(pair)?;
        let field = shown::field(&pair.key.text);
        if has_default(&found.value) && !handling.allow_plaintext {
            self.refuse_with(
                ProblemCode::PlainSecret,
                found.spot.span,
                format!("{field} has more behind `!env_var` than the name of a variable, which is a secret in plain text"),
                "write the name alone, as in `!env_var NAME`",
            );
            return None;
        }
        if matches!(found.value, Reference::Plain(_)) && !handling.allow_plaintext {
            let message = format!("{field} is in plain text here");
            let encrypt = match (&self.sops, handling.has_recipients) {
                (Some(_), _) => {
                    "let the `encrypted_regex` of this SOPS document match it, and type it in by `appcred edit`"
                }
                (None, true) => "`appcred encrypt` encrypts it in place",
                (None, false) => {
                    "name a recipient under `age: recipients:` in appcred.yaml, as `appcred init` does, and `appcred encrypt` encrypts it in place"
                }
            };
            let help = format!(
                "{encrypt}; or name it by a tag, as in `!env_var NAME`; \
                 `allow_plaintext: true` in appcred.yaml allows it"
            );
            self.refuse_with(ProblemCode::PlainSecret, found.spot.span, message, help);
            return None;
        }
        Some(self.checked(found))
    }

    /// In a SOPS document even a secret in plain text is read through it, so that its MAC is checked.
    fn checked(&self, found: Located<Reference>) -> Located<Reference> {
        match (&self.sops, &found.value) {
            (Some(document), Reference::Plain(_)) => {
                let at = found.spot.span.start;
                Located { value: Reference::Sops { document: Arc::clone(document), at }, ..found }
            }
            _ => found,
        }
    }

    fn tagged(&mut self, node: &Node<'_>, tag: &Tag, field: FieldName<'_>) -> Option<Reference> {
        if !secret::tags().any(|known| known == tag.name) {
            // A secret that begins with `!` looks like a tag: only what is near to one is repeated.
            let message = match nearest(&tag.name, secret::tags()) {
                Some(near) => format!("unknown tag `!{}`: did you mean `!{near}`?", tag.name),
                None => format!("unknown tag at {field}"),
            };
            let known: Vec<_> = secret::tags().map(|tag| format!("!{tag}")).collect();
            let help = format!(
                "there are {}; text that begins with `!` needs quotes",
                listed(known.iter().map(String::as_str))
            );
            self.refuse_with(ProblemCode::UnknownTag, tag.span, message, help);
            return None;
        }
        match &node.value {
            Value::Scalar(scalar) if !scalar.text.trim().is_empty() => Some(Reference::Tagged {
                tag: tag.name.clone(),
                argument: scalar.text.trim().to_owned(),
                base: Arc::clone(&self.path),
            }),
            _ => {
                let message = format!("`!{}` names nothing", tag.name);
                self.refuse_with(
                    ProblemCode::EmptyTag,
                    tag.span,
                    message,
                    format!("put a name behind it, as in `!{} NAME`", tag.name),
                );
                None
            }
        }
    }

    fn literal(
        &mut self,
        node: &Node<'_>,
        scalar: &Scalar<'_>,
        field: FieldName<'_>,
    ) -> Option<Reference> {
        if scalar.kind() != Kind::Text {
            self.wrong_kind(node, field, "text");
            return None;
        }
        let text = unbroken(scalar);
        let trimmed = text.trim();
        if trimmed.is_empty() {
            self.refuse(ProblemCode::EmptyValue, node.span, format!("{field} is empty"));
            return None;
        }
        if let Some(rest) = trimmed.strip_prefix(AGE_HEADER) {
            if scalar.style != Style::Quoted && !rest.starts_with(['\n', '\r']) {
                self.refuse_with(
                    ProblemCode::AgeFolded,
                    node.span,
                    format!("the age text of {field} has lost its line breaks"),
                    "begin it with `|`, which keeps them",
                );
                return None;
            }
            return Some(Reference::Age(trimmed.to_owned()));
        }
        if trimmed.starts_with(SOPS_HEADER) {
            return self.sops_value(node, trimmed, field);
        }
        if self.is_quoted_tag(node, scalar, trimmed, field) {
            return None;
        }
        if trimmed.len() != text.len() {
            self.refuse_with(
                ProblemCode::PaddedValue,
                node.span,
                format!("{field} has white space at its beginning or end"),
                "Home Assistant would drop it: take it away",
            );
            return None;
        }
        if let Some(why) = unfit_for_oauth(text) {
            self.refuse_with(
                ProblemCode::UnfitValue,
                node.span,
                format!("{field} {why}"),
                "copy the value from the provider's page again",
            );
            return None;
        }
        Some(Reference::Plain(Secret::new(text)))
    }

    /// Whether a text is a tag in quotes, which is reported.
    fn is_quoted_tag(
        &mut self,
        node: &Node<'_>,
        scalar: &Scalar<'_>,
        text: &str,
        field: FieldName<'_>,
    ) -> bool {
        let word = text.strip_prefix('!').and_then(|rest| rest.split_whitespace().next());
        let tag = word.and_then(|word| nearest(word, secret::tags()));
        let Some(tag) = tag.filter(|_| scalar.style != Style::Plain) else { return false };
        self.refuse_with(
            ProblemCode::QuotedTag,
            node.span,
            format!("{field} has the tag `!{tag}` in quotes, which makes it a text"),
            format!("take the quotes away, as in `!{tag} NAME`"),
        );
        true
    }

    /// A value that SOPS encrypted. What it was before is written at its end.
    fn sops_value(
        &mut self,
        node: &Node<'_>,
        text: &str,
        field: FieldName<'_>,
    ) -> Option<Reference> {
        let Some(document) = &self.sops else {
            self.refuse_with(
                ProblemCode::SopsValue,
                node.span,
                format!("{field} is encrypted by SOPS, but this file has no `sops` part"),
                "put it into a file that SOPS encrypted, or encrypt the value itself with age",
            );
            return None;
        };
        if NO_TEXTS.iter().any(|end| text.ends_with(end)) {
            self.refuse_with(
                ProblemCode::WrongKind,
                node.span,
                format!("{field} must be text, and was none when SOPS encrypted it"),
                "quote it with `sops edit FILE`",
            );
            return None;
        }
        Some(Reference::Sops { document: Arc::clone(document), at: node.span.start })
    }
}
