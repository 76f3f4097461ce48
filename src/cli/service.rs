//! Signals, and notifications to systemd.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{Notify, watch};
use tokio::time::{interval, sleep};

use crate::model::counted;
use crate::status::{Link, Status};
use crate::target::Stop;
use crate::watch::Heartbeat;

use super::interrupt::ProcessSignals;

/// How long what is in flight may take once the watcher is to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);
/// Changes within this are reported once.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// SIGHUP asks to reload, the first SIGTERM or Ctrl-C to stop. The future ends when the process must
/// end: at the second one, or when what is in flight has had its time.
pub(super) async fn listen(mut signals: ProcessSignals, stop: Stop, reload: Arc<Notify>) {
    loop {
        tokio::select! {
            () = signals.hang_up.recv() => {
                let since = NotifyState::monotonic_usec_now();
                notify(&[Some(NotifyState::Reloading), since.ok()].into_iter().flatten().collect::<Vec<_>>());
                reload.notify_one();
                continue;
            }
            () = signals.end.next() => {}
            () = late(&stop) => {
                tracing::warn!("what was in flight took too long to finish");
                return;
            }
        }
        if stop.is_cancelled() {
            return;
        }
        notify(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        stop.cancel();
    }
}

async fn late(stop: &Stop) {
    stop.cancelled().await;
    sleep(SHUTDOWN_TIMEOUT).await;
}

/// Notifies systemd: ready after the first reading, a line of status, and, where its watchdog is on,
/// that the watcher's main task still runs.
pub(super) async fn report(
    mut status: watch::Receiver<Arc<Status>>,
    heartbeat: Heartbeat,
    stop: Stop,
) {
    let mut pings = sd_notify::watchdog_enabled().map(|timeout| interval(timeout / 2));
    let (mut read_at, mut last) = (None, String::new());
    loop {
        let ping = async {
            match &mut pings {
                Some(pings) => drop(pings.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = ping => {
                if heartbeat.is_alive() {
                    notify(&[NotifyState::Watchdog]);
                }
                continue;
            }
            () = stop.cancelled() => return,
        }
        let (read_now, line) = {
            let status = status.borrow_and_update();
            (status.manifests.read_at, summary(&status))
        };
        if read_now != read_at {
            read_at = read_now;
            notify(&[NotifyState::Ready]);
        }
        if line != last {
            notify(&[NotifyState::Status(&line)]);
            last = line;
        }
        tokio::select! {
            () = sleep(DEBOUNCE) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn summary(status: &Status) -> String {
    let targets = status.targets.values();
    let in_sync = targets.clone().filter(|target| target.is_in_sync()).count();
    let down = targets.clone().filter(|target| matches!(target.link, Link::Down { .. })).count();
    let refuse =
        targets.clone().filter(|target| matches!(target.link, Link::NoAccess { .. })).count();
    let pending: usize = targets.map(|target| target.waiting().count()).sum();
    let mut line = format!("{in_sync} of {} targets in sync", status.targets.len());
    if down > 0 {
        line.push_str(&format!(", {down} cannot be reached"));
    }
    if refuse > 0 {
        line.push_str(&format!(", no access to {refuse}"));
    }
    if pending > 0 {
        line.push_str(&format!(", {} waiting for a person", counted(pending, "set-up")));
    }
    if let Some(selection) = &status.manifests.selection {
        line.push_str(&format!(", only of {}", selection.arguments.join(" ")));
        if selection.unmatched.is_some() {
            line.push_str(", which does not match");
        }
    }
    if !status.manifests.are_in_force() || status.problems().has_errors() {
        line.push_str(", manifests in error");
    }
    line
}

/// Without systemd nobody listens, which is no error.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}
