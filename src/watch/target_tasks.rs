//! The tasks of all targets: who is watched, and what each of them is to hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::callback::Delivery;
use crate::model::{HandOverError, Rollout, TargetName};
use crate::status::Link;
use crate::target::Stop;

use super::connection::Connect;
use super::error::RoundError;
use super::place_turns::PlaceTurns;
use super::round_limit::RoundLimit;
use super::run_ids::RunIds;
use super::target_task::{Inbox, TargetTask};
use super::waves::Waves;
use super::webhook::Webhook;
use super::{Channels, SnapshotStore, StatusStore, TargetSpec, WatchSettings};

/// Answers of providers that wait for one target's task.
const CALLBACK_QUEUE: usize = 16;

/// What a provider answered, for the target whose set-up waits for it.
#[derive(Debug)]
pub struct CallbackRequest {
    /// The target.
    pub target: TargetName,
    /// The answer.
    pub answer: Delivery,
}

/// The tasks of all targets.
pub(super) struct TargetTasks<C> {
    connector: Arc<C>,
    settings: WatchSettings,
    statuses: StatusStore,
    snapshots: Option<SnapshotStore>,
    waves: Waves,
    run_ids: RunIds,
    limit: RoundLimit,
    places: PlaceTurns,
    stop: Stop,
    handles: BTreeMap<TargetName, Handle>,
    /// Each is held by the task of its target until that has ended, which may be long after the target is not wanted any
    /// more: one that comes back meanwhile waits for it.
    turns: BTreeMap<TargetName, Arc<Mutex<()>>>,
    tasks: JoinSet<()>,
}

struct Handle {
    specs: watch::Sender<Arc<TargetSpec>>,
    soon: Arc<Notify>,
    callbacks: mpsc::Sender<Delivery>,
}

impl<C: Connect> TargetTasks<C> {
    pub(super) fn new(settings: WatchSettings, connector: C, channels: &Channels) -> Self {
        Self {
            connector: Arc::new(connector),
            settings,
            statuses: channels.statuses.clone(),
            snapshots: channels.snapshots.clone(),
            waves: Waves::new(channels.statuses.clone()),
            run_ids: RunIds::default(),
            limit: RoundLimit::default(),
            places: PlaceTurns::default(),
            stop: channels.stop.clone(),
            handles: BTreeMap::new(),
            turns: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Gives each target's task its spec, where that has changed or it is to try again. A target that
    /// is no longer wanted ends, a new one gets a task.
    pub(super) fn distribute(
        &mut self,
        specs: BTreeMap<TargetName, TargetSpec>,
        rollout: Rollout,
        tries_again: impl Fn(&TargetName) -> bool,
    ) {
        while self.tasks.try_join_next().is_some() {}
        let (suspended, mut specs): (BTreeMap<_, _>, BTreeMap<_, _>) =
            specs.into_iter().partition(|(_, spec)| spec.is_suspended);
        let twice = take_out_twice(&mut specs);
        self.handles.retain(|name, _| {
            let stays = specs.contains_key(name);
            if !stays && !twice.contains_key(name) && !suspended.contains_key(name) {
                tracing::info!(target = %name, "no longer watched: it is not declared any more, or left out here by --target, --selector or a shard");
            }
            stays
        });
        self.turns.retain(|name, turn| specs.contains_key(name) || Arc::strong_count(turn) > 1);
        self.run_ids.keep(specs.keys());
        self.statuses.edit(|status| {
            status.targets.retain(|name, _| {
                specs.contains_key(name) || twice.contains_key(name) || suspended.contains_key(name)
            });
        });
        if let Some(snapshots) = &self.snapshots {
            snapshots.watch(specs.keys().cloned().collect());
        }
        for (name, spec) in suspended {
            self.statuses.begin(&name, &spec.endpoint.address(), (spec.mode, &spec.labels));
            let was = self.statuses.of(&name).map(|target| target.link);
            self.statuses.suspended(&name, &spec);
            if was != Some(Link::Suspended) {
                tracing::info!(target = %name, "suspended: nothing is done there");
            }
        }
        for (name, (spec, other)) in twice {
            self.statuses.begin(&name, &spec.endpoint.address(), (spec.mode, &spec.labels));
            let why = RoundError::SameTarget(other).to_string();
            let was = self.statuses.of(&name).and_then(|target| target.error);
            self.statuses.not_connected(&name, &spec, None);
            self.statuses.not_watched(&name, &why, None);
            self.statuses.target(&name, |target| target.revisions = spec.revisions.clone());
            if was.as_ref() != Some(&why) {
                tracing::error!(target = %name, "{why}");
            }
        }
        let specs = specs.into_iter().map(|(name, spec)| (name, Arc::new(spec))).collect();
        self.waves.give_out(rollout, &specs);
        for (name, spec) in specs {
            self.statuses.begin(&name, &spec.endpoint.address(), (spec.mode, &spec.labels));
            match self.handles.get(&name) {
                Some(handle) => self.renew(&name, handle, spec, tries_again(&name)),
                None => self.begin(name, spec),
            }
        }
    }

    fn renew(&self, name: &TargetName, handle: &Handle, spec: Arc<TargetSpec>, tries_again: bool) {
        handle.specs.send_if_modified(|now| {
            if let Some(snapshots) = &self.snapshots
                && !now.is_same_target(&spec)
            {
                snapshots.forget(name);
            }
            let is_news = tries_again || **now != *spec;
            if is_news {
                *now = spec;
            }
            is_news
        });
    }

    /// Has those targets look at what they hold whose spec will change very soon.
    pub(super) fn look_ahead(&self, specs: &BTreeMap<TargetName, TargetSpec>) {
        for (name, spec) in specs {
            if let Some(handle) = self.handles.get(name)
                && **handle.specs.borrow() != *spec
            {
                handle.soon.notify_one();
            }
        }
    }

    /// The webhooks of all targets, each once.
    pub(super) fn webhooks(&self) -> Vec<Webhook> {
        let mut all: Vec<Webhook> = Vec::new();
        for handle in self.handles.values() {
            for webhook in &handle.specs.borrow().notices.webhooks {
                if !all.contains(webhook) {
                    all.push(webhook.clone());
                }
            }
        }
        all
    }

    fn begin(&mut self, name: TargetName, spec: Arc<TargetSpec>) {
        let (specs, receiver) = watch::channel(spec);
        let (callbacks, waiting) = mpsc::channel(CALLBACK_QUEUE);
        let soon = Arc::new(Notify::new());
        let inbox = Inbox { specs: receiver, soon: Arc::clone(&soon), callbacks: waiting };
        let task = TargetTask {
            name: name.clone(),
            connector: Arc::clone(&self.connector),
            settings: self.settings.clone(),
            statuses: self.statuses.clone(),
            snapshots: self.snapshots.clone(),
            waves: self.waves.clone(),
            run_ids: self.run_ids.clone(),
            limit: self.limit.clone(),
            places: self.places.clone(),
            stop: self.stop.clone(),
        };
        let turn = Arc::clone(self.turns.entry(name.clone()).or_default());
        self.tasks.spawn(async move {
            let _turn = turn.lock().await;
            // It may be unwanted again by now.
            if inbox.specs.has_changed().is_ok() {
                task.supervise(inbox).await;
            }
        });
        self.handles.insert(name, Handle { specs, soon, callbacks });
    }

    pub(super) fn hand_over(&self, CallbackRequest { target, answer }: CallbackRequest) {
        let refused = match self.handles.get(&target) {
            None => answer,
            Some(handle) => match handle.callbacks.try_send(answer) {
                Ok(()) => return,
                Err(full) => full.into_inner(),
            },
        };
        refused.taken(Err(HandOverError::NotNow("no task can take it now".to_owned())));
    }

    /// Lets all targets finish what is in flight.
    pub(super) async fn end(mut self) {
        self.handles.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Takes out the targets that are the same as one before them, each with that one's name: two tasks
/// would undo each other's work.
fn take_out_twice(
    specs: &mut BTreeMap<TargetName, TargetSpec>,
) -> BTreeMap<TargetName, (TargetSpec, TargetName)> {
    let mut first: BTreeMap<PathBuf, TargetName> = BTreeMap::new();
    let mut twice: BTreeMap<TargetName, TargetName> = BTreeMap::new();
    for (name, spec) in specs.iter() {
        let place = spec.place();
        match first.get(&place) {
            Some(other) => drop(twice.insert(name.clone(), other.clone())),
            None => drop(first.insert(place, name.clone())),
        }
    }
    let taken = twice.into_iter();
    taken.filter_map(|(name, other)| Some((name.clone(), (specs.remove(&name)?, other)))).collect()
}
