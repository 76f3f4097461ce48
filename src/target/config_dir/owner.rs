//! Who owns what is made: the user that Home Assistant runs as.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::Path;

use crate::files::{self, open_folder};
use crate::model::Visible;

/// Makes a folder for its owner alone, with all above it; the owner is that of the folder above.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(above) = folder.parent() else { return Ok(()) };
    let is_new = !above.is_dir();
    fs::create_dir_all(above)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if !is_new && let Err(why) = give(&open_folder(folder)?, &fs::metadata(above)?) {
        fs::remove_dir(folder)?;
        return Err(why);
    }
    sync_folder(above)?;
    above.parent().filter(|_| is_new).map_or(Ok(()), sync_folder)
}

/// Who shall own a file: who owns it now, or else the folder that it is in.
pub(super) fn owner_for(path: &Path) -> io::Result<Metadata> {
    fs::symlink_metadata(path)
        .or_else(|_| path.parent().map_or_else(|| fs::metadata("/"), fs::metadata))
}

/// Refuses a symbolic link that leads to what its owner does not own: who may write Home Assistant's folder could
/// have a run as root change any file. Links of root, and of who runs appcred, are followed.
pub(super) fn check_link(path: &Path) -> io::Result<()> {
    let Some(link) = files::optional(fs::symlink_metadata(path))? else { return Ok(()) };
    let trusted = [0, rustix::process::geteuid().as_raw()];
    if !link.is_symlink() || trusted.contains(&link.uid()) {
        return Ok(());
    }
    let place = files::real_path(path)?;
    let owner = owner_for(&place)?;
    if owner.uid() == link.uid() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "it is a symbolic link of user {} to {}, which belongs to user {}: it is not followed; replace it with what it leads to",
            link.uid(),
            place.visible(),
            owner.uid()
        ),
    ))
}

/// Gives a file to an owner. Where that is not allowed it fails, since Home Assistant, which runs
/// as that owner, could not read a file of ours.
pub(super) fn give(file: &File, owner: &Metadata) -> io::Result<()> {
    if file.metadata()?.uid() == owner.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid())).map_err(|why| {
        io::Error::new(
            why.kind(),
            format!(
                "it must belong to user {}, so run appcred as that user or as root ({why})",
                owner.uid()
            ),
        )
    })
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    files::folder(folder).canonicalize().and_then(|folder| open_folder(&folder))?.sync_all()
}
