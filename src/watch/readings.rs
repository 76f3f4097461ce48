//! Reading on another thread, and nothing by halves: what is put in force was watched, and still, while it
//! was read. It is read early: while a change waits for quiet its files are read already, and targets that
//! it concerns look at what they hold, so that nothing is left to wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::places::{self, Look};
use super::trigger::Trigger;
use super::{Reading, TargetSpec};
use crate::files::Stamp;
use crate::model::TargetName;

/// Changes that follow each other within this are one.
///
/// With the timer's tick, which is a millisecond, a quarter of a second.
const QUIET: Duration = Duration::from_millis(249);
/// So much of that is waited before files are read: a save is several events, closely together.
const BREATH: Duration = Duration::from_millis(40);
/// A change waits no longer than this for quiet.
const PATIENCE: Duration = Duration::from_secs(5);
/// Readings in a row for places that were not watched before: more of them is a place that changes
/// all the time, and the events will tell.
const MOST_READINGS: usize = 5;

/// What was read, and how those files stood then that are named by themselves: tokens, certificates,
/// identities and the like.
pub(super) struct Read {
    pub(super) reading: Reading,
    pub(super) files: Look,
    /// The folders in which a change of what was read shows.
    pub(super) folders: BTreeSet<PathBuf>,
}

/// Reads everything anew, never twice at once.
pub(super) struct Readings<R>(Arc<Mutex<R>>);

impl<R: FnMut() -> Reading + Send + 'static> Readings<R> {
    pub(super) fn new(read: R) -> Self {
        Self(Arc::new(Mutex::new(read)))
    }

    /// Reads; nothing where that has come to an end by a fault of ours. When nobody waits for it any
    /// more it goes on to its end.
    async fn read(&self) -> Option<Read> {
        let read = Arc::clone(&self.0);
        let work = tokio::task::spawn_blocking(move || {
            let reading = read.lock().ok()?();
            let files = reading.places.iter().filter(|place| place.is_file());
            let files = files.map(|file| (file.clone(), Stamp::of(file))).collect();
            let folders = places::folders(&reading.places);
            Some(Read { reading, files, folders })
        });
        work.await.ok().flatten()
    }

    /// Reads what is whole: all of its places were watched while it was read, and there has been quiet
    /// for a while. What may come to be wanted goes to `soon`, once or several times.
    pub(super) async fn settled(
        &self,
        trigger: &mut Trigger,
        soon: impl Fn(&BTreeMap<TargetName, TargetSpec>),
    ) -> Option<Read> {
        let mut attempts = 1;
        loop {
            let read = if trigger.watches_nothing() {
                self.read().await?
            } else {
                self.quiet(trigger, &soon).await?
            };
            let is_new = trigger.watch(&read.reading.places, &read.folders);
            if !is_new || attempts == MOST_READINGS {
                return Some(read);
            }
            attempts += 1;
        }
    }

    /// Reads, and waits until there has been quiet for a while since before that.
    async fn quiet(
        &self,
        trigger: &mut Trigger,
        soon: impl Fn(&BTreeMap<TargetName, TargetSpec>),
    ) -> Option<Read> {
        let latest = Instant::now() + PATIENCE;
        let mut breath = BREATH;
        loop {
            let stirred = Instant::now();
            trigger.about_to_read();
            if !trigger.is_still_until(stirred + breath).await && Instant::now() < latest {
                continue;
            }
            let read = self.read().await?;
            read.reading.wanted.iter().for_each(&soon);
            if trigger.is_still_until(stirred + QUIET).await {
                return Some(read);
            }
            if Instant::now() >= latest {
                // What has changed while it was read is read next.
                trigger.stir();
                return Some(read);
            }
            // What changes all the time is not read all the time.
            breath = QUIET;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::Readings;
    use crate::status::Manifests;
    use crate::watch::Reading;
    use crate::watch::places;
    use crate::watch::trigger::{Noticing, Trigger};

    /// A file changes, and once more when it is read for the first time.
    async fn check(noticing: Noticing) {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("credentials");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("a.yaml");
        fs::write(&file, "").unwrap();
        let places = BTreeSet::from([folder]);
        let mut trigger = Trigger::new(noticing);
        trigger.watch(&places, &places::folders(&places));
        trigger.about_to_read();
        fs::write(&file, "half").unwrap();

        let read = move || {
            let text = fs::read_to_string(&file).unwrap();
            if text == "half" {
                fs::write(&file, "half and half").unwrap();
            }
            let manifests = Manifests { entries: text.len(), ..Manifests::default() };
            Reading { wanted: Some(BTreeMap::new()), places: places.clone(), manifests }
        };
        let early = AtomicUsize::new(0);
        let soon = |_: &BTreeMap<_, _>| {
            early.fetch_add(1, Ordering::Relaxed);
        };
        let readings = Readings::new(read);
        trigger.stirred().await;
        let read = readings.settled(&mut trigger, soon).await.unwrap();
        assert_eq!(read.reading.manifests.entries, "half and half".len(), "{noticing:?}");
        assert!(early.into_inner() > 1, "{noticing:?}: both were told of early");
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
            let manifests = Manifests { entries: count, ..Manifests::default() };
            Reading { wanted: None, places: places.clone(), manifests }
        };
        let mut trigger = Trigger::new(Noticing::Events);
        let read = Readings::new(read).settled(&mut trigger, |_| {}).await.unwrap();
        assert_eq!(read.reading.manifests.entries, 2);
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_early_is_read_again() {
        check(Noticing::Events).await;
        check(Noticing::Polling(Duration::from_millis(10))).await;
    }
}
