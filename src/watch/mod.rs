//! A daemon around observing, planning and applying: files, a timer, targets and signals wake it.
//!
//! ```text
//!  trigger.rs (files) ─▶ mod.rs: hands out what is wanted ────────────▶ tend.rs: one task a target
//!  places.rs             readings.rs, complaints.rs                       │ keeper.rs: one round
//!  board.rs ◀──────────────── Status ─────────────────────────────────────┤ set_ups.rs, notices.rs
//!  album.rs ◀──────────────── pages of the snapshot ──────────────────────┘ schedule.rs (pure)
//! ```
//!
//! One task reads the manifests whenever something may have changed, and hands what is wanted to
//! one task for each target. A target that is down waits for itself alone. While any manifest is in
//! error nothing new is handed out: the last good state stays in force.

mod album;
mod board;
mod complaints;
mod consent;
mod hold;
mod keeper;
mod notices;
mod places;
mod readings;
mod schedule;
mod set_ups;
mod tend;
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

use crate::model::{Desired, Key, Policy, Seals, TargetName};
use crate::status::{Link, Manifests, Mode};
use crate::target::{Stop, Target};

use complaints::Complaints;
use places::Look;
use readings::{Read, Readings};
use tend::{Errand, Tender};
use trigger::Trigger;

pub use album::Album;
pub use board::{Board, Clock};
pub use consent::Consent;
pub use hold::{Held, Hold};
pub use notices::{Notices, schema as notice_schema};
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
    pub wanted: Option<BTreeMap<TargetName, Wanted>>,
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
pub struct Wanted {
    /// Its address or folder.
    pub address: String,
    /// How to get there.
    pub open: Opener,
    /// Another number where the way in is another one.
    pub door: u64,
    /// What keeps other watchers away from it.
    pub hold: Hold,
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

impl Wanted {
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
    pub board: Board,
    /// Where it puts what targets hold; nowhere where nobody asks for that.
    pub album: Option<Album>,
    /// What providers answered, by the hands of browsers.
    pub consents: mpsc::Receiver<Consent>,
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
    let mut tended = Tended::new(settings.clone(), &ports);
    let mut complaints = Complaints::default();
    let readings = Readings::new(read);
    let mut is_asked = false;
    while !ports.stop.is_cancelled() {
        let read = next(&readings, &mut trigger, &tended, &mut ports).await;
        if ports.stop.is_cancelled() {
            break;
        }
        let Some(Read { reading: Reading { wanted, manifests, .. }, files, .. }) = read else {
            tracing::error!("the manifests can be read no more: this is a fault of appcred");
            break;
        };
        complaints.tell(&manifests);
        if is_asked {
            let Manifests { files, entries, .. } = manifests;
            tracing::info!("read {files} manifests with {entries} entries");
        }
        ports.board.edit(|status| status.manifests = manifests);
        let has_changed = std::mem::replace(&mut tended.files, files) != tended.files;
        if let Some(wanted) = wanted {
            tended.hand_out(wanted, is_asked, has_changed);
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
                    tended.pass_on(consent);
                    continue;
                }
                () = ports.stop.cancelled() => {}
            }
            break;
        }
    }
    tended.end().await;
}

/// The next reading that is whole; nothing where there can be none, or it is time to stop. Answers of
/// providers do not wait for it.
async fn next<R: FnMut() -> Reading + Send + 'static>(
    readings: &Readings<R>,
    trigger: &mut Trigger,
    tended: &Tended,
    ports: &mut Ports,
) -> Option<Read> {
    let reading = readings.settled(trigger, |wanted| tended.look_ahead(wanted));
    tokio::pin!(reading);
    loop {
        tokio::select! {
            read = &mut reading => return read,
            Some(consent) = ports.consents.recv() => tended.pass_on(consent),
            () = ports.stop.cancelled() => return None,
        }
    }
}

/// The tasks of all targets.
struct Tended {
    settings: Settings,
    board: Board,
    album: Option<Album>,
    stop: Stop,
    targets: BTreeMap<TargetName, Handle>,
    /// How the files stood that are no manifests: tokens, certificates, identities and the like.
    files: Look,
    tasks: JoinSet<()>,
}

struct Handle {
    wanted: watch::Sender<Arc<Wanted>>,
    /// Something else may come to be wanted very soon.
    soon: Arc<Notify>,
    errands: mpsc::Sender<Errand>,
}

/// Answers of providers that nobody has looked at yet.
const MOST_ERRANDS: usize = 16;

impl Tended {
    fn new(settings: Settings, ports: &Ports) -> Self {
        let (board, album, stop) = (ports.board.clone(), ports.album.clone(), ports.stop.clone());
        let (targets, files, tasks) = (BTreeMap::new(), Look::new(), JoinSet::new());
        Self { settings, board, album, stop, targets, files, tasks }
    }

    /// Tells each target's task what is wanted now, if that is new or `is_asked` for; one that is down
    /// is tried at once where files have changed, since that may be what it waits for. A target that
    /// is wanted no more is let go, a new one gets a task.
    fn hand_out(
        &mut self,
        wanted: BTreeMap<TargetName, Wanted>,
        is_asked: bool,
        has_changed: bool,
    ) {
        self.targets.retain(|name, _| wanted.contains_key(name));
        self.board.edit(|status| status.targets.retain(|name, _| wanted.contains_key(name)));
        if let Some(album) = &self.album {
            album.retain(|name| wanted.contains_key(name));
        }
        for (name, wanted) in wanted {
            self.board.begin(&name, &wanted.address, wanted.mode);
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
    fn look_ahead(&self, wanted: &BTreeMap<TargetName, Wanted>) {
        for (name, wanted) in wanted {
            if let Some(handle) = self.targets.get(name)
                && !handle.wanted.borrow().is_same(wanted)
            {
                handle.soon.notify_one();
            }
        }
    }

    fn is_down(&self, name: &TargetName) -> bool {
        let status = self.board.subscribe();
        let status = status.borrow();
        status.targets.get(name).is_some_and(|target| {
            target.error.is_some() || matches!(target.link, Link::Down { .. })
        })
    }

    fn begin(&mut self, name: TargetName, wanted: Arc<Wanted>) {
        let (sender, receiver) = watch::channel(wanted);
        let (errands, waiting) = mpsc::channel(MOST_ERRANDS);
        let tender = Tender {
            name: name.clone(),
            settings: self.settings.clone(),
            board: self.board.clone(),
            album: self.album.clone(),
            stop: self.stop.clone(),
        };
        let soon = Arc::new(Notify::new());
        self.tasks.spawn(tender.tend(receiver, Arc::clone(&soon), waiting));
        self.targets.insert(name, Handle { wanted: sender, soon, errands });
    }

    fn pass_on(&self, consent: Consent) {
        let Consent { target, query, taken } = consent;
        let errand = Errand { query, taken };
        let refused = match self.targets.get(&target) {
            None => errand,
            Some(handle) => match handle.errands.try_send(errand) {
                Ok(()) => return,
                Err(full) => full.into_inner(),
            },
        };
        // Whoever asked may have gone.
        drop(refused.taken.send(Err("nobody can take it now".to_owned())));
    }

    async fn end(mut self) {
        self.targets.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}
