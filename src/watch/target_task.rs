//! One target, kept as it should be: what wakes a round, and how long to wait after it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::callback::Delivery;
use crate::model::{FlowStep, TargetName, TargetProgress};
use crate::status::TargetStatus;
use crate::target::Stop;

use super::connection::{Connect, TargetEvent};
use super::error::{ErrorKind, RoundError};
use super::left::until_window;
use super::place_turns::PlaceTurns;
use super::reconciler::TargetReconciler;
use super::retry::{Pause, Schedule};
use super::round_limit::RoundLimit;
use super::run_ids::RunIds;
use super::waves::Waves;
use super::{SnapshotStore, StatusStore, TargetSpec, WatchSettings};

/// Events that come within this are one.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// No event says that a code was typed in at a provider.
const CODE_POLL: Duration = Duration::from_secs(5);

/// A task that ran for so long before it crashed is started again at once.
const STABLE_RUN: Duration = Duration::from_secs(600);

/// What a target's task has from the watcher.
pub(super) struct TargetTask<C> {
    pub(super) name: TargetName,
    pub(super) connector: Arc<C>,
    pub(super) settings: WatchSettings,
    pub(super) statuses: StatusStore,
    pub(super) snapshots: Option<SnapshotStore>,
    pub(super) waves: Waves,
    pub(super) run_ids: RunIds,
    pub(super) limit: RoundLimit,
    pub(super) places: PlaceTurns,
    pub(super) stop: Stop,
}

/// What reaches a target's task while it runs.
pub(super) struct Inbox {
    pub(super) specs: watch::Receiver<Arc<TargetSpec>>,
    /// The spec may change very soon.
    pub(super) soon: Arc<Notify>,
    pub(super) callbacks: mpsc::Receiver<Delivery>,
}

/// Why a task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Round,
    End,
}

impl<C: Connect> TargetTask<C> {
    /// Runs until the target is no longer wanted or everything stops. A crash is reported, and the task
    /// starts again without its earlier state.
    pub(super) async fn supervise(self, mut inbox: Inbox) {
        let mut schedule = Schedule::default();
        loop {
            let begun = Instant::now();
            // Nothing of what the crash may have left in between is used again.
            if AssertUnwindSafe(self.run(&mut inbox)).catch_unwind().await.is_ok() {
                return;
            }
            if begun.elapsed() >= STABLE_RUN {
                schedule = Schedule::default();
            }
            let error = RoundError::Crashed;
            self.waves.crashed(&self.name);
            self.run_ids.set(&self.name, None);
            let pause = schedule.failed(ErrorKind::Internal, Instant::now(), fastrand::f64());
            let revisions = inbox.specs.borrow().revisions.clone();
            // What is known is of a round before, and not of these revisions.
            self.statuses.not_watched(&self.name, &error.to_string(), pause.next);
            self.statuses.round_ended(
                &self.name,
                &revisions,
                Err(&error.to_string()),
                Duration::ZERO,
                pause.next,
            );
            tracing::error!(target = %self.name, "{error}");
            let pause = sleep(pause.next.unwrap_or_default());
            tokio::select! {
                () = pause => {}
                changed = inbox.specs.changed() => if changed.is_err() { return },
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn run(&self, inbox: &mut Inbox) {
        let mut last: Option<Arc<TargetSpec>> = None;
        let mut schedule = Schedule::default();
        let mut reconciler = TargetReconciler::new(self);
        loop {
            let spec = Arc::clone(&inbox.specs.borrow_and_update());
            if last.replace(Arc::clone(&spec)).is_some_and(|last| !last.is_same_target(&spec)) {
                reconciler = reconciler.for_another_target(self);
                schedule = Schedule::default();
            }
            let begun = Instant::now();
            // On the heap, as is all that is not done at rest: each target keeps the size of its task.
            let result = Box::pin(reconciler.round(&spec)).await;
            // What a stop leaves undone is no failure.
            if result.is_err() && self.stop.is_cancelled() {
                return;
            }
            let pause = match &result {
                Ok(()) => {
                    let pause = schedule.succeeded(self.settings.resync, fastrand::f64());
                    let pause = self.sooner_for_codes(pause);
                    self.sooner_for_windows(&spec, pause)
                }
                Err(error) => schedule.failed(error.kind(), Instant::now(), fastrand::f64()),
            };
            let why = result.as_ref().err().map(ToString::to_string);
            let reported = why.as_deref().map_or(Ok(()), Err);
            let (revisions, took) = (&spec.revisions, begun.elapsed());
            self.statuses.round_ended(&self.name, revisions, reported, took, pause.next);
            if let Err(error) = &result {
                reconciler.log.failed(error, pause.next);
            }
            let progress = self.progress(result.as_ref().err());
            let has_changed = reconciler.has_changed_since(begun);
            self.waves.ended(&self.name, &spec, progress, has_changed);
            Box::pin(reconciler.notify(&spec, result.as_ref().err())).await;
            if self.wait(inbox, &mut reconciler, &mut schedule, pause).await == Next::End {
                return;
            }
        }
    }

    /// Waits for what comes first: the pause is over, the spec has changed, or the target reports an
    /// event.
    async fn wait(
        &self,
        inbox: &mut Inbox,
        reconciler: &mut TargetReconciler<C>,
        schedule: &mut Schedule,
        pause: Pause,
    ) -> Next {
        let since = Instant::now();
        let mut due = pause.next.map(|pause| since + pause);
        let mut has_event = false;
        let is_held_back = reconciler.wave.is_held_back();
        let is_same = self.run_ids.is_same(&self.name);
        loop {
            tokio::select! {
                changed = inbox.specs.changed() => {
                    return if changed.is_ok() { Next::Round } else { Next::End };
                }
                () = until(due) => return Next::Round,
                event = reconciler.next_event() => match event {
                    TargetEvent::Changed if has_event => {}
                    TargetEvent::Changed => {
                        has_event = true;
                        let earliest = since.checked_add(pause.deaf);
                        let heard = earliest.map(|earliest| earliest.max(Instant::now() + DEBOUNCE));
                        due = [due, heard].into_iter().flatten().min();
                    }
                    TargetEvent::Disconnected => {
                        let pause = self.disconnected(reconciler, schedule);
                        due = pause.next.map(|pause| Instant::now() + pause);
                    }
                },
                Some(callback) = inbox.callbacks.recv() => {
                    Box::pin(reconciler.hand_over(callback)).await;
                    return Next::Round;
                }
                () = self.waves.turn(&self.name), if is_held_back => return Next::Round,
                () = self.run_ids.differs(&self.name), if is_same => return Next::Round,
                () = inbox.soon.notified() => Box::pin(reconciler.look_ahead()).await,
                () = self.stop.cancelled() => return Next::End,
            }
        }
    }

    /// How far the target is in a rollout after a round that ended so.
    fn progress(&self, error: Option<&RoundError>) -> TargetProgress {
        if error.is_some_and(RoundError::is_outage) {
            return TargetProgress::Unreachable;
        }
        self.statuses.of(&self.name).map_or(TargetProgress::Unknown, |target| target.progress())
    }

    /// The target closed the connection. Where it does so again and again, each soon after the
    /// connection was made, that is reported.
    fn disconnected(&self, reconciler: &mut TargetReconciler<C>, schedule: &mut Schedule) -> Pause {
        let lived = reconciler.disconnect();
        let (pause, drops) = schedule.disconnected(lived, fastrand::f64());
        if drops > 1 {
            let error = RoundError::Disconnected(drops);
            self.statuses.not_watched(&self.name, &error.to_string(), pause.next);
            reconciler.log.failed(&error, pause.next);
        }
        pause
    }

    /// What waits for a window is done when that begins.
    fn sooner_for_windows(&self, spec: &TargetSpec, pause: Pause) -> Pause {
        let wait = until_window(spec, self.statuses.now());
        let next = [pause.next, wait].into_iter().flatten().min();
        Pause { next, ..pause }
    }

    fn sooner_for_codes(&self, pause: Pause) -> Pause {
        let waits_for_code = |target: &TargetStatus| {
            let mut set_ups = target.entries.iter().flat_map(|entry| &entry.set_ups);
            set_ups.any(|set_up| matches!(set_up.waits_for.as_deref(), Some(FlowStep::Progress(_))))
        };
        if self.statuses.of(&self.name).is_some_and(|target| waits_for_code(&target)) {
            Pause { next: pause.next.map(|next| next.min(CODE_POLL)), ..pause }
        } else {
            pause
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
