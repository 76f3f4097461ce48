//! What this machine gives: where state is kept, and whether changes of files are reported.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::HealthCheck;
use crate::codes::CheckCode;
use crate::files;
use crate::manifest::{self, Project};
use crate::model::{Visible, counted};
use crate::watch::{NotWatched, try_to_watch};
use crate::workspace::Workspace;

pub(super) fn look(workspace: &Workspace, project: &Project) -> Vec<HealthCheck> {
    vec![state_folder(workspace), file_events(workspace, project)]
}

/// Sessions of `login` and locks are kept there.
fn state_folder(workspace: &Workspace) -> HealthCheck {
    let code = CheckCode::StateFolder;
    let Some(folder) = &workspace.environment.state_folder else {
        return HealthCheck::warning(code, "there is no place for sessions and locks").help(
            "set HOME or XDG_STATE_HOME: without it nothing keeps two runs from changing a target at once",
        );
    };
    let place = folder.visible();
    let Some(present) = folder.ancestors().find(|folder| folder.exists()) else {
        return HealthCheck::error(code, format!("{place} cannot be made"));
    };
    let writing = access(present, Access::WRITE_OK | Access::EXEC_OK);
    if writing == Err(Errno::ROFS) {
        let why = files::reason(present, &Errno::ROFS.into());
        return HealthCheck::error(code, format!("{place} cannot be written: {why}"))
            .help("or name another folder by XDG_STATE_HOME");
    }
    if !present.is_dir() || writing.is_err() {
        return HealthCheck::error(code, format!("{place} cannot be written by this user"))
            .help("make it a folder of this user, or name another one by XDG_STATE_HOME");
    }
    let mode = folder.metadata().map(|data| data.permissions().mode() & 0o777);
    match mode {
        Err(_) => HealthCheck::ok(code, format!("{place} will be made when it is needed")),
        Ok(mode) if mode & 0o022 != 0 => {
            HealthCheck::warning(code, format!("others may write to {place} (mode {mode:03o})"))
                .help(format!("`chmod go-w {place}`"))
        }
        Ok(mode) => HealthCheck::ok(code, format!("{place} (mode {mode:03o})")),
    }
}

/// Whether `watch` would learn of changes by the operating system: tried as it does it.
fn file_events(workspace: &Workspace, project: &Project) -> HealthCheck {
    let code = CheckCode::FileEvents;
    let places = manifest::places(project);
    let places: BTreeSet<PathBuf> =
        places.into_iter().map(|place| workspace.folder.join(place)).collect();
    match try_to_watch(&places) {
        Ok(folders) => {
            HealthCheck::ok(code, format!("changes in {} are reported", counted(folders, "folder")))
        }
        Err(NotWatched::Remote(folder)) => HealthCheck::ok(
            code,
            format!(
                "{} is on a network file system: `watch` looks every few seconds",
                folder.visible()
            ),
        ),
        Err(NotWatched::Refused(why)) => HealthCheck::warning(
            code,
            format!("changes of files are not reported ({why}): `watch` looks every few seconds"),
        )
        .help("raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with sysctl"),
    }
}
