//! One watcher for each target: a file that is locked as long as its target is watched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use super::{HeldLock, LockError};
use crate::files::{FileLock, NotLocked, folder_of, make_private_folder, when_free};
use crate::model::{Owner, hex};
use crate::target::Endpoint;

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
    /// The file that is locked as long as an owner's credentials at a target are watched.
    pub fn file(owner: &Owner, endpoint: &Endpoint, state_folder: &Path) -> PathBuf {
        let digest = Sha256::digest(format!("{owner}\0{}", endpoint.place()));
        state_folder.join("watching").join(format!("{}.lock", hex(&digest[..16])))
    }

    /// Takes the target.
    ///
    /// # Errors
    /// Where another watcher has it; where the file cannot be locked.
    pub async fn take(&self) -> Result<HeldLock, LockError> {
        let Some(path) = &self.file else { return Ok(HeldLock::default()) };
        let failed = |why| LockError::File { file: path.clone(), why };
        make_private_folder(folder_of(path)).map_err(|error| failed(error.into()))?;
        let _turn = self.turn(path).await.map_err(failed)?;
        match FileLock::file(path, &self.holder) {
            Ok(lock) => Ok(lock.into()),
            Err(NotLocked::Held { holder: Some(holder) }) => Err(LockError::Held { holder }),
            Err(why) => Err(failed(why)),
        }
    }

    /// The watcher that has the target; none where nobody has.
    ///
    /// # Errors
    /// Where that cannot be seen.
    pub async fn watcher(&self) -> Result<Option<String>, LockError> {
        let Some(path) = self.file.as_ref().filter(|path| path.exists()) else { return Ok(None) };
        let failed = |why| LockError::File { file: path.clone(), why };
        let _turn = self.turn(path).await.map_err(failed)?;
        FileLock::holder(path).map_err(|why| failed(why.into()))
    }

    /// One at a time, so that a lock that is found taken has its holder's name already. The tasks of one process, which may
    /// be thousands, wait for each other without a limit.
    async fn turn(&self, path: &Path) -> Result<(MutexGuard<'static, ()>, FileLock), NotLocked> {
        static OF_PROCESS: Mutex<()> = Mutex::const_new(());
        let of_process = OF_PROCESS.lock().await;
        let turn = folder_of(path).join(TURN);
        let lock = when_free(TURN_TIMEOUT, |_| (), || FileLock::file(&turn, &self.holder)).await?;
        Ok((of_process, lock))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Barrier;
    use std::thread;

    use tokio::runtime::Builder;

    use super::{HeldLock, LockError, TargetLock};

    fn lock(folder: &Path, holder: &str) -> TargetLock {
        TargetLock { file: Some(folder.join("locks/home")), holder: holder.to_owned() }
    }

    fn run<T>(task: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(task)
    }

    fn take(folder: &Path, holder: &str) -> Result<HeldLock, LockError> {
        run(lock(folder, holder).take())
    }

    fn watcher(folder: &Path) -> Option<String> {
        run(lock(folder, "who looks").watcher()).unwrap()
    }

    #[test]
    fn a_second_watcher_learns_the_name_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(watcher(folder.path()), None);
        let first = take(folder.path(), "process 1").unwrap();
        assert_eq!(watcher(folder.path()).as_deref(), Some("process 1"));
        let refused = take(folder.path(), "process 2").unwrap_err().to_string();
        assert!(refused.contains("process 1"), "{refused}");
        drop(first);
        let second = take(folder.path(), "process 2").unwrap();
        let refused = take(folder.path(), "process 3").unwrap_err().to_string();
        assert!(refused.contains("process 2"), "{refused}");
        drop(second);
        assert_eq!(watcher(folder.path()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_tasks_of_one_process_wait_for_each_other_as_long_as_they_need() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path(), "process 1");
        drop(held.take().await.unwrap());
        let turn = held.turn(held.file.as_deref().unwrap()).await.unwrap();
        let (taken, ()) = tokio::join!(held.take(), async {
            tokio::time::sleep(super::TURN_TIMEOUT * 10).await;
            drop(turn);
        });
        taken.unwrap();
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
