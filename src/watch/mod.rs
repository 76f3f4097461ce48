//! A daemon around observing, planning and applying: files, a timer and a signal wake it.
//!
//! One task reads the manifests whenever something may have changed, and hands what is wanted to
//! one task for each target. A target that is down waits for itself alone. While any manifest is in
//! error nothing new is handed out: the last good state stays in force.

mod consent;
mod schedule;
mod tend;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::model::{Desired, Policy, TargetName};
use crate::target::{Stop, Target};

use trigger::Trigger;

pub use consent::Consent;
pub use trigger::Noticing;

/// How to watch.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often each target is looked at when nothing seems to have happened.
    pub resync: Duration,
    /// What to do about differences.
    pub mode: Mode,
    /// How to notice changes of files.
    pub noticing: Noticing,
}

/// What to do about differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Mend them.
    Repair,
    /// Tell them, and change nothing.
    Report,
}

/// What the manifests say at one moment.
pub struct Reading {
    /// What each target should hold, or nothing where a manifest is in error, which has been told.
    pub wanted: Option<BTreeMap<TargetName, Wanted>>,
    /// The files and folders that this came from.
    pub places: BTreeSet<PathBuf>,
}

/// Opens a target anew, each time with what its files and programs say then.
pub type Opener = Arc<dyn Fn() -> BoxFuture<'static, Result<Target, String>> + Send + Sync>;

/// What one target should hold.
#[derive(Clone)]
pub struct Wanted {
    /// How to get there.
    pub open: Opener,
    /// What it should hold.
    pub desired: Desired,
    /// What a plan may do.
    pub policy: Policy,
}

/// Watches until told to stop, and finishes what is in flight then.
///
/// `read` reads everything anew; it may take its time and is never called twice at once. `reload`
/// asks for it from outside.
///
/// # Errors
/// Where files cannot be watched at all.
pub async fn run(
    settings: Settings,
    read: impl Fn() -> Reading + Send + Sync + 'static,
    reload: &Notify,
    stop: &Stop,
) -> notify::Result<()> {
    let mut trigger = Trigger::new(settings.noticing)?;
    let read = Arc::new(read);
    let mut targets: BTreeMap<TargetName, watch::Sender<Arc<Wanted>>> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let reader = Arc::clone(&read);
        let Ok(reading) = tokio::task::spawn_blocking(move || reader()).await else { break };
        // What changes between the reading and the watch wakes the next reading.
        trigger.watch(&reading.places)?;
        if let Some(wanted) = reading.wanted {
            hand_out(wanted, &mut targets, &mut tasks, settings, stop);
        }
        tokio::select! {
            () = trigger.changed() => tracing::debug!("files changed"),
            () = reload.notified() => tracing::info!("reading everything anew"),
            () = stop.cancelled() => break,
        }
    }
    drop(targets);
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Tells each target's task what is wanted now; a target that is wanted no more is let go, a new
/// one gets a task.
fn hand_out(
    wanted: BTreeMap<TargetName, Wanted>,
    targets: &mut BTreeMap<TargetName, watch::Sender<Arc<Wanted>>>,
    tasks: &mut JoinSet<()>,
    settings: Settings,
    stop: &Stop,
) {
    targets.retain(|name, _| wanted.contains_key(name));
    for (name, wanted) in wanted {
        let wanted = Arc::new(wanted);
        match targets.get(&name) {
            Some(sender) => drop(sender.send_replace(wanted)),
            None => {
                let (sender, receiver) = watch::channel(wanted);
                tasks.spawn(tend::tend(name.clone(), receiver, settings, stop.clone()));
                targets.insert(name, sender);
            }
        }
    }
}
