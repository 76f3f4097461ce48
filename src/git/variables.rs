//! Files that Git tracks and that give variables their values: `.env` and all that is like it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use super::command::{QUESTION, output, refused};
use super::{GitError, OtherProjects, index_of_commit, with_index};
use crate::yaml_edit::secret_of_variable;

/// The files of the index that give one of these variables a secret in plain text, from the root of the repository, each
/// with the variables; those of other projects are left out.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn variables<'v>(
    folder: &Path,
    others: &OtherProjects,
    variables: &BTreeSet<&'v str>,
) -> Result<BTreeMap<PathBuf, BTreeSet<&'v str>>, GitError> {
    let mut found: BTreeMap<PathBuf, BTreeSet<&str>> = BTreeMap::new();
    if variables.is_empty() {
        return Ok(found);
    }
    let mut search = with_index(folder, index_of_commit(folder)?.as_deref());
    search.args(["grep", "--cached", "-z", "-I", "--full-name", "--no-color"]);
    search.args(["--no-recurse-submodules", "-w", "-F"]);
    search.args(variables.iter().flat_map(|variable| ["-e", variable])).args(["--", ":(top)"]);
    let Output { status, stdout, stderr } = output(QUESTION, &search)?;
    match status.code() {
        Some(0) => {}
        Some(1) => return Ok(found),
        _ => return Err(refused(status, &stderr)),
    }
    for line in String::from_utf8_lossy(&stdout).lines() {
        let Some((file, line)) = line.split_once('\0') else { continue };
        let given = variables.iter().filter(|name| secret_of_variable(line, name).is_some());
        let given: Vec<_> = given.copied().collect();
        if !given.is_empty() && !others.have(Path::new(file)) {
            found.entry(file.into()).or_default().extend(given);
        }
    }
    Ok(found)
}
