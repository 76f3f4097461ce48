//! What files say: something below a place that matters has changed.
//!
//! Folders are watched, never files: an editor's save by rename, a ConfigMap's swap of symlinks and
//! a folder made anew all end the watch of a file. What has changed is not asked of the events; the
//! reader looks at everything again, so a missed or overflowing event does no harm beyond time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, Event, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Changes that follow each other within this are one.
const QUIET: Duration = Duration::from_millis(250);
/// A change waits no longer than this for quiet.
const PATIENCE: Duration = Duration::from_secs(5);

/// How to notice changes of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticing {
    /// By the operating system's events; by looking where there are none.
    Events,
    /// By looking at all files, so often.
    Polling(Duration),
}

/// How often to look where events cannot be had.
const POLLING: Duration = Duration::from_secs(2);

enum Watching {
    Events(RecommendedWatcher),
    Polling(PollWatcher),
}

/// Wakes whoever waits when a file may have changed.
pub(super) struct Trigger {
    watching: Watching,
    watched: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Trigger {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// Where neither events nor polling can be had.
    pub(super) fn new(noticing: Noticing) -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let watching = match noticing {
            Noticing::Events => match events(&changed) {
                Ok(watcher) => Watching::Events(watcher),
                Err(error) => {
                    tracing::warn!(%error, "no file events: looking every two seconds instead");
                    Watching::Polling(polling(&changed, POLLING)?)
                }
            },
            Noticing::Polling(interval) => Watching::Polling(polling(&changed, interval)?),
        };
        Ok(Self { watching, watched: BTreeSet::new(), changed })
    }

    /// Watches these places from now on, and those above that they would come back in.
    ///
    /// # Errors
    /// Where watching is impossible even by polling.
    pub(super) fn watch(&mut self, places: &BTreeSet<PathBuf>) -> notify::Result<()> {
        let wanted: BTreeSet<PathBuf> = places.iter().flat_map(|place| folders(place)).collect();
        if let Err(error) = self.follow(&wanted) {
            if matches!(self.watching, Watching::Polling(_)) {
                return Err(error);
            }
            tracing::warn!(%error, "file events ran out: looking every two seconds instead");
            self.watching = Watching::Polling(polling(&self.changed, POLLING)?);
            self.watched.clear();
            self.follow(&wanted)?;
        }
        Ok(())
    }

    fn follow(&mut self, wanted: &BTreeSet<PathBuf>) -> notify::Result<()> {
        let watcher: &mut dyn Watcher = match &mut self.watching {
            Watching::Events(watcher) => watcher,
            Watching::Polling(watcher) => watcher,
        };
        for gone in self.watched.difference(wanted) {
            // It may be gone from the disk, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        self.watched.retain(|folder| wanted.contains(folder));
        for folder in wanted {
            // Also those watched already: a folder made anew is another one under the same name.
            let _ = watcher.unwatch(folder);
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(folder.clone())),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for a change, and then until there has been quiet for a while.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
        let latest = Instant::now() + PATIENCE;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            if timeout_at(quiet, self.changed.notified()).await.is_err() {
                sleep_until(quiet).await;
                return;
            }
        }
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The folder itself, all folders below, and the one above it that exists.
fn folders(place: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut above = place.parent();
    while let Some(folder) = above {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if folder.is_dir() {
            found.insert(folder.to_owned());
            break;
        }
        above = folder.parent();
    }
    let mut below = vec![place.to_owned()];
    while let Some(folder) = below.pop() {
        if !folder.is_dir() || !found.insert(folder.clone()) {
            continue;
        }
        let Ok(entries) = folder.read_dir() else { continue };
        let is_hidden = |path: &Path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".git"))
        };
        below.extend(entries.flatten().map(|entry| entry.path()).filter(|path| !is_hidden(path)));
    }
    found
}

fn events(changed: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    RecommendedWatcher::new(handler(changed), Config::default())
}

fn polling(changed: &Arc<Notify>, interval: Duration) -> notify::Result<PollWatcher> {
    let config = Config::default().with_poll_interval(interval).with_compare_contents(true);
    PollWatcher::new(handler(changed), config)
}

/// Reading the files makes events too; a loop that woke by them would wake itself for ever.
fn handler(changed: &Arc<Notify>) -> impl Fn(notify::Result<Event>) + Send + 'static {
    let changed = Arc::clone(changed);
    move |event| {
        let is_ours = |event: &Event| matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
        if !event.as_ref().is_ok_and(is_ours) {
            changed.notify_one();
        }
    }
}
