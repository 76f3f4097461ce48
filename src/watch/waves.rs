//! Which targets may be changed now, where they are changed in waves. The state is what the targets hold: nothing of it
//! is kept, and after a restart the pause between waves begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use smol_str::SmolStr;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::model::{Rollout, TargetName, TargetProgress, UndoneWave, Wave, WhyUndone, Windows};
use crate::plan::{Action, Plan, Step, StepId, Why};
use crate::status::RolloutStatus;

use super::left::postpone;
use super::{StatusStore, TargetSpec};

/// The waves, for the tasks of all targets.
#[derive(Clone)]
pub(super) struct Waves {
    state: Arc<watch::Sender<WaveState>>,
    statuses: StatusStore,
}

struct WaveState {
    rollout: Rollout,
    /// What each target is to hold.
    specs: BTreeMap<TargetName, Arc<TargetSpec>>,
    /// How far it is with that.
    progress: BTreeMap<TargetName, TargetProgress>,
    /// Those that were read since they got their spec.
    read: BTreeSet<TargetName>,
    /// Since when each wave is done, or was so before what is wanted has changed.
    done: Vec<Option<Instant>>,
    /// When the targets of each wave may be changed; none where that is not known.
    begins: Vec<Option<Instant>>,
    /// The first wave that is not done.
    undone: Option<UndoneWave>,
    /// Why the targets of each wave wait.
    waits: Vec<SmolStr>,
    since: Instant,
}

impl Waves {
    pub(super) fn new(statuses: StatusStore) -> Self {
        let state = WaveState {
            rollout: Rollout::default(),
            specs: BTreeMap::new(),
            progress: BTreeMap::new(),
            read: BTreeSet::new(),
            done: Vec::new(),
            begins: Vec::new(),
            undone: None,
            waits: Vec::new(),
            since: Instant::now(),
        };
        Self { state: Arc::new(watch::Sender::new(state)), statuses }
    }

    /// What all targets are to hold from now on. How far those are for which that has changed is not known, so this comes
    /// before any of them gets its spec.
    pub(super) fn give_out(&self, rollout: Rollout, specs: &BTreeMap<TargetName, Arc<TargetSpec>>) {
        self.edit(|state| {
            let is_same = |name: &TargetName| {
                let both = state.specs.get(name).zip(specs.get(name));
                both.is_some_and(|(before, spec)| wants_the_same(before, spec))
            };
            state.read.retain(is_same);
            let progress = |name: &TargetName| {
                let known = state.progress.get(name).filter(|_| is_same(name)).cloned();
                (name.clone(), known.unwrap_or(TargetProgress::Unknown))
            };
            state.progress = specs.keys().map(progress).collect();
            state.specs.clone_from(specs);
            if state.rollout != rollout {
                state.done = state.since_done(&rollout);
                state.rollout = rollout;
            }
        });
    }

    /// A round for this spec has ended so, and has changed something or nothing.
    pub(super) fn ended(
        &self,
        name: &TargetName,
        spec: &Arc<TargetSpec>,
        progress: TargetProgress,
        has_changed: bool,
    ) {
        let waits = progress == TargetProgress::Waits;
        self.edit(|state| {
            // One that cannot be reached is changed when it is back, which begins no pause then.
            if has_changed || progress == TargetProgress::Unreachable {
                state.begin_pause_anew(name);
            }
            // What was wanted before says nothing of what is wanted now.
            if state.specs.get(name).is_some_and(|now| wants_the_same(now, spec)) {
                state.progress.insert(name.clone(), progress);
            }
        });
        // The reason may have changed while the round was under way.
        if waits {
            self.renew_waits(&self.state.borrow(), [name]);
        }
    }

    /// A target was read, and is changed next where its wave has begun.
    fn was_read(&self, name: &TargetName) {
        self.edit(|state| {
            state.read.insert(name.clone());
        });
    }

    /// A round has crashed, and may have changed something before.
    pub(super) fn crashed(&self, name: &TargetName) {
        self.edit(|state| state.begin_pause_anew(name));
    }

    /// Leaves a plan for later where the wave of its target has not begun; answers whether there is something to leave.
    fn hold_back(
        &self,
        name: &TargetName,
        plan: &mut Plan,
        is_meant: impl Fn(&Step) -> bool,
    ) -> bool {
        let why = {
            let state = self.state.borrow();
            let has_begun = state.begins(name).is_some_and(|begins| begins <= Instant::now());
            state.why_waits(name).filter(|_| !has_begun)
        };
        why.is_some_and(|why| plan.postpone(&why, is_meant))
    }

    /// Waits until the wave of a target begins.
    pub(super) async fn turn(&self, name: &TargetName) {
        let mut state = self.state.subscribe();
        loop {
            let begins = state.borrow_and_update().begins(name);
            let begun = async {
                match begins {
                    Some(begins) => sleep_until(begins).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = begun => return,
                changed = state.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Changes the state, and wakes those that wait where that matters to them.
    fn edit(&self, edit: impl FnOnce(&mut WaveState)) {
        self.state.send_if_modified(|state| {
            edit(state);
            let before = (std::mem::take(&mut state.begins), std::mem::take(&mut state.waits));
            state.judge();
            self.report(state);
            if before.1 != state.waits {
                self.renew_waits(state, state.specs.keys());
            }
            before.0 != state.begins
        });
    }

    /// Writes down why what is left at these targets waits now.
    fn renew_waits<'n>(&self, state: &WaveState, names: impl IntoIterator<Item = &'n TargetName>) {
        let whys = names.into_iter().filter_map(|name| Some((name, state.why_waits(name)?)));
        let whys: Vec<(&TargetName, Why)> = whys.collect();
        if whys.is_empty() {
            return;
        }
        self.statuses.edit(|status| {
            for (name, why) in &whys {
                if let Some(target) = status.targets.get_mut(*name) {
                    target.waits_for_waves(why);
                }
            }
        });
    }

    fn report(&self, state: &WaveState) {
        let now = Instant::now();
        let undone = state.undone.clone().filter(|undone| state.is_on(undone.wave));
        let status = undone.map(|undone| {
            let begins = state.begins.get(undone.wave.number - 1).copied().flatten();
            let pause = begins.and_then(|begins| begins.checked_duration_since(now));
            let pause = pause.and_then(|pause| SignedDuration::try_from(pause).ok());
            let pause = pause.filter(|pause| !pause.is_zero());
            let begins = pause.and_then(|pause| self.statuses.now().checked_add(pause).ok());
            let at = begins.unwrap_or_else(|| self.statuses.now());
            let windows = state.windows(undone.wave).filter(|windows| !windows.are_open(at));
            let next = windows.and_then(|windows| windows.next(at));
            let window = windows.map(|windows| windows.next_in_words(at).into());
            let is_unread = state.is_unread(undone.wave);
            let begins = next.map(|next| next.timestamp()).or(begins);
            RolloutStatus { undone, is_unread, begins, window }
        });
        let before = self.statuses.subscribe().borrow().rollout.clone();
        if before == status {
            return;
        }
        self.statuses.edit(|of| of.rollout.clone_from(&status));
        if kind(before.as_ref()) != kind(status.as_ref()) {
            match &status {
                Some(now) if now.undone.why.is_stop() => tracing::error!("{now}"),
                Some(now) => tracing::info!("{now}"),
                None if state.undone.is_none() => tracing::info!("all waves are done"),
                None => {}
            }
        }
    }
}

/// What is logged once, however many targets are left and whenever it begins.
fn kind(status: Option<&RolloutStatus>) -> Option<RolloutStatus> {
    let mut kind = status?.clone();
    if let WhyUndone::NotYet(left) = &mut kind.undone.why {
        *left = 0;
    }
    kind.begins = kind.begins.map(|_| Timestamp::UNIX_EPOCH);
    Some(kind)
}

/// The wave of one target.
pub(super) struct TargetWave {
    name: TargetName,
    waves: Waves,
    /// Whether something is left until it begins.
    is_held_back: bool,
}

impl TargetWave {
    pub(super) fn new(name: TargetName, waves: Waves) -> Self {
        Self { name, waves, is_held_back: false }
    }

    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// Leaves for later what waits for a window or for the wave, but what is `left` anyway. A repair waits for no wave: no
    /// manifest has changed what it is about.
    pub(super) fn postpone(
        &mut self,
        spec: &TargetSpec,
        plan: &mut Plan,
        left: &BTreeSet<StepId>,
        is_drift: impl Fn(&Action) -> bool,
        now: Timestamp,
    ) {
        self.waves.was_read(&self.name);
        let is_outside = postpone(spec, plan, left, now);
        let is_change = |step: &Step| !left.contains(&step.id) && !is_drift(&step.action);
        self.is_held_back = !is_outside && self.waves.hold_back(&self.name, plan, is_change);
    }
}

impl WaveState {
    fn begins(&self, name: &TargetName) -> Option<Instant> {
        match self.rollout.wave_of(name) {
            Some(wave) => self.begins.get(wave.number - 1).copied().flatten(),
            None => Some(self.since),
        }
    }

    /// Since when the waves of another rollout are done: of one that has a target more that is not known.
    fn since_done(&self, rollout: &Rollout) -> Vec<Option<Instant>> {
        let known = self.rollout.waves.iter().zip(&self.done);
        let mut known = known.map(Some).chain(std::iter::repeat(None));
        let since = |wave: &BTreeSet<TargetName>| {
            let (before, done) = known.next().flatten()?;
            done.filter(|_| wave.is_subset(before))
        };
        rollout.waves.iter().map(since).collect()
    }

    /// Something is changed at a target by what is wanted now, or may be. What is repaired begins no pause, nor what is
    /// done where nobody could be reached before.
    fn begin_pause_anew(&mut self, name: &TargetName) {
        if self.progress.get(name) != Some(&TargetProgress::Unknown) {
            return;
        }
        let wave = self.rollout.wave_of(name);
        if let Some(done) = wave.and_then(|wave| self.done.get_mut(wave.number - 1)) {
            *done = None;
        }
    }

    /// When something may be changed in a wave; none where no target of it is known.
    fn windows(&self, wave: Wave) -> Option<&Windows> {
        let names = self.rollout.waves.get(wave.number - 1)?;
        Some(&names.iter().find_map(|name| self.specs.get(name))?.policy.windows)
    }

    /// Finds out what is done, what may begin, and why the rest waits.
    fn judge(&mut self) {
        let now = Instant::now();
        let pause = self.rollout.pause.unsigned_abs();
        let mut begins = Some(self.since);
        self.undone = None;
        let waits = |name: &TargetName| self.progress.get(name) == Some(&TargetProgress::Waits);
        for (done, (wave, why)) in self.done.iter_mut().zip(self.rollout.judged(&self.progress)) {
            self.begins.push(begins);
            let wait = match (&self.undone, begins) {
                (Some(undone), None) => undone.in_short(),
                _ => "the pause after the waves before it is not over".to_owned(),
            };
            self.waits.push(wait.into());
            *done = match &why {
                None => Some(done.unwrap_or(now)),
                // What was not looked at yet may be as it was: then the pause goes on.
                Some(WhyUndone::NotYet(_)) => {
                    done.filter(|_| !self.rollout.waves[wave.number - 1].iter().any(waits))
                }
                Some(_) => None,
            };
            let is_done = done.filter(|_| why.is_none());
            begins = begins.zip(is_done).map(|(begins, done)| begins.max(done + pause));
            if let (None, Some(why)) = (&self.undone, why) {
                self.undone = Some(UndoneWave { wave, why });
            }
        }
    }

    /// Whether nothing is known yet of what is left in a wave.
    fn is_unread(&self, wave: Wave) -> bool {
        let names = self.rollout.waves.get(wave.number - 1).into_iter().flatten();
        let open = |name: &&TargetName| match self.progress.get(*name) {
            Some(TargetProgress::Waits) => true,
            Some(TargetProgress::Unknown) => self.read.contains(*name),
            _ => false,
        };
        !names.into_iter().any(|name| open(&name))
    }

    /// Whether something is to be changed in this wave or a later one, as far as that is known.
    fn is_on(&self, wave: Wave) -> bool {
        let left = self.rollout.waves.iter().skip(wave.number - 1).flatten();
        left.into_iter().any(|name| self.progress.get(name) == Some(&TargetProgress::Waits))
    }

    /// Why what is left at a target waits for its wave.
    fn why_waits(&self, name: &TargetName) -> Option<Why> {
        let wave = self.rollout.wave_of(name)?;
        Some(Why::EarlierWave { wave, wait: self.waits.get(wave.number - 1)?.clone() })
    }
}

/// Whether what is done for one spec is what is wanted by the other.
fn wants_the_same(one: &TargetSpec, other: &TargetSpec) -> bool {
    one.is_same_target(other) && one.desired == other.desired && one.policy == other.policy
}
