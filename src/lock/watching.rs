//! One watcher for each target: a file that is locked as long as its target is watched.

use std::path::PathBuf;
use std::time::Duration;

use super::{HeldLock, LockError};
use crate::files::{FileLock, NotLocked, folder_of, make_private_folder, when_free};

/// Locked while a lock is taken.
const TURN: &str = "turn";
/// Taking a lock is a matter of microseconds.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// What keeps other watchers away from a target. Nothing is locked before [`TargetLock::take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetLock {
    /// The file to lock; none where nothing is to be locked.
    pub file: Option<PathBuf>,
    /// How other watchers name this one.
    pub holder: String,
}

impl TargetLock {
    /// Takes the target.
    ///
    /// # Errors
    /// Where another watcher has it; where the file cannot be locked.
    pub async fn take(&self) -> Result<HeldLock, LockError> {
        let Some(path) = &self.file else { return Ok(HeldLock::default()) };
        let failed = |why| LockError::File { file: path.clone(), why };
        let folder = folder_of(path);
        make_private_folder(folder).map_err(|error| failed(error.into()))?;
        // One watcher at a time, so that a lock that is found taken has its holder's name already.
        let turn = folder.join(TURN);
        let turn = || FileLock::file(&turn, &self.holder);
        let _turn = when_free(TURN_TIMEOUT, |_| (), turn).await.map_err(failed)?;
        match FileLock::file(path, &self.holder) {
            Ok(lock) => Ok(lock.into()),
            Err(NotLocked::Held { holder: Some(holder) }) => Err(LockError::Held { holder }),
            Err(why) => Err(failed(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Barrier;
    use std::thread;

    use tokio::runtime::Builder;

    use super::{HeldLock, LockError, TargetLock};

    fn take(folder: &Path, holder: &str) -> Result<HeldLock, LockError> {
        let file = Some(folder.join("locks/home"));
        let lock = TargetLock { file, holder: holder.to_owned() };
        Builder::new_current_thread().enable_time().build().unwrap().block_on(lock.take())
    }

    #[test]
    fn a_second_watcher_learns_the_name_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path(), "process 1").unwrap();
        let refused = take(folder.path(), "process 2").unwrap_err().to_string();
        assert!(refused.contains("process 1"), "{refused}");
        drop(first);
        let second = take(folder.path(), "process 2").unwrap();
        let refused = take(folder.path(), "process 3").unwrap_err().to_string();
        assert!(refused.contains("process 2"), "{refused}");
        drop(second);
    }

    #[test]
    fn of_many_that_start_at_the_same_moment_one_gets_it_and_the_others_learn_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let starters = 8;
            let barrier = Barrier::new(starters);
            let start = |name: usize| {
                barrier.wait();
                let name = format!("process {round}-{name}");
                let result = take(folder.path(), &name);
                // Held until all have tried.
                barrier.wait();
                result.map(|_| name)
            };
            let results: Vec<_> = thread::scope(|scope| {
                let start = &start;
                let threads: Vec<_> =
                    (0..starters).map(|name| scope.spawn(move || start(name))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let winners: Vec<_> =
                results.iter().filter_map(|result| result.as_ref().ok()).collect();
            let [winner] = winners.as_slice() else { panic!("{results:?}") };
            for refused in results.iter().filter_map(|result| result.as_ref().err()) {
                assert!(refused.to_string().contains(*winner), "{refused}, but it is {winner}");
            }
        }
    }
}
