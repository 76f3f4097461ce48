//! Where the watcher writes down how everything stands.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::model::TargetName;
use crate::status::{Manifests, Mode, Status, TargetStatus};

/// What the clock says.
pub type Clock = fn() -> Timestamp;

/// The status, for all who write it.
#[derive(Clone)]
pub struct StatusStore {
    status: Arc<watch::Sender<Arc<Status>>>,
    clock: Clock,
}

impl StatusStore {
    /// Nothing is known yet.
    pub fn new(clock: Clock) -> Self {
        let status =
            Status { since: clock(), manifests: Manifests::default(), targets: Default::default() };
        Self { status: Arc::new(watch::Sender::new(Arc::new(status))), clock }
    }

    /// For those who read it.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn edit(&self, edit: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| edit(Arc::make_mut(status)));
    }

    /// A target that is watched from now on.
    pub(super) fn begin(&self, name: &TargetName, address: &str, mode: Mode) {
        self.edit(|status| {
            let new = || TargetStatus::new(address.to_owned(), mode);
            let target = status.targets.entry(name.clone()).or_insert_with(new);
            target.mode = mode;
            if target.address != address {
                *target = TargetStatus::new(address.to_owned(), mode);
            }
        });
    }

    /// How one target stands; nothing where it is wanted no more.
    pub(super) fn target(&self, name: &TargetName, edit: impl FnOnce(&mut TargetStatus)) {
        self.edit(|status| {
            if let Some(target) = status.targets.get_mut(name) {
                edit(target);
            }
        });
    }
}
