//! One writer for each target at a time: what plans and then changes a target holds this lock meanwhile.
//! A look ahead of that counts where the target has reported no change since.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{HeldLock, LockError};
use crate::files::{FileLock, NotLocked, folder_of, make_private_folder, when_free};
use crate::target::{Endpoint, Fence};

/// Keeps other runs of this person on this machine from changing a target. Nothing is locked before
/// [`WriteLock::take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteLock {
    /// The file to lock; none where nothing is to be locked.
    pub file: Option<PathBuf>,
    /// Where the target is, in one way however it is written.
    pub place: String,
    /// Its address as the project has it, for people.
    pub address: String,
    /// Until when it may be changed, where a process elsewhere may do so later.
    pub fence: Option<Fence>,
}

impl WriteLock {
    /// That of a target; the state folder is where lock files are.
    pub fn of(endpoint: &Endpoint, state_folder: Option<&Path>) -> Self {
        let place = endpoint.place();
        let file = format!("applying/{:x}.lock", Sha256::digest(&place));
        let file = state_folder.map(|folder| folder.join(file));
        Self { file, place, address: endpoint.address(), fence: None }
    }

    /// Takes the target, once nobody else has it. Where somebody has, `waits` is called first with who.
    ///
    /// # Errors
    /// Where another one still has it when the time is up; where the file cannot be locked.
    pub async fn take(
        &self,
        timeout: Duration,
        waits: impl FnOnce(&str),
    ) -> Result<HeldLock, LockError> {
        let Some(file) = &self.file else { return Ok(HeldLock::default()) };
        let failed = |why| LockError::File { file: file.clone(), why };
        make_private_folder(folder_of(file)).map_err(|error| failed(error.into()))?;
        let own = format!("another appcred (process {})", std::process::id());
        let somebody = "another appcred";
        let waits = |holder: Option<&str>| waits(holder.unwrap_or(somebody));
        match when_free(timeout, waits, || FileLock::file(file, &own)).await {
            Ok(lock) => Ok(lock.into()),
            Err(NotLocked::Held { holder }) => {
                let holder = holder.unwrap_or_else(|| somebody.to_owned());
                Err(LockError::Writing { holder, place: self.address.clone() })
            }
            Err(why) => Err(failed(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::WriteLock;

    #[tokio::test(start_paused = true)]
    async fn a_second_writer_waits_knows_for_whom_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("applying/home"));
        let (place, address) = ("http://localhost".to_owned(), "http://home".to_owned());
        let lock = WriteLock { file, place, address, fence: None };
        let second = Duration::from_secs(1);
        let first = lock.take(second, |_| panic!("nobody has it")).await.unwrap();
        let named = RefCell::new(Vec::new());
        let waits = |holder: &str| named.borrow_mut().push(holder.to_owned());
        let refused = lock.take(second, waits).await.unwrap_err().to_string();
        let holder = format!("another appcred (process {})", std::process::id());
        assert_eq!(*named.borrow(), [holder.as_str()]);
        assert!(refused.contains(&holder) && refused.contains("http://home"), "{refused}");
        let (second, ()) = tokio::join!(lock.take(second, waits), async { drop(first) });
        second.unwrap();
    }
}
