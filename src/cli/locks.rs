//! Which runs of this machine wait for each other: those that change the files of one project, and those that
//! change one target.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;

use crate::files::{FileLock, NotLocked, wait_for, when_free};
use crate::lock::{HeldLock, LockError, WriteLock};
use crate::manifest::{Project, load_project};
use crate::model::{TargetName, TargetSelection, Visible};
use crate::workspace::select;

use super::gather::request;
use super::{Global, console, environment};

/// Files are read and written within moments, but a person may be asked in between.
const PROJECT_TIMEOUT: Duration = Duration::from_secs(60);
/// An `apply` may ask a person, and wait for accounts that are reloaded.
const TARGET_TIMEOUT: Duration = Duration::from_secs(300);

/// Keeps other runs from changing the project's files until it is dropped. Take it before reading what is
/// changed.
///
/// # Errors
/// Where another run does not end.
pub(super) fn lock_project(global: &Global) -> anyhow::Result<Option<FileLock>> {
    let folder = &global.folder;
    let lock = wait_for(PROJECT_TIMEOUT, || false, || FileLock::existing(folder));
    lock.map_err(|refused| not_locked(folder, refused))
}

/// The same where signals do not end the process: dropping it ends the wait.
///
/// # Errors
/// Where another run does not end.
pub(super) async fn project_when_free(global: &Global) -> anyhow::Result<Option<FileLock>> {
    let folder = &global.folder;
    let lock = when_free(PROJECT_TIMEOUT, |_| (), || FileLock::existing(folder)).await;
    lock.map_err(|refused| not_locked(folder, refused))
}

fn not_locked(folder: &Path, refused: NotLocked) -> anyhow::Error {
    match refused {
        NotLocked::Held { .. } => anyhow!(
            "another appcred is changing files in {}: wait until it is done, or end it",
            folder.visible()
        ),
        other => anyhow!("cannot lock {}: {other}", folder.visible()),
    }
}

/// Keeps other runs of this user from changing these targets until what is held is dropped; answers also what can be taken
/// again. Take it before planning.
///
/// # Errors
/// Where another run does not end, or a lock file cannot be made.
pub(super) async fn lock_targets(
    global: &Global,
    selection: &TargetSelection,
) -> anyhow::Result<(Project, BTreeMap<TargetName, WriteLock>, Vec<HeldLock>)> {
    let (project, _) = load_project(&request(global));
    let locks = write_locks(&project, selection);
    let held = take_all(locks.values()).await?;
    Ok((project, locks, held))
}

/// Takes all of them.
///
/// # Errors
/// Where another run does not end, or a lock file cannot be made.
pub(super) async fn take_all(
    locks: impl Iterator<Item = &WriteLock>,
) -> Result<Vec<HeldLock>, LockError> {
    let mut held = Vec::new();
    // In one order, so that no two runs wait for each other; one place may have two names.
    let locks: BTreeMap<&str, &WriteLock> = locks.map(|lock| (lock.place.as_str(), lock)).collect();
    for lock in locks.into_values() {
        held.push(lock_target(lock).await?);
    }
    Ok(held)
}

/// What keeps other runs from changing each of these targets.
pub(super) fn write_locks(
    project: &Project,
    selection: &TargetSelection,
) -> BTreeMap<TargetName, WriteLock> {
    // Whoever goes on to plan says what is wrong with the project or the selection.
    let targets = select(project, &environment::read(), selection).unwrap_or_default();
    let folder = environment::state_folder();
    let lock = |(name, endpoint)| (name, WriteLock::of(&endpoint, folder.as_deref()));
    targets.into_iter().map(lock).collect()
}

/// Waits until nobody else changes a target, and says for whom.
///
/// # Errors
/// Where another run does not end, or the lock file cannot be made.
pub(super) async fn lock_target(lock: &WriteLock) -> Result<HeldLock, LockError> {
    let waits = |holder: &str| {
        console::message(format_args!("Waiting for {holder}, which is changing {}.", lock.address));
    };
    lock.take(TARGET_TIMEOUT, waits).await
}
