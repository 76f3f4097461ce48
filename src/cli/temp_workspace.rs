//! A private folder that holds a decrypted text while it is edited.

use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, bail};
use futures_util::FutureExt;
use rustix::process::{self, Pid, kill_process};
use secrecy::zeroize::Zeroizing;
use tokio::signal::unix::SignalKind;
use tokio::task::yield_now;

use crate::files::{self, NotWritten, TEXT_LIMIT};

use super::editor::Editor;
use super::interrupt::{ProcessSignals, SignalListener};
use super::private_folder::PrivateFolder;
use super::questions::OpenQuestion;

/// With this the names of such folders begin.
pub(super) const PREFIX: &str = "appcred-edit-";

/// The folder and what is edited in it.
pub(super) struct TempWorkspace {
    file: PathBuf,
    folder: PrivateFolder,
    /// Held from the first editor on: a signal that ends the process would take what was typed with the folder.
    signals: Option<EditSignals>,
}

/// What asks this process to end while something is edited, or the person's editor.
struct EditSignals {
    process: ProcessSignals,
    quit: SignalListener,
}

impl EditSignals {
    fn new() -> io::Result<Self> {
        let quit = SignalListener::new(SignalKind::quit())?;
        Ok(Self { process: ProcessSignals::new()?, quit })
    }

    async fn next(&mut self) {
        tokio::select! {
            () = self.process.next() => {}
            () = self.quit.recv() => {}
        }
    }
}

impl TempWorkspace {
    /// A new workspace in this folder, for a text of this name.
    pub(super) fn new(base: &Path, name: &Path) -> anyhow::Result<Self> {
        let folder = PrivateFolder::new(base, PREFIX)?;
        let file = folder.path().join(name.file_name().unwrap_or(name.as_os_str()));
        Ok(Self { file, folder, signals: None })
    }

    /// Writes a text there, in place of the one before.
    pub(super) fn write(&self, text: &str) -> Result<(), NotWritten> {
        files::write(&self.file, text, 0o600)
    }

    /// Lets the person edit, and waits.
    ///
    /// # Errors
    /// Where the editor cannot be run, or fails, or this process is asked to end.
    pub(super) async fn edit(&mut self, editor: &Editor) -> anyhow::Result<()> {
        let signals = match &mut self.signals {
            Some(signals) => signals,
            none => none.insert(EditSignals::new()?),
        };
        let EditSignals { process: ProcessSignals { end, hang_up }, quit } = signals;
        let _terminal = OpenQuestion::for_keys()?;
        let mut command = editor.command(&self.file);
        command.env("TMPDIR", self.folder.path());
        let mut child = command.spawn().context("cannot run sh")?;
        let status: ExitStatus = loop {
            tokio::select! {
                biased;
                // Ctrl-C and Ctrl-\ are for the editor, which lives in the same terminal, even where that ends by it.
                () = end.interrupt.recv_for_child() => {}
                () = quit.recv_for_child() => {}
                () = end.terminate.recv() => return stop(&mut child).await,
                () = hang_up.recv() => return stop(&mut child).await,
                status = child.wait() => break status?,
            }
        };
        if !status.success() {
            bail!("the editor `{}` ended with {status}", editor.name());
        }
        Ok(())
    }

    /// Waits until this process is asked to end while no editor is open.
    pub(super) async fn asked_to_end(&mut self) {
        match &mut self.signals {
            Some(signals) => signals.next().await,
            None => pending().await,
        }
    }

    /// Whether it was asked to since the editor has ended.
    pub(super) async fn is_asked_to_end(&mut self) -> bool {
        // The runtime learns of signals when it waits, not while a program is waited for.
        yield_now().await;
        self.asked_to_end().now_or_never().is_some()
    }

    /// The file that is edited.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The text as it is now.
    pub(super) fn text(&self) -> anyhow::Result<Zeroizing<String>> {
        let bytes = files::optional(files::read_unchecked(&self.file, TEXT_LIMIT))
            .context("cannot read what the editor left")?
            .context("the editor left no file")?;
        if let Some(text) = files::from_utf16(&bytes) {
            return Ok(text);
        }
        let text = std::str::from_utf8(&bytes).context("what the editor left is not UTF-8")?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

async fn stop(child: &mut tokio::process::Child) -> anyhow::Result<()> {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        kill_process(pid, process::Signal::TERM)?;
    }
    child.wait().await?;
    bail!("it was asked to end while the editor was open")
}
