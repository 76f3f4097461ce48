//! How a daemon gets along with what started it: signals, and systemd's notifications.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{interval, sleep};

use crate::status::{Link, Status};
use crate::target::Stop;

/// How long what is in flight may take to come to its end once somebody wishes to stop.
const FAREWELL: Duration = Duration::from_secs(25);
/// What changes within this is told once.
const GATHERING: Duration = Duration::from_millis(500);

/// SIGHUP asks to reload; the first SIGTERM or Ctrl-C to stop. The future ends when it must be over:
/// at the second one, or when what is in flight has had its time.
///
/// # Errors
/// Where signals cannot be listened to.
pub(super) fn listen(stop: Stop, reload: Arc<Notify>) -> std::io::Result<impl Future<Output = ()>> {
    let mut hang_up = signal(SignalKind::hangup())?;
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    let since = NotifyState::monotonic_usec_now();
                    tell(&[Some(NotifyState::Reloading), since.ok()].into_iter().flatten().collect::<Vec<_>>());
                    reload.notify_one();
                    continue;
                }
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = late(&stop) => {
                    tracing::warn!("what was in flight took too long");
                    return;
                }
            }
            if stop.is_cancelled() {
                return;
            }
            tell(&[NotifyState::Stopping]);
            tracing::info!("stopping");
            stop.cancel();
        }
    })
}

async fn late(stop: &Stop) {
    stop.cancelled().await;
    sleep(FAREWELL).await;
}

/// Tells systemd how things stand: ready after the first reading, a line of status, and that this
/// still runs where it wishes to know.
pub(super) async fn report(mut status: watch::Receiver<Arc<Status>>) {
    let mut pings = sd_notify::watchdog_enabled().map(|patience| interval(patience / 2));
    let (mut read_at, mut told) = (None, String::new());
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
                tell(&[NotifyState::Watchdog]);
                continue;
            }
        }
        let (read_now, line) = {
            let status = status.borrow_and_update();
            (status.manifests.read_at, summary(&status))
        };
        if read_now != read_at {
            read_at = read_now;
            tell(&[NotifyState::Ready]);
        }
        if line != told {
            tell(&[NotifyState::Status(&line)]);
            told = line;
        }
        sleep(GATHERING).await;
    }
}

fn summary(status: &Status) -> String {
    let targets = status.targets.values();
    let in_sync = targets.clone().filter(|target| target.is_in_sync()).count();
    let down = targets.clone().filter(|target| matches!(target.link, Link::Down { .. })).count();
    let pending: usize = targets.map(|target| target.pending_consents().count()).sum();
    let mut line = format!("{in_sync} of {} targets in sync", status.targets.len());
    if down > 0 {
        line.push_str(&format!(", {down} cannot be reached"));
    }
    if pending > 0 {
        line.push_str(&format!(", {pending} accounts wait for consent"));
    }
    if !status.manifests.are_in_force() {
        line.push_str(", manifests in error");
    }
    line
}

/// Without systemd nobody listens, which is no error.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
