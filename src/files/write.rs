//! Writing a whole file.
//!
//! The new content is written beside the old file and takes its place by a rename. What is beside it is what
//! the new file holds: nothing else is left by a kill.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use secrecy::zeroize::Zeroizing;
use tempfile::{NamedTempFile, TempPath};
use thiserror::Error;

use super::folder_of;
use super::kept::{copy_attributes, take_place};
use super::lock::{FileLock, NotLocked, wait_for};
use super::read::{in_words, optional, read, reason};
use crate::model::Visible;

/// How long to wait for another process that replaces the same file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// No files are changed together that are not all in their places by then.
const READY_FOR: Duration = Duration::from_secs(10 * 60);
/// Symlinks in a row, as the operating system counts them.
const MAX_LINKS: u32 = 40;
/// Of a name that is nearly as long as a name may be.
const LONGEST_NAME: usize = 200;
const SUFFIX: &str = ".appcred-new";

/// Why a file stays as it is.
#[derive(Debug, Error)]
pub enum NotWritten {
    /// It no longer holds what was read.
    #[error("it was changed elsewhere in the meantime")]
    Changed,
    /// There is one already.
    #[error("it already exists")]
    Exists,
    /// Nothing can be made beside it.
    #[error("nothing can be written in the folder {}: {why}", folder.visible())]
    Folder {
        /// Its folder.
        folder: PathBuf,
        /// The reason.
        why: String,
    },
    /// The new file would not belong to whom the old one belongs.
    #[error(
        "it must belong to user {user} and group {group}, so run appcred as that user or as root"
    )]
    Owner {
        /// The old one's user.
        user: u32,
        /// The old one's group.
        group: u32,
    },
    /// Somebody else is replacing it.
    #[error("{0}")]
    Locked(NotLocked),
    /// It cannot be read or written.
    #[error("{0}")]
    Io(String),
}

/// A file and what is to be in it.
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    /// What is in it; none where it must not exist yet.
    pub before: Option<Zeroizing<Vec<u8>>>,
    /// What is to be in it.
    pub after: Vec<u8>,
}

/// Why files are not changed.
#[derive(Debug, Error)]
#[error("cannot write {}: {why}{}", path.visible(), but_written(.written))]
pub struct NotAllWritten {
    /// The file that cannot be written.
    path: PathBuf,
    /// The reason.
    why: NotWritten,
    /// The files that are written already.
    written: Vec<PathBuf>,
}

fn but_written(written: &[PathBuf]) -> String {
    let names: Vec<_> = written.iter().map(|path| path.visible()).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!("; already written: {}", names.join(", ")),
    }
}

/// Changes several files, each once: all are made ready before the first takes the place of the old one.
///
/// # Errors
/// Where one cannot be written. None is then, unless it fails at the last moment, which the error says.
pub fn change_all(changes: &[FileChange]) -> Result<(), NotAllWritten> {
    let fault = |at: usize, why, written| {
        let path = changes[at].path.clone();
        let written = changes[..written].iter().map(|change| change.path.clone()).collect();
        NotAllWritten { path, why, written }
    };
    let ready = changes.iter().enumerate().map(|(at, FileChange { path, before, after })| {
        let before = before.as_ref().map(|before| before.as_slice());
        ReadyFile::new(path, before, after, 0o644).map_err(|why| fault(at, why, 0))
    });
    let ready: Vec<ReadyFile<'_>> = ready.collect::<Result<_, _>>()?;
    for (at, ready) in ready.into_iter().enumerate() {
        ready.put().map_err(|why| fault(at, why, at))?;
    }
    Ok(())
}

/// Replaces a file that still holds `before`. Mode, owner and the symlinks that lead to it stay.
///
/// # Errors
/// Where it was changed meanwhile, or cannot be written.
pub fn replace(
    path: &Path,
    before: impl AsRef<[u8]>,
    after: impl AsRef<[u8]>,
) -> Result<(), NotWritten> {
    // The mode is that of the old file.
    ReadyFile::new(path, Some(before.as_ref()), after.as_ref(), 0)?.put()
}

/// Writes a file that must not exist yet, with this mode; it appears whole or not at all.
///
/// # Errors
/// Where there is one already, or it cannot be written.
pub fn create(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), NotWritten> {
    ReadyFile::new(path, None, content.as_ref(), mode)?.put()
}

/// A file that lies beside the place that it is to take, closed: there may be more than a process can have open.
struct ReadyFile<'c> {
    place: PathBuf,
    /// What is in that place; none where nothing may be.
    before: Option<&'c [u8]>,
    new: TempPath,
}

impl<'c> ReadyFile<'c> {
    fn new(
        path: &Path,
        before: Option<&'c [u8]>,
        after: &[u8],
        mode: u32,
    ) -> Result<Self, NotWritten> {
        let failed = |error: io::Error| failed(path, &error);
        let Some(known) = before else {
            let folder = folder_of(path);
            fs::create_dir_all(folder).map_err(|error| not_in(folder, &error))?;
            if path.symlink_metadata().is_ok() {
                return Err(NotWritten::Exists);
            }
            let new = new_file(path, mode)?;
            fill(&new, after).map_err(failed)?;
            return Ok(Self { place: path.to_owned(), before, new: new.into_temp_path() });
        };
        let place = path.canonicalize().map_err(failed)?;
        let _lock = lock_unchanged(&place, known)?;
        remove_leftovers(&place, READY_FOR).map_err(failed)?;
        let old = fs::metadata(&place).map_err(failed)?;
        let new = beside(&place, &old, after)?;
        Ok(Self { place, before, new: new.into_temp_path() })
    }

    fn put(self) -> Result<(), NotWritten> {
        let Self { place, before, new } = self;
        let failed = |error: io::Error| failed(&place, &error);
        match before {
            Some(before) => {
                let _lock = lock_unchanged(&place, before)?;
                take_place(new, &place).map_err(failed)?;
            }
            None => {
                new.persist_noclobber(&place).map_err(|error| match error.error.kind() {
                    ErrorKind::AlreadyExists => NotWritten::Exists,
                    _ => failed(error.error),
                })?;
            }
        }
        sync_folder(&place).map_err(failed)
    }
}

/// Locks a file that still holds this.
fn lock_unchanged(place: &Path, before: &[u8]) -> Result<Option<FileLock>, NotWritten> {
    let failed = |error: io::Error| failed(place, &error);
    let lock = wait_for(LOCK_TIMEOUT, || false, || FileLock::existing(place));
    let lock = lock.map_err(|refused| match refused {
        NotLocked::Io(error) => failed(error),
        other => NotWritten::Locked(other),
    })?;
    match read(place, before.len() as u64) {
        Ok(now) if *now == before => Ok(lock),
        Err(error) if error.kind() != ErrorKind::FileTooLarge => Err(failed(error)),
        _ => Err(NotWritten::Changed),
    }
}

/// Writes a file, whatever it holds now. One that exists keeps mode, owner and the symlinks that lead to it; a
/// new one gets this mode. A pipe or a terminal, as `/dev/stdout`, is written to and stays what it is.
///
/// # Errors
/// Where it cannot be written.
pub fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), NotWritten> {
    let content = content.as_ref();
    let failed = |error: io::Error| failed(path, &error);
    let old = optional(fs::metadata(path)).map_err(failed)?;
    if old.as_ref().is_some_and(Metadata::is_dir) {
        return Err(failed(ErrorKind::IsADirectory.into()));
    }
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return stream(path, content).map_err(failed);
    }
    let real = real_path(path).map_err(failed)?;
    if let Some(old) = old {
        let new = beside(&real, &old, content)?;
        take_place(new.into_temp_path(), &real).map_err(failed)?;
    } else {
        let new = new_file(&real, mode)?;
        fill(&new, content).map_err(failed)?;
        new.persist(&real).map_err(|error| failed(error.error))?;
    }
    sync_folder(&real).map_err(failed)
}

/// Writes a file that its owner alone can read: who owns it now, or else who owns the folder. No ACL lets others read it.
///
/// # Errors
/// Where it cannot be written, or not so that it belongs to that owner.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<(), NotWritten> {
    let failed = |error: io::Error| failed(path, &error);
    let real = real_path(path).map_err(failed)?;
    let owner = fs::metadata(&real).or_else(|_| fs::metadata(folder_of(&real))).map_err(failed)?;
    let new = of_owner(&real, &owner)?;
    set_mode(&new, 0o600).and_then(|()| fill(&new, content.as_ref())).map_err(failed)?;
    new.persist(&real).map_err(|error| failed(error.error))?;
    sync_folder(&real).map_err(failed)
}

/// Adds to the end of a file, which is made where there is none.
///
/// # Errors
/// Where it cannot be written.
pub fn append(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).custom_flags(WITHOUT_WAITING.bits().cast_signed());
    options.open(path)?.write_all(content.as_ref())
}

/// Makes a folder, and those above it, for this user alone.
///
/// # Errors
/// Where it cannot be made.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| in_words(folder, &error))
}

/// Removes what killed processes left beside a file. What is being written is locked, and stays; so does what is
/// younger than `age`, which may wait closed until it takes its place.
///
/// # Errors
/// Where something is left that cannot be removed.
pub fn remove_leftovers(path: &Path, age: Duration) -> io::Result<()> {
    let prefix = prefix(path);
    for entry in fs::read_dir(folder_of(path))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(SUFFIX));
        // The file `a.b` has leftovers of its own, which begin as those of the file `a`.
        if random.is_some_and(|random| !random.contains('.')) {
            let written = entry.metadata().and_then(|left| left.modified());
            let is_young = written.is_ok_and(|at| at.elapsed().is_ok_and(|passed| passed < age));
            let lock = FileLock::existing(&entry.path());
            if is_young || matches!(lock, Err(NotLocked::Held { .. })) {
                continue;
            }
            match fs::remove_file(entry.path()) {
                Err(gone) if gone.kind() == ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

const WITHOUT_WAITING: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

fn stream(path: &Path, content: &[u8]) -> io::Result<()> {
    let flags = WITHOUT_WAITING.bits().cast_signed();
    let mut file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    // Only the opening must not wait: a reader may be slow.
    rustix::fs::fcntl_setfl(&file, rustix::fs::fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    file.write_all(content)
}

/// A file beside the old one with all that this has, and the new content. It gets that last: until it has the old ACL
/// and the old mode, nobody else may read it.
fn beside(real: &Path, old: &Metadata, content: &[u8]) -> Result<NamedTempFile, NotWritten> {
    let new = of_owner(real, old)?;
    let made = copy_attributes(real, new.as_file())
        .and_then(|()| set_mode(&new, old.mode()))
        .and_then(|()| fill(&new, content));
    made.map_err(|error| failed(real, &error))?;
    Ok(new)
}

/// An empty file beside the old one with the owner of that, or of the folder. Nobody else may read it.
fn of_owner(real: &Path, owner: &Metadata) -> Result<NamedTempFile, NotWritten> {
    let new = new_file(real, 0o600)?;
    let made = new.as_file().metadata().map_err(|error| failed(real, &error))?;
    // A new file in a folder belongs to its user, and to whatever group new files get there.
    if made.uid() != owner.uid() || (owner.is_file() && made.gid() != owner.gid()) {
        fchown(new.as_file(), Some(owner.uid()), Some(owner.gid()))
            .map_err(|_| NotWritten::Owner { user: owner.uid(), group: owner.gid() })?;
    }
    Ok(new)
}

/// Not by the mode of a new file, since the umask restricts that.
fn set_mode(new: &NamedTempFile, mode: u32) -> io::Result<()> {
    new.as_file().set_permissions(fs::Permissions::from_mode(mode & 0o7777))
}

fn new_file(path: &Path, mode: u32) -> Result<NamedTempFile, NotWritten> {
    let folder = folder_of(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let new = tempfile::Builder::new()
        .prefix(&prefix(path))
        .suffix(SUFFIX)
        .make_in(folder, |name| options.open(name))
        .map_err(|error| not_in(folder, &error))?;
    // Until it is renamed or closed. Where there are no locks, two writers of one file may disturb each other.
    drop(new.as_file().try_lock());
    Ok(new)
}

fn fill(new: &NamedTempFile, content: &[u8]) -> io::Result<()> {
    let mut file: &File = new.as_file();
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Where a path leads, by links to what is not there yet as well, and as far as its folders exist.
///
/// # Errors
/// Where a link leads to itself, or a folder cannot be searched.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..MAX_LINKS {
        match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => match path.read_link() {
                Ok(target) => path = folder_of(&path).join(target),
                Err(_) => {
                    return match (path.parent(), path.file_name()) {
                        (Some(above), Some(name)) => Ok(real_path(above)?.join(name)),
                        _ => Ok(path),
                    };
                }
            },
            found => return found,
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

fn failed(path: &Path, error: &io::Error) -> NotWritten {
    NotWritten::Io(reason(path, error))
}

/// The kind says all: the rest would name the file that was to take this one's place.
fn not_in(folder: &Path, error: &io::Error) -> NotWritten {
    NotWritten::Folder { folder: folder.to_owned(), why: reason(folder, &error.kind().into()) }
}

/// Names that begin with a dot are no manifests.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}.", &name[..end])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use std::time::Duration;

    use tempfile::TempDir;

    use secrecy::zeroize::Zeroizing;

    use super::{
        FileChange, NotWritten, ReadyFile, change_all, create, new_file, real_path,
        remove_leftovers, replace, write,
    };

    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "old").unwrap();
        (folder, file)
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn hard_links_stay_links() {
        let (folder, file) = folder();
        let other = folder.path().join("other.yaml");
        fs::hard_link(&file, &other).unwrap();
        for content in ["longer than the old one", "new"] {
            replace(&file, fs::read(&file).unwrap(), content).unwrap();
            assert_eq!(fs::read_to_string(&other).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["a.yaml", "other.yaml"]);
    }

    /// An ACL in version 2, as Linux keeps it, with what the owner, user 1, the group, a mask and others may do.
    #[cfg(target_os = "linux")]
    fn acl(permissions: [u16; 5]) -> Vec<u8> {
        const NOBODY: u32 = u32::MAX;
        let entries = [(1u16, NOBODY), (2, 1), (4, NOBODY), (16, NOBODY), (32, NOBODY)];
        let mut acl = 2u32.to_le_bytes().to_vec();
        for ((tag, id), permissions) in entries.into_iter().zip(permissions) {
            acl.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
            acl.extend(id.to_le_bytes());
        }
        acl
    }

    /// The file system of the tests may have no attributes.
    #[cfg(target_os = "linux")]
    #[test]
    fn attributes_and_acls_stay() {
        use rustix::fs::{XattrFlags, getxattr, setxattr};
        let (_folder, file) = folder();
        // The owner and user 1 to read.
        let acl = acl([4, 4, 0, 4, 0]);
        let given: [(&str, &[u8]); 2] = [("user.note", b"mine"), ("system.posix_acl_access", &acl)];
        let has = |(name, value): &(&str, &[u8])| {
            setxattr(&file, *name, value, XattrFlags::empty()).is_ok()
        };
        let kept: Vec<_> = given.into_iter().filter(has).collect();
        let mode = fs::metadata(&file).unwrap().mode();
        let are_kept = || {
            for (name, value) in &kept {
                let mut buffer = [0; 256];
                let length = getxattr(&file, *name, &mut buffer[..]).unwrap();
                assert_eq!(&buffer[..length], *value, "{name}");
            }
            assert_eq!(fs::metadata(&file).unwrap().mode(), mode);
        };
        replace(&file, "old", "new").unwrap();
        are_kept();
        write(&file, "newer", 0o644).unwrap();
        are_kept();
    }

    /// A folder may give what is made in it an ACL, which the old file need not have.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_has_no_acl_gets_none() {
        use rustix::fs::{XattrFlags, getxattr, setxattr};
        let (folder, file) = folder();
        let acl = acl([7; 5]);
        let name = "system.posix_acl_default";
        if setxattr(folder.path(), name, &acl, XattrFlags::empty()).is_err() {
            return;
        }
        replace(&file, "old", "new").unwrap();
        let mut buffer = [0; 256];
        assert!(getxattr(&file, "system.posix_acl_access", &mut buffer[..]).is_err());
    }

    #[test]
    fn where_one_file_cannot_be_written_none_is() {
        let (folder, file) = folder();
        let change = |path: PathBuf, before: Option<&str>| FileChange {
            path,
            before: before.map(|text| Zeroizing::new(text.as_bytes().to_vec())),
            after: b"new".to_vec(),
        };
        let made = folder.path().join("b.yaml");
        let both = [change(made.clone(), None), change(file.clone(), Some("other"))];
        let said = change_all(&both).unwrap_err().to_string();
        assert!(said.ends_with("a.yaml: it was changed elsewhere in the meantime"), "{said}");
        assert_eq!(names(folder.path()), ["a.yaml"]);
        // What fails at the last moment says what is written.
        let both = [
            change(file.clone(), Some("old")),
            change(made.clone(), None),
            change(made.clone(), None),
        ];
        let said = change_all(&both).unwrap_err().to_string();
        assert!(said.contains("b.yaml: it already exists; already written: "), "{said}");
        assert_eq!(names(folder.path()), ["a.yaml", "b.yaml"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn a_replaced_file_keeps_mode_and_owner_and_leaves_nothing() {
        let (folder, file) = folder();
        // More than a umask of 022 lets a new file have.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            std::os::unix::fs::chown(&file, Some(12), Some(34)).unwrap();
        }
        let before = fs::metadata(&file).unwrap();
        replace(&file, "old", "new").unwrap();
        write(&file, "newer", 0o600).unwrap();
        let after = fs::metadata(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
        assert_eq!((after.mode(), after.uid()), (before.mode(), before.uid()));
        assert_eq!(after.gid(), before.gid());
        assert_eq!(names(folder.path()), ["a.yaml"]);
    }

    #[test]
    fn a_link_stays_one() {
        let (folder, file) = folder();
        let link = folder.path().join("link");
        symlink("a.yaml", &link).unwrap();
        replace(&link, "old", "new").unwrap();
        write(&link, "newer", 0o600).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
        symlink("deep/none", folder.path().join("dangling")).unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        write(&folder.path().join("dangling"), "made", 0o640).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("deep/none")).unwrap(), "made");
        assert!(folder.path().join("dangling").is_symlink());
    }

    #[test]
    fn a_real_path_is_known_before_anything_is_there() {
        let (folder, _) = folder();
        let real = folder.path().canonicalize().unwrap();
        symlink("gone/deep", folder.path().join("link")).unwrap();
        assert_eq!(real_path(&folder.path().join("link/a")).unwrap(), real.join("gone/deep/a"));
        assert_eq!(real_path(&folder.path().join("x/y")).unwrap(), real.join("x/y"));
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        assert!(real_path(&folder.path().join("a")).is_err());
    }

    #[test]
    fn what_somebody_else_changed_stays() {
        let (_folder, file) = folder();
        for other in ["othr", "something longer", ""] {
            fs::write(&file, other).unwrap();
            assert!(matches!(replace(&file, "old", "new"), Err(NotWritten::Changed)));
            assert_eq!(fs::read_to_string(&file).unwrap(), other);
        }
        assert!(matches!(create(&file, "new", 0o600), Err(NotWritten::Exists)));
        fs::remove_file(&file).unwrap();
        let error = replace(&file, "old", "new").unwrap_err().to_string();
        assert_eq!(error, "there is no such file or folder");
    }

    #[test]
    fn of_many_who_change_a_file_at_once_each_change_stays_or_is_refused() {
        let (_folder, file) = folder();
        fs::write(&file, "").unwrap();
        let add = |letter: &str| {
            loop {
                let before = fs::read_to_string(&file).unwrap();
                match replace(&file, &before, format!("{before}{letter}")) {
                    Ok(()) => return,
                    Err(NotWritten::Changed) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        };
        std::thread::scope(|scope| {
            for letter in ["a", "b", "c", "d"] {
                scope.spawn(move || (0..25).for_each(|_| add(letter)));
            }
        });
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.len(), 100, "{text}");
    }

    #[test]
    fn what_a_killed_process_left_goes_and_nothing_else() {
        let (folder, file) = folder();
        let left = [".a.yaml.abc123.appcred-new", ".a.abc123.appcred-new", ".a.yaml.abc123.new"];
        for name in left {
            let left = fs::File::create(folder.path().join(name)).unwrap();
            left.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
        replace(&file, "old", "new").unwrap();
        assert_eq!(names(folder.path()), [left[1], left[2], "a.yaml"]);
        remove_leftovers(&folder.path().join("a"), Duration::ZERO).unwrap();
        assert_eq!(names(folder.path()), [left[2], "a.yaml"]);
    }

    #[test]
    fn what_is_ready_is_not_removed_by_who_changes_the_same_file() {
        let (folder, file) = folder();
        let ready = ReadyFile::new(&file, Some(b"old"), b"new", 0).unwrap();
        replace(&file, "old", "newer").unwrap();
        assert!(ready.new.exists());
        assert!(matches!(ready.put(), Err(NotWritten::Changed)));
        assert_eq!(names(folder.path()), ["a.yaml"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
    }

    #[test]
    fn what_another_process_is_writing_stays() {
        let (folder, file) = folder();
        let new = new_file(&file, 0o600).unwrap();
        replace(&file, "old", "new").unwrap();
        assert!(new.path().exists());
        // As after a kill.
        let (closed, path) = new.keep().unwrap();
        drop(closed);
        remove_leftovers(&file, Duration::ZERO).unwrap();
        assert_eq!((path.exists(), names(folder.path())), (false, vec!["a.yaml".to_owned()]));
    }

    #[test]
    fn a_pipe_is_written_to_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&writer);
        let link = folder.path().join("out");
        symlink(format!("/proc/self/fd/{number}"), &link).unwrap();
        write(&link, "through", 0o600).unwrap();
        drop(writer);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        assert_eq!(text, "through");
        assert!(link.is_symlink());
        let error = write(folder.path(), "x", 0o600).unwrap_err().to_string();
        assert!(error.contains("it is a folder"), "{error}");
    }

    #[test]
    fn a_name_as_long_as_names_may_be_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ä".repeat(127));
        create(&file, "old", 0o600).unwrap();
        replace(&file, "old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }
}
