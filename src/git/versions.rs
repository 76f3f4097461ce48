//! Which versions of files a repository has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::{HISTORY, QUESTION, answer_in, git};
use super::{GitError, index_of_commit, names, with_index};
use crate::model::CLIENT_SECRET;

/// So much of a commit's hash is shown.
const HASH: usize = 12;
/// The files of secrets: those that `!secret` looks into, and where Home Assistant stores its credentials.
pub(super) const SECRETS_FILES: [&str; 5] = [
    "secrets.yaml",
    "secrets.sops.yaml",
    "secrets.sops.json",
    "secrets.yaml.age",
    ".storage/application_credentials",
];

/// How the names of large files end that are no text.
const NO_TEXT: &str = "7z|bin|bz2|db|db-shm|db-wal|flac|gif|gz|iso|jpeg|jpg|m4a|mkv|mov|mp3|mp4|ogg|onnx|pdf|png|sqlite|\
    sqlite3|tar|tflite|tgz|ttf|wav|webm|webp|woff|woff2|xz|zip|zst";

/// A version of a file.
pub(super) struct Version {
    /// The first commit that has it.
    pub(super) commit: String,
    /// Its content, as Git names that.
    pub(super) blob: String,
    /// The file, from the root of the repository.
    pub(super) file: PathBuf,
}

/// All versions of YAML files, of Home Assistant's stores and of the files named, the oldest first, and those of others
/// in which a client secret came or went.
pub(super) fn committed(
    folder: &Path,
    files: &BTreeSet<PathBuf>,
) -> Result<Vec<Version>, GitError> {
    let mut versions = listed(among(&mut log(folder), files), HISTORY, of_commit)?;
    let known: BTreeSet<PathBuf> = versions.iter().map(|version| version.file.clone()).collect();
    let others = with_text(folder, CLIENT_SECRET.name)?.into_iter();
    versions.extend(others.filter(|version| !known.contains(&version.file)));
    Ok(versions)
}

/// All versions of files in which a line with this pattern came or went, the oldest first.
pub(super) fn with_text(folder: &Path, pattern: &str) -> Result<Vec<Version>, GitError> {
    let mut command = log(folder);
    command.args(["--extended-regexp", "-G", pattern, "--", ":(top)"]);
    listed(&command, HISTORY, of_commit)
}

/// All versions of files that came or went with this text of ASCII in UTF-16, the oldest first: Git takes them for binary
/// files, which `-G` does not look into. What is no text is large and left out.
pub(super) fn with_wide_text(folder: &Path, text: &str) -> Result<Vec<Version>, GitError> {
    // Between two letters is a NUL, which no argument can have.
    let letters: Vec<String> = text.chars().map(String::from).collect();
    let mut command = log(folder);
    command.args(["--pickaxe-regex", "-S", &letters.join("[^a-z]"), "--", ":(top)"]);
    command.args(NO_TEXT.split('|').map(|end| format!(":(top,exclude,icase)*.{end}")));
    listed(&command, HISTORY, of_commit)
}

fn log(folder: &Path) -> Command {
    let mut command = git(folder);
    command.args(["log", "--all", "--reverse", "--topo-order", "--root", "-z", "--format=%x01%H"]);
    command.args(["--raw", "--no-abbrev", "--no-renames", "-m"]);
    command
}

/// A deleted file has no new blob, and a link is no manifest.
fn of_commit(change: [&str; 4]) -> (&str, &str) {
    (change[1], change[3])
}

/// What the index has of them, where the work tree has something else.
pub(super) fn staged(folder: &Path, files: &BTreeSet<PathBuf>) -> Result<Vec<Version>, GitError> {
    let mut command = with_index(folder, index_of_commit(folder)?.as_deref());
    // Unlike `diff-files` it looks into files that were only touched or copied.
    command.args(["diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff"]);
    listed(among(&mut command, files), QUESTION, |change| (change[0], change[2]))
}

/// Only of YAML files, Home Assistant's stores, and the files named.
fn among<'c>(command: &'c mut Command, files: &BTreeSet<PathBuf>) -> &'c mut Command {
    command.args(["--", ":(top)*.yaml", ":(top)*.yml"]);
    command.args(SECRETS_FILES.map(|file| format!(":(top,glob)**/{file}")));
    command.args(files.iter().map(|file| format!(":(top,literal){}", file.to_string_lossy())))
}

/// The versions that a command lists as raw changes; `of` chooses mode and blob of two of each.
fn listed(
    command: &Command,
    time: Duration,
    of: impl for<'c> Fn([&'c str; 4]) -> (&'c str, &'c str),
) -> Result<Vec<Version>, GitError> {
    let output = answer_in(time, command)?;
    let mut versions = Vec::new();
    let (mut commit, mut blob) = (String::new(), None);
    for part in names(&output) {
        let part = part.trim_start_matches('\n');
        if let Some(hash) = part.strip_prefix('\u{1}') {
            commit = hash.trim().chars().take(HASH).collect();
        } else if let Some(change) = part.strip_prefix(':') {
            let words: Vec<&str> = change.split(' ').take(4).collect();
            let change = <[&str; 4]>::try_from(words).ok().map(&of);
            blob =
                change.filter(|(mode, _)| mode.starts_with("100")).map(|(_, blob)| blob.to_owned());
        } else if let Some(blob) = blob.take() {
            versions.push(Version { commit: commit.clone(), blob, file: PathBuf::from(part) });
        }
    }
    Ok(versions)
}
