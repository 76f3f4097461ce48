//! A file replaced whole: whoever looks, whenever the power goes, finds the old one or the new one.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// The name under which a file is written before it takes its place. It is the same each time, and
/// only the holder of the lock uses it, so that what a killed run left is found and removed.
fn temporary(name: &str) -> String {
    format!(".{name}.appcred-new")
}

/// Removes what a killed run left.
pub(super) fn clear_left_over(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(temporary(name))) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Replaces a file, readable for its owner alone, who stays the same.
pub(super) fn replace(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let new = folder.join(temporary(name));
    let written = write(&new, text, &owner_for(&folder.join(name))?)
        .and_then(|()| fs::rename(&new, folder.join(name)));
    if let Err(why) = written {
        clear_left_over(folder, name)?;
        return Err(why);
    }
    sync_folder(folder)
}

fn write(path: &Path, text: &[u8], owner: &Metadata) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    give(&file, owner)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Makes a folder for its owner alone, with all above it; the owner is that of the folder above.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(above) = folder.parent() else { return Ok(()) };
    let is_new = !above.is_dir();
    fs::create_dir_all(above)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if !is_new && let Err(why) = give(&File::open(folder)?, &fs::metadata(above)?) {
        fs::remove_dir(folder)?;
        return Err(why);
    }
    sync_folder(above)?;
    above.parent().filter(|_| is_new).map_or(Ok(()), sync_folder)
}

/// Who shall own a file: who owns it now, or else the folder that it is in.
pub(super) fn owner_for(path: &Path) -> io::Result<Metadata> {
    fs::metadata(path).or_else(|_| path.parent().map_or_else(|| fs::metadata("/"), fs::metadata))
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
    // The folder above a relative path of one part is the empty path.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}
