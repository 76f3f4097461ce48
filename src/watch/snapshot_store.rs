//! The snapshot of all targets, kept up as each of them is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::model::{Observed, TargetName};
use crate::plan::{Plan, found_same};
use crate::target::Stop;
use crate::target::snapshot::{self, Page, Seen};

use super::{Clock, TargetSpec};

/// What comes within this goes into one snapshot.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// What was found last at each target, without secrets.
#[derive(Clone, Default)]
pub struct SnapshotStore {
    pages: Arc<Mutex<Pages>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Pages {
    /// The targets that are watched; only with all of them is a snapshot whole.
    watched: BTreeSet<TargetName>,
    found: BTreeMap<TargetName, Page>,
}

impl SnapshotStore {
    /// A target was looked at.
    pub(super) fn put(
        &self,
        name: &TargetName,
        spec: &TargetSpec,
        observed: &Observed,
        plan: &Plan,
    ) {
        let sealed = |key: &_| spec.seals.get(key).cloned().unwrap_or_default();
        let seals = found_same(plan, &spec.desired, observed, sealed);
        let page = Page::of(&Seen { name, observed, seals });
        let mut pages = self.lock();
        // One that is watched no more may be at the end of its last round.
        if pages.watched.contains(name) {
            pages.found.insert(name.clone(), page);
            self.changed.notify_one();
        }
    }

    /// These targets are watched from now on, and no others.
    pub(super) fn watch(&self, names: BTreeSet<TargetName>) {
        let mut pages = self.lock();
        if pages.watched != names {
            pages.found.retain(|name, _| names.contains(name));
            pages.watched = names;
            self.changed.notify_one();
        }
    }

    /// What was found at a target is not what is there by that name now.
    pub(super) fn forget(&self, name: &TargetName) {
        self.lock().found.remove(name);
    }

    /// The file; none before every target was looked at.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    fn assemble(&self, clock: Clock) -> serde_json::Result<Option<String>> {
        let pages = self.lock();
        if pages.found.len() < pages.watched.len() {
            return Ok(None);
        }
        snapshot::bind(clock(), pages.found.values()).map(Some)
    }

    /// Assembles the snapshot whenever a target was looked at, and publishes the text of the file.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    pub async fn publish(
        self,
        clock: Clock,
        texts: watch::Sender<Option<Arc<str>>>,
        stop: Stop,
    ) -> serde_json::Result<()> {
        loop {
            tokio::select! {
                () = self.changed.notified() => sleep(DEBOUNCE).await,
                () = stop.cancelled() => return Ok(()),
            }
            if let Some(text) = self.assemble(clock)? {
                texts.send_replace(Some(text.into()));
            }
        }
    }

    /// Nothing can panic while this is held, and if so the pages would still be whole.
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
