//! Texts that may be documents of SOPS, and what their values mean.

use super::SopsProblem;
use super::cipher::SEALED;
use super::layout::Layout;
use super::scalar::{self, Other, TypedScalar};
use crate::model::sops::{Leaf, ParsedSops, Parts, SopsFault, Tree};
use crate::yaml::{self, OtherForm, Parsed};

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

/// The form of a document that is not YAML.
pub(super) fn other_form(text: &str) -> Option<OtherForm> {
    let (form, parsed) = OtherForm::of(text)?;
    yaml::is_sops(&parsed.documents).then_some(form)
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
