//! One target, kept as it should be.

use std::sync::Arc;

use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use crate::model::TargetName;
use crate::plan::{Plan, plan};
use crate::reconcile::{Outcome, StepOutcome, apply, set_up};
use crate::target::{Observe, Stop, Target};

use super::schedule::Schedule;
use super::{Mode, Settings, Wanted};

/// Goes round until the target is wanted no more or everything stops.
pub(super) async fn tend(
    name: TargetName,
    mut wanted: Receiver<Arc<Wanted>>,
    settings: Settings,
    stop: Stop,
) {
    let mut target =
        Keeper { name, settings, stop: stop.clone(), connection: None, said: String::new() };
    let mut schedule = Schedule::default();
    loop {
        let now = Arc::clone(&wanted.borrow_and_update());
        let pause = match target.round(&now).await {
            Ok(()) => schedule.succeeded(settings.resync),
            Err(why) => {
                target.connection = None;
                let pause = schedule.failed(fastrand::f64());
                target.say(&format!("{why}; again in {} s", pause.as_secs()), &why);
                pause
            }
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = sleep(pause) => {}
            () = target.ended() => {}
            () = stop.cancelled() => return,
        }
    }
}

struct Keeper {
    name: TargetName,
    settings: Settings,
    stop: Stop,
    connection: Option<Target>,
    /// What was said last, so that a state is told once and not every round.
    said: String,
}

impl Keeper {
    /// Waits until the connection at hand has ended, if there is one.
    async fn ended(&self) {
        match &self.connection {
            Some(target) => target.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Observes, plans and applies, over the connection at hand or a new one.
    async fn round(&mut self, wanted: &Wanted) -> Result<(), String> {
        let observed = match &mut self.connection {
            Some(target) => target.observe().await.ok(),
            None => None,
        };
        let observed = match observed {
            Some(observed) => observed,
            None => {
                let mut target = (wanted.open)().await?;
                let observed = target.observe().await.map_err(|error| error.to_string())?;
                tracing::info!(target = %self.name, version = observed.version, "connected");
                self.said.clear();
                self.connection = Some(target);
                observed
            }
        };
        let unknown = wanted
            .desired
            .credentials
            .iter()
            .find(|credential| !observed.domains.all().contains(&credential.domain));
        if let Some(credential) = unknown {
            return Err(format!(
                "{}: integration `{}` is not known there",
                credential.place, credential.domain
            ));
        }
        let plan = plan(&wanted.desired, &observed, &wanted.policy);
        self.tell(&plan);
        if plan.steps.is_empty() || plan.is_stopped() || self.settings.mode == Mode::Report {
            return Ok(());
        }
        self.carry_out(&plan, wanted).await
    }

    async fn carry_out(&mut self, plan: &Plan, wanted: &Wanted) -> Result<(), String> {
        let Some(target) = &mut self.connection else { return Ok(()) };
        let mut outcomes = apply(plan, &wanted.desired, target, &self.stop, &mut |_, _| {}).await;
        if let Target::HomeAssistant(ha) = target {
            set_up(plan, &wanted.desired, ha, &self.stop, &mut outcomes).await;
        }
        let (mut undone, mut pending) = (None, Vec::new());
        for StepOutcome { step, outcome } in outcomes {
            let Some(step) = plan.steps.iter().find(|planned| planned.id == step) else { continue };
            let what = step.action.told();
            let why = match outcome {
                Outcome::Done => {
                    tracing::info!(target = %self.name, "{what}: done");
                    continue;
                }
                Outcome::Waits(_) => "waits for somebody, `appcred list` tells for what".to_owned(),
                Outcome::Unfinished(why) | Outcome::Failed(why) | Outcome::NotBegun(why) => why,
            };
            if step.action.is_set_up() {
                pending.push(format!("{what}: {why}"));
            } else {
                tracing::error!(target = %self.name, "{what}: {why}");
                undone.get_or_insert(format!("{what}: {why}"));
            }
        }
        if !pending.is_empty() {
            self.tell_once(pending.join("; "));
        }
        undone.map_or(Ok(()), Err)
    }

    /// Tells what is found, once for each state. What is about to be done is told when it is done.
    fn tell(&mut self, plan: &Plan) {
        let is_left = self.settings.mode == Mode::Report || plan.is_stopped();
        let steps = plan.steps.iter().filter(|_| is_left).map(|step| &step.action);
        let withheld = plan.withheld.iter().map(|withheld| &withheld.action);
        let told: Vec<String> = steps
            .map(|action| format!("to do: {}", action.told()))
            .chain(withheld.map(|action| format!("not done: {}", action.told())))
            .collect();
        let state = if told.is_empty() { "in sync".to_owned() } else { told.join("; ") };
        let is_done_first = told.is_empty() && !plan.steps.is_empty();
        if !is_done_first {
            self.tell_once(state);
        }
    }

    fn tell_once(&mut self, state: String) {
        if self.said != state {
            tracing::info!(target = %self.name, "{state}");
            self.said = state;
        }
    }

    /// Warns, but of the same thing only once in a row.
    fn say(&mut self, message: &str, same: &str) {
        if self.said != same {
            tracing::warn!(target = %self.name, "{message}");
            same.clone_into(&mut self.said);
        }
    }
}
