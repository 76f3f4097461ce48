//! Reads, writes and locks files.
//!
//! - What is read is a regular file. It is opened without waiting, checked after it was opened, and never
//!   read beyond a limit: a pipe, a device or an endless file is an error, and nothing hangs.
//! - What is written replaces the old file whole and keeps its mode, its owner and the symlinks that lead to
//!   it, its ACL and the attributes that people gave it. Whoever looks, and whenever the process is killed, finds
//!   the old file or the new one; but a file with other names (hard links) is written in place.
//! - What is read, changed and written is locked meanwhile.
//!
//! `clippy.toml` forbids the rest of the crate to open files itself.
#![expect(clippy::disallowed_methods, reason = "this room is where files are opened")]

pub mod fetched;
mod inherited;
mod kept;
mod link;
mod lock;
mod read;
mod stamp;
mod writable;
mod write;

pub use inherited::inherited;
pub use link::{put_link, sync_file_system};
pub use lock::{FileLock, NotLocked, wait_for, when_free};
pub use read::{
    Replaced, from_utf16, is_no_text, open_folder, optional, read, read_bytes, read_stream,
    read_text, read_unchecked, reason,
};
pub use stamp::{Stamp, is_nameless};
pub use writable::check_writable;
pub use write::{
    FileChange, NotAllWritten, NotWritten, append, change_all, create, make_private_folder,
    real_path, remove_leftovers, replace, write, write_private,
};

/// Whether two paths lead to one file or folder that is there.
pub fn is_same(one: &std::path::Path, other: &std::path::Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// A folder's path. That of the current folder is empty where it is the parent of a relative path.
pub fn folder(path: &std::path::Path) -> &std::path::Path {
    if path.as_os_str().is_empty() { std::path::Path::new(".") } else { path }
}

/// The same path from every folder. Where the current folder is gone, it stays as it is.
pub fn absolute(path: &std::path::Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Where a path leads, or would if all of it were there: by the links that are there, and then by its words.
pub fn resolved(path: &std::path::Path) -> std::path::PathBuf {
    let whole = absolute(path);
    let found = real_path(&whole).unwrap_or_else(|_| {
        let there = whole.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
        there.map_or_else(
            || whole.clone(),
            |(above, real)| real.join(whole.strip_prefix(above).unwrap_or_else(|_| "".as_ref())),
        )
    });
    let mut resolved = std::path::PathBuf::new();
    for part in found.components() {
        match part {
            std::path::Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    resolved
}

/// The folder that a file is in.
pub fn folder_of(file: &std::path::Path) -> &std::path::Path {
    folder(file.parent().unwrap_or(std::path::Path::new("")))
}

/// The folder of the Git repository that a folder is in, by the folder's real path.
pub fn repository_of(folder: &std::path::Path) -> Option<&std::path::Path> {
    folder.ancestors().find(|above| above.join(".git").symlink_metadata().is_ok())
}

/// The file of a program: below a folder where its name is a path, else in the first of these folders that has it.
/// `None` where there is none that this user may run.
pub fn program(
    name: &str,
    folder: &std::path::Path,
    folders: impl IntoIterator<Item = std::path::PathBuf>,
) -> Option<std::path::PathBuf> {
    let may_run = |file: &std::path::PathBuf| {
        file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
    };
    match name.contains('/') {
        true => Some(folder.join(name)).filter(may_run),
        false => folders.into_iter().map(|folder| folder.join(name)).find(may_run),
    }
}

/// How large a text file may be that people write: a manifest, secrets, a certificate.
pub const TEXT_LIMIT: u64 = 8 * 1024 * 1024;
/// How large a file may be that programs write: a snapshot, a saved plan, Home Assistant's storage.
pub const DATA_LIMIT: u64 = 128 * 1024 * 1024;
