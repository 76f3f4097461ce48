//! Whether a file could be written.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{Access, access};

use super::read::{optional, reason};
use super::{NotWritten, folder_of, real_path};

/// Finds out whether [`super::write`] could write a file, without writing anything: what fails later all the same, as on
/// a full disk, is not seen.
///
/// # Errors
/// Why it could not.
pub fn check_writable(path: &Path) -> Result<(), NotWritten> {
    let failed = |why: io::Error| NotWritten::Io(reason(path, &why));
    match optional(std::fs::metadata(path)).map_err(failed)? {
        Some(old) if old.is_dir() => Err(failed(ErrorKind::IsADirectory.into())),
        // A pipe or a terminal is written to and stays what it is.
        Some(old) if !old.is_file() => {
            access(path, Access::WRITE_OK).map_err(|why| failed(why.into()))
        }
        _ => {
            let real = real_path(path).map_err(failed)?;
            let folder = folder_of(&real);
            access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|why| NotWritten::Folder {
                folder: folder.to_owned(),
                why: reason(folder, &why.into()),
            })
        }
    }
}
