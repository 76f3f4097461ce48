//! Reading on another thread, and reading early: while a change waits for quiet its files are read
//! already, and targets that it concerns look at what they hold, so that nothing is left to wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::places::{self, Look};
use super::trigger::Trigger;
use super::{Reading, Wanted};
use crate::model::TargetName;
use crate::stamp::Stamp;

/// Changes that follow each other within this are one.
///
/// With the timer's tick, which is a millisecond, a quarter of a second.
const QUIET: Duration = Duration::from_millis(249);
/// So much of that is waited before files are read: a save is several events, closely together.
const BREATH: Duration = Duration::from_millis(40);
/// A change waits no longer than this for quiet.
const PATIENCE: Duration = Duration::from_secs(5);

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
    pub(super) async fn read(&self) -> Option<Read> {
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

    /// Waits for a change, and then until there has been quiet for a while; answers what was read
    /// meanwhile. What may come to be wanted goes to `soon`, once or several times.
    pub(super) async fn after_a_change(
        &self,
        trigger: &mut Trigger,
        soon: impl Fn(&BTreeMap<TargetName, Wanted>),
    ) -> Option<Read> {
        trigger.stirred().await;
        let latest = Instant::now() + PATIENCE;
        loop {
            let stirred = Instant::now();
            trigger.about_to_read();
            if !trigger.is_still_until(stirred + BREATH).await && Instant::now() < latest {
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
        }
    }
}
