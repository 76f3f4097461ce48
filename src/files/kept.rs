//! What a file keeps when it gets another content, beside its mode and its owner.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use tempfile::TempPath;

/// Puts a new file in the place of an old one. One with other names (hard links) keeps them, as editors and SOPS do it:
/// it is written in place, since the old content would stay under the others.
pub(super) fn take_place(new: TempPath, place: &Path) -> io::Result<()> {
    if fs::metadata(place)?.nlink() < 2 {
        return new.persist(place).map_err(|error| error.error);
    }
    let content = Zeroizing::new(fs::read(&new)?);
    let mut file = OpenOptions::new().write(true).open(place)?;
    file.write_all(&content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

/// Gives a new file the ACL of the old one, and the attributes that people gave that.
#[cfg(target_os = "linux")]
pub(super) fn copy_attributes(old: &Path, new: &File) -> io::Result<()> {
    use rustix::fs::{XattrFlags, fremovexattr, fsetxattr, getxattr, listxattr};
    use rustix::io::Errno;

    /// Of a list of names, and of a value, on Linux.
    const LARGEST: usize = 64 * 1024;
    const ACL: &[u8] = b"system.posix_acl_access";

    let mut names = vec![0; LARGEST];
    let length = match listxattr(old, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        listed => listed?,
    };
    let names = || names[..length].split(|byte| *byte == 0);
    let has_acl = names().any(|name| name == ACL);
    let mut value = vec![0; LARGEST];
    // The ACL last: with it, the owner may no longer write.
    for name in names().filter(|name| name.starts_with(b"user.")).chain(has_acl.then_some(ACL)) {
        let length = getxattr(old, name, &mut value[..])?;
        fsetxattr(new, name, &value[..length], XattrFlags::empty())?;
    }
    if has_acl {
        return Ok(());
    }
    // What a new file gets from its folder.
    match fremovexattr(new, ACL) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(why) => Err(why.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn copy_attributes(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}
