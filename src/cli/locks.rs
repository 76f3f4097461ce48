//! Which runs of this machine wait for each other: those that change the files of one project, and those that
//! change one target.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use sha2::{Digest, Sha256};

use crate::files::{self, FileLock, NotLocked, wait_for};
use crate::manifest::load_project;
use crate::model::Visible;
use crate::workspace::select;

use super::gather::request;
use super::selection::TargetArgs;
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
    lock.map_err(|refused| match refused {
        NotLocked::Held { .. } => anyhow!(
            "another appcred is changing files in {}: wait until it is done, or end it",
            folder.visible()
        ),
        other => anyhow!("cannot lock {}: {other}", folder.visible()),
    })
}

/// Keeps other runs of this user from changing these targets until it is dropped. Take it before planning.
///
/// # Errors
/// Where another run does not end, or a lock file cannot be made.
pub(super) fn lock_targets(
    global: &Global,
    selection: &TargetArgs,
) -> anyhow::Result<Vec<FileLock>> {
    let (project, _) = load_project(&request(global));
    // Whoever goes on to plan says what is wrong with the project or the selection.
    let targets = select(&project, &environment::read(), &selection.targets).unwrap_or_default();
    let Some(folder) = environment::state_folder().map(|state| state.join("applying")) else {
        return Ok(Vec::new());
    };
    files::make_private_folder(&folder)
        .with_context(|| format!("cannot make {}", folder.visible()))?;
    // In one order, so that no two runs wait for each other; one place may have two names.
    let all: BTreeMap<PathBuf, String> = targets
        .values()
        .map(|endpoint| {
            let place = endpoint.place();
            (folder.join(format!("{:x}.lock", Sha256::digest(&place))), place)
        })
        .collect();
    all.iter().map(|(file, place)| lock_target(file, place)).collect()
}

fn lock_target(file: &Path, place: &str) -> anyhow::Result<FileLock> {
    let own = format!("another appcred (process {})", std::process::id());
    let cannot = || format!("cannot lock {}", file.visible());
    match FileLock::file(file, &own) {
        Err(NotLocked::Held { holder }) => {
            let holder = holder.as_deref().unwrap_or("another appcred").to_owned();
            console::message(format_args!("Waiting for {holder}, which is changing {place}."));
        }
        taken => return taken.with_context(cannot),
    }
    match wait_for(TARGET_TIMEOUT, || false, || FileLock::file(file, &own)) {
        Err(NotLocked::Held { .. }) => Err(anyhow!(
            "another appcred is still changing {place}: wait until it is done, or end it"
        )),
        taken => taken.with_context(cannot),
    }
}
