//! `watch`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::desired;
use crate::diagnostic::{Diagnostics, Severity};
use crate::manifest::{Loaded, Target, Token};
use crate::model::{Completeness, SealedClients};
use crate::secret::Vault;
use crate::target::Stop;
use crate::watch::{self, Mode, Noticing, Opener, Reading, Settings, Wanted};

use super::Global;
use super::access::{Way, chosen};
use super::exit::ExitStatus;
use super::gather::{load, vault};
use super::selection::{PolicyArgs, Selection};

/// Keep targets as the manifests want them, until told to stop
///
/// Manifests, the project file, identities and CA files are watched; each target is looked at again
/// on every change and every few minutes, on its own. While a manifest is in error nothing new is
/// done, and the last good state stays in force. SIGHUP reads everything anew, SIGTERM and Ctrl-C
/// finish what is in flight and end with 0.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  appcred watch
  appcred watch --dry-run --resync 60
  appcred -C /config/credentials watch --poll 2 --log-format json")]
pub(super) struct Watch {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Tell what differs, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Look at each target this often
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    resync: u64,
    /// Look at files this often instead of waiting for events, as for network file systems
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    poll: Option<u64>,
}

pub(super) async fn run(global: Global, verb: Watch) -> anyhow::Result<ExitStatus> {
    let settings = Settings {
        resync: Duration::from_secs(verb.resync),
        mode: if verb.dry_run { Mode::Report } else { Mode::Repair },
        noticing: verb
            .poll
            .map_or(Noticing::Events, |seconds| Noticing::Polling(Duration::from_secs(seconds))),
    };
    let stop = Stop::new();
    let reload = Arc::new(Notify::new());
    let told_twice = listen(stop.clone(), Arc::clone(&reload))?;
    let read = move || read(&global, &verb);
    tokio::select! {
        watched = watch::run(settings, read, &reload, &stop) => watched?,
        () = told_twice => {}
    }
    Ok(ExitStatus::Success)
}

/// SIGHUP asks to reload; the first SIGTERM or Ctrl-C to stop, and the second is over at once.
fn listen(stop: Stop, reload: Arc<Notify>) -> std::io::Result<impl Future<Output = ()>> {
    let mut hang_up = signal(SignalKind::hangup())?;
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = hang_up.recv() => { reload.notify_one(); continue }
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                return;
            }
            stop.cancel();
        }
    })
}

/// Reads everything anew; what is wrong is told, one line a problem.
fn read(global: &Global, verb: &Watch) -> Reading {
    let loaded = load(global);
    let mut places = places(&loaded, &global.folder);
    let Loaded { project, entries, mut problems, .. } = loaded;
    let (vault, wrong_identities) = vault(global, &project);
    let vault = Arc::new(vault);
    places.extend(project.age.identities.iter().cloned());
    let mut wanted = None;
    match chosen(&project, &verb.selection) {
        Ok(targets) if !problems.has_errors() => {
            let mut resolved = desired::resolve(entries, &vault, Completeness::Whole);
            problems.append(std::mem::take(&mut resolved.problems));
            let policy = verb.policy.over(&project.policy);
            let mut all = std::collections::BTreeMap::new();
            for (name, way) in targets {
                let (desired, twice) =
                    resolved.for_target(&project.owner, &name, &SealedClients::new());
                problems.append(twice);
                all.insert(
                    name,
                    Wanted { open: opener(way, &vault), desired, policy: policy.clone() },
                );
            }
            wanted = (!problems.has_errors()).then_some(all);
        }
        Ok(_) => {}
        Err(error) => tracing::error!("{error:#}"),
    }
    places.extend(vault.files());
    tell(&problems);
    if problems.has_errors() {
        wrong_identities.iter().for_each(|problem| tracing::warn!("{problem}"));
        tracing::warn!("nothing is changed until that is mended");
    }
    Reading { wanted, places }
}

fn opener(way: Way, vault: &Arc<Vault>) -> Opener {
    let vault = Arc::clone(vault);
    Arc::new(move || {
        let (way, vault) = (way.clone(), Arc::clone(&vault));
        async move { way.open(&vault).await }.boxed()
    })
}

/// The files and folders that the reading came from.
fn places(loaded: &Loaded, folder: &Path) -> BTreeSet<PathBuf> {
    let mut places: BTreeSet<PathBuf> = loaded.manifests.iter().cloned().collect();
    places.insert(folder.join("appcred.yaml"));
    match &loaded.project.manifests {
        Some(named) => places.extend(named.iter().map(|named| folder.join(&named.value))),
        None => {
            let usual = ["credentials", "application_credentials"];
            places.extend(usual.map(|name| folder.join(name)));
        }
    }
    for target in loaded.project.targets.values() {
        if let Target::HomeAssistant { token, ca_file, .. } = target {
            places.extend(ca_file.clone());
            if let Token::File(file) = token {
                places.insert(file.clone());
            }
        }
    }
    places
}

fn tell(problems: &Diagnostics) {
    for problem in problems.sorted() {
        let place =
            problem.spot.as_ref().map(|spot| format!("{}: ", spot.place())).unwrap_or_default();
        let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        match problem.severity {
            Severity::Error => tracing::error!("{place}{}{help}", problem.message),
            Severity::Warning => tracing::warn!("{place}{}{help}", problem.message),
        }
    }
}
