//! Where the watcher records how everything is. That is done before it is logged: who reads a line of the log
//! finds the same in the status.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::diagnostic::Spot;
use crate::model::{Commit, Labels, TargetName};
use crate::plan::Step;
use crate::reconcile::Outcome;
use crate::status::{
    AccessFault, History, Link, ManifestStatus, Mode, RecordedStep, Revisions, Status,
    TargetStatus, unseen,
};

use super::TargetSpec;

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
        let status = Status {
            since: clock(),
            manifests: ManifestStatus::default(),
            source: None,
            rollout: None,
            targets: Default::default(),
            history: History::default(),
        };
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
    pub(super) fn begin(&self, name: &TargetName, address: &str, (mode, labels): (Mode, &Labels)) {
        self.edit(|status| {
            let new = || TargetStatus::new(address.to_owned(), mode);
            let target = status.targets.entry(name.clone()).or_insert_with(new);
            target.mode = mode;
            if target.address != address {
                *target = TargetStatus::new(address.to_owned(), mode);
            }
            target.labels.clone_from(labels);
        });
    }

    /// Changes the status of one target; of none where it is no longer wanted.
    pub(super) fn target(&self, name: &TargetName, edit: impl FnOnce(&mut TargetStatus)) {
        self.edit(|status| {
            if let Some(target) = status.targets.get_mut(name) {
                edit(target);
            }
        });
    }

    /// The commit of the manifests that were read last.
    pub(super) fn commit(&self) -> Option<Commit> {
        self.status.borrow().manifests.commit.clone()
    }

    /// The status of one target.
    pub(super) fn of(&self, name: &TargetName) -> Option<TargetStatus> {
        self.status.borrow().targets.get(name).cloned()
    }

    /// A target is not connected: nobody answers there, or it gives no access.
    pub(super) fn not_connected(
        &self,
        name: &TargetName,
        spec: &TargetSpec,
        fault: Option<AccessFault>,
    ) {
        let since = self.now();
        let link = match fault {
            Some(why) => Link::NoAccess { since, why },
            None => Link::Down { since },
        };
        self.target(name, |target| {
            target.entries = spec.dated(unseen(&spec.desired, &target.entries));
            // What is written elsewhere by now may be right.
            let is_written = |spot: &Spot| spec.domains.values().any(|written| written == spot);
            let problems = std::mem::take(&mut target.problems);
            target.problems = problems.only(|one| one.spot.as_ref().is_some_and(is_written));
            relink(target, link);
        });
    }

    /// Nothing is done at a target for now.
    pub(super) fn suspended(&self, name: &TargetName, spec: &TargetSpec) {
        self.target(name, |target| {
            let entries = spec.dated(unseen(&spec.desired, &target.entries));
            let totals = std::mem::take(&mut target.totals);
            let address = std::mem::take(&mut target.address);
            let link = Link::Suspended;
            let labels = spec.labels.clone();
            let new = TargetStatus::new(address, spec.mode);
            let revisions = spec.revisions.clone();
            *target = TargetStatus { link, labels, revisions, entries, totals, ..new };
        });
    }

    /// A target cannot be watched now, for this reason.
    pub(super) fn not_watched(&self, name: &TargetName, why: &str, next: Option<Duration>) {
        let since = self.now();
        self.target(name, |target| {
            relink(target, Link::Down { since });
            target.error = Some(why.to_owned());
            target.next_reconcile = after(since, next);
        });
    }

    /// A step has ended; `is_news` says whether it had not failed for the same reason before.
    pub(super) fn step_ended(
        &self,
        name: &TargetName,
        step: &Step,
        outcome: &Outcome,
        is_news: bool,
    ) {
        let (at, action) = (self.now(), step.action.code());
        self.edit(|status| {
            if let Some(target) = status.targets.get_mut(name) {
                target.totals.count(action, outcome.code());
            }
            if !is_news {
                return;
            }
            status.history.record(RecordedStep {
                at,
                target: name.clone(),
                action,
                what: step.action.summary(),
                reasons: step.reasons.clone(),
                outcome: outcome.code(),
                error: outcome.why().map(str::to_owned),
                commit: status.manifests.commit.clone(),
            });
        });
    }

    /// A round has ended.
    pub(super) fn round_ended(
        &self,
        name: &TargetName,
        revisions: &Revisions,
        result: Result<(), &str>,
        took: Duration,
        next: Option<Duration>,
    ) {
        let now = self.now();
        self.target(name, |target| {
            target.revisions.clone_from(revisions);
            target.last_reconcile = Some(now);
            target.next_reconcile = after(now, next);
            target.totals.durations.add(took);
            target.error = result.err().map(str::to_owned);
            match result {
                Ok(()) => target.totals.succeeded += 1,
                Err(_) => target.totals.failed += 1,
            }
            if result.is_ok() && target.differences.is_empty() {
                target.last_success = Some(now);
            }
        });
    }
}

/// A link that stays of its kind is so since it began.
fn relink(target: &mut TargetStatus, link: Link) {
    match (&mut target.link, link) {
        (Link::NoAccess { why, .. }, Link::NoAccess { why: now, .. }) => *why = now,
        (last, link) if discriminant(last) != discriminant(&link) => *last = link,
        _ => {}
    }
}

fn after(now: Timestamp, pause: Option<Duration>) -> Option<Timestamp> {
    now.checked_add(SignedDuration::try_from(pause?).ok()?).ok()
}
