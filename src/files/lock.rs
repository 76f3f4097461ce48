//! Locks of files and folders, held by one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;
use thiserror::Error;

use super::Stamp;
use super::read::{in_words, not_regular, open, read_text};
use crate::model::Visible;

/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(25);
/// Who holds a lock writes that right after taking it. Whoever waits knows it after so many attempts, if
/// it is written at all.
const HOLDER_ATTEMPTS: u32 = 20;
const HOLDER_LIMIT: u64 = 4096;

/// A lock, given back when dropped or when the process ends.
#[derive(Debug)]
pub struct FileLock {
    /// Locked as long as it is open.
    file: File,
}

/// Why a lock could not be taken.
#[derive(Debug, Error)]
pub enum NotLocked {
    /// Somebody else holds it.
    #[error("{} holds the lock", holder.as_deref().unwrap_or("another process"))]
    Held {
        /// Who, where the lock says so.
        holder: Option<String>,
    },
    /// It was given up to wait.
    #[error("interrupted")]
    Stopped,
    /// It cannot be locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileLock {
    /// Locks a file or folder that exists. `None` where its file system has no such lock.
    ///
    /// # Errors
    /// Where another process holds it, or it cannot be opened.
    pub fn existing(path: &Path) -> Result<Option<Self>, NotLocked> {
        let failed = |error: io::Error| in_words(path, &error);
        loop {
            let (file, metadata) = open(path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(NotLocked::Held { holder: None }),
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    tracing::warn!("{} cannot be locked there: {error}", path.visible());
                    return Ok(None);
                }
                Err(TryLockError::Error(error)) => return Err(failed(error).into()),
            }
            // Whoever held it before may have replaced the file.
            let current = Stamp::of(path).map(|stamp| stamp.identity());
            if current == Some(Stamp::from(&metadata).identity()) {
                return Ok(Some(Self { file }));
            }
        }
    }

    /// Locks a lock file, which is made where there is none, and says in it who holds it. A symbolic link is not
    /// followed: in a folder of somebody else it may lead to any file.
    ///
    /// # Errors
    /// Where another process holds it, or it cannot be opened.
    pub fn file(path: &Path, holder: &str) -> Result<Self, NotLocked> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let opened = options.custom_flags(flags.bits().cast_signed()).open(path);
        // What is no file may be opened or not.
        if let Ok(metadata) = path.symlink_metadata()
            && !metadata.is_file()
        {
            return Err(not_regular(&metadata).into());
        }
        let failed = |error: io::Error| in_words(path, &error);
        let mut file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => Err(NotLocked::Held { holder: holder_of(path) }),
            Err(TryLockError::Error(error)) => Err(failed(error).into()),
        }
    }

    /// Locks a file that exists together with others who share it.
    ///
    /// # Errors
    /// Where another process holds it alone, or it cannot be opened.
    pub fn shared(path: &Path) -> Result<Self, NotLocked> {
        let failed = |error: io::Error| in_words(path, &error);
        let (file, metadata) = open(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(not_regular(&metadata).into());
        }
        match file.try_lock_shared() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(NotLocked::Held { holder: None }),
            Err(TryLockError::Error(error)) => Err(failed(error).into()),
        }
    }

    /// Who holds a lock file; none where nobody does, or there is no such file. Take a lock first that all take
    /// who lock this one: to look is to share it for a moment.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn holder(path: &Path) -> io::Result<Option<String>> {
        match Self::shared(path) {
            Ok(_) => Ok(None),
            Err(NotLocked::Held { .. }) => {
                Ok(Some(holder_of(path).unwrap_or_else(|| "another process".to_owned())))
            }
            Err(NotLocked::Io(missing)) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(NotLocked::Io(why)) => Err(why),
            Err(NotLocked::Stopped) => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// The file that is locked.
    pub fn as_file(&self) -> &File {
        &self.file
    }
}

/// A program that is started at this moment has a copy of every open file until it is executed. To close the
/// file would give the lock back only then.
impl Drop for FileLock {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!("a lock is not given back before the file is closed: {error}");
        }
    }
}

/// Tries again and again to take a lock, until `timeout` is over or `is_stopped`.
///
/// # Errors
/// The last refusal.
pub fn wait_for<T>(
    timeout: Duration,
    is_stopped: impl Fn() -> bool,
    mut attempt: impl FnMut() -> Result<T, NotLocked>,
) -> Result<T, NotLocked> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(NotLocked::Held { .. }) if is_stopped() => return Err(NotLocked::Stopped),
            Err(NotLocked::Held { .. }) if start.elapsed() < timeout => thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// The same without blocking the thread; dropping it ends the wait. `waits` is called once with who
/// holds the lock, as soon as that is known.
///
/// # Errors
/// The last refusal.
pub async fn when_free<T>(
    timeout: Duration,
    waits: impl FnOnce(Option<&str>),
    attempt: impl Fn() -> Result<T, NotLocked>,
) -> Result<T, NotLocked> {
    let until = tokio::time::Instant::now() + timeout;
    let mut waits = Some(waits);
    let mut attempts = 0;
    loop {
        match attempt() {
            Err(NotLocked::Held { holder }) if tokio::time::Instant::now() < until => {
                attempts += 1;
                if (holder.is_some() || attempts == HOLDER_ATTEMPTS)
                    && let Some(waits) = waits.take()
                {
                    waits(holder.as_deref());
                }
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Who holds a lock file; none where that is not written yet.
fn holder_of(path: &Path) -> Option<String> {
    let text = read_text(path, HOLDER_LIMIT).ok()?;
    let holder = text.strip_suffix('\n')?.trim();
    (!holder.is_empty()).then(|| holder.to_owned())
}

/// NFS locks only what is open for writing, which no folder is; some file systems lock nothing.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP))
        || error.kind() == io::ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{FileLock, NotLocked, wait_for};

    #[test]
    fn a_lock_file_says_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = FileLock::file(&path, "process 1").unwrap();
        let refused = FileLock::file(&path, "process 2").unwrap_err();
        assert_eq!(refused.to_string(), "process 1 holds the lock");
        drop(first);
        let missing = FileLock::existing(&folder.path().join("none")).map(drop).unwrap_err();
        assert_eq!(missing.to_string(), "there is no such file or folder");
        let _second = FileLock::file(&path, "process 2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "process 2\n");
    }

    #[test]
    fn no_link_is_followed_to_a_file_or_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, other) = (folder.path().join("lock"), folder.path().join("other"));
        std::os::unix::fs::symlink(&other, &lock).unwrap();
        let refused = || FileLock::file(&lock, "process 1").unwrap_err().to_string();
        assert_eq!(refused(), "it is a symbolic link, which is not followed here: remove it");
        assert!(!other.exists());
        fs::write(&other, "kept").unwrap();
        assert!(refused().starts_with("it is a symbolic link"));
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
    }

    #[test]
    fn a_lock_is_given_back_while_a_program_that_starts_still_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = FileLock::file(&path, "process 1").unwrap();
        // What fork does: another descriptor of the same open file.
        let _copy = lock.as_file().try_clone().unwrap();
        drop(lock);
        assert!(FileLock::file(&path, "process 2").is_ok());
        let lock = FileLock::existing(folder.path()).unwrap().unwrap();
        let _copy = lock.as_file().try_clone().unwrap();
        drop(lock);
        assert!(FileLock::existing(folder.path()).is_ok());
    }

    #[test]
    fn a_folder_is_locked_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = FileLock::existing(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(matches!(FileLock::existing(folder.path()), Err(NotLocked::Held { .. })));
        drop(first);
        assert!(FileLock::existing(folder.path()).is_ok());
    }

    #[test]
    fn waiting_ends_by_itself_when_stopped_and_with_the_lock() {
        let attempts = AtomicUsize::new(0);
        let held = || -> Result<(), NotLocked> {
            attempts.fetch_add(1, Ordering::Relaxed);
            Err(NotLocked::Held { holder: None })
        };
        assert!(matches!(wait_for(Duration::ZERO, || false, held), Err(NotLocked::Held { .. })));
        let stopped = || attempts.load(Ordering::Relaxed) > 3;
        let ended = wait_for(Duration::from_secs(60), stopped, held);
        assert!(matches!(ended, Err(NotLocked::Stopped)));
        let mut left = 2;
        let soon = || {
            left -= 1;
            if left > 0 { Err(NotLocked::Held { holder: None }) } else { Ok(7) }
        };
        assert_eq!(wait_for(Duration::from_secs(60), || false, soon).unwrap(), 7);
    }
}
