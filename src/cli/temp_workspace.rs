//! A private folder in memory that holds a decrypted text while it is edited.
//!
//! The folder is removed with whatever an editor left in it. When this process is killed, a guard
//! removes it: a shell that waits at the other end of a pipe. Where both were killed, the next `edit`
//! removes it.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, bail};
use rustix::process::{self, Pid, kill_process};
use secrecy::zeroize::Zeroizing;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::files::{self, FileLock, NotLocked, NotWritten, TEXT_LIMIT};
use crate::model::Visible;

use super::console;
use super::editor::Editor;
use super::interrupt::EndSignals;

const PREFIX: &str = "appcred-edit-";
/// How often another `edit` may remove a new folder before it is locked.
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

/// The folder and what is edited in it.
pub(super) struct TempWorkspace {
    file: PathBuf,
    guard: Option<Child>,
    /// Held as long as the folder is in use.
    _lock: FileLock,
    folder: TempDir,
}

impl TempWorkspace {
    /// A new workspace in this folder, for a text of this name.
    pub(super) fn new(base: &Path, name: &Path) -> anyhow::Result<Self> {
        let cannot_use = || format!("cannot use {}", base.visible());
        for _ in 0..MAX_ATTEMPTS {
            let Some((folder, lock)) = locked_folder(base).with_context(cannot_use)? else {
                continue;
            };
            let guard = guard(folder.path());
            let file = folder.path().join(name.file_name().unwrap_or(name.as_os_str()));
            return Ok(Self { file, guard, _lock: lock, folder });
        }
        bail!("cannot use {}: another program removes what is made there", base.visible())
    }

    /// Writes a text there, in place of the one before.
    pub(super) fn write(&self, text: &str) -> Result<(), NotWritten> {
        files::write(&self.file, text, 0o600)
    }

    /// Lets the person edit, and waits.
    ///
    /// # Errors
    /// Where the editor cannot be run, or fails, or this process is asked to end.
    pub(super) async fn edit(&self, editor: &Editor) -> anyhow::Result<()> {
        let (mut signals, mut hang_up) = (EndSignals::new()?, signal(SignalKind::hangup())?);
        let mut command = editor.command(&self.file);
        command.env("TMPDIR", self.folder.path());
        let mut child = command.spawn().context("cannot run sh")?;
        let status: ExitStatus = loop {
            tokio::select! {
                status = child.wait() => break status?,
                // Ctrl-C is for the editor, which lives in the same terminal.
                _ = signals.interrupt.recv() => {}
                _ = signals.terminate.recv() => return stop(&mut child).await,
                _ = hang_up.recv() => return stop(&mut child).await,
            }
        };
        if !status.success() {
            bail!("the editor `{}` ended with {status}", editor.name());
        }
        Ok(())
    }

    /// What is there now.
    pub(super) fn bytes(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        files::read_unchecked(&self.file, TEXT_LIMIT)
    }

    /// The text as it is now.
    pub(super) fn text(&self) -> anyhow::Result<Zeroizing<String>> {
        let bytes = self.bytes().context("the editor left no file")?;
        if let Some(text) = files::from_utf16(&bytes) {
            return Ok(text);
        }
        let text = std::str::from_utf8(&bytes).context("what the editor left is not UTF-8")?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// Asks a question that only `yes` answers; a signal is a no.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) async fn confirm(question: &'static str) -> anyhow::Result<bool> {
    let asking = tokio::task::spawn_blocking(move || console::confirm(question));
    tokio::select! {
        answer = asking => Ok(answer??),
        asked = asked_to_end() => Ok(asked.map(|()| false)?),
    }
}

/// Waits until this process is asked to end.
///
/// # Errors
/// Where signals cannot be listened to.
pub(super) async fn asked_to_end() -> io::Result<()> {
    let (mut signals, mut hang_up) = (EndSignals::new()?, signal(SignalKind::hangup())?);
    tokio::select! {
        () = signals.next() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

impl Drop for TempWorkspace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.folder.path()) {
            tracing::warn!("cannot remove {}: {error}", self.folder.path().visible());
        }
        // Its input ends with us, and then it does.
        if let Some(mut guard) = self.guard.take()
            && let Err(error) = guard.wait()
        {
            tracing::debug!("the guard of the edited file: {error}");
        }
    }
}

async fn stop(child: &mut tokio::process::Child) -> anyhow::Result<()> {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        kill_process(pid, process::Signal::TERM)?;
    }
    child.wait().await?;
    bail!("it was asked to end while the editor was open")
}

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
    guard.inspect_err(|error| tracing::warn!("no guard for the edited file: {error}")).ok()
}

/// A new folder and the lock on it; `None` where another `edit` removed it before it was locked.
fn locked_folder(base: &Path) -> io::Result<Option<(TempDir, FileLock)>> {
    let mut named = tempfile::Builder::new();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let folder = named.prefix(PREFIX).permissions(mode).tempdir_in(base)?;
    match FileLock::existing(folder.path()) {
        Ok(Some(lock)) => Ok(Some((folder, lock))),
        Ok(None) => Err(io::ErrorKind::Unsupported.into()),
        Err(NotLocked::Held { .. } | NotLocked::Stopped) => Ok(None),
        Err(NotLocked::Io(gone)) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(NotLocked::Io(error)) => Err(error),
    }
}

/// Removes what killed processes of this user left in a folder. What belongs to another user does not
/// matter, whatever it is called.
pub(super) fn remove_abandoned(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        if !is_workspace(&entry) {
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

/// Whether this is a folder, and no symlink to one, that this user made for editing.
fn is_workspace(entry: &DirEntry) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    entry.file_name().to_string_lossy().starts_with(PREFIX)
        && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == owner)
}

/// Whether a folder's files are kept in memory.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    folder.is_dir() && rustix::fs::statfs(folder).is_ok_and(|there| there.f_type == TMPFS)
}

/// Whether a folder's files are kept in memory: no other system says.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_in_memory(_: &Path) -> bool {
    false
}
