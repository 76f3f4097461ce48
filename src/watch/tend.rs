//! One target, kept as it should be: what wakes a round, and what comes after it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use crate::model::{FlowStep, TargetName};
use crate::status::{Link, TargetStatus, unseen};
use crate::target::{Stop, Target};

use super::keeper::Keeper;
use super::schedule::Schedule;
use super::{Album, Board, Held, Settings, Wanted};

/// What a target tells in a burst is looked at once.
const GATHERING: Duration = Duration::from_millis(200);
/// Nobody tells when a code was typed in at a provider.
const LOOKING_FOR_CODES: Duration = Duration::from_secs(5);

/// A provider's answer, to be handed on.
pub(super) struct Errand {
    pub(super) query: String,
    pub(super) taken: oneshot::Sender<Result<(), String>>,
}

/// What a target's task has from the watcher.
pub(super) struct Tender {
    pub(super) name: TargetName,
    pub(super) settings: Settings,
    pub(super) board: Board,
    pub(super) album: Option<Album>,
    pub(super) stop: Stop,
}

impl Tender {
    /// Goes round until the target is wanted no more or everything stops.
    pub(super) async fn tend(
        self,
        mut wanted: watch::Receiver<Arc<Wanted>>,
        soon: Arc<Notify>,
        mut errands: mpsc::Receiver<Errand>,
    ) {
        let mut schedule = Schedule::default();
        let mut held: Option<Held> = None;
        let mut keeper = Keeper::new(&self);
        loop {
            let now = Arc::clone(&wanted.borrow_and_update());
            let begun = Instant::now();
            let came_to = match take(&mut held, &now) {
                Ok(()) => keeper.round(&now).await,
                Err(why) => Err(why),
            };
            let pause = match &came_to {
                Ok(()) => self.soon_enough(schedule.succeeded(self.settings.resync)),
                Err(_) => schedule.failed(fastrand::f64()),
            };
            self.note(&came_to, begun.elapsed(), pause);
            keeper.conclude(&now, came_to.err(), pause).await;
            let pause = sleep(pause);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    changed = wanted.changed() => if changed.is_err() { return },
                    () = &mut pause => {}
                    () = keeper.stirred() => sleep(GATHERING).await,
                    Some(errand) = errands.recv() => keeper.run(errand).await,
                    () = soon.notified() => {
                        keeper.look_ahead().await;
                        continue;
                    }
                    () = self.stop.cancelled() => return,
                }
                break;
            }
        }
    }

    fn soon_enough(&self, pause: Duration) -> Duration {
        let status = self.board.subscribe();
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
        let now = self.board.now();
        self.board.target(&self.name, |target| {
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
fn take(held: &mut Option<Held>, wanted: &Wanted) -> Result<(), String> {
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
pub(super) fn down(board: &Board, name: &TargetName, wanted: &Wanted) {
    let since = board.now();
    board.target(name, |target| {
        target.entries = unseen(&wanted.desired, &target.entries);
        if !matches!(target.link, Link::Down { .. }) {
            target.link = Link::Down { since };
        }
    });
}
