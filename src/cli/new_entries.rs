//! Manifests with new entries in them.

use std::path::PathBuf;

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;

use crate::model::Visible;
use crate::secret::{OpenedSopsDocument, SecretResolver};
use crate::workspace::ManifestDraft;
use crate::yaml_edit::{NewEntry, append, new_manifest};

use super::add::text_of;
use super::encrypt::has_plain_secret;
use super::{Global, environment};

/// What becomes of a manifest, which is made where there is none, with new entries at its end. A document of
/// SOPS encrypts the secrets of `plain` by its own rules.
///
/// # Errors
/// Where nothing can be added to it, or its rules would leave a secret in plain text.
pub(super) fn with_entries(
    global: &Global,
    path: PathBuf,
    resolver: &SecretResolver,
    sealed: impl FnOnce() -> anyhow::Result<Vec<NewEntry>>,
    plain: impl FnOnce() -> Vec<NewEntry>,
) -> anyhow::Result<ManifestDraft> {
    let cannot_add = || format!("cannot add to {}", path.visible());
    let before = text_of(&path)?;
    let text = before.as_ref().map_or("", |text| text.as_str());
    let document = OpenedSopsDocument::open(text, resolver).with_context(cannot_add)?;
    let after = match (document, &before) {
        (Some(document), _) => {
            let body = append(document.body()?, &plain()).with_context(cannot_add)?;
            let now = environment::timestamp();
            let after = document.seal(&Zeroizing::new(body), &now).with_context(cannot_add)?;
            if has_plain_secret(global, &path, &after) {
                bail!(
                    "the rules of {} leave secrets in plain text: its `encrypted_regex` must match `client_secret`",
                    path.visible()
                );
            }
            after
        }
        (None, Some(text)) => append(text, &sealed()?).with_context(cannot_add)?,
        (None, None) => new_manifest(&sealed()?).with_context(cannot_add)?,
    };
    Ok(ManifestDraft { path, before, after, entries: Vec::new() })
}
