//! Files that hold secrets, and which of them may be read.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::resolver::SecretResolver;
use super::{Unreadable, age, sops};
use crate::files;
use crate::model::Secret;

/// How systemd's folder of credentials is written in a path.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The key under which SOPS keeps a file that is neither YAML nor JSON.
const WHOLE_FILE: &str = "data";

/// Reads `!file PATH`, where `base` is the file that says so.
pub(super) fn read(
    argument: &str,
    base: &Path,
    vault: &SecretResolver,
) -> Result<Secret, Unreadable> {
    let path = real(&named(argument, base, vault)?, vault)?;
    vault.note(&path);
    vault.singles.with(&path, || single(&path, vault), Clone::clone)
}

/// The one secret that a file holds.
fn single(path: &Path, vault: &SecretResolver) -> Result<Secret, Unreadable> {
    let within = |why| Unreadable::within(vault.shown(path), why);
    let bytes = content(path, vault).map_err(within)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| within(Unreadable::NotText))?;
    if let Some(parts) = sops::in_json(text) {
        let mut values = sops::by_name(text, parts, vault).map_err(within)?;
        let value = values.remove(WHOLE_FILE);
        return value.unwrap_or(Err(Unreadable::NotAText)).map_err(within);
    }
    if text.trim().is_empty() { Err(within(Unreadable::Empty)) } else { Ok(Secret::new(text)) }
}

/// The file that `!file PATH` names, if it lies in the project.
pub(super) fn inside(argument: &str, base: &Path, vault: &SecretResolver) -> Option<PathBuf> {
    let path = real(&named(argument, base, vault).ok()?, vault).ok()?;
    path.starts_with(&vault.grounds.project).then_some(path)
}

fn named(argument: &str, base: &Path, vault: &SecretResolver) -> Result<PathBuf, Unreadable> {
    let Some(rest) = argument.strip_prefix(&format!("${{{CREDENTIALS}}}")) else {
        return Ok(folder(base.parent().unwrap_or(Path::new(""))).join(argument));
    };
    let folder = vault.grounds.credentials.as_ref();
    let folder = folder.ok_or_else(|| Unreadable::NotSet(CREDENTIALS.to_owned()))?;
    Ok(folder.join(rest.trim_start_matches('/')))
}

/// A folder's path; that of the folder we are in is written as nothing.
pub(super) fn folder(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Where a path really leads, if that may be read.
pub(super) fn real(path: &Path, vault: &SecretResolver) -> Result<PathBuf, Unreadable> {
    let real = path.canonicalize().map_err(|error| cannot_read(path, &error, vault))?;
    let grounds = &vault.grounds;
    let inside = grounds.allow_outside
        || real.starts_with(&grounds.project)
        || grounds.credentials.as_ref().is_some_and(|folder| real.starts_with(folder));
    if inside { Ok(real) } else { Err(Unreadable::Outside(path.display().to_string())) }
}

/// What a file holds, decrypted where it is an age file.
pub(super) fn content(
    path: &Path,
    vault: &SecretResolver,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let bytes =
        files::read(path, files::TEXT_LIMIT).map_err(|error| cannot_read(path, &error, vault))?;
    let named_age = path.extension().is_some_and(|extension| extension == "age");
    if named_age || age::is_file(&bytes) {
        return age::decrypt(&bytes, &vault.identities);
    }
    Ok(bytes)
}

fn cannot_read(path: &Path, error: &io::Error, vault: &SecretResolver) -> Unreadable {
    Unreadable::File { file: vault.shown(path), why: files::reason(path, error) }
}
