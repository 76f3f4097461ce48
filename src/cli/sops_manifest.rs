//! New entries in a manifest that SOPS encrypts.

use std::path::Path;

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;

use crate::model::Visible;
use crate::secret::OpenedSopsDocument;
use crate::yaml_edit::{NewEntry, append};

use super::encrypt::has_plain_secret;
use super::{Global, environment};

/// The document with new entries, whose secrets are in plain text here, encrypted by its own rules.
///
/// # Errors
/// Where its rules would leave a secret in plain text, or nothing can be added to it.
pub(super) fn with_entries(
    global: &Global,
    file: &Path,
    document: &OpenedSopsDocument<'_>,
    entries: &[NewEntry],
) -> anyhow::Result<String> {
    let named = || format!("cannot add to {}", file.visible());
    let body = append(document.body()?, entries).with_context(named)?;
    let now = environment::timestamp();
    let after = document.seal(&Zeroizing::new(body), &now).with_context(named)?;
    if has_plain_secret(global, file, &after) {
        bail!(
            "the rules of {} leave secrets in plain text: its `encrypted_regex` must match `client_secret`",
            file.visible()
        );
    }
    Ok(after)
}
