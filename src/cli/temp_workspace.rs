//! A folder in memory, for its owner alone, where a text lies in clear while somebody edits it.
//!
//! Whatever an editor leaves there, copies and all, goes with the folder. A guard, a shell that waits
//! at the other end of a pipe, takes it away when this process is killed; and what even that could
//! not take away, since both were killed at once, the next workspace does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{self, Pid, kill_process};
use secrecy::zeroize::Zeroizing;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::console;

const PREFIX: &str = "appcred-edit-";
/// Folders in a row that others have swept away before they were locked.
const MOST_SWEPT: usize = 20;

/// Waits until its input ends, then takes the folder away; again where an editor that is still there
/// wrote into it meanwhile. It hears no signal of the terminal.
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
    _lock: File,
    folder: TempDir,
}

impl TempWorkspace {
    /// A new workspace in this folder, for a text of this name.
    pub(super) fn new(base: &Path, name: &Path) -> anyhow::Result<Self> {
        let cannot_use = || format!("cannot use {}", base.display());
        for _ in 0..MOST_SWEPT {
            let Some((folder, lock)) = claim(base).with_context(cannot_use)? else { continue };
            let guard = guard(folder.path());
            let file = folder.path().join(name.file_name().unwrap_or(name.as_os_str()));
            return Ok(Self { file, guard, _lock: lock, folder });
        }
        bail!("cannot use {}: other programs take away what is made there", base.display())
    }

    /// Lays a text there, in the place of one that is there.
    pub(super) fn lay(&self, text: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&self.file)?.write_all(text.as_bytes())
    }

    /// Lets the person edit, and waits.
    ///
    /// # Errors
    /// Where the editor cannot be run, or fails, or this process is asked to end.
    pub(super) async fn edit(&self, editor: &str) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let mut child = tokio::process::Command::new("sh")
            .arg("-c")
            .arg(command(editor))
            .arg(editor)
            .arg(&self.file)
            .env("TMPDIR", self.folder.path())
            .spawn()
            .context("cannot run sh")?;
        let status: ExitStatus = loop {
            tokio::select! {
                status = child.wait() => break status?,
                // Ctrl-C is for the editor, which lives in the same terminal.
                _ = signals.interrupt.recv() => {}
                _ = signals.terminate.recv() => return stop(&mut child).await,
                _ = signals.hang_up.recv() => return stop(&mut child).await,
            }
        };
        if !status.success() {
            bail!("the editor `{editor}` ended with {status}");
        }
        Ok(())
    }

    /// What is there now.
    pub(super) fn bytes(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        fs::read(&self.file).map(Zeroizing::new)
    }

    /// The text as it is now.
    pub(super) fn text(&self) -> anyhow::Result<Zeroizing<String>> {
        let bytes = self.bytes().context("the editor left no file")?;
        let text = std::str::from_utf8(&bytes).context("what the editor left is not UTF-8")?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// Asks a question that only `yes` answers; a signal is a no.
///
/// # Errors
/// Where the answer cannot be read.
pub(super) async fn confirm(question: &'static str) -> anyhow::Result<bool> {
    let mut signals = Signals::new()?;
    let asking = tokio::task::spawn_blocking(move || console::confirm(question));
    tokio::select! {
        answer = asking => Ok(answer??),
        _ = signals.interrupt.recv() => Ok(false),
        _ = signals.terminate.recv() => Ok(false),
        _ = signals.hang_up.recv() => Ok(false),
    }
}

/// What would end this process, and the folder's cleaning with it.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

impl Drop for TempWorkspace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.folder.path()) {
            tracing::warn!("cannot remove {}: {error}", self.folder.path().display());
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
        .args(["-c", GUARD, "appcred-guard"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    guard.inspect_err(|error| tracing::warn!("no guard for the edited file: {error}")).ok()
}

/// The line by which a shell runs the editor, in its own place, so that it gets our signals.
fn command(editor: &str) -> String {
    let first = editor.split_whitespace().next().unwrap_or_default();
    let exec = if first.contains('=') { "" } else { "exec " };
    format!("{exec}{} \"$@\"", without_traces(editor))
}

/// The editor's command; vim is told to keep nothing of what it shows elsewhere.
fn without_traces(editor: &str) -> String {
    let program = editor.split_whitespace().next().unwrap_or_default();
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    if matches!(&*name, "vim" | "nvim" | "gvim") {
        format!("{editor} -n -i NONE -c 'set noundofile nobackup nowritebackup'")
    } else {
        editor.to_owned()
    }
}

/// A folder of our own and the lock on it; nothing where somebody who sweeps was faster than we.
fn claim(base: &Path) -> io::Result<Option<(TempDir, File)>> {
    let mut named = tempfile::Builder::new();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let folder = named.prefix(PREFIX).permissions(mode).tempdir_in(base)?;
    let lock = match File::open(folder.path()) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    // Who held the lock before us may have taken it away.
    Ok(folder.path().is_dir().then_some((folder, lock)))
}

/// Takes away what killed processes left in a folder.
pub(super) fn sweep(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Another person's cannot be opened, one in use cannot be locked.
        let Ok(folder) = File::open(entry.path()) else { continue };
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            match fs::remove_dir_all(entry.path()) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

/// Whether what lies in a folder lies in memory.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    folder.is_dir() && rustix::fs::statfs(folder).is_ok_and(|there| there.f_type == TMPFS)
}

/// Whether what lies in a folder lies in memory: no other system tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_in_memory(_: &Path) -> bool {
    false
}
