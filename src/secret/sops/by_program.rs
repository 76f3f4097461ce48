//! Documents whose key no age identity opens, such as those for PGP or a key service: `sops` decrypts them where
//! the project file names it, and checks their MAC. Which of its values is which shows by their order and keys.

use super::SopsProblem;
use super::cipher::{COMMENT, EncryptedValue};
use super::decrypted::{DecryptedDocument, VerifiedValue};
use super::document::{LeafContent, content, other_form, parts_of};
use super::plain::Plains;
use super::unlocked::is_sealed;
use crate::model::sops::{Leaf, Metadata, ParsedSops, Tree};
use crate::secret::from::{ProgramRole, Run, SourceProblem};
use crate::secret::{SecretResolver, Unreadable};
use crate::yaml::OtherForm;

/// By how much what is printed may be longer than the document.
const MORE: usize = 64 * 1024;

/// Opens a document by the program, where that could; `why` says why no identity does.
pub(super) fn open(
    tree: Tree<'_>,
    why: Unreadable,
    resolver: &SecretResolver,
) -> Result<DecryptedDocument, Unreadable> {
    let metadata = tree.parts.metadata.as_ref();
    let Some(metadata) = metadata.filter(|said| !said.other_keys.is_empty() && is_for_others(&why))
    else {
        return Err(why);
    };
    let Some(program) = &resolver.allowed.sops_program else {
        if resolver.allowed.lacks_programs {
            return Err(SourceProblem::NotRead.into());
        }
        let kinds = metadata.other_keys.clone();
        return Err(SopsProblem::OtherKeys { kinds, has_age: has_age(metadata) }.into());
    };
    if resolver.allowed.no_programs {
        return Err(SourceProblem::NotAsked(ProgramRole::Sops).into());
    }
    let form = other_form(tree.text);
    let input = form.map_or("yaml", OtherForm::name);
    let output = if form.is_some() { "json" } else { "yaml" };
    let own = ["decrypt", "--input-type", input, "--output-type", output, "/dev/stdin"];
    let command: Vec<String> =
        program.command.iter().cloned().chain(own.map(str::to_owned)).collect();
    let printed = Run {
        role: ProgramRole::Sops,
        program,
        command: &command,
        folder: &resolver.allowed.project,
        input: Some(tree.text.as_bytes()),
        limit: 2 * tree.text.len() + MORE,
    };
    let printed = printed.printed()?;
    let text = std::str::from_utf8(&printed).map_err(|_| Unreadable::NotUtf8)?;
    let other = || SourceProblem::OtherValues(ProgramRole::Sops).into();
    let parts = parts_of(text, form.is_some()).ok_or_else(other)?;
    matched(tree, Tree { text, parts: &parts }).ok_or_else(other)
}

/// Whether a document that cannot be opened for this reason may be by another of its keys.
fn is_for_others(why: &Unreadable) -> bool {
    use SopsProblem::{NoAge, Shares};
    match why {
        Unreadable::Sops(problem) => matches!(problem, NoAge(_) | Shares { .. }),
        why => why.is_lacking(),
    }
}

/// Whether a document of a manifest is opened by the program alone.
pub(in crate::secret) fn is_for_program(document: &ParsedSops) -> bool {
    let tree = document.tree().ok();
    let metadata = tree.and_then(|tree| tree.parts.metadata.as_ref());
    metadata.is_some_and(is_for_others_alone)
}

/// Whether no age identity can open a document, and other keys can.
pub(super) fn is_for_others_alone(metadata: &Metadata) -> bool {
    !metadata.other_keys.is_empty() && !has_age(metadata)
}

fn has_age(metadata: &Metadata) -> bool {
    !metadata.recipients.is_empty() || metadata.groups.iter().any(|group| !group.is_empty())
}

/// The values of a document as they were printed; `None` where these are others.
fn matched(tree: Tree<'_>, printed: Tree<'_>) -> Option<DecryptedDocument> {
    let (own, printed_values) = (values(tree), values(printed));
    if own.len() != printed_values.len() {
        return None;
    }
    let mut known = Vec::with_capacity(own.len());
    let mut plains = Plains::with_room(own.len(), printed.text.len());
    for ((at, leaf, sealed), (_, printed_leaf, plain)) in own.iter().zip(&printed_values) {
        let keys = |leaf: &Leaf, tree: Tree<'_>| -> Vec<String> {
            tree.backwards(leaf.path).map(str::to_owned).collect()
        };
        if keys(leaf, tree) != keys(printed_leaf, printed) {
            return None;
        }
        plains.push_clear(plain);
        known.push(VerifiedValue { leaf: *at, encrypted: is_sealed(sealed) });
    }
    Some(DecryptedDocument { known, plains })
}

/// The values of a document, each with its place among all leaves.
fn values(tree: Tree<'_>) -> Vec<(usize, &Leaf, LeafContent<'_>)> {
    let leaves = tree.parts.leaves.iter().enumerate();
    let known = leaves.filter_map(|(at, leaf)| Some((at, leaf, content(leaf, tree.text)?)));
    known.filter(|(.., content)| !is_comment(content)).collect()
}

/// Whether it is a comment that SOPS encrypted, as an item of a list.
fn is_comment(content: &LeafContent<'_>) -> bool {
    let LeafContent::Text(text) = content else { return false };
    EncryptedValue::parse(text).is_some_and(|sealed| sealed.kind == COMMENT)
}
