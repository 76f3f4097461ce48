//! A daemon around observing, planning and applying: files, a timer, targets and signals wake it.
//!
//! ```text
//!  trigger.rs (files) ─▶ mod.rs: hands out what is wanted ────────────▶ tend.rs: one task a target
//!  places.rs             readings.rs, problem_log.rs                       │ reconciler.rs: one round
//!  statuses.rs ◀──────────────── Status ─────────────────────────────────────┤ set_ups.rs, notices.rs
//!  snapshots.rs ◀──────────────── pages of the snapshot ──────────────────────┘ schedule.rs (pure)
//! ```
//!
//! One task reads the manifests whenever something may have changed, and hands what is wanted to
//! one task for each target. A target that is down waits for itself alone. While any manifest is in
//! error nothing new is handed out: the last good state stays in force.

mod callback_request;
mod notices;
mod places;
mod problem_log;
mod readings;
mod reconciler;
mod schedule;
mod set_ups;
mod snapshot_store;
mod status_store;
mod target_lock;
mod target_task;
mod trigger;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::model::{Desired, HandOverError, Key, Policy, Seals, TargetName};
use crate::status::{Link, Manifests, Mode};
use crate::target::{Stop, Target};

use places::Look;
use problem_log::ProblemLog;
use readings::{Read, Readings};
use target_task::{CallbackDelivery, TargetTask};
use trigger::Trigger;

pub use callback_request::CallbackRequest;
pub use notices::{Notices, schema as notice_schema};
pub use snapshot_store::SnapshotStore;
pub use status_store::{Clock, StatusStore};
pub use target_lock::{HeldLock, TargetLock};
pub use trigger::Noticing;

/// How to watch.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often each target and all files are looked at when nothing seems to have happened.
    pub resync: Duration,
    /// How to notice changes of files.
    pub noticing: Noticing,
    /// Where a browser that has consented comes back to; to HA itself where there is none.
    pub consent_base: Option<String>,
}

/// What the manifests say at one moment.
pub struct Reading {
    /// What each target should hold, or nothing where something is in error, which has been told.
    pub wanted: Option<BTreeMap<TargetName, TargetSpec>>,
    /// The files and folders that this came from.
    pub places: BTreeSet<PathBuf>,
    /// How the manifests were found.
    pub manifests: Manifests,
}

/// Opens a target anew, each time with what its files and programs say then.
pub type Opener = Arc<dyn Fn() -> BoxFuture<'static, Result<Target, String>> + Send + Sync>;

/// What stands for an entry's texts in a file that anybody may read.
pub type Sealer = Arc<dyn Fn(&Key) -> Seals + Send + Sync>;

/// What one target should hold.
#[derive(Clone)]
pub struct TargetSpec {
    /// Its address or folder.
    pub address: String,
    /// How to get there.
    pub open: Opener,
    /// Another number where the way in is another one.
    pub door: u64,
    /// What keeps other watchers away from it.
    pub hold: TargetLock,
    /// What it should hold.
    pub desired: Desired,
    /// The ciphertexts of its entries.
    pub seals: Sealer,
    /// What a plan may do.
    pub policy: Policy,
    /// What is done about differences.
    pub mode: Mode,
    /// Who is told what happens.
    pub notices: Notices,
}

impl TargetSpec {
    /// Whether it comes to the same.
    fn is_same(&self, other: &Self) -> bool {
        self.address == other.address
            && self.door == other.door
            && self.desired == other.desired
            && self.policy == other.policy
            && self.mode == other.mode
            && self.notices == other.notices
    }
}

/// By what a watcher is connected to the rest of its process.
pub struct Ports {
    /// Where it writes down how everything stands.
    pub statuses: StatusStore,
    /// Where it puts what targets hold; nowhere where nobody asks for that.
    pub snapshots: Option<SnapshotStore>,
    /// What providers answered, by the hands of browsers.
    pub consents: mpsc::Receiver<CallbackRequest>,
    /// Somebody wishes everything to be read and looked at anew.
    pub reload: Arc<Notify>,
    /// Somebody wishes it to end.
    pub stop: Stop,
}

/// Watches until told to stop, and finishes what is in flight then.
///
/// `read` reads everything anew; it may take its time and is never called twice at once.
pub async fn run(
    settings: Settings,
    read: impl FnMut() -> Reading + Send + 'static,
    mut ports: Ports,
) {
    let mut trigger = Trigger::new(settings.noticing);
    let mut tasks = TargetTasks::new(settings.clone(), &ports);
    let mut problem_log = ProblemLog::default();
    let readings = Readings::new(read);
    let mut is_asked = false;
    while !ports.stop.is_cancelled() {
        let read = next(&readings, &mut trigger, &tasks, &mut ports).await;
        if ports.stop.is_cancelled() {
            break;
        }
        let Some(Read { reading: Reading { wanted, manifests, .. }, files, .. }) = read else {
            tracing::error!("the manifests can be read no more: this is a fault of appcred");
            break;
        };
        problem_log.tell(&manifests);
        if is_asked {
            let Manifests { files, entries, .. } = manifests;
            tracing::info!("read {files} manifests with {entries} entries");
        }
        ports.statuses.edit(|status| status.manifests = manifests);
        let has_changed = std::mem::replace(&mut tasks.files, files) != tasks.files;
        if let Some(wanted) = wanted {
            tasks.hand_out(wanted, is_asked, has_changed);
        }
        is_asked = false;
        let pause = sleep(settings.resync);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = trigger.stirred() => tracing::debug!("files changed"),
                // Whatever was missed is found now; what has not changed is not read again.
                () = &mut pause => tracing::debug!("looking at all files"),
                () = ports.reload.notified() => {
                    tracing::info!("reading everything anew");
                    is_asked = true;
                }
                Some(consent) = ports.consents.recv() => {
                    tasks.pass_on(consent);
                    continue;
                }
                () = ports.stop.cancelled() => {}
            }
            break;
        }
    }
    tasks.end().await;
}

/// The next reading that is whole; nothing where there can be none, or it is time to stop. Answers of
/// providers do not wait for it.
async fn next<R: FnMut() -> Reading + Send + 'static>(
    readings: &Readings<R>,
    trigger: &mut Trigger,
    tasks: &TargetTasks,
    ports: &mut Ports,
) -> Option<Read> {
    let reading = readings.settled(trigger, |wanted| tasks.look_ahead(wanted));
    tokio::pin!(reading);
    loop {
        tokio::select! {
            read = &mut reading => return read,
            Some(consent) = ports.consents.recv() => tasks.pass_on(consent),
            () = ports.stop.cancelled() => return None,
        }
    }
}

/// The tasks of all targets.
struct TargetTasks {
    settings: Settings,
    statuses: StatusStore,
    snapshots: Option<SnapshotStore>,
    stop: Stop,
    targets: BTreeMap<TargetName, Handle>,
    /// How the files stood that are no manifests: tokens, certificates, identities and the like.
    files: Look,
    tasks: JoinSet<()>,
}

struct Handle {
    wanted: watch::Sender<Arc<TargetSpec>>,
    /// Something else may come to be wanted very soon.
    soon: Arc<Notify>,
    callbacks: mpsc::Sender<CallbackDelivery>,
}

/// Answers of providers that nobody has looked at yet.
const MOST_ERRANDS: usize = 16;

impl TargetTasks {
    fn new(settings: Settings, ports: &Ports) -> Self {
        let (statuses, snapshots, stop) =
            (ports.statuses.clone(), ports.snapshots.clone(), ports.stop.clone());
        let (targets, files, tasks) = (BTreeMap::new(), Look::new(), JoinSet::new());
        Self { settings, statuses, snapshots, stop, targets, files, tasks }
    }

    /// Tells each target's task what is wanted now, if that is new or `is_asked` for; one that is down
    /// is tried at once where files have changed, since that may be what it waits for. A target that
    /// is wanted no more is let go, a new one gets a task.
    fn hand_out(
        &mut self,
        wanted: BTreeMap<TargetName, TargetSpec>,
        is_asked: bool,
        has_changed: bool,
    ) {
        self.targets.retain(|name, _| wanted.contains_key(name));
        self.statuses.edit(|status| status.targets.retain(|name, _| wanted.contains_key(name)));
        if let Some(snapshots) = &self.snapshots {
            snapshots.retain(|name| wanted.contains_key(name));
        }
        for (name, wanted) in wanted {
            self.statuses.begin(&name, &wanted.address, wanted.mode);
            let wanted = Arc::new(wanted);
            match self.targets.get(&name) {
                Some(handle) => {
                    let poke = is_asked || has_changed && self.is_down(&name);
                    handle.wanted.send_if_modified(|now| {
                        let is_news = poke || !now.is_same(&wanted);
                        if is_news {
                            now.clone_from(&wanted);
                        }
                        is_news
                    });
                }
                None => self.begin(name, wanted),
            }
        }
    }

    /// Tells those targets of which something else may come to be wanted very soon.
    fn look_ahead(&self, wanted: &BTreeMap<TargetName, TargetSpec>) {
        for (name, wanted) in wanted {
            if let Some(handle) = self.targets.get(name)
                && !handle.wanted.borrow().is_same(wanted)
            {
                handle.soon.notify_one();
            }
        }
    }

    fn is_down(&self, name: &TargetName) -> bool {
        let status = self.statuses.subscribe();
        let status = status.borrow();
        status.targets.get(name).is_some_and(|target| {
            target.error.is_some() || matches!(target.link, Link::Down { .. })
        })
    }

    fn begin(&mut self, name: TargetName, wanted: Arc<TargetSpec>) {
        let (sender, receiver) = watch::channel(wanted);
        let (callbacks, waiting) = mpsc::channel(MOST_ERRANDS);
        let task = TargetTask {
            name: name.clone(),
            settings: self.settings.clone(),
            statuses: self.statuses.clone(),
            snapshots: self.snapshots.clone(),
            stop: self.stop.clone(),
        };
        let soon = Arc::new(Notify::new());
        self.tasks.spawn(task.tend(receiver, Arc::clone(&soon), waiting));
        self.targets.insert(name, Handle { wanted: sender, soon, callbacks });
    }

    fn pass_on(&self, consent: CallbackRequest) {
        let CallbackRequest { target, query, taken } = consent;
        let callback = CallbackDelivery { query, taken };
        let refused = match self.targets.get(&target) {
            None => callback,
            Some(handle) => match handle.callbacks.try_send(callback) {
                Ok(()) => return,
                Err(full) => full.into_inner(),
            },
        };
        // Whoever asked may have gone.
        let why = "this target is busy".to_owned();
        drop(refused.taken.send(Err(HandOverError::NotNow(why))));
    }

    async fn end(mut self) {
        self.targets.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}
