//! Carries plans out in waves: each begins once those before it are done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::lock::{HeldLock, WriteLock};
use crate::model::{
    Observed, Rollout, TargetName, TargetProgress, UndoneWave, Visible, Wave, counted,
};
use crate::plan::{Why, plan};
use crate::reconcile::{self, Verdicts};
use crate::report::Names;
use crate::status;
use crate::target::Observe as _;
use crate::workspace::{Comparison, Reach, Reopened, TargetView};

use super::apply::Worker;
use super::console;
use super::locks::take_all;
use super::times::exactly;

/// The waves of a run, and what it needs to close connections and locks in a pause and open them again.
pub(super) struct RunInWaves {
    pub(super) rollout: Rollout,
    pub(super) reach: Reach,
    /// What was locked before the plan was made; the project may name other targets by now.
    pub(super) write_locks: BTreeMap<TargetName, WriteLock>,
    /// What keeps other runs from changing the targets.
    pub(super) locks: Vec<HeldLock>,
    /// The command that plans anew, where what is applied is a saved plan. What a wave has changed is no part of that
    /// any more.
    pub(super) saved_by: Option<String>,
    /// The wave that was not done, so that those after it were left.
    pub(super) undone: Option<UndoneWave>,
}

impl RunInWaves {
    /// Carries out the plans of all views. Where a wave is not done, what is planned for those after it becomes what is
    /// not done.
    pub(super) async fn carry_out(&mut self, views: &mut [TargetView], worker: &Worker<'_>) {
        let mut progress = BTreeMap::new();
        let waves: BTreeSet<Option<Wave>> = views.iter().map(|view| view.wave).collect();
        let mut is_closed = false;
        for wave in waves {
            let is_last = !views.iter().any(|view| view.wave > wave && view.has_work());
            let has_work = views.iter().any(|view| view.wave == wave && view.has_work());
            if is_closed {
                self.reopen(views, wave, worker).await;
            }
            worker.work(views.iter_mut().filter(|view| view.wave == wave)).await;
            // After an interruption nothing is begun, and each step says so.
            let is_interrupted = worker.stop.is_cancelled();
            let Some(wave) = wave.filter(|_| !is_last && !is_interrupted) else { continue };
            let looked = worker.stop.run_until_cancelled(self.look(views, wave)).await;
            let Some(looked) = looked else { continue };
            progress.extend(looked);
            let pause = self.rollout.pause;
            let mut undone = self.rollout.first_undone(&progress);
            let is_done = undone.is_none() && has_work;
            if is_done {
                say_done(views, wave, pause.unsigned_abs());
            }
            if is_done && !pause.is_zero() {
                self.close(views);
                is_closed = true;
                let pause = async {
                    sleep(pause.unsigned_abs()).await;
                    self.look(views, wave).await
                };
                let looked = worker.stop.run_until_cancelled(pause).await;
                self.close(views);
                let Some(looked) = looked else { continue };
                progress.extend(looked);
                undone = self.rollout.first_undone(&progress);
            }
            if let Some(undone) = undone {
                hold_back(views, &undone, &self.again());
                self.undone = Some(undone);
                return;
            }
        }
    }

    /// The command that does the rest.
    fn again(&self) -> String {
        match &self.saved_by {
            Some(command) => {
                format!("save a new plan with `{}`, and apply that", command.visible())
            }
            None => "apply again".to_owned(),
        }
    }

    /// Closes the connections and releases the locks until the next wave begins: others may change the targets meanwhile.
    fn close(&mut self, views: &mut [TargetView]) {
        views.iter_mut().for_each(|view| view.target = None);
        self.locks.clear();
    }

    /// Connects to the targets of a wave again. One that needs something else by now is left out: nobody has seen that plan.
    async fn reopen(&mut self, views: &mut [TargetView], wave: Option<Wave>, worker: &Worker<'_>) {
        let of_wave = views.iter_mut().filter(|view| view.wave == wave && view.has_work());
        let mut views: Vec<&mut TargetView> = of_wave.collect();
        if views.is_empty() {
            return;
        }
        let again = worker.stop.run_until_cancelled(self.take_again(&mut views)).await;
        if again.is_none() {
            for view in views {
                view.target = None;
                view.leave("interrupted");
            }
        }
    }

    async fn take_again(&mut self, views: &mut [&mut TargetView]) {
        let of_views = views.iter().filter_map(|view| self.write_locks.get(&view.name));
        match take_all(of_views).await {
            Ok(locks) => self.locks = locks,
            Err(why) => {
                views.iter_mut().for_each(|view| view.leave(&why.to_string()));
                return;
            }
        }
        let reach = &self.reach;
        join_all(views.iter_mut().map(async |view| match reach.reopen(view, |plan| plan).await {
            Reopened::AsPlanned => {}
            Reopened::Changed(_) => {
                view.target = None;
                let again = self.again();
                view.leave(&format!(
                    "it was changed while the waves before it were carried out: {again}"
                ));
            }
            Reopened::Unreachable(why) => {
                view.target = None;
                view.comparison = Err(why);
            }
        }))
        .await;
    }

    /// Looks how far the targets of a wave are: over the connections that are kept, or over new ones after a pause.
    async fn look(
        &self,
        views: &mut [TargetView],
        wave: Wave,
    ) -> Vec<(TargetName, TargetProgress)> {
        let of_wave = views.iter_mut().filter(|view| view.wave == Some(wave));
        join_all(of_wave.map(async |view| (view.name.clone(), self.progress(view).await))).await
    }

    /// How far a target is after its plan was carried out, as it says itself. One that cannot be reached after a pause has
    /// not failed.
    async fn progress(&self, view: &mut TargetView) -> TargetProgress {
        if let Some(known) = known(view) {
            return known;
        }
        let observed = match &mut view.target {
            Some(target) => target.observe().await.map_err(|why| why.to_string()),
            None => match self.reach.connect(view).await {
                Some(Ok(observed)) => Ok(observed),
                _ => return TargetProgress::Unreachable,
            },
        };
        match (observed, &view.comparison) {
            (Ok(observed), Ok(comparison)) => compared(comparison, &observed).await,
            (Err(why), _) if !view.outcomes.is_empty() => {
                TargetProgress::Failed(format!("what was done is not seen: {why}"))
            }
            (Err(why), _) => {
                tracing::info!(target = %view.name, "cannot be looked at: {why}");
                TargetProgress::Unreachable
            }
            (Ok(_), Err(_)) => TargetProgress::Unreachable,
        }
    }
}

/// Says that a wave is done, since those after it may take long.
fn say_done(views: &[TargetView], wave: Wave, pause: Duration) {
    let changed = views.iter().filter(|view| view.wave == Some(wave) && !view.outcomes.is_empty());
    let names = Names(changed.map(|view| &view.name).collect());
    let next = match pause.as_secs() {
        0 => String::new(),
        seconds => format!("; the next one begins in {}", exactly(seconds)),
    };
    console::message(format_args!("{wave} is done ({names}){next}."));
}

/// How far a target is, where that is known without a look at it: it was not reached, or something failed.
fn known(view: &TargetView) -> Option<TargetProgress> {
    let Ok(Comparison { plan, .. }) = &view.comparison else {
        return Some(TargetProgress::Unreachable);
    };
    let failed = view.outcomes.iter().find(|outcome| outcome.is_failure(plan))?;
    let step = plan.steps.iter().find(|step| step.id == failed.step);
    let what = step.map_or_else(String::new, |step| format!("{}: ", step.action.summary()));
    let why = failed.outcome.why().unwrap_or("it needs an answer");
    Some(TargetProgress::Failed(what + why))
}

/// The progress of a target with these contents.
async fn compared(
    Comparison { desired, policy, .. }: &Comparison,
    observed: &Observed,
) -> TargetProgress {
    let mut plan = plan(desired, observed, policy);
    reconcile::ask_about_troubles(&mut plan, desired, observed, &mut Verdicts::default()).await;
    let differences = status::differences(&plan, &BTreeSet::new(), |_| false);
    let entries = status::entries(desired, &plan, policy);
    let undecided = status::undecided(&plan, |key| status::place_of(&entries, key));
    match plan.steps.iter().find(|step| !step.action.is_set_up()) {
        Some(step) => TargetProgress::Failed(format!(
            "it is not as wanted: {} is to be done",
            step.action.summary()
        )),
        None => status::progress(undecided, &differences, &entries),
    }
}

/// Leaves the plans of all waves after one that is not done, and says what does them. A set-up that is open stays in its plan, and is not begun.
fn hold_back(views: &mut [TargetView], undone: &UndoneWave, again: &str) {
    let UndoneWave { wave, why } = undone;
    let later = views.iter_mut().filter_map(|view| Some((view.wave.filter(|of| of > wave)?, view)));
    let left = later.filter_map(|(of, view)| {
        let comparison = view.comparison.as_mut().ok()?;
        let why = Why::EarlierWave { wave: of, wait: undone.in_short().into() };
        let is_left = comparison.plan.postpone(&why, |_| true);
        if view.has_work() {
            view.leave(&why.to_string());
        }
        is_left.then_some(&view.name)
    });
    let unchanged = unchanged(&Names(left.collect()));
    console::error(format_args!(
        "{wave} is not done: {why}{unchanged}. Correct what is wrong, then {again}: what is done already stays."
    ));
}

/// Where nothing was changed; nothing is said where nothing was to be.
fn unchanged(left: &Names<'_>) -> String {
    match left.0.len() {
        0 => String::new(),
        count => {
            let targets = counted(count, "target");
            format!("; nothing was changed in {targets} of the waves after it ({left})")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{hold_back, unchanged};
    use crate::model::{
        ClientId, Desired, Domain, FlowId, Key, Labels, Observed, Policy, TargetName, UndoneWave,
        Wave, WhyUndone,
    };
    use crate::plan::{Action, Plan, Reason, Step, StepId, Wanted};
    use crate::reconcile::Outcome;
    use crate::report::Names;
    use crate::workspace::{Comparison, TargetView};

    /// The second wave, where this flow is open.
    fn with_open_set_up(flow: &str) -> TargetView {
        let wanted = Wanted {
            key: Key::new("a").unwrap(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("a"),
            name: "a".into(),
            auth_domain: "appcred:house:a".into(),
        };
        let open = Some(FlowId::new(flow));
        let step = Step {
            id: StepId(0),
            action: Action::SetUp { wanted, name: None, account: None, open },
            reasons: vec![Reason::NotSetUp],
            reload: Vec::new(),
            after: None,
            claim: None,
            foreign: Vec::new(),
            old_key: None,
        };
        let (desired, observed) = (Desired::example(Vec::new()), Observed::example());
        let plan = Plan { steps: vec![step], ..Plan::default() };
        TargetView {
            name: TargetName::new("home"),
            labels: Labels::default(),
            address: String::new(),
            basis: None,
            wave: Some(Wave { number: 2, of: 2 }),
            target: None,
            comparison: Ok(Comparison { desired, observed, policy: Policy::default(), plan }),
            entries: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            outcomes: Vec::new(),
            expected_set_ups: Vec::new(),
        }
    }

    #[test]
    fn an_open_set_up_of_a_later_wave_has_an_outcome() {
        let mut views = [with_open_set_up("f")];
        let undone = UndoneWave { wave: Wave { number: 1, of: 2 }, why: WhyUndone::Unreached };
        hold_back(&mut views, &undone, "apply again");
        let why =
            "the target is in wave 2 of 2: wave 1 is not done: none of its targets can be reached";
        let outcomes: Vec<&Outcome> = views[0].outcomes.iter().map(|of| &of.outcome).collect();
        assert_eq!(outcomes, [&Outcome::NotBegun(why.to_owned())]);
    }

    #[test]
    fn no_target_is_no_clause() {
        assert_eq!(unchanged(&Names::default()), "");
        let home = TargetName::new("home");
        let one = "; nothing was changed in 1 target of the waves after it (home)";
        assert_eq!(unchanged(&Names(vec![&home])), one);
    }
}
