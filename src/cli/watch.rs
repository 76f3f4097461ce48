//! `watch`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::{Notify, mpsc, watch as channel};
use tokio::task::{JoinSet, spawn_blocking};

use crate::files;
use crate::git::GitSource;
use crate::model::Visible;
use crate::status::SourceStatus;
use crate::target::Stop;
use crate::watch::{
    self, AdministratorsTask, ChangeDetection, Channels, Connector, FetchSource, Heartbeat,
    ReadSpecs, Reading, SnapshotStore, SourceChannels, SourceTask, StatusStore, WakeRequest, Wakes,
    WatchSettings,
};

use crate::workspace::{ProjectReader, ReaderSettings};

use super::ask::Terminal;
#[cfg(feature = "kubernetes")]
use super::cluster_source;
use super::exit::ExitStatus;
use super::gather::workspace;
use super::git_source::FetchedProject;
#[cfg(feature = "kubernetes")]
use super::git_source::KeptSource;
use super::inputs::{OutputKind, refuse_inputs};
use super::interrupt::{ProcessSignals, StopsAtOnce};
use super::listen::ListenArgs;
use super::output::names;
use super::selection::{EntryArgs, PolicyArgs, TargetArgs};
use super::served::{Served, WAKE_QUEUE};
use super::source_args::SourceArgs;
use super::times::{hour_or_more, seconds};
use super::{Global, environment, service};

/// Keep targets as the manifests want them, until stopped
///
/// Manifests, files of secrets, the project file, identities, token and CA files are watched. Each
/// target is looked at again on every change, when it reports one, and every few minutes. While a
/// manifest is in error nothing new is done, and the last good state stays in force. An access token
/// that was refused is not tried again before it changes. SIGHUP reads and tries everything again;
/// SIGTERM and Ctrl-C finish what is in flight and end with 0. `plan --help` says what --key, --domain and
/// --exclude leave out.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  appcred watch
  appcred watch --dry-run --resync 60
  appcred watch --verify-every 1d
  appcred watch --domain spotify,netatmo
  appcred watch --git git@git.example:me/house.git --git-key /etc/appcred/deploy_key
  appcred watch --listen 0.0.0.0:8099 --token-file /run/secrets/status_token
  appcred -C /config/credentials watch --poll 2 --log-format json")]
pub(super) struct WatchArgs {
    #[command(flatten)]
    selection: TargetArgs,
    #[command(flatten)]
    entries: EntryArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Report what differs, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Look at each target and at all files this often: seconds, or as in 5m
    #[arg(long, value_name = "TIME", default_value_t = 300, value_parser = seconds)]
    resync: u64,
    /// Look at files this often instead of waiting for events; on network file systems that is done
    /// anyway
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    poll: Option<u64>,
    /// Ask the providers this often whether they still accept the clients, as in 1d; at least an hour
    ///
    /// Each client is asked about at a moment of its own in that time, also after a restart. A provider that
    /// counts requests is left out, which is logged and shown on the status page; `appcred verify` asks it.
    #[arg(long, value_name = "TIME", value_parser = hour_or_more)]
    verify_every: Option<Duration>,
    /// Keep a snapshot of all targets in this file, as `appcred snapshot` writes it
    #[arg(long, value_name = "FILE", value_parser = snapshot_path)]
    snapshot: Option<PathBuf>,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Fetch the repository this often, in seconds or as in 5m; also when a Git host or a program asks for a round
    #[arg(long, value_name = "TIME", default_value_t = 300, requires = "git", help_heading = "Git", value_parser = seconds)]
    git_interval: u64,
    #[command(flatten)]
    listen: ListenArgs,
}

pub(super) async fn run(mut global: Global, verb: WatchArgs) -> anyhow::Result<ExitStatus> {
    let early = global.stopped_early.take();
    let global = Arc::new(global);
    let settings = settings(&verb);
    let names = Arc::new(names(&global));
    let source = verb.source.git.source()?;
    let stop = early.as_ref().map(StopsAtOnce::stop).unwrap_or_default();
    // What goes on then ends with the process, and so do the programs that it has started.
    let Some(reader) = stop.run_until_cancelled(first_reading(&global, &verb)).await else {
        return Ok(ExitStatus::Success);
    };
    let reader = reader?;
    let (ingress, house) = verb.listen.ingress()?.unzip();
    let served = verb.listen.bind(ingress).await?;
    let hook = verb.listen.hook()?;
    let heartbeat = Heartbeat::new();
    // Whoever asks for a round asks for a fetch first.
    let hang_up = early.as_ref().map(StopsAtOnce::hang_up).unwrap_or_default();
    let reload = if global.fetched.is_some() { Arc::default() } else { Arc::clone(&hang_up) };
    let signals = match early {
        Some(early) => early.end().await.context("internal error: a task crashed")?,
        None => ProcessSignals::new()?,
    };
    let over = service::listen(signals, stop.clone(), Arc::clone(&hang_up));
    let statuses = StatusStore::new(environment::now);
    // All end when the watcher is to stop.
    let mut tasks = JoinSet::new();
    tasks.spawn(service::report(statuses.subscribe(), heartbeat.clone(), stop.clone()));
    let (snapshots, snapshot) = snapshots(&mut tasks, verb.snapshot, served.is_some(), &stop);
    let served = Served { at: served, hook, names, snapshot };
    let (callbacks, mut wakes) = served.begin(&mut tasks, (&statuses, &heartbeat, &stop));
    let task_of = (statuses.clone(), stop.clone());
    match (source, &global.fetched) {
        (Some(source), Some(fetched)) => {
            let interval = Duration::from_secs(verb.git_interval);
            let task = fetching((source, fetched), interval, task_of);
            tasks.spawn(after_fetch(task, &mut wakes, hang_up, Arc::clone(&reload)));
        }
        #[cfg(feature = "kubernetes")]
        (None, Some(FetchedProject { commit, kept: KeptSource::Cluster(project, _), .. })) => {
            let task = cluster_source::fetching(project, commit, task_of, &mut tasks);
            tasks.spawn(after_fetch(task, &mut wakes, hang_up, Arc::clone(&reload)));
        }
        _ => {}
    }
    if let Some((house, queries)) = house {
        tasks.spawn(AdministratorsTask { house, queries, stop: stop.clone() }.run());
    }
    let connector = connector(&reader, verb.listen.consent_base());
    let wakes = Wakes::new(wakes);
    let channels = Channels { statuses, snapshots, callbacks, wakes, reload, heartbeat, stop };
    tasks.spawn(watch::run(settings, reader, connector, channels));
    tokio::select! {
        ended = all(tasks) => ended?,
        () = over => {}
    }
    Ok(ExitStatus::Success)
}

/// What has read the project, if a watcher may begin with that. It is read on another thread: a program that gives a
/// secret may take long, and so may a file on another machine.
async fn first_reading(
    global: &Arc<Global>,
    verb: &WatchArgs,
) -> anyhow::Result<ProjectReader<Terminal>> {
    let settings = ReaderSettings {
        workspace: workspace(global),
        targets: verb.selection.selection(),
        policy: verb.policy.overrides(&verb.entries),
        is_dry_run: verb.dry_run,
        clock: environment::now,
    };
    let mut reader = ProjectReader::new(settings, Terminal);
    let (global, snapshot) = (Arc::clone(global), verb.snapshot.clone());
    let reading = spawn_blocking(move || {
        let snapshot = snapshot.as_deref().map(|file| (OutputKind::Snapshot, file));
        refuse_inputs(&global, snapshot.into_iter())?;
        let reading = reader.read();
        anyhow::Ok((reader, reading))
    });
    let (reader, reading) =
        reading.await.context("internal error: reading the project crashed")??;
    check(reading).await?;
    Ok(reader)
}

fn connector(reader: &ProjectReader<Terminal>, consent_base: Option<String>) -> Connector {
    Connector {
        resolver: reader.resolvers(),
        sessions: environment::read().sessions(),
        consent_base,
        reached: Default::default(),
    }
}

/// What keeps a project as its repository has it, after the first fetch.
fn fetching(
    (source, fetched): (GitSource, &FetchedProject),
    interval: Duration,
    (statuses, stop): (StatusStore, Stop),
) -> SourceTask<GitSource> {
    let begin = SourceStatus {
        url: source.url.to_string(),
        reference: source.reference.as_str().to_owned(),
        commit: fetched.commit.clone(),
        fetched_at: fetched.error.is_none().then(environment::now),
        error: fetched.error.clone(),
    };
    let (source, changed) = (Arc::new(source), Arc::default());
    SourceTask { source, noun: "commit", begin, interval, changed, statuses, stop }
}

/// Whoever asks for a round, or for everything to be read, asks for a fetch first.
fn after_fetch<F: FetchSource>(
    task: SourceTask<F>,
    wakes: &mut mpsc::Receiver<WakeRequest>,
    hang_up: Arc<Notify>,
    reload: Arc<Notify>,
) -> impl Future<Output = ()> + use<F> {
    let (forward, forwarded) = mpsc::channel(WAKE_QUEUE);
    let asked = std::mem::replace(wakes, forwarded);
    task.run(SourceChannels { asked: Wakes::new(asked), wakes: forward, hang_up, reload })
}

fn settings(verb: &WatchArgs) -> WatchSettings {
    let detection = match verb.poll {
        Some(seconds) => ChangeDetection::Polling(Duration::from_secs(seconds)),
        None => ChangeDetection::Events,
    };
    let resync = Duration::from_secs(verb.resync);
    WatchSettings { resync, detection, verify_every: verb.verify_every }
}

/// A file that is written again and again.
fn snapshot_path(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("a watcher keeps it in a file: `appcred snapshot` prints one".to_owned()),
        file => Ok(file.into()),
    }
}

/// Waits for all tasks. None may crash while others go on: a page that is served says nothing true
/// about a watcher that is gone.
pub(super) async fn all(mut tasks: JoinSet<()>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.context("internal error: a task of the watcher crashed; please report it")?;
    }
    Ok(())
}

/// This watcher need not begin where the command line or the project names no target or entry, or where
/// another watcher has one. An error in a file may be corrected while it runs.
async fn check(reading: Reading) -> anyhow::Result<()> {
    let Reading { specs, manifests, .. } = reading;
    let unmatched = manifests.selection.and_then(|selection| selection.unmatched);
    if let Some(blocker) = manifests.blocker.or(unmatched)
        && !manifests.problems.has_errors()
    {
        bail!(blocker);
    }
    for (name, spec) in specs.into_iter().flatten() {
        spec.lock.take().await.with_context(|| name.to_string())?;
    }
    Ok(())
}

/// Keeps snapshots for who asks for them, and for a file.
pub(super) fn snapshots(
    tasks: &mut JoinSet<()>,
    file: Option<PathBuf>,
    is_served: bool,
    stop: &Stop,
) -> (Option<SnapshotStore>, channel::Receiver<Option<Arc<str>>>) {
    let snapshots = (is_served || file.is_some()).then(SnapshotStore::default);
    let (texts, snapshot) = channel::channel(None);
    if let Some(snapshots) = snapshots.clone() {
        tasks.spawn(publish(snapshots, texts, stop.clone()));
    }
    if let Some(file) = file {
        tasks.spawn(keep_snapshot(file, snapshot.clone()));
    }
    (snapshots, snapshot)
}

/// Keeps the text of the snapshot file up to date.
async fn publish(snapshots: SnapshotStore, texts: channel::Sender<Option<Arc<str>>>, stop: Stop) {
    if let Err(why) = snapshots.publish(environment::now, texts, stop).await {
        tracing::error!("cannot write a snapshot: {why}");
    }
}

async fn keep_snapshot(file: PathBuf, mut newest: channel::Receiver<Option<Arc<str>>>) {
    let mut failed: Option<String> = None;
    while newest.changed().await.is_ok() {
        let text: Option<Arc<str>> = newest.borrow_and_update().clone();
        let Some(text) = text else { continue };
        // A disk may take seconds for it.
        let place = file.clone();
        let written = spawn_blocking(move || files::write(&place, &*text, 0o644)).await;
        let why = match written {
            Ok(written) => written.err().map(|why| why.to_string()),
            Err(crash) => Some(crash.to_string()),
        };
        match &why {
            Some(why) if failed.as_ref() != Some(why) => {
                tracing::error!("cannot write {}: {why}", file.visible());
            }
            None if failed.is_some() => tracing::info!("{} is written again", file.visible()),
            _ => {}
        }
        failed = why;
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::all;

    #[tokio::test]
    async fn a_task_that_crashes_ends_the_process_with_an_error_though_others_go_on() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        tasks.spawn(async { panic!("a task crashes, as the test wants") });
        let why = all(tasks).await.unwrap_err().to_string();
        assert!(why.contains("a task of the watcher crashed"), "{why}");
    }
}
