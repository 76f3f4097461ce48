//! Which folder is that of a project.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::files;
use crate::model::PROJECT_FILE;

/// The folder of the project that a folder belongs to: the nearest one with a project file, upwards as far as
/// the Git repository goes, or the folder itself. What is above a repository may be somebody else's, and a
/// project can start programs.
pub fn project_folder(folder: &Path) -> PathBuf {
    let Ok(real) = folder.canonicalize() else { return folder.to_owned() };
    let Some(repository) = files::repository_of(&real) else { return folder.to_owned() };
    let has_project = |folder: &Path| folder.join(PROJECT_FILE).symlink_metadata().is_ok();
    let mut inside = real.ancestors().take_while(|above| above.starts_with(repository));
    match inside.position(has_project) {
        None | Some(0) => folder.to_owned(),
        Some(levels) if !real.ancestors().nth(levels).is_some_and(is_own_project) => {
            tracing::warn!(
                "appcred.yaml in a folder above belongs to another user and is not used: name its folder with -C to use it"
            );
            folder.to_owned()
        }
        Some(levels) => {
            let below = if folder == Path::new(".") { Path::new("") } else { folder };
            (0..levels).fold(below.to_owned(), |folder, _| folder.join(".."))
        }
    }
}

/// A file of the folder that was meant as the project file, and is not read: by another ending, in capitals, or hidden.
pub fn misnamed_project(folder: &Path) -> Option<PathBuf> {
    let is_misnamed = |name: &str| {
        let usual = name.trim_start_matches('.').to_lowercase();
        name != PROJECT_FILE && [PROJECT_FILE, "appcred.yml"].contains(&usual.as_str())
    };
    let entries = files::folder(folder).read_dir().into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_misnamed));
    named.map(|entry| folder.join(entry.file_name())).filter(|path| path.is_file()).min()
}

/// Whether a folder and its project file belong to who runs this: Git asks the same of a repository.
fn is_own_project(folder: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let is_own = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.uid() == user);
    is_own(folder) && is_own(&folder.join(PROJECT_FILE))
}
