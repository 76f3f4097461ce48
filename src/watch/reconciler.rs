//! One round at one target: observe, plan, apply, set up, and write down how it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Domain, HandOverError, Observed, TargetName};
use crate::plan::{Action, CredentialState, Plan, Step, StepId, Why, plan};
use crate::reconcile::{Outcome, StepOutcome, apply, set_up};
use crate::status::{self, Difference, Link, Mode};
use crate::suggest;
use crate::target::{Observe, Stop, Target};

use super::notices::Notifier;
use super::set_ups::SetUps;
use super::target_task::{CallbackDelivery, Connected, TargetTask, down};
use super::{SnapshotStore, StatusStore, TargetSpec};

/// HA writes down what it has acknowledged ten seconds later: what a crash takes back before that is
/// nobody's doing.
const UNWRITTEN: Duration = Duration::from_secs(15);
/// What was seen ahead of a round is good for so long; the wait for quiet is a quarter of that.
const FRESH: Duration = Duration::from_secs(1);
/// Rounds in a row that change something; more of them is a quarrel with somebody else, and waits
/// for the next round.
const MOST_ATTEMPTS: usize = 3;

/// What is known of one target between rounds.
pub(super) struct TargetReconciler {
    name: TargetName,
    consent_base: Option<String>,
    statuses: StatusStore,
    snapshots: Option<SnapshotStore>,
    stop: Stop,
    connection: Option<Connected>,
    /// What the target was just found to hold, and since when that was asked.
    ahead: Option<(Instant, Observed)>,
    /// What was said last, so that a state is told once and not every round.
    said: String,
    /// The steps that failed, and have not succeeded since.
    failing: BTreeSet<String>,
    /// What the target was found, or made, to hold.
    settled: Option<Arc<TargetSpec>>,
    /// Whether somebody has changed it since, and that is not mended yet.
    is_drifted: bool,
    /// When something was changed last.
    changed: Option<Instant>,
    set_ups: SetUps,
    notifier: Notifier,
}

impl TargetReconciler {
    pub(super) fn new(task: &TargetTask) -> Self {
        Self {
            name: task.name.clone(),
            consent_base: task.settings.consent_base.clone(),
            statuses: task.statuses.clone(),
            snapshots: task.snapshots.clone(),
            stop: task.stop.clone(),
            connection: None,
            ahead: None,
            said: String::new(),
            failing: BTreeSet::new(),
            settled: None,
            is_drifted: false,
            changed: None,
            set_ups: SetUps::default(),
            notifier: Notifier::new(task.name.clone(), task.stop.clone()),
        }
    }

    /// Waits until the target tells of a change or has gone; for ever where none is connected.
    pub(super) async fn stirred(&mut self) {
        match &mut self.connection {
            Some(connected) => connected.stirred().await,
            None => std::future::pending().await,
        }
    }

    /// Hands a provider's answer on to HA.
    pub(super) async fn run(&self, callback: CallbackDelivery) {
        let taken = match &self.connection {
            Some(Connected { target: Target::HomeAssistant(ha), .. }) => {
                ha.hand_on(&callback.query).await
            }
            _ => Err(HandOverError::NotNow("it cannot be reached".to_owned())),
        };
        // Whoever brought it may have gone.
        drop(callback.taken.send(taken));
    }

    /// Looks at the target before a round that is about to come.
    pub(super) async fn look_ahead(&mut self) {
        let Some(connected) = &mut self.connection else { return };
        let asked = Instant::now();
        connected.changes_told();
        // Where it fails, the round will tell.
        self.ahead = connected.target.observe().await.ok().map(|observed| (asked, observed));
    }

    /// Makes the target hold what is wanted, as far as that is allowed.
    pub(super) async fn round(&mut self, wanted: &Arc<TargetSpec>) -> Result<(), String> {
        for _ in 0..MOST_ATTEMPTS {
            let observed = self.observe(wanted).await?;
            let unknown = wanted
                .desired
                .credentials
                .iter()
                .find(|credential| !observed.domains.all().contains(&credential.domain));
            if let Some(credential) = unknown {
                let known = observed.domains.all().iter().map(Domain::as_str);
                let unknown = suggest::unknown("integration", credential.domain.as_str(), known);
                return Err(format!("{}: {unknown}", credential.place));
            }
            let mut plan = plan(&wanted.desired, &observed, &wanted.policy);
            let is_drift = self.is_drift(wanted, &plan);
            for news in self.set_ups.refused(&plan) {
                tracing::warn!(target = %self.name, "{news}");
            }
            self.write_down(wanted, &observed, &plan, is_drift);
            self.set_ups.rest(&mut plan, &wanted.desired, Instant::now());
            if plan.steps.is_empty() {
                self.settled = Some(Arc::clone(wanted));
            }
            if plan.steps.is_empty() || self.is_left(wanted, &plan, is_drift) {
                return Ok(());
            }
            let is_changed = self.carry_out(&plan, wanted).await?;
            self.settled = Some(Arc::clone(wanted));
            if !is_changed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Over the connection at hand, or a new one.
    async fn observe(&mut self, wanted: &TargetSpec) -> Result<Observed, String> {
        let ahead = self.ahead.take();
        if let Some(connected) = &mut self.connection
            && connected.door == wanted.door
        {
            // What was told until now is seen by the next look.
            let has_changed = connected.changes_told();
            if let Some((asked, observed)) = ahead
                && !has_changed
                && asked.elapsed() < FRESH
            {
                return Ok(observed);
            }
            if let Ok(observed) = connected.target.observe().await {
                return Ok(observed);
            }
        }
        if self.connection.take().is_some()
            && self.changed.is_some_and(|changed| changed.elapsed() < UNWRITTEN)
        {
            self.settled = None;
        }
        let opened = async {
            let mut target = (wanted.open)().await?;
            if let (Target::HomeAssistant(ha), Some(base)) = (&mut target, &self.consent_base) {
                ha.come_back_to(base.clone());
            }
            let changes = target.changes().await.map_err(|error| error.to_string())?;
            let observed = target.observe().await.map_err(|error| error.to_string())?;
            Ok((Connected { target, changes, door: wanted.door }, observed))
        };
        let opened: Result<_, String> = tokio::select! {
            opened = opened => opened,
            () = self.stop.cancelled() => Err("told to stop".to_owned()),
        };
        let (connected, observed) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                down(&self.statuses, &self.name, wanted);
                return Err(why);
            }
        };
        self.connection = Some(connected);
        self.said.clear();
        tracing::info!(target = %self.name, version = observed.version, "connected");
        let link = Link::Up { version: observed.version.clone(), since: self.statuses.now() };
        self.statuses.target(&self.name, |target| target.link = link);
        Ok(observed)
    }

    /// Whether the target was as wanted, the wish is the same, and it is so no more.
    fn is_drift(&self, wanted: &TargetSpec, plan: &Plan) -> bool {
        let is_same = |settled: &Arc<TargetSpec>| settled.desired == wanted.desired;
        self.settled.as_ref().is_some_and(is_same)
            && plan.steps.iter().any(|step| !step.action.is_set_up())
    }

    /// Whether nothing of a plan is to be done.
    fn is_left(&self, wanted: &TargetSpec, plan: &Plan, is_drift: bool) -> bool {
        plan.is_stopped()
            || match wanted.mode {
                Mode::Report => true,
                Mode::ReportDrift => is_drift,
                Mode::Repair => false,
            }
    }

    /// Writes down what was found, and what of it stays as it is.
    fn write_down(
        &mut self,
        wanted: &TargetSpec,
        observed: &Observed,
        plan: &Plan,
        is_drift: bool,
    ) {
        let is_left = self.is_left(wanted, plan, is_drift);
        let differences = differences(plan, is_left, is_drift);
        self.tell(&differences, is_drift && !is_left, plan);
        let mut entries = status::entries(&wanted.desired, plan);
        for entry in &mut entries {
            entry.set_up_error = self.set_ups.why(&entry.key).map(str::to_owned);
        }
        let foreign = |(_, state, _): &&(_, CredentialState, _)| {
            matches!(state, CredentialState::Foreign | CredentialState::OtherOwner(_))
        };
        let foreign = plan.credential_states.iter().filter(foreign).count();
        let drifts = u64::from(is_drift && !std::mem::replace(&mut self.is_drifted, is_drift));
        self.statuses.target(&self.name, |target| {
            target.totals.drifts += drifts;
            target.entries = entries;
            target.differences = differences;
            target.foreign = foreign;
        });
        if let Some(snapshots) = &self.snapshots {
            snapshots.put(&self.name, wanted, observed, plan);
        }
    }

    /// Carries a plan out; answers whether anything has changed by it.
    async fn carry_out(&mut self, plan: &Plan, wanted: &TargetSpec) -> Result<bool, String> {
        let Some(Connected { target, .. }) = &mut self.connection else { return Ok(false) };
        let mut outcomes = apply(plan, &wanted.desired, target, &self.stop, &mut |_, _| {}).await;
        if let Target::HomeAssistant(ha) = target {
            set_up(plan, &wanted.desired, ha, &self.stop, &mut outcomes).await;
        }
        let mut undone = Vec::new();
        let mut is_changed = false;
        let steps: BTreeMap<StepId, &Step> =
            plan.steps.iter().map(|step| (step.id, step)).collect();
        for StepOutcome { step, outcome } in &outcomes {
            let Some(step) = steps.get(step) else { continue };
            is_changed |= self.outcome(step, outcome, wanted, &mut undone);
        }
        if is_changed {
            self.changed = Some(Instant::now());
        }
        if undone.is_empty() { Ok(is_changed) } else { Err(undone.join("; ")) }
    }

    /// Notes what one step came to; answers whether it changed anything.
    fn outcome(
        &mut self,
        step: &Step,
        outcome: &Outcome,
        wanted: &TargetSpec,
        undone: &mut Vec<String>,
    ) -> bool {
        let what = step.action.told();
        let word = match outcome {
            Outcome::Done => "done",
            Outcome::Waits(_) => "waiting",
            Outcome::Unfinished(_) => "unfinished",
            Outcome::Failed(_) => "failed",
            Outcome::NotBegun(_) => "not_begun",
        };
        let is_news = !matches!(outcome, Outcome::Waits(_)) || begins(step);
        if is_news {
            let kind = step.action.kind();
            self.statuses.target(&self.name, |target| target.totals.count(kind, word));
        }
        let key = step.action.entry().map(|wanted| &wanted.key);
        match outcome {
            Outcome::Done => {
                tracing::info!(target = %self.name, "{what}: done");
                self.failing.retain(|told| !told.starts_with(&what));
                key.into_iter().for_each(|key| self.set_ups.went_well(key));
                true
            }
            Outcome::Waits(_) => {
                if is_news {
                    tracing::info!(target = %self.name, "{what}: waits for somebody");
                }
                is_news
            }
            Outcome::Unfinished(why) | Outcome::Failed(why) | Outcome::NotBegun(why) => {
                let told = format!("{what}: {why}");
                if step.action.is_set_up() {
                    tracing::warn!(target = %self.name, "{told}");
                    let is_tried = !matches!(outcome, Outcome::NotBegun(_));
                    let mut entries = wanted.desired.credentials.iter();
                    let entry = entries.find(|entry| Some(&entry.key) == key && is_tried);
                    if let Some(entry) = entry {
                        self.set_ups.failed(entry, why, Instant::now());
                    }
                    return is_tried;
                }
                // Told once, however often it is tried.
                if self.failing.insert(told.clone()) {
                    tracing::error!(target = %self.name, "{told}");
                }
                undone.push(told);
                matches!(outcome, Outcome::Unfinished(_))
            }
        }
    }

    /// Tells whoever wishes to know what the round came to; an error once for each kind of it.
    pub(super) async fn conclude(
        &mut self,
        wanted: &TargetSpec,
        error: Option<String>,
        pause: Duration,
    ) {
        if let Some(why) = error
            && self.said != why
            && !self.failing.iter().any(|told| why.starts_with(told))
            && !self.stop.is_cancelled()
        {
            tracing::warn!(target = %self.name, "{why}; again in {:.0} s", pause.as_secs_f64().ceil());
            self.said = why;
        }
        let message = {
            let status = self.statuses.subscribe();
            let status = status.borrow();
            let Some(target) = status.targets.get(&self.name) else { return };
            let now = self.statuses.now();
            self.notifier.news(&wanted.notices, &wanted.desired.owner, target, now)
        };
        if let Some(message) = message
            && let Some(Connected { target: Target::HomeAssistant(ha), .. }) = &self.connection
        {
            self.notifier.show(&message, ha).await;
        }
    }

    /// Tells what is found, once for each state. What is about to be done is told when it is done.
    fn tell(&mut self, differences: &[Difference], is_mended: bool, plan: &Plan) {
        let told = differences.iter().map(|difference| match &difference.why {
            None if difference.is_drift => format!("drifted, to do: {}", difference.what),
            None => format!("to do: {}", difference.what),
            Some(why) => format!("not done: {} ({})", difference.what, why.code()),
        });
        let told: Vec<String> = told.collect();
        if is_mended {
            tracing::info!(target = %self.name, "somebody has changed it, and no manifest");
        } else if told.is_empty() && plan.steps.iter().all(|step| step.action.is_set_up()) {
            self.tell_once("in sync".to_owned());
        } else if !told.is_empty() {
            self.tell_once(told.join("; "));
        }
    }

    fn tell_once(&mut self, state: String) {
        if self.said != state {
            tracing::info!(target = %self.name, "{state}");
            self.said = state;
        }
    }
}

/// Whether a step is more than looking at a set-up that is open already.
fn begins(step: &Step) -> bool {
    !matches!(step.action, Action::SetUp { open: Some(_), .. })
}

/// What of a plan is not done now.
fn differences(plan: &Plan, is_left: bool, is_drift: bool) -> Vec<Difference> {
    let steps = plan.steps.iter().filter(|_| is_left).map(|step| Difference {
        what: step.action.told(),
        why: None,
        is_drift: is_drift && !step.action.is_set_up(),
    });
    let meant = |why: &Why| matches!(why, Why::PruneOff);
    let withheld = plan.withheld.iter().filter(|withheld| !meant(&withheld.why));
    let withheld = withheld.map(|withheld| Difference {
        what: withheld.action.told(),
        why: Some(withheld.why.clone()),
        is_drift: false,
    });
    steps.chain(withheld).collect()
}
