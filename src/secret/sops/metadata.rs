//! What SOPS says of a document, found complete.

use super::SopsProblem;
use super::selection::{KeyRule, Patterns};
use crate::model::sops::{Metadata, SopsRecipient, Tree};

/// What is needed to open a document.
pub(super) struct Said<'d> {
    pub(super) metadata: &'d Metadata,
    /// Which values are encrypted.
    pub(super) selection: KeyRule,
}

impl<'d> Said<'d> {
    pub(super) fn read(tree: Tree<'d>, patterns: &Patterns) -> Result<Self, SopsProblem> {
        let metadata = tree.parts.metadata.as_ref();
        let metadata = metadata.ok_or(SopsProblem::Metadata("is missing"))?;
        if metadata.version.of(tree.text).is_empty() {
            return Err(SopsProblem::Metadata("names no version"));
        }
        if metadata.mac.of(tree.text).is_empty() {
            return Err(SopsProblem::Metadata("has no MAC"));
        }
        let selection = KeyRule::new(metadata, tree.text, patterns)?;
        Ok(Self { metadata, selection })
    }
}

/// The data key, encrypted to one recipient each: of a document whose key is not split.
pub(super) fn recipients(metadata: &Metadata) -> Result<&[SopsRecipient], SopsProblem> {
    let recipients = match metadata.groups.as_slice() {
        [only] => only,
        _ => &metadata.recipients,
    };
    if recipients.is_empty() {
        return Err(SopsProblem::NoAge("it is encrypted with other key services only"));
    }
    Ok(recipients)
}
