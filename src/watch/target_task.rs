//! One target, kept as it should be: what wakes a round, and what comes after it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use crate::model::{FlowStep, HandOverError, TargetName};
use crate::status::{Link, TargetStatus, unseen};
use crate::target::{Stop, Target};

use super::reconciler::TargetReconciler;
use super::schedule::Schedule;
use super::{HeldLock, Settings, SnapshotStore, StatusStore, TargetSpec};

/// What a target tells in a burst is looked at once.
const GATHERING: Duration = Duration::from_millis(200);
/// Nobody tells when a code was typed in at a provider.
const LOOKING_FOR_CODES: Duration = Duration::from_secs(5);

/// A provider's answer, to be handed on.
pub(super) struct CallbackDelivery {
    pub(super) query: String,
    pub(super) taken: oneshot::Sender<Result<(), HandOverError>>,
}

/// What a target's task has from the watcher.
pub(super) struct TargetTask {
    pub(super) name: TargetName,
    pub(super) settings: Settings,
    pub(super) statuses: StatusStore,
    pub(super) snapshots: Option<SnapshotStore>,
    pub(super) stop: Stop,
}

impl TargetTask {
    /// Goes round until the target is wanted no more or everything stops.
    pub(super) async fn tend(
        self,
        mut wanted: watch::Receiver<Arc<TargetSpec>>,
        soon: Arc<Notify>,
        mut callbacks: mpsc::Receiver<CallbackDelivery>,
    ) {
        let mut schedule = Schedule::default();
        let mut held: Option<HeldLock> = None;
        let mut reconciler = TargetReconciler::new(&self);
        loop {
            let now = Arc::clone(&wanted.borrow_and_update());
            let begun = Instant::now();
            let came_to = match take(&mut held, &now) {
                Ok(()) => reconciler.round(&now).await,
                Err(why) => Err(why),
            };
            let pause = match &came_to {
                Ok(()) => self.soon_enough(schedule.succeeded(self.settings.resync)),
                Err(_) => schedule.failed(fastrand::f64()),
            };
            self.note(&came_to, begun.elapsed(), pause);
            reconciler.conclude(&now, came_to.err(), pause).await;
            let pause = sleep(pause);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    changed = wanted.changed() => if changed.is_err() { return },
                    () = &mut pause => {}
                    () = reconciler.stirred() => sleep(GATHERING).await,
                    Some(callback) = callbacks.recv() => reconciler.run(callback).await,
                    () = soon.notified() => {
                        reconciler.look_ahead().await;
                        continue;
                    }
                    () = self.stop.cancelled() => return,
                }
                break;
            }
        }
    }

    fn soon_enough(&self, pause: Duration) -> Duration {
        let status = self.statuses.subscribe();
        let status = status.borrow();
        let has_code = |target: &TargetStatus| {
            target
                .entries
                .iter()
                .any(|entry| matches!(entry.waits_for(), Some(FlowStep::Progress(_))))
        };
        if status.targets.get(&self.name).is_some_and(has_code) {
            pause.min(LOOKING_FOR_CODES)
        } else {
            pause
        }
    }

    /// Writes down what a round came to.
    fn note(&self, came_to: &Result<(), String>, took: Duration, pause: Duration) {
        let now = self.statuses.now();
        self.statuses.target(&self.name, |target| {
            target.last_reconcile = Some(now);
            target.next_reconcile =
                SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok());
            target.totals.durations.add(took);
            target.error.clone_from(&came_to.as_ref().err().cloned());
            match came_to {
                Ok(()) => target.totals.succeeded += 1,
                Err(_) => target.totals.failed += 1,
            }
            if came_to.is_ok() && target.differences.is_empty() {
                target.last_success = Some(now);
            }
        });
    }
}

/// Keeps other watchers away, from the first round on.
fn take(held: &mut Option<HeldLock>, wanted: &TargetSpec) -> Result<(), String> {
    if held.is_none() {
        *held = Some(wanted.hold.take()?);
    }
    Ok(())
}

/// A target that is connected, and what it tells.
pub(super) struct Connected {
    pub(super) target: Target,
    pub(super) changes: Option<crate::target::home_assistant::Changes>,
    /// The way in that it was reached by.
    pub(super) door: u64,
}

impl Connected {
    /// Whether the target has told of a change since this was asked last.
    pub(super) fn changes_told(&mut self) -> bool {
        let mut has_told = false;
        while let Some(changes) = &mut self.changes
            && changes.next().now_or_never().is_some()
        {
            has_told = true;
        }
        has_told
    }

    /// Waits until the target tells of a change, or is gone.
    pub(super) async fn stirred(&mut self) {
        let changes = async {
            match &mut self.changes {
                Some(changes) => changes.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changes => {}
            () = self.target.ended() => {}
        }
    }
}

/// Nobody is connected.
pub(super) fn down(statuses: &StatusStore, name: &TargetName, wanted: &TargetSpec) {
    let since = statuses.now();
    statuses.target(name, |target| {
        target.entries = unseen(&wanted.desired, &target.entries);
        if !matches!(target.link, Link::Down { .. }) {
            target.link = Link::Down { since };
        }
    });
}
