//! What files of a fetched repository are called: by its address and commit, and not by where this machine keeps them.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

use crate::model::Visible;

/// The folders of the repository, each with a `/`, and what is written in their place.
static REPOSITORY: OnceLock<(Vec<String>, String)> = OnceLock::new();

/// From now on what is below these folders is written as of `repository`; those that lie in others come first.
pub fn call(roots: &[&Path], repository: &str) {
    let roots = roots.iter().map(|root| format!("{}/", root.visible()));
    // A process fetches one repository.
    let _ = REPOSITORY.set((roots.collect(), format!("{repository}: ")));
}

/// The same of a text that may be large: it is not copied where no repository is fetched.
pub fn renamed(text: String) -> String {
    if let Cow::Owned(renamed) = named(&text) {
        return renamed;
    }
    text
}

/// The text, which has no hidden characters any more, with these names of files.
pub fn named(text: &str) -> Cow<'_, str> {
    match REPOSITORY.get() {
        Some((roots, repository)) => {
            roots.iter().fold(text.into(), |text, root| match text.contains(root) {
                true => text.replace(root, repository).into(),
                false => text,
            })
        }
        None => text.into(),
    }
}
