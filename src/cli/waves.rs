//! Carries plans out in waves: each begins once those before it are done.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::model::{Rollout, Standing, TargetName, UndoneWave, Wave, counted};
use crate::plan::{Why, plan};
use crate::reconcile::{self, Verdicts};
use crate::status;
use crate::target::Observe as _;
use crate::workspace::{Comparison, TargetView};

use super::apply::Worker;
use super::console;

/// Carries out the plans of all views. Where a wave is not done, what is planned for those after it becomes what is not
/// done.
pub(super) async fn carry_out(views: &mut [TargetView], rollout: &Rollout, worker: &Worker<'_>) {
    let mut standings = BTreeMap::new();
    let waves: Vec<Option<Wave>> = {
        let mut waves: Vec<_> = views.iter().map(|view| view.wave).collect();
        waves.sort_unstable();
        waves.dedup();
        waves
    };
    for wave in waves {
        let is_last = !views.iter().any(|view| view.wave > wave && view.has_work());
        let of_wave = || views.iter().filter(|view| view.wave == wave);
        let has_work = of_wave().any(TargetView::has_work);
        worker.work(views.iter_mut().filter(|view| view.wave == wave)).await;
        // After an interruption nothing is begun, and each step says so.
        let is_interrupted = worker.stop.is_cancelled();
        let Some(wave) = wave.filter(|_| !is_last && !is_interrupted) else { continue };
        look(views, wave, &mut standings).await;
        let mut undone = rollout.first_undone(&standings);
        if undone.is_none() && has_work && !rollout.pause.is_zero() {
            console::message(format_args!(
                "{wave} is done; the next one begins in {}.",
                in_words(rollout.pause.as_secs())
            ));
            tokio::select! {
                () = sleep(rollout.pause.unsigned_abs()) => {}
                () = worker.stop.cancelled() => continue,
            }
            look(views, wave, &mut standings).await;
            undone = rollout.first_undone(&standings);
        }
        if let Some(undone) = undone {
            hold_back(views, &undone);
            return;
        }
    }
}

/// Looks how far the targets of a wave are.
async fn look(
    views: &mut [TargetView],
    wave: Wave,
    standings: &mut BTreeMap<TargetName, Standing>,
) {
    let of_wave = views.iter_mut().filter(|view| view.wave == Some(wave));
    standings.extend(join_all(of_wave.map(standing)).await);
}

/// How far a target is after its plan was carried out, as it says itself.
async fn standing(view: &mut TargetView) -> (TargetName, Standing) {
    let name = view.name.clone();
    let Ok(Comparison { desired, policy, plan: planned, .. }) = &view.comparison else {
        return (name, Standing::Unreachable);
    };
    let failed = view.outcomes.iter().find(|outcome| outcome.is_failure(planned));
    if let Some(failed) = failed {
        let step = planned.steps.iter().find(|step| step.id == failed.step);
        let what = step.map_or_else(String::new, |step| format!("{}: ", step.action.summary()));
        let why = failed.outcome.why().unwrap_or("it needs an answer");
        return (name, Standing::Failed(what + why));
    }
    let Some(target) = &mut view.target else { return (name, Standing::Unreachable) };
    let observed = match target.observe().await {
        Ok(observed) => observed,
        Err(why) if view.outcomes.is_empty() => {
            tracing::info!(target = %name, "cannot be looked at: {why}");
            return (name, Standing::Unreachable);
        }
        Err(why) => return (name, Standing::Failed(format!("what was done is not seen: {why}"))),
    };
    let mut plan = plan(desired, &observed, policy);
    reconcile::ask_about_troubles(&mut plan, desired, &observed, &mut Verdicts::default()).await;
    let differences = status::differences(&plan, false, false);
    let entries = status::entries(desired, &plan, policy);
    let standing = match plan.steps.iter().find(|step| !step.action.is_set_up()) {
        Some(step) if !plan.is_stopped() => Standing::Failed(format!(
            "it is not as wanted: {} is to be done",
            step.action.summary()
        )),
        _ => status::standing(&differences, &entries),
    };
    (name, standing)
}

/// Leaves the plans of all waves after one that is not done.
fn hold_back(views: &mut [TargetView], undone: &UndoneWave) {
    let UndoneWave { wave, why } = undone;
    let mut count = 0;
    for view in views {
        let Some(of) = view.wave.filter(|of| of > wave) else { continue };
        let Ok(comparison) = &mut view.comparison else { continue };
        let why = Why::EarlierWave { wave: of, wait: undone.in_short().into() };
        count += usize::from(comparison.plan.postpone(&why));
    }
    console::error(format_args!(
        "{wave} is not done: {why}; nothing was changed in {} of the waves after it. Correct what is wrong and apply again: what is done already stays.",
        counted(count, "target")
    ));
}

/// As in `10 minutes`.
fn in_words(seconds: i64) -> String {
    let (number, unit) = match seconds {
        all if all % 3_600 == 0 => (all / 3_600, "hour"),
        all if all % 60 == 0 => (all / 60, "minute"),
        all => (all, "second"),
    };
    counted(usize::try_from(number).unwrap_or(usize::MAX), unit)
}
