//! What can be done with a configuration folder. Nothing is changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{ConfigDirEndpoint, STORAGE, credentials_file, lock, read};
use crate::files;
use crate::model::Visible;
use crate::target::unreadable::UnreadableLog;

/// What is seen of a configuration folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderExamination {
    /// What it holds, or why that cannot be read.
    pub holds: Result<FolderContent, String>,
    /// The Home Assistant that runs there, as far as that can be seen.
    pub running: Option<String>,
    /// Why what it stores cannot be written, and what to do.
    pub not_writable: Option<String>,
}

/// What a configuration folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderContent {
    /// Whether it does not exist yet.
    pub is_new: bool,
    /// The release of Home Assistant that ran there last.
    pub version: Option<String>,
    /// How many credentials it has.
    pub credentials: usize,
}

impl ConfigDirEndpoint {
    /// Looks at the folder.
    pub fn examine(&self) -> FolderExamination {
        let folder = files::folder(&self.0);
        let holds = read(folder, &UnreadableLog::default()).map(|observed| FolderContent {
            is_new: observed.is_new,
            version: observed.version,
            credentials: observed.credentials.len(),
        });
        FolderExamination {
            holds,
            running: lock::unless_running(folder).err().map(|refusal| refusal.to_string()),
            not_writable: not_writable(folder),
        }
    }
}

/// The file is replaced, so that the right to write is needed on its folder alone; and it must belong to
/// whom Home Assistant runs as.
fn not_writable(folder: &Path) -> Option<String> {
    let storage = folder.join(STORAGE);
    let present = storage.ancestors().map(files::folder).find(|folder| folder.exists())?;
    if !present.is_dir() {
        return Some(format!("{} is no folder; correct `config_dir`", present.visible()));
    }
    match access(present, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => {}
        Err(Errno::ROFS) => {
            let why = files::reason(present, &Errno::ROFS.into());
            return Some(format!("{} cannot be written: {why}", present.visible()));
        }
        Err(_) => {
            return Some(format!(
                "{} cannot be written by this user; run appcred as its owner, or as root",
                present.visible()
            ));
        }
    }
    let owner = fs::metadata(credentials_file(folder)).or_else(|_| fs::metadata(present));
    let (user, owner) = (geteuid().as_raw(), owner.ok()?.uid());
    (user != 0 && user != owner).then(|| {
        format!(
            "{} belongs to user {owner}, and Home Assistant could not read a file of user {user}; run appcred as user {owner}, or as root",
            credentials_file(folder).visible()
        )
    })
}
