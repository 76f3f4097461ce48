//! One watcher a target: a file that is locked as long as its target is tasks.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// What keeps other watchers away from a target. Nothing is held before [`TargetLock::take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetLock {
    /// The file to lock; none where there is no place for it.
    pub file: Option<PathBuf>,
    /// What the next one is told of this one.
    pub holder: String,
}

/// HeldLock until it is dropped.
#[derive(Debug)]
pub struct HeldLock {
    /// Locked as long as it is open.
    _file: Option<File>,
}

impl TargetLock {
    /// Takes the target.
    ///
    /// # Errors
    /// Where another watcher has it, and who that is; where the file cannot be locked.
    pub fn take(&self) -> Result<HeldLock, String> {
        let Some(path) = &self.file else { return Ok(HeldLock { _file: None }) };
        let failed = |why: io::Error| format!("cannot lock {}: {why}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| writeln!(file, "{}", self.holder)).map_err(failed)?;
                Ok(HeldLock { _file: Some(file) })
            }
            Err(TryLockError::Error(why)) => Err(failed(why)),
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                let holder = match holder.trim() {
                    "" => "somebody",
                    known => known,
                };
                Err(format!("another watcher has this target: {holder}; end it first"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TargetLock;

    #[test]
    fn a_second_watcher_is_told_who_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let hold = |holder: &str| TargetLock {
            file: Some(folder.path().join("locks/home")),
            holder: holder.to_owned(),
        };
        let first = hold("process 1").take().unwrap();
        let refused = hold("process 2").take().unwrap_err();
        assert!(refused.contains("process 1"), "{refused}");
        drop(first);
        assert!(hold("process 2").take().is_ok());
    }
}
