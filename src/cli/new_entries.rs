//! Manifests with new entries in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;

use crate::manifest::{self, Project};
use crate::model::Visible;
use crate::secret::{OpenedSopsDocument, SecretResolver};
use crate::workspace::ManifestDraft;
use crate::yaml_edit::{NewEntry, append, new_manifest};

use super::add::text_of;
use super::encrypt::has_plain_secret;
use super::gather::request;
use super::init::FIRST_MANIFEST;
use super::recipients::{Recipients, recipients, refuse_name_of_sops};
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

/// To whom a secret in this manifest is encrypted; a SOPS document does that by its own rules.
///
/// # Errors
/// Where nothing can be added to it.
pub(super) fn recipients_in(
    global: &Global,
    project: &Project,
    file: &Path,
    resolver: &SecretResolver,
) -> anyhow::Result<Recipients> {
    if !manifest::is_manifest(&request(global), project, file) {
        let from = if global.folder == Path::new(".") {
            ""
        } else {
            "; its path begins in the current folder, not in that of the project"
        };
        bail!(
            "{} is not a place where appcred reads manifests: name a file that `manifests` in appcred.yaml includes{from}",
            file.visible()
        );
    }
    let text = text_of(file)?.unwrap_or_default();
    let document = OpenedSopsDocument::open(&text, resolver);
    if document.with_context(|| format!("cannot add to {}", file.visible()))?.is_some() {
        return Ok(Recipients::default());
    }
    refuse_name_of_sops(file)?;
    recipients(global, project, &[], file)
}

/// Removes the manifest that `init` has made where it is as that made it, now that there are others.
///
/// # Errors
/// Where it cannot be removed.
pub(super) fn remove_first_manifest(
    global: &Global,
    files: &[ManifestDraft],
) -> anyhow::Result<()> {
    let first = global.folder.strip_prefix(".").unwrap_or(&global.folder).join(FIRST_MANIFEST);
    let is_beside =
        |file: &ManifestDraft| file.path != first && file.path.parent() == first.parent();
    if !files.iter().any(is_beside) {
        return Ok(());
    }
    let text = text_of(&first)?;
    if text.is_some_and(|text| new_manifest(&[]).is_ok_and(|untouched| *text == untouched)) {
        fs::remove_file(&first).with_context(|| format!("cannot remove {}", first.visible()))?;
    }
    Ok(())
}
