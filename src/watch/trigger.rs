//! File events: something below a place that matters has changed.
//!
//! Folders are watched, never files: an editor's save by rename, a ConfigMap's swap of symlinks and
//! a folder made again all end the watch of a file. What has changed is not asked of the events; the
//! reader looks at everything again, so a missed or overflowing event does no harm beyond time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::places::{self, Look};
use crate::files::Stamp;
use crate::model::Visible;

/// How often to look where there are no events.
const LOOKING: Duration = Duration::from_secs(2);

/// How to notice changes of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeDetection {
    /// By the operating system's events; by looking where events are not complete.
    Events,
    /// By looking at all files, so often.
    Polling(Duration),
}

/// Wakes whoever waits when a file may have changed.
pub(super) struct Trigger {
    events: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, Stamp>,
    changed: Arc<Notify>,
    /// How often files are looked at beside the events.
    looking: Option<Duration>,
    places: BTreeSet<PathBuf>,
    /// Their stamps before they were read.
    seen: Look,
}

impl Trigger {
    /// Watches nothing yet.
    pub(super) fn new(detection: ChangeDetection) -> Self {
        let changed = Arc::new(Notify::new());
        let (events, looking) = match detection {
            ChangeDetection::Polling(interval) => (None, Some(interval)),
            ChangeDetection::Events => {
                match RecommendedWatcher::new(handler(&changed), Config::default()) {
                    Ok(watcher) => (Some(watcher), None),
                    Err(error) => {
                        tracing::warn!(%error, "no file events: looking every {} s", LOOKING.as_secs());
                        (None, Some(LOOKING))
                    }
                }
            }
        };
        let (watched, places, seen) = (BTreeMap::new(), BTreeSet::new(), Look::new());
        Self { events, watched, changed, looking, places, seen }
    }

    /// Whether it is not known yet what matters.
    pub(super) fn watches_nothing(&self) -> bool {
        self.places.is_empty()
    }

    /// To be called before the places are read.
    pub(super) async fn about_to_read(&mut self) {
        self.seen = self.look().await;
    }

    /// Watches the places that were read, by their folders, from now on. Answers whether some were not
    /// watched while they were read, so that a change may have been missed.
    pub(super) fn watch(&mut self, read: &BTreeSet<PathBuf>, folders: &BTreeSet<PathBuf>) -> bool {
        if self.events.is_some()
            && self.looking.is_none()
            && let Some(remote) = folders.iter().find(|folder| places::is_remote(folder))
        {
            let folder = remote.visible();
            tracing::info!(%folder, "on a network file system: looking every {} s as well", LOOKING.as_secs());
            self.looking = Some(LOOKING);
        }
        let mut is_new = self.places != *read;
        self.places.clone_from(read);
        if let Err(error) = self.follow(folders, &mut is_new) {
            tracing::warn!(%error, "file events ran out: looking every {} s instead", LOOKING.as_secs());
            self.looking.get_or_insert(LOOKING);
            self.events = None;
            self.watched.clear();
            is_new = true;
        }
        is_new
    }

    fn follow(&mut self, folders: &BTreeSet<PathBuf>, is_new: &mut bool) -> notify::Result<()> {
        let Some(events) = &mut self.events else { return Ok(()) };
        self.watched.retain(|folder, _| {
            let is_wanted = folders.contains(folder);
            if !is_wanted {
                // It may be gone from the disk, and its watch with it.
                drop(events.unwatch(folder));
            }
            is_wanted
        });
        for folder in folders {
            let Some(stamp) = Stamp::of(folder) else { continue };
            // A folder that was made again is another one under the same name.
            if let Some(watched) = self.watched.get(folder) {
                if watched.identity() == stamp.identity() {
                    continue;
                }
                drop(events.unwatch(folder));
            }
            match events.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.clone(), stamp);
                    *is_new = true;
                }
                Err(error) if is_gone(&error) => drop(self.watched.remove(folder)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for the first event that may be a change.
    pub(super) async fn changed(&self) {
        loop {
            let pause = async {
                match self.looking {
                    Some(interval) => sleep(interval).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => return,
                () = pause => if self.look().await != self.seen { return },
            }
        }
    }

    /// Waits until then; answers whether nothing has changed since the places were about to be read.
    /// At the first change it waits no longer.
    pub(super) async fn is_still_until(&self, then: Instant) -> bool {
        timeout_at(then, self.changed.notified()).await.is_err() && self.look().await == self.seen
    }

    /// Has the next wait for a change end at once.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// The stamps of the files, where they are looked at: on another thread, since a network file system
    /// may hang.
    async fn look(&self) -> Look {
        if self.looking.is_none() {
            return Look::new();
        }
        let places = self.places.clone();
        let look = spawn_blocking(move || places::look(&places)).await;
        // A look that crashed saw nothing, so that everything is read again.
        look.unwrap_or_default()
    }
}

/// Why events do not report all changes of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWatched {
    /// This folder is on a network file system.
    Remote(PathBuf),
    /// The operating system refuses.
    Refused(String),
}

/// Watches these places as a watcher does, and ends that at once. Answers how many folders that took.
///
/// # Errors
/// Where events would not report all changes.
pub fn try_to_watch(places: &BTreeSet<PathBuf>) -> Result<usize, NotWatched> {
    let folders = places::folders(places);
    if let Some(remote) = folders.iter().find(|folder| places::is_remote(folder)) {
        return Err(NotWatched::Remote(remote.clone()));
    }
    let refused = |error: notify::Error| NotWatched::Refused(error.to_string());
    let mut events = notify::recommended_watcher(|_| {}).map_err(refused)?;
    for folder in &folders {
        match events.watch(folder, RecursiveMode::NonRecursive) {
            Err(error) if !is_gone(&error) => return Err(refused(error)),
            _ => {}
        }
    }
    Ok(folders.len())
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Reading the files makes events too; a loop that woke by them would wake itself for ever.
fn handler(changed: &Arc<Notify>) -> impl Fn(notify::Result<Event>) + Send + 'static {
    let changed = Arc::clone(changed);
    move |event| {
        let is_read = |event: &Event| matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
        if !event.as_ref().is_ok_and(is_read) {
            changed.notify_one();
        }
    }
}
