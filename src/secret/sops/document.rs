//! Texts that may be documents of SOPS, and what their values mean.

use super::SopsProblem;
use super::cipher::SEALED;
use super::layout::Layout;
use super::lines;
use super::scalar::{self, Other, TypedScalar};
use crate::model::sops::{Leaf, ParsedSops, Parts, SopsFault, Tree};
use crate::yaml::{self, Parsed};

/// What a leaf holds.
pub(super) enum LeafContent<'d> {
    /// Text.
    Text(&'d str),
    /// A number, boolean or time.
    Other(Other),
}

/// What a leaf of a document holds; nothing where it is a null, which SOPS leaves out as well.
pub(super) fn content<'d>(leaf: &'d Leaf, document: &'d str) -> Option<LeafContent<'d>> {
    let text = leaf.text.of(document);
    match scalar::meaning(text, leaf.is_plain) {
        TypedScalar::Null => None,
        TypedScalar::Other(other) => Some(LeafContent::Other(other)),
        TypedScalar::Text => Some(LeafContent::Text(text)),
    }
}

/// Whether this is a SOPS document, whole or not.
pub(in crate::secret) fn is_document(text: &str) -> bool {
    text.contains(yaml::SOPS)
        && (other_form(text).is_some() || yaml::is_sops(&yaml::parse(text).documents))
}

/// A form of documents other than YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OtherForm {
    Json,
    Dotenv,
    Ini,
}

impl OtherForm {
    /// The form of a text, and the text as a tree; nothing where SOPS says nothing of it.
    fn of(text: &str) -> Option<(Self, Parsed<'_>)> {
        if !text.contains(yaml::SOPS) {
            return None;
        }
        if text.trim_start().starts_with('{') {
            return Some((Self::Json, yaml::parse_json(text)?));
        }
        let dotenv = || Some((Self::Dotenv, lines::dotenv(text)?));
        dotenv().or_else(|| Some((Self::Ini, lines::ini(text)?)))
    }

    /// As SOPS calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
        }
    }

    /// What a document of it is, as in "it is JSON".
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Json => "it is JSON",
            Self::Dotenv => "it is a dotenv file",
            Self::Ini => "it is an INI file",
        }
    }
}

/// The form of a document that is not YAML.
pub(super) fn other_form(text: &str) -> Option<OtherForm> {
    let (form, parsed) = OtherForm::of(text)?;
    yaml::is_sops(&parsed.documents).then_some(form)
}

/// The parts of a document that is not YAML; nothing where the text is none.
pub(in crate::secret) fn in_other_form(text: &str) -> Option<Result<Parts, SopsFault>> {
    let (_, parsed) = OtherForm::of(text)?;
    in_yaml(text, &parsed)
}

/// The parts of a document in YAML; nothing where SOPS says nothing of it.
pub(in crate::secret) fn in_yaml(
    text: &str,
    parsed: &Parsed<'_>,
) -> Option<Result<Parts, SopsFault>> {
    yaml::is_sops(&parsed.documents).then(|| yaml::sops_parts(text, parsed, &mut |_, _| {}))
}

/// The parts of a document in any form; nothing where the text is none.
pub(in crate::secret) fn in_text(text: &str) -> Option<Result<Parts, SopsFault>> {
    let in_yaml = || in_yaml(text, &yaml::parse(text));
    in_other_form(text).or_else(|| text.contains(yaml::SOPS).then(in_yaml).flatten())
}

/// The parts of a text of which SOPS says nothing; `None` where it is not complete.
pub(super) fn parts_of(text: &str, is_json: bool) -> Option<Parts> {
    let mut parsed = if is_json { yaml::parse_json(text)? } else { yaml::parse(text) };
    let parts = yaml::sops_parts(text, &parsed, &mut |_, _| {}).ok();
    parsed.documents.drain(..).for_each(yaml::wipe);
    parts
}

/// What replaces the value that begins at this byte, if SOPS encrypted that one.
pub(in crate::secret) fn ciphertext(document: &ParsedSops, at: usize) -> Option<&str> {
    let Tree { text, parts } = document.tree().ok()?;
    let value = parts.leaves.get(parts.leaf_at(at)?)?.text.of(text).trim();
    value.starts_with(SEALED).then_some(value)
}

/// The parts of a text that is to be written again, whatever SOPS says of it, and its layout.
pub(super) fn laid_out(text: &str, parsed: &Parsed<'_>) -> Result<(Parts, Layout), SopsProblem> {
    let mut layout = Layout::default();
    let parts = yaml::sops_parts(text, parsed, &mut |at, under| layout.mark(text, at, under))?;
    layout.documents(text, &parsed.documents);
    Ok((parts, layout))
}

impl From<SopsFault> for SopsProblem {
    fn from(fault: SopsFault) -> Self {
        match fault {
            SopsFault::Syntax => Self::Syntax,
            SopsFault::Alias => {
                Self::Metadata("cannot be in a file with aliases, which SOPS never writes")
            }
            SopsFault::Metadata => Self::Metadata("is damaged"),
        }
    }
}
