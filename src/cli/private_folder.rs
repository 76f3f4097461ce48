//! A private folder, in memory where there is one, that is removed with whatever lies in it.
//!
//! When this process is killed, a guard removes it: a shell that waits at the other end of a pipe. Where both were
//! killed, or there is no shell, the next process that makes such a folder removes it.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::files::{FileLock, NotLocked};
use crate::model::Visible;

use super::environment;

/// How often another process may remove a new folder before it is locked.
const MAX_ATTEMPTS: usize = 20;

/// Waits until its input ends, then removes the folder; again where an editor that still runs wrote
/// into it meanwhile. It ignores the signals of the terminal.
const GUARD: &str = "trap '' HUP INT TERM
read -r _
for _ in 1 2 3 4 5 6 7 8 9; do
  rm -rf -- \"$1\"
  [ -e \"$1\" ] || exit 0
  sleep 1
done";

/// The folder.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    guard: Option<Child>,
    /// Held as long as the folder is in use.
    _lock: FileLock,
    folder: TempDir,
}

impl PrivateFolder {
    /// A new folder in this one, with a name that begins so.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(super) fn new(base: &Path, prefix: &str) -> anyhow::Result<Self> {
        let cannot_use = || format!("cannot use {}", base.visible());
        for _ in 0..MAX_ATTEMPTS {
            let Some((folder, lock)) = locked_folder(base, prefix).with_context(cannot_use)? else {
                continue;
            };
            return Ok(Self { guard: guard(folder.path()), _lock: lock, folder });
        }
        bail!("cannot use {}: another program removes what is made there", base.visible())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A folder in memory for private ones, the person's own first; none where there is none.
pub(super) fn in_memory() -> Option<PathBuf> {
    environment::private_folders().into_iter().find(|folder| is_in_memory(folder))
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.folder.path()) {
            tracing::warn!("cannot remove {}: {error}", self.folder.path().visible());
        }
        // Its input ends with us, and then it does.
        if let Some(mut guard) = self.guard.take()
            && let Err(error) = guard.wait()
        {
            tracing::debug!("the guard of a private folder: {error}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends when its input does, with this process")]
fn guard(folder: &Path) -> Option<Child> {
    let guard = Command::new("sh")
        // It needs no secret and no setting of the person's.
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .args(["-c", GUARD, "appcred-guard"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    // A container may have no shell, and its memory goes with it.
    let warn = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => tracing::debug!("no guard for a private folder: {error}"),
        _ => tracing::warn!("no guard for a private folder: {error}"),
    };
    guard.inspect_err(warn).ok()
}

/// A new folder and the lock on it; `None` where another process removed it before it was locked.
fn locked_folder(base: &Path, prefix: &str) -> io::Result<Option<(TempDir, FileLock)>> {
    let mut named = tempfile::Builder::new();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let folder = named.prefix(prefix).permissions(mode).tempdir_in(base)?;
    match FileLock::existing(folder.path()) {
        Ok(Some(lock)) => Ok(Some((folder, lock))),
        Ok(None) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "its file system cannot lock folders"))
        }
        Err(NotLocked::Held { .. } | NotLocked::Stopped) => Ok(None),
        Err(NotLocked::Io(gone)) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(NotLocked::Io(error)) => Err(error),
    }
}

/// Removes what killed processes of this user left in a folder. What belongs to another user does not
/// matter, whatever it is called.
pub(super) fn remove_abandoned(base: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        if !is_private_folder(&entry, prefix) {
            continue;
        }
        // One in use is locked.
        let Ok(Some(_lock)) = FileLock::existing(&entry.path()) else { continue };
        match fs::remove_dir_all(entry.path()) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("cannot remove {}: {error}", entry.path().visible()),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether this is a folder, and no symlink to one, with such a name that this user made.
fn is_private_folder(entry: &DirEntry, prefix: &str) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    entry.file_name().to_string_lossy().starts_with(prefix)
        && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == owner)
}

/// Whether a folder's files are kept in memory.
#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    folder.is_dir() && rustix::fs::statfs(folder).is_ok_and(|there| there.f_type == TMPFS)
}

/// Whether a folder's files are kept in memory: no other system says.
#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}
