//! One round at one target: observe, plan, apply, set up, and record how it is.

mod observe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::callback::Delivery;
use crate::lock::HeldLock;
use crate::model::{Observed, TargetName};
use crate::plan::{Plan, Step, StepId, plan};
use crate::reconcile::{CarriedOut, Outcome, PlanTarget as _, StepOutcome, Verdicts, carry_out};
use crate::status::{self, Mode};
use crate::target::Stop;

use super::conflict::RepeatedSteps;
use super::connection::{Connect, LiveConnection, TargetEvent, WatchedTarget, hand_over};
use super::drift::{Drift, LastSeen};
use super::error::RoundError;
use super::left::left_steps;
use super::notices::Notifier;
use super::place_turns::PlaceTurns;
use super::round_limit::RoundLimit;
use super::round_log::RoundLog;
use super::run_ids::RunIds;
use super::set_ups::{SetUps, begins};
use super::target_task::TargetTask;
use super::waves::TargetWave;
use super::{SnapshotStore, StatusStore, TargetSpec};

/// HA writes down what it has acknowledged ten seconds later; before that, a crash takes it back.
const UNWRITTEN: Duration = Duration::from_secs(15);
/// How long a round waits for another run that changes the target; meanwhile nothing else is heard.
const WRITER_TIMEOUT: Duration = Duration::from_secs(10);
/// Rounds in a row that change something; what is left then waits for the next event.
const MOST_ATTEMPTS: usize = 3;

/// How an attempt ended.
enum AttemptEnd {
    /// Nothing more is to be done now.
    Settled,
    /// Something was changed, so there may be more to do.
    Changed,
    /// Something is to be done, and it is not known yet whether another target is the same.
    Early,
}

/// What is known of one target between rounds.
pub(super) struct TargetReconciler<C: Connect> {
    name: TargetName,
    connector: Arc<C>,
    statuses: StatusStore,
    snapshots: Option<SnapshotStore>,
    pub(super) wave: TargetWave,
    run_ids: RunIds,
    limit: RoundLimit,
    places: PlaceTurns,
    stop: Stop,
    lock: Option<HeldLock>,
    connection: Option<LiveConnection<C::Target>>,
    /// What the target was just found to hold, and since when that was asked.
    ahead: Option<(Instant, Observed)>,
    seen: LastSeen,
    drift: Drift,
    /// Whether something was changed since it was looked at.
    is_outdated: bool,
    /// When something was changed last.
    changed: Option<Instant>,
    repeated: RepeatedSteps,
    /// What providers have said of new secrets.
    verdicts: Verdicts,
    set_ups: SetUps,
    pub(super) log: RoundLog,
    notifier: Notifier,
}

impl<C: Connect> TargetReconciler<C> {
    pub(super) fn new(task: &TargetTask<C>) -> Self {
        Self {
            name: task.name.clone(),
            connector: Arc::clone(&task.connector),
            statuses: task.statuses.clone(),
            snapshots: task.snapshots.clone(),
            wave: TargetWave::new(task.name.clone(), task.waves.clone()),
            run_ids: task.run_ids.clone(),
            limit: task.limit.clone(),
            places: task.places.clone(),
            stop: task.stop.clone(),
            lock: None,
            connection: None,
            ahead: None,
            seen: LastSeen::default(),
            drift: Drift::default(),
            is_outdated: false,
            changed: None,
            repeated: RepeatedSteps::default(),
            verdicts: Verdicts::default(),
            set_ups: SetUps::default(),
            log: RoundLog::new(task.name.clone()),
            notifier: Notifier::new(task.name.clone(), task.stop.clone()),
        }
    }

    /// For another target of the same name. Its lock and connection are given up; whoever was notified
    /// of an error is notified of its end.
    #[must_use]
    pub(super) fn for_another_target(self, task: &TargetTask<C>) -> Self {
        let Self { mut notifier, .. } = self;
        notifier.disconnected();
        Self { notifier, ..Self::new(task) }
    }

    /// Waits for an event of the target; for ever where none is connected.
    pub(super) async fn next_event(&mut self) -> TargetEvent {
        match &mut self.connection {
            Some(connection) => connection.target.next_event().await,
            None => std::future::pending().await,
        }
    }

    /// Gives up a connection that has ended; answers how long it lived.
    pub(super) fn disconnect(&mut self) -> Duration {
        self.forget_what_a_crash_took_back();
        self.notifier.disconnected();
        self.connection.take().map_or(Duration::ZERO, |connection| connection.since.elapsed())
    }

    pub(super) async fn hand_over(&self, answer: Delivery) {
        hand_over(self.connection.as_ref(), answer).await;
    }

    /// Makes the target hold what is wanted, as far as that is allowed, while no other run changes it.
    pub(super) async fn round(&mut self, spec: &Arc<TargetSpec>) -> Result<(), RoundError> {
        if self.lock.is_none() {
            let taken = self.stop.run_until_cancelled(spec.lock.take()).await;
            self.lock = Some(taken.ok_or(RoundError::Stopped)??);
        }
        let placed = self.stop.run_until_cancelled(self.places.take(spec.place())).await;
        let _placed = placed.ok_or(RoundError::Stopped)?;
        let writing = async {
            if spec.mode == Mode::Report {
                return Ok(HeldLock::default());
            }
            let waits = |holder: &str| self.log.waits_for_writer(holder, &spec.writing.address);
            spec.writing.take(WRITER_TIMEOUT, waits).await
        };
        let taken = self.stop.run_until_cancelled(writing).await;
        let _writing = taken.ok_or(RoundError::Stopped)??;
        if self.seen.want(spec) {
            self.repeated = RepeatedSteps::default();
        }
        let result = self.attempts(spec).await;
        // What was done beside a failure, or by the last attempt, shows with the result.
        if self.is_outdated {
            let limit = self.limit.clone();
            limit.run(async { Box::pin(self.look_again(spec)).await }).await;
        }
        result
    }

    /// Goes on until nothing more is to be done now.
    async fn attempts(&mut self, spec: &Arc<TargetSpec>) -> Result<(), RoundError> {
        let (mut attempts, mut has_waited) = (0, false);
        while attempts < MOST_ATTEMPTS {
            let limit = self.limit.clone();
            // On the heap only once there is a place for it: it is the most that a round needs.
            let attempt = async { Box::pin(self.attempt(spec, has_waited)).await };
            match limit.run(attempt).await? {
                AttemptEnd::Settled => break,
                AttemptEnd::Changed => attempts += 1,
                // What was found is dropped meanwhile: all targets may wait at once.
                AttemptEnd::Early => {
                    self.run_ids.others_are_asked(&self.name).await;
                    has_waited = true;
                }
            }
        }
        Ok(())
    }

    /// Observes, plans and carries the plan out, once.
    async fn attempt(
        &mut self,
        spec: &Arc<TargetSpec>,
        has_waited: bool,
    ) -> Result<AttemptEnd, RoundError> {
        let observed = self.observe(spec).await?;
        let (mut plan, left) = self.look(spec, &observed).await;
        plan.steps.retain(|step| !left.contains(&step.id));
        self.set_ups.take_out_resting(&mut plan);
        if plan.steps.is_empty() {
            return Ok(AttemptEnd::Settled);
        }
        if !has_waited && !self.run_ids.are_others_asked(&self.name) {
            return Ok(AttemptEnd::Early);
        }
        self.run_ids.refuse_same(&self.name)?;
        let contested = self.repeated.take_out(&mut plan, Instant::now());
        self.seen.carries_out(&plan);
        let carried_out = self.carry_out(&plan, spec, &observed).await;
        if !contested.is_empty() {
            let owner = spec.desired.owner.clone();
            let conflict = RoundError::Conflict { owner, steps: contested };
            return Err(match carried_out {
                Ok(_) => conflict,
                Err(others) => RoundError::Both(Box::new(conflict), Box::new(others)),
            });
        }
        Ok(if carried_out? { AttemptEnd::Changed } else { AttemptEnd::Settled })
    }

    /// Records what was observed. Answers what is planned, and which steps of that are left.
    async fn look(&mut self, spec: &TargetSpec, observed: &Observed) -> (Plan, BTreeSet<StepId>) {
        self.is_outdated = false;
        let mut plan = plan(&spec.desired, observed, &spec.policy);
        if let Some(LiveConnection { target, .. }) = &mut self.connection {
            let (target, known) = (target.plan_target(), &mut self.verdicts);
            target.ask_about_troubles(&mut plan, &spec.desired, observed, known).await;
        }
        plan.mark_drift(|action| self.seen.is_drift(action));
        let drift = self.seen.drift(&plan);
        let left = left_steps(spec, &plan, |action| self.seen.is_drift(action));
        self.set_ups.keep(&plan, &spec.desired, Instant::now());
        let (seen, now) = (&self.seen, self.statuses.now());
        self.wave.postpone(spec, &mut plan, &left, |action| seen.is_drift(action), now);
        self.record(spec, observed, &plan, drift, &left);
        self.seen.look(&spec.desired, observed, &plan);
        (plan, left)
    }

    /// Whether this process has changed something at the target since then.
    pub(super) fn has_changed_since(&self, begun: Instant) -> bool {
        self.changed.is_some_and(|changed| changed >= begun)
    }

    fn forget_what_a_crash_took_back(&mut self) {
        if let Some(changed) = self.changed
            && changed.elapsed() < UNWRITTEN
        {
            self.seen = LastSeen::default();
            let now = Instant::now();
            self.repeated.forget_since(now.checked_sub(UNWRITTEN).unwrap_or(now));
        }
    }

    /// Records what was found, which of its steps are `left`, and what is to be done about `drift`.
    fn record(
        &mut self,
        spec: &TargetSpec,
        observed: &Observed,
        plan: &Plan,
        drift: BTreeSet<String>,
        left: &BTreeSet<StepId>,
    ) {
        let differences = status::differences(plan, left, |action| self.seen.is_drift(action));
        let problems = status::unknown_integrations(&self.name, plan, &spec.domains);
        let mut entries = spec.dated(status::entries(&spec.desired, plan, &spec.policy));
        entries.iter_mut().for_each(|entry| self.set_ups.write(entry));
        let undecided = status::undecided(plan, |key| status::place_of(&entries, key));
        let new = self.drift.look(drift, plan);
        let waits: BTreeSet<&String> = differences.iter().map(|of| &of.what).collect();
        let repairing: Vec<&str> =
            new.iter().filter(|what| !waits.contains(what)).map(String::as_str).collect();
        self.statuses.target(&self.name, |target| {
            target.totals.drifts += u64::from(!new.is_empty());
            target.entries = entries;
            target.held = Some(status::held(plan, &spec.desired.owner));
            target.linked = status::linked(plan);
            target.differences.clone_from(&differences);
            target.undecided = undecided;
            target.problems.clone_from(&problems);
            target.forgotten = status::forgotten(plan);
            target.foreign = plan.foreign();
            target.of_other_owners = plan.of_other_owners();
        });
        self.log.unread(&observed.unread_accounts);
        self.log.problems(&problems);
        self.log.found(&differences, &repairing, plan, &spec.policy.selection);
        self.log.limits(&self.statuses.subscribe().borrow(), &spec.desired);
        if let Some(snapshots) = &self.snapshots {
            snapshots.put(&self.name, spec, observed, plan);
        }
    }

    /// Carries a plan out; answers whether anything has changed by it.
    async fn carry_out(
        &mut self,
        plan: &Plan,
        spec: &TargetSpec,
        observed: &Observed,
    ) -> Result<bool, RoundError> {
        let Some(LiveConnection { target, .. }) = &mut self.connection else { return Ok(false) };
        let (of, target) = ((plan, &spec.desired, observed), target.plan_target());
        let CarriedOut { outcomes, refused, unchecked } =
            carry_out(of, target, &mut self.verdicts, &self.stop, &mut |_, _| {}).await;
        self.log.unchecked(&unchecked);
        let (mut undone, mut news) = (Vec::new(), Vec::new());
        let mut is_changed = false;
        let steps: BTreeMap<StepId, &Step> =
            plan.steps.iter().map(|step| (step.id, step)).collect();
        for done in &outcomes {
            let Some(step) = steps.get(&done.step) else { continue };
            if let (Outcome::NotBegun(why), Some(id)) = (&done.outcome, step.action.set_up_id())
                && refused.contains(&step.id)
            {
                self.set_ups.refused(id, why);
            }
            if !matches!(done.outcome, Outcome::Waits(_)) || begins(step) {
                let is_news = self.log.is_news(step, &done.outcome);
                self.statuses.step_ended(&self.name, step, &done.outcome, is_news);
                news.extend(is_news.then_some((step, done)));
            }
            is_changed |= self.settle_outcome(step, done, spec, &mut undone);
        }
        if is_changed {
            self.changed = Some(Instant::now());
            self.is_outdated = true;
        }
        let set_ups = &self.set_ups;
        self.statuses.target(&self.name, |target| {
            target.entries.iter_mut().for_each(|entry| set_ups.write(entry));
        });
        news.into_iter().for_each(|(step, done)| self.log.outcome(step, done));
        let is_denied = outcomes.iter().any(|done| matches!(done.outcome, Outcome::Denied(_)));
        match undone.is_empty() {
            true => Ok(is_changed),
            false if is_denied => Err(RoundError::Denied(undone)),
            false => Err(RoundError::Steps(undone)),
        }
    }

    /// Keeps what the outcome of one step means for later rounds; answers whether it changed anything.
    fn settle_outcome(
        &mut self,
        step: &Step,
        StepOutcome { outcome, is_changed, .. }: &StepOutcome,
        spec: &TargetSpec,
        undone: &mut Vec<String>,
    ) -> bool {
        let id = step.action.set_up_id();
        match outcome {
            Outcome::Done => {
                self.repeated.done(&step.action, Instant::now());
                self.set_ups.succeeded(&step.action);
                true
            }
            Outcome::Waits(waited_for) => {
                id.into_iter().for_each(|id| self.set_ups.waits(id, waited_for, step));
                begins(step)
            }
            Outcome::Denied(why) => {
                undone.push(format!("{}: {why}", step.action.summary()));
                *is_changed
            }
            Outcome::Unfinished(why) | Outcome::Failed(why) | Outcome::NotBegun(why) => {
                let is_begun = !matches!(outcome, Outcome::NotBegun(_));
                if step.action.is_set_up() {
                    if let Some(id) = id.filter(|_| is_begun)
                        && let Some(entry) = spec.desired.credential(&id.key)
                    {
                        self.set_ups.failed(id, entry, why, step, Instant::now());
                    }
                    return *is_changed;
                }
                undone.push(format!("{}: {why}", step.action.summary()));
                *is_changed
            }
        }
    }

    /// Reports what is new to whoever is to be notified.
    pub(super) async fn notify(&mut self, spec: &TargetSpec, error: Option<&RoundError>) {
        let Some(target) = self.statuses.of(&self.name) else { return };
        let is_outage = error.is_some_and(RoundError::is_outage);
        let commit = self.statuses.commit();
        let when = (self.statuses.now(), commit.as_ref());
        let drift = self.drift.take_news();
        self.notifier.post_events(spec, &target, &drift, is_outage, when);
        if let Some(connection) = &self.connection {
            self.notifier.notify(spec, &target, &connection.target).await;
        }
    }
}
