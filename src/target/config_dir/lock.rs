//! Who may change the folder: one appcred at a time, and none while Home Assistant runs there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::{atomic, running};
use crate::target::{Refusal, Stop};

/// Beside what it guards, so that a folder under Git shows nothing new.
const OURS: &str = ".appcred.lock";

/// Held by newer releases of Home Assistant while they run (`ensure_single_execution` in
/// `runner.py`; seen in 2025.10.4).
const HOME_ASSISTANTS: &str = ".ha_run.lock";

const PAUSE: Duration = Duration::from_millis(100);

/// The right to change a folder; given back when dropped.
#[derive(Debug)]
pub(super) struct Guard {
    _ours: File,
    /// Held shared: a newer Home Assistant does not start while the file is written.
    _home_assistants: Option<File>,
}

/// Waits until no other appcred changes the folder, looking so many times at most, ten times a
/// second; refuses while Home Assistant runs there.
pub(super) fn acquire(folder: &Path, looks: u32, stop: &Stop) -> Result<Guard, Refusal> {
    let ours = wait(folder, looks, stop)?;
    let home_assistants = home_assistants(folder)?;
    if let Some(process) = running::home_assistant_on(folder) {
        return Err(is_running(folder, &format!("process {process}")));
    }
    Ok(Guard { _ours: ours, _home_assistants: home_assistants })
}

fn wait(folder: &Path, looks: u32, stop: &Stop) -> Result<File, Refusal> {
    let path = folder.join(super::STORAGE).join(OURS);
    let failed = |why: io::Error| Refusal::Failed(format!("cannot lock {}: {why}", path.display()));
    let owner = atomic::owner_for(&path).map_err(failed)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    atomic::give(&file, &owner).map_err(failed)?;
    for look in 0..looks {
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).map_err(failed)?;
                writeln!(file, "{}", std::process::id()).map_err(failed)?;
                return Ok(file);
            }
            Err(TryLockError::Error(why)) => return Err(failed(why)),
            Err(TryLockError::WouldBlock) if stop.is_cancelled() => return Err(Refusal::Stopped),
            Err(TryLockError::WouldBlock) if look + 1 < looks => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {}
        }
    }
    let holder = fs::read_to_string(&path).unwrap_or_default();
    let holder = match holder.trim() {
        "" => "another appcred".to_owned(),
        process => format!("another appcred (process {process})"),
    };
    Err(Refusal::Failed(format!(
        "{holder} is still changing {}: wait until it is done, or end it",
        folder.display()
    )))
}

/// Shares a newer Home Assistant's lock where there is one. A missing one is not made: made by
/// root, it would keep a Home Assistant of another user from starting.
fn home_assistants(folder: &Path) -> Result<Option<File>, Refusal> {
    #[derive(Deserialize)]
    struct Holder {
        pid: u32,
        ha_version: String,
    }
    let path = folder.join(HOME_ASSISTANTS);
    let failed = |why: io::Error| {
        Refusal::Failed(format!(
            "cannot tell by {} whether Home Assistant runs there: {why}",
            path.display()
        ))
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(failed(why)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::Error(why)) => Err(failed(why)),
        Err(TryLockError::WouldBlock) => {
            let text = fs::read_to_string(&path).unwrap_or_default();
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
        folder.display()
    ))
}
