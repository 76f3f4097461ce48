//! The snapshot of all targets, kept up as each of them is looked at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::model::{Observed, TargetName};
use crate::plan::{Plan, found_same};
use crate::target::Stop;
use crate::target::snapshot::{self, Seen};

use super::{Clock, TargetSpec};

pub(super) use crate::target::snapshot::Page;

/// What comes within this goes into one snapshot.
const GATHERING: Duration = Duration::from_millis(500);

/// What was found last at each target, without secrets.
#[derive(Clone, Default)]
pub struct SnapshotStore {
    pages: Arc<Mutex<BTreeMap<TargetName, Page>>>,
    changed: Arc<Notify>,
}

impl SnapshotStore {
    /// A target was looked at.
    pub(super) fn put(
        &self,
        name: &TargetName,
        wanted: &TargetSpec,
        observed: &Observed,
        plan: &Plan,
    ) {
        let seals = found_same(plan, &wanted.desired, observed, |key| (wanted.seals)(key));
        let page = Page::of(&Seen { name, observed, seals });
        self.lock().insert(name.clone(), page);
        self.changed.notify_one();
    }

    /// Leaves out the targets that are watched no more.
    pub(super) fn retain(&self, is_watched: impl Fn(&TargetName) -> bool) {
        self.lock().retain(|name, _| is_watched(name));
    }

    /// Binds all pages whenever one has come, and hands the text of the file out.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    pub async fn bind(
        self,
        clock: Clock,
        texts: watch::Sender<Option<Arc<str>>>,
        stop: Stop,
    ) -> serde_json::Result<()> {
        loop {
            tokio::select! {
                () = self.changed.notified() => sleep(GATHERING).await,
                () = stop.cancelled() => return Ok(()),
            }
            let text = snapshot::bind(clock(), self.lock().values())?;
            texts.send_replace(Some(text.into()));
        }
    }

    /// Nothing can panic while this is held, and if so the pages would still be whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TargetName, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
