//! Links that lead to the newest version of a folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::folder_of;

/// What is beside the link while it is made.
const NEW: &str = ".appcred-new-link";

/// Has a link lead to a folder, which is on the disk by then: whoever looks, and whenever the machine loses power,
/// finds the old folder or the new one, whole.
///
/// # Errors
/// Where the link cannot be made.
pub fn put_link(link: &Path, target: &Path) -> io::Result<()> {
    let folder = folder_of(link);
    let opened = sync_file_system(folder)?;
    let new = folder.join(NEW);
    match fs::remove_file(&new) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    symlink(target, &new)?;
    fs::rename(&new, link)?;
    opened.sync_all()
}

/// Waits until all that was written on the file system of a folder is on the disk, and gives the folder.
///
/// # Errors
/// Where that fails.
pub fn sync_file_system(folder: &Path) -> io::Result<File> {
    let opened = File::open(folder)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&opened)?;
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::put_link;

    #[test]
    fn a_link_is_put_in_the_place_of_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        for name in ["one", "two"] {
            put_link(&link, Path::new(name)).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(name));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
