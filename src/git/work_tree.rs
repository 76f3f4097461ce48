//! Files that a work tree has otherwise than the index, not because somebody changed them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::command::{answer, git};
use super::{GitError, names, root};
use crate::files::{self, TEXT_LIMIT};

/// How `git ls-files -t` marks a file that the work tree is not to have.
const SKIPPED: &str = "S ";

/// The files at these places, and below them, that a sparse checkout leaves out. Git is asked only where there are
/// patterns of one.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn left_out(folder: &Path, places: &[PathBuf]) -> Result<Vec<PathBuf>, GitError> {
    let Some(root) = root(folder) else { return Ok(Vec::new()) };
    let is_inside = |place: &&PathBuf| files::resolved(&folder.join(place)).starts_with(&root);
    let places: Vec<&PathBuf> = places.iter().filter(is_inside).collect();
    if places.is_empty() || !own_folder(&root.join(".git")).join("info/sparse-checkout").exists() {
        return Ok(Vec::new());
    }
    let mut listing = git(folder);
    listing.args(["--literal-pathspecs", "ls-files", "-z", "-t", "--"]).args(places);
    let listed = answer(&listing)?;
    let skipped = names(&listed).filter_map(|line| Some(line.strip_prefix(SKIPPED)?.into()));
    Ok(skipped.filter(|file: &PathBuf| !folder.join(file).exists()).collect())
}

/// Where Git keeps what is of one work tree: in `.git`, or where the file of that name leads.
fn own_folder(git: &Path) -> PathBuf {
    let pointed = files::read_text(git, TEXT_LIMIT)
        .ok()
        .and_then(|text| Some(git.parent()?.join(text.trim().strip_prefix("gitdir:")?.trim())));
    pointed.unwrap_or_else(|| git.to_owned())
}

/// The files of the folder that a merge or rebase has left unmerged.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn unmerged(folder: &Path) -> Result<BTreeSet<PathBuf>, GitError> {
    let listed = answer(git(folder).args(["ls-files", "-z", "--unmerged", "--", "."]))?;
    let files = names(&listed).filter_map(|line| Some(folder.join(line.split_once('\t')?.1)));
    Ok(files.collect())
}
