//! Identities of age that Git has, or would take in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::blobs::each_text;
use super::command::{answer, git};
use super::old_version::{OldContent, OldVersion};
use super::versions::{Version, with_text, with_wide_text};
use super::{GitError, OtherProjects, names, root};
use crate::{cores, files};

/// A larger file is not searched for an identity: a repository may hold databases.
const LARGEST_WITH_IDENTITY: u64 = 1024 * 1024;
/// How an identity of age begins.
const BEGINNING: &str = "AGE-SECRET-KEY-";
/// How a key of SSH begins.
const SSH: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";
/// An identity of age has 58 characters behind its beginning; who only names that holds no secret.
const IDENTITY: &str = "AGE-SECRET-KEY-(PQ-)?1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}";

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateKey {
    /// An identity of age.
    Age,
    /// A key of SSH, which may be one too.
    Ssh,
}

/// Files of the folder's work tree that hold an age identity or a key of SSH and are not ignored; those of other
/// projects are left out.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn identities(
    folder: &Path,
    others: &OtherProjects,
) -> Result<Vec<(PathBuf, PrivateKey)>, GitError> {
    let Some(root) = root(folder) else { return Ok(Vec::new()) };
    let mut command = git(folder);
    command.args(["ls-files", "-z", "--full-name", "--cached", "--others", "--exclude-standard"]);
    let listed = answer(command.args(["--", ":(top)"]))?;
    let own = names(&listed).filter(|file| !others.have(Path::new(file)));
    let files = own.map(|file| root.join(file));
    let files: Vec<PathBuf> = files.collect();
    let found = cores::map(&files, |file| private_key(file));
    Ok(files.into_iter().zip(found).filter_map(|(file, found)| Some((file, found?))).collect())
}

/// Whether a text holds an identity of age.
fn is_identity(text: &[u8]) -> bool {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(IDENTITY).ok());
    PATTERN.as_ref().is_some_and(|identity| identity.is_match(text))
}

/// The private key that a file holds in plain text. What cannot be read, Git cannot take in either.
fn private_key(file: &Path) -> Option<PrivateKey> {
    let is_small = fs::symlink_metadata(file)
        .is_ok_and(|data| data.is_file() && data.len() <= LARGEST_WITH_IDENTITY);
    let held = |text: &[u8]| match text {
        text if is_identity(text) => Some(PrivateKey::Age),
        text if text.starts_with(SSH) => Some(PrivateKey::Ssh),
        _ => None,
    };
    if !is_small {
        return None;
    }
    let bytes = files::read_unchecked(file, LARGEST_WITH_IDENTITY).ok()?;
    match files::from_utf16(&bytes) {
        Some(text) => held(text.as_bytes()),
        None => held(&bytes),
    }
}

/// All versions, on all branches, of files that hold an identity of age; those of other projects are left out. Each file
/// is found once.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn old_identities(folder: &Path, others: &OtherProjects) -> Result<Vec<OldVersion>, GitError> {
    let mut versions = with_text(folder, IDENTITY)?;
    versions.append(&mut with_wide_text(folder, BEGINNING)?);
    versions.retain(|version| !others.have(&version.file));
    let blobs: BTreeSet<&str> = versions.iter().map(|version| version.blob.as_str()).collect();
    let mut holding = BTreeSet::new();
    each_text(folder, &blobs, |blob, text| {
        if is_identity(text.as_bytes()) {
            holding.insert(blob);
        }
    })?;
    let mut seen = BTreeSet::new();
    let found = versions.into_iter().filter(|version| holding.contains(&version.blob));
    let found = found.filter(|version| seen.insert(version.file.clone()));
    let content = OldContent::Identity;
    Ok(found
        .map(|Version { commit, file, .. }| OldVersion { commit, file, content: content.clone() })
        .collect())
}
