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
        match metadata.version.of(tree.text) {
            "" => return Err(SopsProblem::Metadata("names no version")),
            version if !is_version(version) => {
                return Err(SopsProblem::Metadata("has a `version` that SOPS refuses"));
            }
            _ => {}
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

/// Whether SOPS reads a document with this version: a semantic one, behind `v` or not, or that of SOPS 1.
fn is_version(text: &str) -> bool {
    text.starts_with("1.") || is_semantic(text.strip_prefix('v').unwrap_or(text))
}

fn is_semantic(text: &str) -> bool {
    let (text, build) = split(text, '+');
    let (numbers, prerelease) = split(text, '-');
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && prerelease.is_none_or(|all| {
            all.split('.').all(|one| match one.bytes().all(|byte| byte.is_ascii_digit()) {
                true => is_number(one),
                false => is_identifier(one),
            })
        })
        && build.is_none_or(|all| all.split('.').all(is_identifier))
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'))
        && text.parse::<u64>().is_ok()
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
