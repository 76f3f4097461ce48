//! The snapshot of all targets, kept up as each of them is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::model::{Observed, Policy, Selection, TargetName};
use crate::plan::{self, Plan, found_same};
use crate::target::Stop;
use crate::target::snapshot::{self, SnapshotTarget};

use super::{Clock, TargetSpec};

/// What comes within this goes into one snapshot.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// What was found last at each target, without secrets.
#[derive(Clone, Default)]
pub struct SnapshotStore {
    targets: Arc<Mutex<FoundTargets>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct FoundTargets {
    /// The targets that are watched: a snapshot waits until each was looked at, or could not be reached.
    watched: BTreeSet<TargetName>,
    /// Those that cannot be reached.
    unreached: BTreeSet<TargetName>,
    found: BTreeMap<TargetName, SnapshotTarget>,
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
        // A snapshot is of the whole target, whatever is selected.
        let whole = || {
            let policy = Policy { selection: Selection::default(), ..spec.policy.clone() };
            plan::plan(&spec.desired, observed, &policy)
        };
        let whole = (!spec.policy.selection.is_whole()).then(whole);
        let plan = whole.as_ref().unwrap_or(plan);
        let sealed = |key: &_| spec.seals.get(key).cloned().unwrap_or_default();
        let seals = found_same(plan, &spec.desired, observed, sealed);
        let target = SnapshotTarget::of(name, observed, &seals);
        let mut targets = self.lock();
        // One that is no longer watched may be at the end of its last round.
        if targets.watched.contains(name) {
            targets.unreached.remove(name);
            targets.found.insert(name.clone(), target);
            self.changed.notify_one();
        }
    }

    /// A target cannot be reached.
    pub(super) fn unreachable(&self, name: &TargetName, now: Timestamp) {
        let mut targets = self.lock();
        if !targets.watched.contains(name) {
            return;
        }
        let is_new = targets.unreached.insert(name.clone());
        if targets.found.get_mut(name).map_or(is_new, |of| of.set_unreachable(now)) {
            self.changed.notify_one();
        }
    }

    /// These targets are watched from now on, and no others.
    pub(super) fn watch(&self, names: BTreeSet<TargetName>) {
        let mut targets = self.lock();
        if targets.watched != names {
            targets.found.retain(|name, _| names.contains(name));
            targets.unreached.retain(|name| names.contains(name));
            targets.watched = names;
            self.changed.notify_one();
        }
    }

    /// What was found at a target is not what is there by that name now.
    pub(super) fn forget(&self, name: &TargetName) {
        let mut targets = self.lock();
        targets.found.remove(name);
        targets.unreached.remove(name);
    }

    /// The file; none before every target was looked at or could not be reached.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    fn assemble(&self, clock: Clock) -> serde_json::Result<Option<String>> {
        let targets = self.lock();
        let is_known = |name| targets.found.contains_key(name) || targets.unreached.contains(name);
        if targets.found.is_empty() && !targets.watched.is_empty()
            || !targets.watched.iter().all(is_known)
        {
            return Ok(None);
        }
        snapshot::write(clock(), targets.found.values()).map(Some)
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

    /// Nothing can panic while this is held, and if so what it guards would still be whole.
    fn lock(&self) -> MutexGuard<'_, FoundTargets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
