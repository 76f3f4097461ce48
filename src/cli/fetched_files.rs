//! What files of a fetched repository are called: by its address and commit, and not by where this machine keeps them.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

use crate::model::Visible;

/// The folder of the repository, with a `/`, and what is written in its place.
static REPOSITORY: OnceLock<(String, String)> = OnceLock::new();

/// From now on what is below the folder `root` is written as of `repository`.
pub(super) fn call(root: &Path, repository: &str) {
    // A process fetches one repository.
    let _ = REPOSITORY.set((format!("{}/", root.visible()), format!("{repository}: ")));
}

/// The text, which has no hidden characters any more, with these names of files.
pub(super) fn named(text: &str) -> Cow<'_, str> {
    match REPOSITORY.get() {
        Some((root, repository)) if text.contains(root) => text.replace(root, repository).into(),
        _ => text.into(),
    }
}
