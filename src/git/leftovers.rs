//! What a Git that was killed leaves.

use std::fs;
use std::path::Path;

use crate::model::Visible;

/// Removes what a Git that was killed has left in a repository in which nobody else is at work: its locks, which would
/// forbid each later fetch, and what it had received.
pub(super) fn remove_leftovers(repository: &Path) {
    let mut folders = vec![repository.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let is_left = |name: &str| name.ends_with(".lock") || name.starts_with("tmp_");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if name.to_str().is_some_and(is_left) {
                match fs::remove_file(&path) {
                    Ok(()) => {
                        tracing::debug!("{} was left by a Git that was ended", path.visible())
                    }
                    Err(why) => tracing::debug!("{} is left: {why}", path.visible()),
                }
            }
        }
    }
}
