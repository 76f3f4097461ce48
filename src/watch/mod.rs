//! A daemon around observing, planning and applying: files, a timer, targets and signals wake it.
//!
//! ```text
//!  trigger.rs (files) ─▶ mod.rs ─▶ readings.rs ─▶ target_tasks.rs: gives each target its spec
//!  places.rs                       problem_log.rs      │
//!                                                      ▼
//!                        target_task.rs: one task for each target; what wakes a round
//!                          │ retry.rs (pure): when it is tried again, by error.rs's kinds
//!                          ▼
//!                        reconciler.rs: one round ─▶ connection.rs ─▶ target
//!                          │ lock, place_turns.rs: one writer at a time; conflict.rs, set_ups.rs: what is not done again
//!                          ▼
//!                        status_store.rs, snapshot_store.rs, notices.rs, notice.rs, message_text.rs, round_log.rs
//! waves.rs: which targets may be changed now, where that is done in waves
//! manifest_notices.rs: notices about the manifests
//! wakes.rs: rounds that programs ask for
//! source.rs: fetches the manifests again and again, where they are in a repository elsewhere
//! administrators.rs: whether somebody administers Home Assistant, for whom it lets in to the status page
//! clients.rs: asks providers regularly whether they still accept clients
//! ```
//!
//! One task reads the manifests whenever something may have changed, and gives each target's task its
//! [`TargetSpec`], a plain value. A target that is down holds up no other. While any manifest is in
//! error nothing new is given out: the last good state stays in force. A task that crashes starts
//! again, a reader that crashes reads again, and both are reported.

mod administrators;
mod clients;
mod conflict;
mod connection;
mod drift;
mod error;
mod heartbeat;
mod left;
mod manifest_notices;
mod message_text;
mod notice;
mod notices;
mod place_turns;
mod places;
mod problem_log;
mod readings;
mod reconciler;
mod retry;
mod round_limit;
mod round_log;
mod run_ids;
mod set_ups;
mod snapshot_store;
mod source;
mod spec;
mod status_store;
mod target_task;
mod target_tasks;
mod trigger;
mod wakes;
mod waves;
mod webhook;

#[cfg(all(test, feature = "kubernetes"))]
pub(crate) use round_log::tests::logged;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::model::{TargetName, counted};
use crate::status::{ManifestStatus, SelectionStatus};
use crate::target::Stop;

use clients::{Clients, keep_asking};
use error::ErrorKind;
use manifest_notices::ManifestNotifier;
use problem_log::ProblemLog;
use readings::{ReadResult, ReaderCrashed, Readings};
use retry::Schedule;
use target_tasks::TargetTasks;
use trigger::Trigger;

pub use administrators::{AdministratorQuery, AdministratorsTask};
pub use connection::{
    Connect, ConnectedTarget, Connector, ReachedTargets, TargetEvent, WatchedTarget,
};
pub use heartbeat::Heartbeat;
pub use notice::schema as notice_schema;
pub use notices::Notices;
pub use snapshot_store::SnapshotStore;
pub use source::{FetchSource, NewestCommit, SourceChannels, SourceTask};
pub use spec::{ReadSpecs, Reading, TargetSpec};
pub use status_store::{Clock, StatusStore};
pub use target_tasks::CallbackRequest;
pub use trigger::{ChangeDetection, NotWatched, try_to_watch};
pub use wakes::{WakeRequest, Wakes};
pub use webhook::Webhook;

/// What a crash of the reader is in the status.
const READER_CRASHED: &str = "internal error: the manifest reader crashed; please report it";

/// How to watch.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// How often each target and all files are looked at when nothing seems to have happened.
    pub resync: Duration,
    /// How to notice changes of files.
    pub detection: ChangeDetection,
    /// How often providers are asked whether they still accept clients; never where there is none.
    pub verify_every: Option<Duration>,
}

/// What connects a watcher to the rest of its process.
pub struct Channels {
    /// Where it records how everything is.
    pub statuses: StatusStore,
    /// Where it puts what targets hold; nowhere where nobody asks for that.
    pub snapshots: Option<SnapshotStore>,
    /// Providers' answers that browsers have brought.
    pub callbacks: mpsc::Receiver<CallbackRequest>,
    /// Requests for a round that programs have made.
    pub wakes: Wakes,
    /// Asks for everything to be read and observed again.
    pub reload: Arc<Notify>,
    /// Beats as long as this runs.
    pub heartbeat: Heartbeat,
    /// Asks for the end.
    pub stop: Stop,
}

/// Why the manifests are read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    /// Something may have changed.
    Change,
    /// Somebody asked for it, and for these targets to be looked at.
    Asked(BTreeSet<TargetName>),
    /// Somebody asked for it, and for all targets to be looked at, whatever they have refused.
    Reload,
}

/// Watches until it is to stop, and finishes what is in flight then.
pub async fn run<R: ReadSpecs, C: Connect>(
    settings: WatchSettings,
    reader: R,
    connector: C,
    channels: Channels,
) {
    let (clients, inbox) = watch::channel(Arc::default());
    let (statuses, stop) = (channels.statuses.clone(), channels.stop.clone());
    // Without a receiver no copy of the clients is made.
    let asked = settings.verify_every.map(|every| (every, inbox));
    let asking = async {
        if let Some((every, inbox)) = asked {
            keep_asking(every, inbox, statuses, stop).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = keep_targets(settings, reader, connector, channels, &clients) => {}
        () = asking => {}
    }
}

/// Keeps the targets as they should be, and reports which clients there are.
async fn keep_targets<R: ReadSpecs, C: Connect>(
    settings: WatchSettings,
    reader: R,
    connector: C,
    mut channels: Channels,
    clients: &watch::Sender<Arc<Clients>>,
) {
    let mut trigger = Trigger::new(settings.detection);
    let mut tasks = TargetTasks::new(settings.clone(), connector, &channels);
    let mut problem_log = ProblemLog::default();
    let mut notifier = ManifestNotifier::new(channels.stop.clone());
    let mut readings = Readings::new(reader);
    let mut cause = Cause::Change;
    let mut crashes = Schedule::default();
    while !channels.stop.is_cancelled() {
        let Some(read) = next(&mut readings, &mut trigger, &tasks, &mut channels).await else {
            break;
        };
        let pause = match read {
            Ok(read) => {
                let specs = read.reading.specs.as_ref().filter(|_| !clients.is_closed());
                let known = specs.map(|specs| Arc::new(Clients::of(specs)));
                give_out(read, &mut tasks, &mut problem_log, &channels.statuses, &cause);
                known.into_iter().for_each(|known| drop(clients.send_replace(known)));
                crashes.succeeded(settings.resync, fastrand::f64()).next
            }
            Err(ReaderCrashed) => {
                let now = channels.statuses.now();
                channels.statuses.edit(|status| {
                    status.manifests.read_at = Some(now);
                    status.manifests.blocker = Some(READER_CRASHED.to_owned());
                    problem_log.log(&status.manifests);
                });
                crashes.failed(ErrorKind::Internal, Instant::now(), fastrand::f64()).next
            }
        };
        let status = Arc::clone(&channels.statuses.subscribe().borrow());
        notifier.report(&status, &tasks.webhooks(), channels.statuses.now());
        let Some(next) = wait(
            pause.unwrap_or(settings.resync),
            (&trigger, &readings),
            (&tasks, &mut notifier),
            &mut channels,
        )
        .await
        else {
            break;
        };
        cause = next;
    }
    tasks.end().await;
}

/// Records what was read, and gives each target its spec.
fn give_out<C: Connect>(
    read: ReadResult,
    tasks: &mut TargetTasks<C>,
    problem_log: &mut ProblemLog,
    statuses: &StatusStore,
    cause: &Cause,
) {
    let Reading { specs, rollout, manifests, .. } = read.reading;
    let before = statuses.subscribe().borrow().manifests.clone();
    statuses.edit(|status| status.manifests.clone_from(&manifests));
    problem_log.log(&manifests);
    log_selection(&before, &manifests);
    if *cause == Cause::Reload {
        tracing::info!("read again: {}", counted(manifests.entries, "entry"));
    }
    if let Some(specs) = specs {
        tasks.distribute(specs, rollout, |name| match cause {
            Cause::Change => false,
            Cause::Asked(targets) => targets.contains(name),
            Cause::Reload => true,
        });
    }
}

/// Logs what is watched where that is not everything, and again where that has changed.
fn log_selection(before: &ManifestStatus, now: &ManifestStatus) {
    if let Some(selection) = &now.selection
        && before.selection.as_ref() != Some(selection)
    {
        let SelectionStatus { arguments, entries, .. } = selection;
        tracing::info!(
            "only what is selected is watched: {} ({entries} of {})",
            arguments.join(" "),
            counted(now.entries, "entry"),
        );
    }
}

/// The next reading that is whole; none when it is time to stop. Answers of providers and requests do not wait for it.
async fn next<R: ReadSpecs, C: Connect>(
    readings: &mut Readings<R>,
    trigger: &mut Trigger,
    tasks: &TargetTasks<C>,
    channels: &mut Channels,
) -> Option<Result<ReadResult, ReaderCrashed>> {
    let reading = readings.read_whole(trigger, |specs| tasks.look_ahead(specs));
    tokio::pin!(reading);
    loop {
        tokio::select! {
            read = &mut reading => return Some(read),
            Some(callback) = channels.callbacks.recv() => tasks.hand_over(callback),
            never = channels.wakes.take_all() => match never {},
            never = channels.heartbeat.run() => match never {},
            () = channels.stop.cancelled() => return None,
        }
    }
}

/// Waits until the manifests are to be read again; none when it is time to stop.
async fn wait<R: ReadSpecs, C: Connect>(
    pause: Duration,
    (trigger, readings): (&Trigger, &Readings<R>),
    (tasks, notifier): (&TargetTasks<C>, &mut ManifestNotifier),
    channels: &mut Channels,
) -> Option<Cause> {
    let mut statuses = channels.statuses.subscribe();
    let pause = sleep(pause);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = trigger.changed() => {
                tracing::debug!("files changed");
                return Some(Cause::Change);
            }
            () = readings.changed() => return Some(Cause::Change),
            // Whatever was missed is found now; what has not changed is not read again.
            () = &mut pause => return Some(Cause::Change),
            () = channels.reload.notified() => {
                tracing::info!("reading everything again");
                return Some(Cause::Reload);
            }
            targets = channels.wakes.next() => {
                tracing::info!("asked for a round");
                return Some(Cause::Asked(targets));
            }
            // Nothing is read for that, and the next reading may be hours away.
            status = notifier.source_changed(&mut statuses) => {
                notifier.report(&status, &tasks.webhooks(), channels.statuses.now());
            }
            Some(callback) = channels.callbacks.recv() => tasks.hand_over(callback),
            never = channels.heartbeat.run() => match never {},
            () = channels.stop.cancelled() => return None,
        }
    }
}
