//! Files that hold secrets, and which of them may be read.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::resolver::SecretResolver;
use super::source::{SecretSource, StoredAt, is_argument};
use super::unreadable::did_you_mean;
use super::{FileFault, Unreadable, age, named, sops};
use crate::files::{self, Replaced, TEXT_LIMIT};
use crate::model::{self, Secret, Visible};
use crate::suggest::nearest;
use crate::yaml::sops_in_text;
use crate::yaml_edit::clear_values;

pub(super) const SOURCE: SecretSource = SecretSource {
    tag: "file",
    read,
    places: |argument, base, resolver| inside(argument, base, resolver).into_iter().collect(),
};

/// How systemd's folder of credentials is written in a path.
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Reads `!file PATH` or `!file PATH#NAME`, where `base` is the file that says so.
fn read(argument: &str, base: &Path, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    match found(argument, base, resolver)? {
        (path, Some(name)) => named::read_of(&path, name, resolver),
        (path, None) => resolver.singles.with(&path, || single(&path, resolver), Clone::clone),
    }
}

/// A file of several lines, decrypted where it is an age file or has one value of SOPS.
pub(super) fn read_document(
    argument: &str,
    base: &Path,
    resolver: &SecretResolver,
) -> Result<Secret, Unreadable> {
    match found(argument, base, resolver)? {
        (path, Some(name)) => named::read_of(&path, name, resolver),
        (path, None) => document(&path, resolver),
    }
}

/// The file that an argument names, if it may be read, and the name in it.
fn found<'a>(
    argument: &'a str,
    base: &Path,
    resolver: &SecretResolver,
) -> Result<(PathBuf, Option<&'a str>), Unreadable> {
    let (path, name) = parts(argument, base, resolver)?;
    let path = real(&path, resolver).map_err(|why| match why {
        Unreadable::File { file, why, .. } if argument.starts_with("~/") => {
            Unreadable::File { file, why, fault: FileFault::Tilde }
        }
        Unreadable::File { why, fault, .. } if !is_argument(argument) => {
            let file = model::named("the file", argument).to_string();
            Unreadable::File { file, why, fault }
        }
        other => other,
    })?;
    resolver.note(&path);
    Ok((path, name))
}

/// The one secret that a file holds.
fn single(path: &Path, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let within = |why| Unreadable::within(resolver.shown(path), why);
    only_one(document(path, resolver)?, resolver).map_err(within)
}

/// The same of a file that held this text.
pub(super) fn single_in(text: &str, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    only_one(document_in(text, resolver)?, resolver)
}

fn only_one(secret: Secret, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    match model::named_in_file(secret.expose()) {
        Some(kind) => Err(Unreadable::NamedValue(kind)),
        None => super::checked(secret, resolver),
    }
}

/// The text of a file, or the only value of a SOPS document.
fn document(path: &Path, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let within = |why| Unreadable::within(resolver.shown(path), why);
    let bytes = content(path, resolver).map_err(within)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| within(Unreadable::NotUtf8))?;
    document_in(text, resolver).map_err(within)
}

fn document_in(text: &str, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    // Windows' editors put a byte order mark at the beginning.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if model::has_merge_conflict(text) {
        return Err(Unreadable::MergeConflict);
    }
    if let Some(parts) = sops_in_text(text) {
        return sops::only_value(text, parts, resolver);
    }
    Ok(Secret::new(text))
}

/// The file that an argument names, if it is in the project, and the name in it.
fn inside<'a>(argument: &'a str, base: &Path, resolver: &SecretResolver) -> Option<StoredAt<'a>> {
    let (path, name) = parts(argument, base, resolver).ok()?;
    let file = real(&path, resolver).ok()?;
    file.starts_with(&resolver.allowed.project).then_some(StoredAt { file, name })
}

/// The path in an argument, and the name behind a `#`. The name of a file may have a `#` as well.
fn parts<'a>(
    argument: &'a str,
    base: &Path,
    resolver: &SecretResolver,
) -> Result<(PathBuf, Option<&'a str>), Unreadable> {
    let whole = path(argument, base, resolver)?;
    match argument.rsplit_once('#') {
        Some((file, name)) if whole.symlink_metadata().is_err() => {
            Ok((path(file, base, resolver)?, Some(name)))
        }
        _ => Ok((whole, None)),
    }
}

fn path(argument: &str, base: &Path, resolver: &SecretResolver) -> Result<PathBuf, Unreadable> {
    let Some(rest) = argument.strip_prefix(&format!("${{{CREDENTIALS}}}")) else {
        return Ok(files::folder_of(base).join(argument));
    };
    let folder = resolver.allowed.credentials.as_ref();
    let folder = folder.ok_or_else(|| Unreadable::NotSet(CREDENTIALS.to_owned()))?;
    Ok(folder.join(rest.trim_start_matches('/')))
}

/// Where a path really leads, if that may be read.
pub(super) fn real(path: &Path, resolver: &SecretResolver) -> Result<PathBuf, Unreadable> {
    let found = path.canonicalize();
    // What is not there, or not here, is judged by its path.
    let real = found.as_ref().map_or_else(|_| files::resolved(path), PathBuf::clone);
    let allowed = &resolver.allowed;
    let inside = allowed.allow_outside
        || real.starts_with(&allowed.project)
        || allowed.credentials.as_ref().is_some_and(|folder| real.starts_with(folder));
    if allowed.withheld.as_ref().is_some_and(|withheld| withheld.contains(&real)) {
        return Err(Unreadable::Withheld(path.visible().into_owned()));
    }
    if !inside {
        return Err(Unreadable::Outside(path.visible().into_owned()));
    }
    found.map_err(|error| cannot_read(path, &error, resolver))
}

/// What a file holds, decrypted where it is an age file.
pub(super) fn content(
    path: &Path,
    resolver: &SecretResolver,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let bytes =
        files::read(path, TEXT_LIMIT).map_err(|error| cannot_read(path, &error, resolver))?;
    let named_age = path.extension().is_some_and(|extension| extension == "age");
    if named_age || age::is_file(&bytes) {
        return age::decrypt(&bytes, &resolver.identities);
    }
    Ok(bytes)
}

/// Whether a file holds what it holds in plain text.
pub(super) fn is_plain(path: &Path) -> bool {
    // What cannot be read is reported by whoever reads it.
    let Ok(bytes) = files::read(path, TEXT_LIMIT) else { return false };
    let of_sops = std::str::from_utf8(&bytes).ok().and_then(clear_values);
    match of_sops {
        Some(clear) => clear.iter().any(|value| value.is_only),
        None => !bytes.is_empty() && !age::is_file(&bytes),
    }
}

/// The file beside a missing one that was most likely meant.
fn nearest_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str().filter(|_| path.symlink_metadata().is_err())?;
    let beside = files::folder_of(path).read_dir().ok()?;
    let names = beside.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| name.visible() == name.as_str()).collect();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

fn cannot_read(path: &Path, error: &io::Error, resolver: &SecretResolver) -> Unreadable {
    let file = resolver.shown(path);
    match Replaced::of_error(error) {
        Some(found) => Unreadable::Replaced { file, found },
        None => {
            let in_project = || files::resolved(path).starts_with(&resolver.allowed.project);
            let fault = match error.kind() {
                io::ErrorKind::NotFound if in_project() => FileFault::Missing,
                _ if files::is_no_text(error) => FileFault::NoText,
                _ => FileFault::Elsewhere,
            };
            let near = (fault == FileFault::Missing).then(|| nearest_file(path)).flatten();
            let why = files::reason(path, error) + &did_you_mean(near.as_deref());
            Unreadable::File { file, why, fault }
        }
    }
}
