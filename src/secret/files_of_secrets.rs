//! The files that `!secret` looks into.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::resolver::SecretResolver;
use super::{Unreadable, file};
use crate::files;

/// The file of secrets that comes first.
pub(super) const FIRST: &str = "secrets.yaml";

/// What a file of secrets is called, in the order in which they are looked at.
const NAMES: &[&str] = &[FIRST, "secrets.sops.yaml", "secrets.sops.json", "secrets.yaml.age"];

/// How people call it as well; these are named in the error, and not read.
const MISNAMED: &[&str] = &[
    "secrets.yml",
    "secrets.sops.yml",
    "secrets.enc.yaml",
    "secrets.enc.yml",
    "secrets.json",
    "secret.yaml",
    "secret.yml",
    "secret.sops.yaml",
];

/// A file that `!secret` looks into.
#[derive(Clone)]
pub(super) struct FileOfSecrets {
    pub(super) path: Result<PathBuf, Unreadable>,
    /// The others in its folder.
    pub(super) beside: Vec<PathBuf>,
}

/// The files that are there, the nearest first, from this folder up to the project's.
fn look(folder: &Path, resolver: &SecretResolver) -> Result<Arc<[FileOfSecrets]>, Unreadable> {
    let folder = file::real(folder, resolver)?;
    let mut files = Vec::new();
    for folder in up_to_project(&folder, resolver) {
        let paths = NAMES.iter().map(|name| folder.join(name));
        let there = paths.filter(|path| path.symlink_metadata().is_ok());
        let there: Vec<_> = there.map(|path| file::real(&path, resolver)).collect();
        for path in &there {
            let other =
                |other: &&PathBuf| path.as_ref().is_ok_and(|path| !files::is_same(other, path));
            let beside = there.iter().flatten().filter(other).cloned().collect();
            files.push(FileOfSecrets { path: path.clone(), beside });
        }
    }
    Ok(files.into())
}

fn up_to_project<'f>(
    folder: &'f Path,
    resolver: &SecretResolver,
) -> impl Iterator<Item = &'f Path> {
    let below = |folder: &&Path| **folder != resolver.allowed.project;
    let above = folder.ancestors().find(|folder| !below(folder));
    folder.ancestors().take_while(below).chain(above)
}

/// The same, once a run.
pub(super) fn files_for(
    base: &Path,
    resolver: &SecretResolver,
) -> Result<Arc<[FileOfSecrets]>, Unreadable> {
    let folder = files::folder_of(base);
    resolver.files_of_secrets.with(&folder.to_owned(), || look(folder, resolver), Clone::clone)
}

/// Files that were meant to be read, as people name them.
pub(super) fn misnamed(base: &Path, resolver: &SecretResolver) -> Box<[String]> {
    let Ok(folder) = file::real(files::folder_of(base), resolver) else { return Box::default() };
    let is_misnamed = |name: &str| {
        let usual = name.to_lowercase();
        let is_other_case = name != usual && NAMES.contains(&usual.as_str());
        is_other_case || MISNAMED.contains(&usual.as_str())
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in up_to_project(&folder, resolver) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_misnamed));
        found.extend(named.map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    found.sort_by_key(|path| (Reverse(path.components().count()), path.clone()));
    found.iter().map(|path| resolver.shown(path)).collect()
}
