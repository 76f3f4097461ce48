//! Whether a file is still the one that was read, without reading it again.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

/// A file system may count time in steps as coarse as this; what changes twice within one step
/// looks the same afterwards.
const COARSEST_NANOSECONDS: i128 = 2_000_000_000;

/// What the file system says of a file at one moment, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// In nanoseconds since 1970.
    modified: i128,
    /// The same, but of names and rights as well, and it cannot be set back.
    changed: i128,
}

/// Whether a file has lost its name while something, as a mount, still leads to it.
pub fn is_nameless(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 0)
}

impl Stamp {
    /// Of what is there now; `None` where nothing is, or it cannot be determined.
    pub fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|metadata| Self::from(&metadata))
    }

    /// Whether a change after `now` would give another stamp.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        now.as_nanosecond() - self.modified.max(self.changed) > COARSEST_NANOSECONDS
    }

    /// Of which file or folder it is, whatever happened to what that holds: device and inode.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::{SignedDuration, Timestamp};

    use super::Stamp;

    #[test]
    fn a_file_that_was_changed_or_replaced_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert_eq!(Stamp::of(&path), None);
        fs::write(&path, "one").unwrap();
        let first = Stamp::of(&path).unwrap();
        assert_eq!(Stamp::of(&path), Some(first));
        fs::write(folder.path().join("b"), "two").unwrap();
        fs::rename(folder.path().join("b"), &path).unwrap();
        let second = Stamp::of(&path).unwrap();
        assert_ne!(first, second);
        assert_ne!(first.identity(), second.identity());
    }

    #[test]
    fn what_changed_just_now_may_change_again_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp::of(folder.path()).unwrap();
        let now = Timestamp::now();
        assert!(!stamp.is_settled(now));
        assert!(stamp.is_settled(now + SignedDuration::from_secs(10)));
        assert!(!stamp.is_settled(now - SignedDuration::from_secs(10)), "another clock is ahead");
    }
}
