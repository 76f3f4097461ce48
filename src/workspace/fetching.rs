//! A repository as what a watcher reads.

use crate::git::{FetchError, GitSource};
use crate::target::Stop;
use crate::watch::{FetchSource, NewestCommit};

impl FetchSource for GitSource {
    fn fetch_newest(&self, stop: &Stop) -> Result<NewestCommit, String> {
        fetch_newest(self, &|| stop.is_cancelled()).map_err(|why| format!("{why} ({})", why.help()))
    }
}

/// Fetches the newest commit and puts it in force, where it has the project's folder.
///
/// # Errors
/// Where it has not, or cannot be fetched; what was in force stays so.
pub fn fetch_newest(
    source: &GitSource,
    is_stopped: &(dyn Fn() -> bool + Sync),
) -> Result<NewestCommit, FetchError> {
    let commit = source.fetch_into_force(is_stopped)?;
    Ok(NewestCommit { id: commit.id, rewritten_from: commit.rewritten_from })
}
