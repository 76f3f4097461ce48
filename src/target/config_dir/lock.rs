//! Who may change the folder: one appcred at a time, and none while Home Assistant runs there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::{owner, running};
use crate::files::{self, FileLock, NotLocked, wait_for};
use crate::model::Visible;
use crate::target::{Refusal, Stop};

/// Beside what it guards, so that a folder under Git shows nothing new.
const OURS: &str = ".appcred.lock";

/// Held by newer releases of Home Assistant while they run (`ensure_single_execution` in
/// `runner.py`; seen in 2025.10.4).
const HOME_ASSISTANTS: &str = ".ha_run.lock";

/// The right to change a folder; given back when dropped.
#[derive(Debug)]
pub(super) struct Guard {
    _ours: FileLock,
    /// Held shared: a newer Home Assistant does not start while the file is written.
    _home_assistants: Option<FileLock>,
}

/// Waits until no other appcred changes the folder; refuses while Home Assistant runs there.
pub(super) fn acquire(folder: &Path, timeout: Duration, stop: &Stop) -> Result<Guard, Refusal> {
    let ours = wait(folder, timeout, stop)?;
    Ok(Guard { _ours: ours, _home_assistants: unless_running(folder)? })
}

/// Refuses while Home Assistant runs on a folder; else keeps a newer one from starting.
pub(super) fn unless_running(folder: &Path) -> Result<Option<FileLock>, Refusal> {
    let home_assistants = home_assistants(folder)?;
    match running::home_assistant_on(folder) {
        Some(process) => Err(is_running(folder, &format!("process {process}"))),
        None => Ok(home_assistants),
    }
}

fn wait(folder: &Path, timeout: Duration, stop: &Stop) -> Result<FileLock, Refusal> {
    let path = folder.join(super::STORAGE).join(OURS);
    let failed = |why: io::Error| {
        let why = files::reason(&path, &why);
        Refusal::Failed(format!("cannot lock {}: {why}", path.visible()))
    };
    let owner = owner::owner_for(&path).map_err(failed)?;
    let is_new = path.symlink_metadata().is_err();
    let holder = format!("another appcred (process {})", std::process::id());
    let taken = wait_for(timeout, || stop.is_cancelled(), || FileLock::file(&path, &holder));
    match taken {
        Ok(lock) => {
            if let Err(why) = owner::give(lock.as_file(), &owner) {
                // It would keep out who may write here.
                let removed = if is_new { fs::remove_file(&path) } else { Ok(()) };
                return Err(failed(removed.err().unwrap_or(why)));
            }
            Ok(lock)
        }
        Err(NotLocked::Io(why)) if why.kind() == io::ErrorKind::PermissionDenied && !is_new => {
            Err(failed(io::Error::new(
                why.kind(),
                format!(
                    "{why}; it belongs to user {}: remove it where no appcred runs",
                    owner.uid()
                ),
            )))
        }
        Err(NotLocked::Io(why)) => Err(failed(why)),
        Err(NotLocked::Stopped) => Err(Refusal::Stopped),
        Err(NotLocked::Held { holder }) => Err(Refusal::Failed(format!(
            "{} is still changing {}: wait until it is done, or end it",
            holder.as_deref().unwrap_or("another appcred"),
            folder.visible()
        ))),
    }
}

/// Shares a newer Home Assistant's lock where there is one. A missing one is not made: made by
/// root, it would keep a Home Assistant of another user from starting.
fn home_assistants(folder: &Path) -> Result<Option<FileLock>, Refusal> {
    #[derive(Deserialize)]
    struct Holder {
        pid: u32,
        ha_version: String,
    }
    let path = folder.join(HOME_ASSISTANTS);
    let failed = |why: io::Error| {
        Refusal::Failed(format!(
            "cannot determine from {} whether Home Assistant runs there: {why}",
            path.visible()
        ))
    };
    match FileLock::shared(&path) {
        Ok(lock) => Ok(Some(lock)),
        // That there is no such folder is said by who reads it.
        Err(NotLocked::Io(missing))
            if matches!(missing.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(NotLocked::Io(why)) => Err(failed(why)),
        Err(NotLocked::Held { .. } | NotLocked::Stopped) => {
            // What it holds only names the process.
            let text = files::read_text(&path, files::TEXT_LIMIT).unwrap_or_default();
            let holder = serde_json::from_str(&text).map_or_else(
                |_| HOME_ASSISTANTS.to_owned(),
                |Holder { pid, ha_version }| format!("{ha_version}, process {pid}"),
            );
            Err(is_running(folder, &holder))
        }
    }
}

fn is_running(folder: &Path, who: &str) -> Refusal {
    Refusal::Failed(format!(
        "Home Assistant ({who}) is running on {}, and would overwrite the change: stop it first, or use its address as the target",
        folder.visible()
    ))
}
