//! `watch`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::sync::{Notify, mpsc, watch as channel};
use tokio::task::JoinError;

use crate::server::{Serving, serve};
use crate::target::Stop;
use crate::watch::{self, Noticing, Ports, Settings, SnapshotStore, StatusStore};

use super::exit::ExitStatus;
use super::listen::ListenArgs;
use super::output::names;
use super::reader::Reader;
use super::selection::{PolicyArgs, Selection};
use super::{Global, environment, service, snapshot};

/// Answers of providers that wait to be handed on.
const MOST_CONSENTS: usize = 64;

/// Keep targets as the manifests want them, until told to stop
///
/// Manifests, files of secrets, the project file, identities and CA files are watched; each target is
/// looked at again on every change, when it tells of one, and every few minutes, on its own. While a
/// manifest is in error nothing new is done, and the last good state stays in force. SIGHUP reads
/// everything anew, SIGTERM and Ctrl-C finish what is in flight and end with 0.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  appcred watch
  appcred watch --dry-run --resync 60
  appcred watch --listen 0.0.0.0:8099 --token-file /run/secrets/status_token
  appcred -C /config/credentials watch --poll 2 --log-format json")]
pub(super) struct Watch {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Tell what differs, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Look at each target and at all files this often
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    resync: u64,
    /// Look at files this often instead of waiting for events; network file systems are looked at by
    /// themselves
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    poll: Option<u64>,
    /// Keep a snapshot of all targets in this file, as `appcred snapshot` writes it
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    #[command(flatten)]
    listen: ListenArgs,
}

pub(super) async fn run(global: Global, verb: Watch) -> anyhow::Result<ExitStatus> {
    let settings = Settings {
        resync: Duration::from_secs(verb.resync),
        noticing: verb
            .poll
            .map_or(Noticing::Events, |seconds| Noticing::Polling(Duration::from_secs(seconds))),
        consent_base: verb.listen.consent_base(),
    };
    let names = Arc::new(names(&global));
    let mut reader = Reader::new(global, verb.selection, verb.policy, verb.dry_run);
    // First, since another watcher of the project most likely has the page's address, too.
    check_holds(&mut reader)?;
    let served = verb.listen.bind().await?;
    let stop = Stop::new();
    let reload = Arc::new(Notify::new());
    let over = service::listen(stop.clone(), Arc::clone(&reload))?;
    let statuses = StatusStore::new(environment::now);
    tokio::spawn(service::report(statuses.subscribe()));
    let is_asked = served.is_some() || verb.snapshot.is_some();
    let snapshots = is_asked.then(SnapshotStore::default);
    let snapshot = assembled(snapshots.clone(), &stop);
    if let Some(file) = verb.snapshot {
        tokio::spawn(keep_snapshot(file, snapshot.clone()));
    }
    let (consents, arriving) = mpsc::channel(MOST_CONSENTS);
    let serving = served.map(|(listener, access)| {
        let status = statuses.subscribe();
        let serving = Serving { status, snapshot, callbacks: consents, names, access };
        tokio::spawn(serve(listener, serving, stop.clone().cancelled_owned()))
    });
    let ports = Ports { statuses, snapshots, consents: arriving, reload, stop };
    let watching = async {
        tokio::spawn(watch::run(settings, move || reader.read(), ports)).await?;
        if let Some(serving) = serving {
            serving.await?;
        }
        Ok::<_, JoinError>(())
    };
    tokio::select! {
        ended = watching => ended?,
        () = over => {}
    }
    Ok(ExitStatus::Success)
}

/// Where somebody else watches already this one need not begin.
fn check_holds(reader: &mut Reader) -> anyhow::Result<()> {
    let Some(wanted) = reader.read().wanted else { return Ok(()) };
    for (name, wanted) in wanted {
        if let Err(why) = wanted.hold.take() {
            bail!("{name}: {why}");
        }
    }
    Ok(())
}

/// The snapshot of all targets, bound anew whenever one of them was looked at.
fn assembled(snapshots: Option<SnapshotStore>, stop: &Stop) -> channel::Receiver<Option<Arc<str>>> {
    let (texts, newest) = channel::channel(None);
    if let Some(snapshots) = snapshots {
        let binding = snapshots.bind(environment::now, texts, stop.clone());
        tokio::spawn(async move {
            if let Err(why) = binding.await {
                tracing::error!("no snapshot can be taken: {why}");
            }
        });
    }
    newest
}

async fn keep_snapshot(file: PathBuf, mut newest: channel::Receiver<Option<Arc<str>>>) {
    while newest.changed().await.is_ok() {
        let text: Option<Arc<str>> = newest.borrow_and_update().clone();
        let Some(text) = text else { continue };
        write(&file, &text);
    }
}

fn write(file: &Path, text: &str) {
    if let Err(why) = snapshot::replace(file, text) {
        tracing::error!("cannot write {}: {why}", file.display());
    }
}
