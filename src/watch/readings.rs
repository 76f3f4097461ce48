//! Reading on another thread. What is put in force was watched, and did not change, while it was read.
//! Files are read early: while a change is debounced they are read already, and the targets concerned
//! observe what they hold, so that nothing is left to wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::places;
use super::trigger::Trigger;
use super::{ReadSpecs, Reading, TargetSpec};
use crate::model::TargetName;

/// Changes that follow each other within this are one.
const QUIET: Duration = Duration::from_millis(250);
/// So much of that is waited before files are read: a save is several events, closely together.
const SETTLE: Duration = Duration::from_millis(40);
/// A manifest that is gone may come back: a mount, a checkout or an editor takes it away for a moment.
const GONE: Duration = Duration::from_secs(3);
/// A change waits no longer than this for quiet.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Readings in a row for places that were not watched before: more of them is a place that changes
/// all the time, and its events will wake us.
const MOST_READINGS: usize = 5;

/// What was read, and the folders in which a change of it shows.
pub(super) struct ReadResult {
    pub(super) reading: Reading,
    pub(super) folders: BTreeSet<PathBuf>,
}

/// The reader crashed: a fault of appcred.
#[derive(Debug)]
pub(super) struct ReaderCrashed;

/// Reads everything again, never twice at once.
pub(super) struct Readings<R> {
    reader: Arc<Mutex<R>>,
    /// What notifies of changes beside the places.
    changes: Option<Arc<Notify>>,
    /// How many manifests there were in the reading before.
    manifests: usize,
}

impl<R: ReadSpecs> Readings<R> {
    pub(super) fn new(reader: R) -> Self {
        let changes = reader.changes();
        Self { reader: Arc::new(Mutex::new(reader)), changes, manifests: 0 }
    }

    /// Waits until there may be something else to read that is in no place which is watched.
    pub(super) async fn changed(&self) {
        match &self.changes {
            Some(changes) => changes.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Reads. A reading that nobody waits for any more is finished all the same.
    async fn read(&self) -> Result<ReadResult, ReaderCrashed> {
        let reader = Arc::clone(&self.reader);
        let work = tokio::task::spawn_blocking(move || {
            let mut reader = reader.lock().unwrap_or_else(|poisoned| {
                let mut reader = poisoned.into_inner();
                reader.restart();
                reader
            });
            let reading = reader.read();
            let folders = places::folders(&reading.places);
            ReadResult { reading, folders }
        });
        let read = work.await.map_err(|_| ReaderCrashed);
        if read.is_ok() {
            self.reader.clear_poison();
        }
        read
    }

    /// Reads what is whole: all of its places were watched while it was read, and there has been quiet
    /// for a while. What may be wanted soon goes to `soon`, once or several times.
    pub(super) async fn read_whole(
        &mut self,
        trigger: &mut Trigger,
        soon: impl Fn(&BTreeMap<TargetName, TargetSpec>),
    ) -> Result<ReadResult, ReaderCrashed> {
        let mut attempts = 1;
        loop {
            let read = if trigger.watches_nothing() {
                self.read().await?
            } else {
                self.quiet(trigger, &soon).await?
            };
            let is_new = trigger.watch(&read.reading.places, &read.folders);
            if !is_new || attempts == MOST_READINGS {
                self.manifests = read.reading.manifests.files;
                return Ok(read);
            }
            attempts += 1;
        }
    }

    /// Reads, and waits until there has been quiet for a while since before that.
    async fn quiet(
        &self,
        trigger: &mut Trigger,
        soon: impl Fn(&BTreeMap<TargetName, TargetSpec>),
    ) -> Result<ReadResult, ReaderCrashed> {
        let latest = Instant::now() + LONGEST_WAIT;
        let mut settle = SETTLE;
        loop {
            let since = Instant::now();
            trigger.about_to_read().await;
            if !trigger.is_still_until(since + settle).await && Instant::now() < latest {
                continue;
            }
            let read = self.read().await?;
            read.reading.specs.iter().for_each(&soon);
            let is_gone = read.reading.manifests.files < self.manifests;
            let quiet = if is_gone { GONE } else { QUIET };
            if trigger.is_still_until(since + quiet).await {
                return Ok(read);
            }
            if Instant::now() >= latest {
                // What has changed while it was read is read next.
                trigger.wake();
                return Ok(read);
            }
            // What changes all the time is not read all the time.
            settle = QUIET;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{QUIET, Readings};
    use crate::model::Rollout;
    use crate::status::ManifestStatus;
    use crate::watch::places;
    use crate::watch::trigger::{ChangeDetection, Trigger};
    use crate::watch::{ReadSpecs, Reading};

    /// A reader that is a function.
    struct FnReader<F>(F);

    impl<F: FnMut() -> Reading + Send + 'static> ReadSpecs for FnReader<F> {
        fn read(&mut self) -> Reading {
            self.0()
        }

        fn restart(&mut self) {}
    }

    /// A file changes, and once more when it is read for the first time.
    async fn check(detection: ChangeDetection) {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("credentials");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("a.yaml");
        fs::write(&file, "").unwrap();
        let places = BTreeSet::from([folder]);
        let mut trigger = Trigger::new(detection);
        trigger.watch(&places, &places::folders(&places));
        trigger.about_to_read().await;
        fs::write(&file, "half").unwrap();

        let read = move || {
            let text = fs::read_to_string(&file).unwrap();
            if text == "half" {
                fs::write(&file, "half and half").unwrap();
            }
            let manifests = ManifestStatus { entries: text.len(), ..ManifestStatus::default() };
            Reading {
                specs: Some(BTreeMap::new()),
                rollout: Rollout::default(),
                places: places.clone(),
                manifests,
            }
        };
        let early = AtomicUsize::new(0);
        let soon = |_: &BTreeMap<_, _>| {
            early.fetch_add(1, Ordering::Relaxed);
        };
        let mut readings = Readings::new(FnReader(read));
        trigger.changed().await;
        let read = readings.read_whole(&mut trigger, soon).await.unwrap();
        assert_eq!(read.reading.manifests.entries, "half and half".len(), "{detection:?}");
        assert!(early.into_inner() > 1, "{detection:?}: both were seen early");
    }

    #[tokio::test]
    async fn what_was_read_before_it_was_watched_is_read_again() {
        // The folder above is watched too, and must be quiet.
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("credentials");
        fs::create_dir(&folder).unwrap();
        let places = BTreeSet::from([folder]);
        let mut count = 0;
        let read = move || {
            count += 1;
            let manifests = ManifestStatus { entries: count, ..ManifestStatus::default() };
            Reading { specs: None, rollout: Rollout::default(), places: places.clone(), manifests }
        };
        let mut trigger = Trigger::new(ChangeDetection::Events);
        let read = Readings::new(FnReader(read)).read_whole(&mut trigger, |_| {}).await.unwrap();
        assert_eq!(read.reading.manifests.entries, 2);
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_early_is_read_again() {
        check(ChangeDetection::Events).await;
        check(ChangeDetection::Polling(Duration::from_millis(10))).await;
    }
    /// The file comes back when the reading without it would have been put in force already.
    #[tokio::test]
    async fn a_manifest_that_is_gone_for_a_moment_is_waited_for() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("credentials");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("a.yaml");
        fs::write(&file, "").unwrap();
        let places = BTreeSet::from([folder.clone()]);
        let (seen, mut gone) = tokio::sync::mpsc::unbounded_channel();
        let read = move || {
            let files = fs::read_dir(&folder).unwrap().count();
            if files == 0 {
                seen.send(()).unwrap();
            }
            let manifests = ManifestStatus { files, ..ManifestStatus::default() };
            Reading {
                specs: Some(BTreeMap::new()),
                rollout: Rollout::default(),
                places: places.clone(),
                manifests,
            }
        };
        let mut trigger = Trigger::new(ChangeDetection::Events);
        let mut readings = Readings::new(FnReader(read));
        let first = readings.read_whole(&mut trigger, |_| {}).await.unwrap();
        assert_eq!(first.reading.manifests.files, 1);

        fs::remove_file(&file).unwrap();
        trigger.changed().await;
        let comes_back = async {
            gone.recv().await.unwrap();
            tokio::time::sleep(2 * QUIET).await;
            fs::write(&file, "").unwrap();
        };
        let (read, ()) = tokio::join!(readings.read_whole(&mut trigger, |_| {}), comes_back);
        assert_eq!(read.unwrap().reading.manifests.files, 1);
    }
}
