//! Values that are secret, or may be: in plain text, encrypted, or named by a tag.

use std::sync::Arc;

use super::decode::{Decoder, Site, unbroken, wrong_kind};
use super::tags;
use crate::diagnostic::{Located, ProblemCode, Span};
use crate::field::FieldRefusal;
use crate::model::{
    AGE_HEADER, ClientPart, Reference, Secret, ValueFault, client_fault, is_variable_name,
    value_fault,
};
use crate::secret;
use crate::suggest::nearest;
use crate::yaml::{self, Kind, Scalar, Style, Tag, Value};

/// How a value begins that SOPS encrypted.
pub(super) const SOPS_HEADER: &str = "ENC[AES256_GCM,";
/// How one ends that was no text.
const NO_TEXTS: &[&str] = &[",type:int]", ",type:float]", ",type:bool]", ",type:time]"];

/// What finds out whether a text in plain text can be the value; whether placeholders may be is said as well.
pub(super) type FaultOf = fn(&str, bool) -> Option<ValueFault>;

/// What is wrong with a client id.
pub(super) fn id_fault(text: &str, allow_placeholders: bool) -> Option<ValueFault> {
    client_fault(text, ClientPart::Id, allow_placeholders)
}

/// What is wrong with a client secret.
pub(super) fn secret_fault(text: &str, allow_placeholders: bool) -> Option<ValueFault> {
    client_fault(text, ClientPart::Secret, allow_placeholders)
}

/// What the project says of secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Handling {
    /// Whether they may be in plain text.
    pub(super) allow_plaintext: bool,
    /// Whether it says to whom they are encrypted.
    pub(super) has_recipients: bool,
}

/// Whether what is behind `!env_var` is no variable's name, or has a default behind it, as Home
/// Assistant reads it: either may be a secret.
fn has_default(reference: &Reference) -> bool {
    matches!(reference, Reference::Tagged { tag, argument, .. }
        if tag == "env_var" && !is_variable_name(argument))
}

impl<'n> Decoder<'n> {
    /// A value that is no secret, but may be kept as one.
    pub(super) fn reference(&self, site: Site<'n>) -> Option<Located<Reference>> {
        self.reference_unless(site, value_fault)
    }

    /// The same of a setting of a target, such as a path: what it is, its reader finds out.
    pub(super) fn setting(&self, site: Site<'n>) -> Option<Located<Reference>> {
        self.reference_unless(site, |text, _| value_fault(text, true))
    }

    /// The same, of which `fault` finds what is wrong with it in plain text.
    pub(super) fn reference_unless(
        &self,
        site: Site<'n>,
        fault: FaultOf,
    ) -> Option<Located<Reference>> {
        // A name that a comment follows is whole; of a file, the comment may be the name of a value.
        let may_lack = site.node.tag.as_ref().is_none_or(|tag| tag.name == "file");
        let is_cut_off = || may_lack && yaml::is_cut_off(site.node, self.file.text());
        let reference = match (&site.node.tag, &site.node.value) {
            (_, Value::Scalar(scalar)) if !scalar.text.starts_with(SOPS_HEADER) && is_cut_off() => {
                let (why, code) = (ValueFault::Comment, ProblemCode::UnfitValue);
                Err(FieldRefusal::new(code, why.to_string()).help(why.help()))
            }
            (Some(tag), value) => self.tagged(tag, value),
            (None, Value::Scalar(scalar)) if scalar.kind() == Kind::Text => {
                self.literal(scalar, site.span(), fault)
            }
            (None, _) => Err(wrong_kind(site.node, "text")),
        };
        self.accept(site, reference)
    }

    /// A value that must not be in plain text unless the project allows it.
    pub(super) fn secret(
        &self,
        site: Site<'n>,
        handling: &Handling,
        fault: FaultOf,
    ) -> Option<Located<Reference>> {
        let Located { value, spot } = self.reference_unless(site, fault)?;
        if !handling.allow_plaintext {
            if has_default(&value) {
                let why = "has more after `!env_var` than the name of a variable, which may be a secret in plain text";
                let refusal = FieldRefusal::new(ProblemCode::PlainSecret, why);
                self.refuse(site, refusal.help("write the name alone, as in `!env_var NAME`"));
                return None;
            }
            if matches!(value, Reference::Plain(_)) {
                let refusal = FieldRefusal::new(ProblemCode::PlainSecret, "is in plain text here");
                self.refuse(site, refusal.help(self.instead_of_plain(handling)));
                return None;
            }
        }
        // In a SOPS document even a secret in plain text is read through it, so that its MAC is checked.
        let value = match (&self.sops, value) {
            (Some(document), Reference::Plain(_)) => {
                Reference::Sops { document: Arc::clone(document), at: spot.span.start }
            }
            (_, value) => value,
        };
        Some(Located { value, spot })
    }

    fn instead_of_plain(&self, handling: &Handling) -> String {
        let encrypt = match (&self.sops, handling.has_recipients) {
            (Some(_), _) => {
                "let the `encrypted_regex` of this SOPS document match it, and enter it with `appcred edit`"
            }
            (None, true) => "`appcred encrypt` encrypts it in place",
            (None, false) => {
                "name a recipient under `age: recipients:` in appcred.yaml, as `appcred init` does, and `appcred encrypt` encrypts it in place"
            }
        };
        format!(
            "{encrypt}; or name it by a tag, as in `!env_var NAME`; \
             `allow_plaintext: true` in appcred.yaml allows it"
        )
    }

    fn tagged(&self, tag: &Tag, value: &Value<'_>) -> Result<Reference, FieldRefusal> {
        let name = &tag.name;
        if !secret::tags().any(|known| known == name) {
            return Err(tags::unknown(tag));
        }
        match value {
            Value::Scalar(scalar) if name == "env_var" && is_of_shell(&scalar.text) => Err(
                FieldRefusal::new(ProblemCode::BadValue, "names a variable as a shell does").help(
                    "write its name alone, as in `!env_var NAME`; a default comes behind a space",
                ),
            ),
            Value::Scalar(scalar) if !scalar.text.trim().is_empty() => Ok(Reference::Tagged {
                tag: name.clone(),
                argument: scalar.text.trim().to_owned(),
                base: Arc::clone(&self.path),
            }),
            other => {
                let why = match other {
                    Value::Sequence(_) => "has a list behind it, and takes one name",
                    Value::Mapping(_) => "has a mapping behind it, and takes one name",
                    _ => "names nothing",
                };
                let help = format!("put a name after it, as in `!{name} NAME`");
                let why = format!("has a `!{name}` that {why}");
                Err(FieldRefusal::new(ProblemCode::EmptyTag, why).help(help).at(tag.span))
            }
        }
    }

    fn literal(
        &self,
        scalar: &Scalar<'_>,
        span: Span,
        fault: FaultOf,
    ) -> Result<Reference, FieldRefusal> {
        let text = unbroken(scalar);
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(FieldRefusal::new(ProblemCode::EmptyValue, "is empty"));
        }
        if let Some(rest) = trimmed.strip_prefix(AGE_HEADER) {
            if scalar.style != Style::Quoted && !rest.starts_with(['\n', '\r']) {
                let why = "is an age file that has lost its line breaks";
                return Err(FieldRefusal::new(ProblemCode::AgeFolded, why)
                    .help("begin it with `|`, which keeps them"));
            }
            return Ok(Reference::Age(trimmed.to_owned()));
        }
        if trimmed.starts_with(SOPS_HEADER) {
            return self.sops_value(trimmed, span);
        }
        if let Some(tag) = quoted_tag(trimmed).filter(|_| scalar.style != Style::Plain) {
            let why = format!("has the tag `!{tag}` inside the quotes, so the tag is read as text");
            return Err(FieldRefusal::new(ProblemCode::QuotedTag, why)
                .help(format!("remove the quotes, as in `!{tag} NAME`")));
        }
        if trimmed.len() != text.len() {
            return Err(FieldRefusal::new(
                ProblemCode::PaddedValue,
                "has white space at its beginning or end",
            )
            .help("Home Assistant would drop it: remove it"));
        }
        match fault(text, self.allow_placeholders.get()) {
            Some(why) => {
                Err(FieldRefusal::new(ProblemCode::UnfitValue, why.to_string()).help(why.help()))
            }
            None => Ok(Reference::Plain(Secret::new(text))),
        }
    }

    /// A value that SOPS encrypted. What it was before is written at its end.
    fn sops_value(&self, text: &str, span: Span) -> Result<Reference, FieldRefusal> {
        let Some(document) = &self.sops else {
            let why = "is encrypted by SOPS, but this file has no `sops` part";
            return Err(FieldRefusal::new(ProblemCode::SopsValue, why).help(
                "put it into a file that SOPS encrypted, or encrypt the value itself with age",
            ));
        };
        if NO_TEXTS.iter().any(|end| text.ends_with(end)) {
            let why = "must be text, and was none when SOPS encrypted it";
            return Err(FieldRefusal::new(ProblemCode::WrongKind, why)
                .help("quote it with `sops edit FILE`"));
        }
        Ok(Reference::Sops { document: Arc::clone(document), at: span.start })
    }
}

/// Whether what is behind `!env_var` begins with a variable as a shell, an env file or Windows has it: `$NAME`, `${NAME:-x}`,
/// `NAME=x`, `%NAME%`. No variable has such a name, so that the default would be taken in its place.
fn is_of_shell(argument: &str) -> bool {
    let Some(first) = argument.split_whitespace().next() else { return false };
    let name = first.trim_start_matches(['$', '{', '(', '%']);
    let end = name.find(|part: char| !part.is_ascii_alphanumeric() && part != '_');
    let (name, behind) = name.split_at(end.unwrap_or(name.len()));
    let is_marked = name.len() + behind.len() < first.len();
    let is_in_capitals = !name.contains(|part: char| part.is_ascii_lowercase());
    let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    is_name && (is_marked || is_in_capitals && behind.starts_with([':', '=']))
}

/// The tag that a text begins with, or is most likely meant to.
fn quoted_tag(text: &str) -> Option<&'static str> {
    nearest(text.strip_prefix('!')?.split_whitespace().next()?, secret::tags())
}
