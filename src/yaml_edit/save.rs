//! A file replaced whole: whoever looks, and whenever the process is killed, finds the old one or the
//! new one. What is written on the way there is what the new one holds, so that nothing in clear is
//! left by a kill.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file stays as it is.
#[derive(Debug, Error)]
pub enum NotSaved {
    /// It does not hold any more what was read.
    #[error("it was changed by somebody else meanwhile")]
    Changed,
    /// There is one already.
    #[error("it is there already")]
    Exists,
    /// Nothing can be made beside it.
    #[error("nothing can be written in the folder {}: {why}", folder.display())]
    Folder {
        /// Its folder.
        folder: PathBuf,
        /// The reason.
        why: io::Error,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Replaces a file that still holds `before`; its owner and its rights stay.
///
/// # Errors
/// Where it was changed meanwhile, or cannot be written.
pub fn replace(
    path: &Path,
    before: impl AsRef<[u8]>,
    after: impl AsRef<[u8]>,
) -> Result<(), NotSaved> {
    // A link stays one, and the file that it leads to is replaced.
    let real = path.canonicalize()?;
    if fs::read(&real)? != before.as_ref() {
        return Err(NotSaved::Changed);
    }
    let old = fs::metadata(&real)?;
    let folder = folder_of(&real);
    let mut new = tempfile::Builder::new()
        .prefix(&hidden(&real))
        .suffix(".appcred-new")
        .permissions(old.permissions())
        .tempfile_in(&folder)
        .map_err(|error| not_in(&folder, &error))?;
    let made = new.as_file().metadata()?;
    if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
        fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    new.write_all(after.as_ref())?;
    new.as_file().sync_all()?;
    new.persist(&real).map_err(|error| error.error)?;
    Ok(File::open(&folder)?.sync_all()?)
}

/// Writes a file that must not be there yet, with these rights; it appears whole or not at all.
///
/// # Errors
/// Where there is one already, or it cannot be written.
pub fn create(path: &Path, text: impl AsRef<[u8]>, mode: u32) -> Result<(), NotSaved> {
    let folder = folder_of(path);
    fs::create_dir_all(&folder).map_err(|error| not_in(&folder, &error))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut new = tempfile::Builder::new()
        .prefix(&hidden(path))
        .suffix(".appcred-new")
        .make_in(&folder, |name| options.open(name))
        .map_err(|error| not_in(&folder, &error))?;
    new.write_all(text.as_ref())?;
    new.as_file().sync_all()?;
    new.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => NotSaved::Exists,
        _ => NotSaved::Io(error.error),
    })?;
    Ok(File::open(&folder)?.sync_all()?)
}

/// The kind says all: the rest would name the file that was to take this one's place.
fn not_in(folder: &Path, error: &io::Error) -> NotSaved {
    NotSaved::Folder { folder: folder.to_owned(), why: error.kind().into() }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Names that begin with a dot are no manifests.
fn hidden(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}
