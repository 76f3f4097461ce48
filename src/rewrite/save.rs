//! A file replaced whole: whoever looks, and whenever the process is killed, finds the old one or the
//! new one. What is written on the way there is what the new one holds, so that nothing in clear is
//! left by a kill.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Replaces a file that still holds `before`; its owner and its rights stay.
///
/// # Errors
/// Where it was changed meanwhile, or cannot be written.
pub fn replace(path: &Path, before: impl AsRef<[u8]>, after: impl AsRef<[u8]>) -> io::Result<()> {
    // A link stays one, and the file that it leads to is replaced.
    let real = path.canonicalize()?;
    if fs::read(&real)? != before.as_ref() {
        return Err(io::Error::other("it was changed by somebody else meanwhile"));
    }
    let old = fs::metadata(&real)?;
    let folder = folder_of(&real);
    let mut new = tempfile::Builder::new()
        .prefix(&hidden(&real))
        .suffix(".appcred-new")
        .permissions(old.permissions())
        .tempfile_in(&folder)?;
    let made = new.as_file().metadata()?;
    if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
        fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    new.write_all(after.as_ref())?;
    new.as_file().sync_all()?;
    new.persist(&real).map_err(|error| error.error)?;
    File::open(&folder)?.sync_all()
}

/// Writes a file that must not be there yet, with these rights; it appears whole or not at all.
///
/// # Errors
/// Where there is one already, or it cannot be written.
pub fn create(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(&folder)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut new = tempfile::Builder::new()
        .prefix(&hidden(path))
        .suffix(".appcred-new")
        .make_in(&folder, |name| options.open(name))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(&folder)?.sync_all()
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
