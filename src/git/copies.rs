//! Copies of manifests that Git tracks, with a secret in plain text. They are found by what they hold: editors, merges
//! and people have names for them without end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use super::blobs::each_text;
use super::command::{QUESTION, answer, output, refused};
use super::{GitError, OtherProjects, index_of_commit, names, with_index};
use crate::model::CLIENT_SECRET;
use crate::yaml_edit::secrets_in_lines;

/// What programs are written in: no copy of a manifest, but perhaps a test with a client in it.
const OF_PROGRAMS: &str =
    "c|cc|cpp|cs|go|h|hpp|java|js|jsx|kt|lua|mjs|php|pl|py|rb|rs|scala|sh|swift|ts|tsx";

/// The files of the index that have a client secret in plain text, from the root of the repository: those in the
/// project's folder, without programs and what is of other projects.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn copies(folder: &Path, others: &OtherProjects) -> Result<Vec<PathBuf>, GitError> {
    let index = index_of_commit(folder)?;
    let mut naming = with_index(folder, index.as_deref());
    naming.args(["grep", "--cached", "-z", "-l", "-I", "--full-name", "--no-color"]);
    naming.args(["--no-recurse-submodules", "-F", "-e", CLIENT_SECRET.name, "--", "."]);
    let Output { status, stdout, stderr } = output(QUESTION, &naming)?;
    let naming: BTreeSet<String> = match status.code() {
        Some(0) => names(&stdout).filter(|file| !is_program(file)).collect(),
        Some(1) => return Ok(Vec::new()),
        _ => return Err(refused(status, &stderr)),
    };
    let mut listing = with_index(folder, index.as_deref());
    let listed = answer(listing.args(["ls-files", "-z", "-s", "--full-name", "--", "."]))?;
    let listed = names(&listed).filter_map(|line| {
        let (about, file) = line.split_once('\t')?;
        let blob = about.split(' ').nth(1).filter(|_| naming.contains(file))?;
        Some((PathBuf::from(file), blob.to_owned()))
    });
    let blobs: BTreeMap<PathBuf, String> = listed.filter(|(file, _)| !others.have(file)).collect();
    let asked = blobs.values().map(String::as_str).collect();
    let mut found = BTreeSet::new();
    each_text(folder, &asked, |blob, text| {
        if !secrets_in_lines(&text).is_empty() {
            found.insert(blob);
        }
    })?;
    Ok(blobs.into_iter().filter_map(|(file, blob)| found.contains(&blob).then_some(file)).collect())
}

fn is_program(file: &str) -> bool {
    let extension = Path::new(file).extension();
    extension.is_some_and(|of| OF_PROGRAMS.split('|').any(|program| of == program))
}
