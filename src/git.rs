//! What Git knows of a project: secrets in clear in old versions of its files, and identities that it
//! would take in. All of it by the `git` program, which reads a repository however that is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::yaml_edit::{Held, Unfit, slots};

/// So much of a commit's hash is shown.
const HASH: usize = 12;

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum NoHistory {
    /// There is no program `git`.
    #[error("cannot run git: {0}")]
    NotRun(#[from] io::Error),
    /// The clone begins in the middle.
    #[error("this clone is shallow, so that old versions are missing")]
    Shallow,
    /// The folder is in no repository, or in a damaged one.
    #[error("git: {0}")]
    Refused(String),
}

/// A version of a file that has a secret in clear, or that cannot be looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first commit that has it.
    pub commit: String,
    /// The file, from the project's folder.
    pub file: PathBuf,
    /// What is there.
    pub what: What,
}

/// What is in an old version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A secret in clear.
    Secret {
        /// The line, from 1.
        line: u32,
        /// The field.
        field: String,
    },
    /// No valid YAML.
    Unreadable,
}

/// Looks for secrets in clear in all versions, on all branches, of files at these paths from the
/// folder, and in them where they are folders. Each secret is found once in each file.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn plain_secrets(folder: &Path, paths: &[PathBuf]) -> Result<Vec<Found>, NoHistory> {
    let shallow = git(folder).args(["rev-parse", "--is-shallow-repository"]).output()?;
    if shallow.stdout.trim_ascii() == b"true" {
        return Err(NoHistory::Shallow);
    }
    let versions = versions(folder, paths)?;
    let blobs: BTreeSet<String> = versions.iter().map(|version| version.blob.clone()).collect();
    let texts = contents(folder, blobs.into_iter().collect())?;
    let mut found = Vec::new();
    let mut seen: BTreeSet<(PathBuf, String, [u8; 32])> = BTreeSet::new();
    for Version { commit, blob, file } in versions {
        let Some(text) = texts.get(&blob) else { continue };
        let add = |what| Found { commit: commit.clone(), file: file.clone(), what };
        match slots(text) {
            Ok(slots) => {
                for slot in slots {
                    let Held::Plain(secret) = slot.held else { continue };
                    let digest = Sha256::digest(secret.expose()).into();
                    if seen.insert((file.clone(), slot.field.clone(), digest)) {
                        let (line, field) = (slot.span.line, slot.field);
                        found.push(add(What::Secret { line, field }));
                    }
                }
            }
            Err(Unfit::Sops) => {}
            Err(_) => found.push(add(What::Unreadable)),
        }
    }
    Ok(found)
}

/// Files of the work tree below the folder that hold an age identity and are not ignored.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn identities(folder: &Path) -> Result<Vec<PathBuf>, NoHistory> {
    // An identity has 58 signs behind its beginning; whoever only names that is no secret.
    let pattern = "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}";
    let arguments = ["grep", "-lzIE", "--untracked", "-e", pattern, "--", "."];
    let output = git(folder).args(arguments).output()?;
    match output.status.code() {
        // It ends with 1 where there is none.
        Some(0 | 1) => Ok(names(&output.stdout).map(PathBuf::from).collect()),
        _ => Err(refused(&output.stderr)),
    }
}

/// Whether a file lies in a work tree and is not ignored there.
///
/// # Errors
/// Where git cannot be run.
pub fn would_take(file: &Path) -> Result<bool, NoHistory> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(false) };
    let output = git(folder).args(["check-ignore", "--quiet", "--"]).arg(name).output()?;
    Ok(output.status.code() == Some(1))
}

struct Version {
    commit: String,
    blob: String,
    file: PathBuf,
}

/// All versions of files, the oldest first.
fn versions(folder: &Path, paths: &[PathBuf]) -> Result<Vec<Version>, NoHistory> {
    let format = ["--format=%x01%H", "--raw", "--no-abbrev", "--no-renames", "--relative", "-m"];
    let mut command = git(folder);
    command.args(["log", "--all", "--reverse", "--topo-order", "--root", "-z"]).args(format);
    let output = command.arg("--").args(paths).output()?;
    if !output.status.success() {
        return Err(refused(&output.stderr));
    }
    let mut versions = Vec::new();
    let (mut commit, mut blob) = (String::new(), None);
    for part in names(&output.stdout) {
        let part = part.trim_start_matches('\n');
        if let Some(hash) = part.strip_prefix('\u{1}') {
            commit = hash.trim().chars().take(HASH).collect();
        } else if let Some(change) = part.strip_prefix(':') {
            // Modes, blobs and kind; a file that goes has no new blob, a link is no manifest.
            let words: Vec<&str> = change.split(' ').collect();
            let is_file = words.get(1).is_some_and(|mode| mode.starts_with("100"));
            blob = words.get(3).filter(|_| is_file).map(|blob| (*blob).to_owned());
        } else if let Some(blob) = blob.take() {
            let file = PathBuf::from(part);
            if file.extension().is_some_and(|end| end == "yaml" || end == "yml") {
                versions.push(Version { commit: commit.clone(), blob, file });
            }
        }
    }
    Ok(versions)
}

/// What blobs hold; those that are no text are left out.
fn contents(
    folder: &Path,
    blobs: Vec<String>,
) -> Result<BTreeMap<String, Zeroizing<String>>, NoHistory> {
    let mut child = git(folder)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let asked = blobs.join("\n") + "\n";
    // It answers while it is asked, and a full pipe would hold both.
    let asking = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(asked.as_bytes())));
    let mut all = Zeroizing::new(Vec::new());
    if let Some(mut stdout) = stdout {
        stdout.read_to_end(&mut all)?;
    }
    let is_asked = matches!(asking.join(), Ok(Some(Ok(()))));
    if !child.wait()?.success() || !is_asked {
        return Err(NoHistory::Refused("it does not show old versions".to_owned()));
    }
    let mut texts = BTreeMap::new();
    let mut rest = all.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let mut words = head.split(' ');
        let (blob, size) = (words.next(), words.nth(1).and_then(|size| size.parse().ok()));
        let (Some(blob), Some(size)) = (blob, size) else { continue };
        let Some(bytes) = rest.get(..size) else { break };
        if let Ok(text) = std::str::from_utf8(bytes) {
            texts.insert(blob.to_owned(), Zeroizing::new(text.to_owned()));
        }
        rest = rest.get(size + 1..).unwrap_or_default();
    }
    Ok(texts)
}

fn git(folder: &Path) -> Command {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut command = Command::new("git");
    command.arg("-C").arg(here).stdin(Stdio::null());
    command
}

fn names(output: &[u8]) -> impl Iterator<Item = String> {
    output
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
}

fn refused(stderr: &[u8]) -> NoHistory {
    let said = String::from_utf8_lossy(stderr);
    let said = said.lines().next().unwrap_or_default();
    NoHistory::Refused(said.trim_start_matches("fatal: ").to_owned())
}
