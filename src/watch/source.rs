//! Fetches the project again and again: at an interval, and before each reading that somebody asks for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::status::SourceStatus;
use crate::target::Stop;

use super::{StatusStore, WakeRequest, Wakes};

/// The first pause after a failure; each failure doubles it, up to the interval.
const RETRY: Duration = Duration::from_secs(15);

/// Fetches what a reader reads.
pub trait FetchSource: Send + Sync + 'static {
    /// Fetches the newest commit and puts it in force, until it is to stop. Blocks.
    ///
    /// # Errors
    /// Why what was in force stays so.
    fn fetch_newest(&self, stop: &Stop) -> Result<NewestCommit, String>;
}

/// A commit that is in force now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestCommit {
    /// Its whole id.
    pub id: String,
    /// The commit before, where the branch does not go on from it.
    pub rewritten_from: Option<String>,
}

/// Who asks for everything to be read again, and who is asked then.
pub struct SourceChannels {
    /// The rounds that programs ask for.
    pub asked: Wakes,
    /// They go on to the watcher, after a fetch.
    pub wakes: mpsc::Sender<WakeRequest>,
    /// Requests for everything to be read and observed again.
    pub hang_up: Arc<Notify>,
    /// They go on as well.
    pub reload: Arc<Notify>,
}

/// Keeps a project as its repository has it.
pub struct SourceTask<F> {
    /// What is fetched.
    pub source: Arc<F>,
    /// What a state of the source is called.
    pub noun: &'static str,
    /// How it is before the first fetch.
    pub begin: SourceStatus,
    /// How often.
    pub interval: Duration,
    /// Notified where the source is known to be another one, so that it is fetched at once.
    pub changed: Arc<Notify>,
    /// Where it records how that is.
    pub statuses: StatusStore,
    /// Asks for the end.
    pub stop: Stop,
}

impl<F: FetchSource> SourceTask<F> {
    /// Fetches until it is to stop. The watcher sees what is in force then as it sees other files change.
    pub async fn run(self, mut channels: SourceChannels) {
        let mut status = self.begin.clone();
        let mut failures = u32::from(status.error.is_some());
        self.statuses.edit(|all| all.source = Some(status.clone()));
        loop {
            let next = Instant::now() + self.pause(failures);
            let mut request = None;
            let mut is_reload = false;
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.changed.notified() => {}
                targets = channels.asked.next() => request = Some(WakeRequest { targets }),
                () = channels.hang_up.notified() => is_reload = true,
                () = self.stop.cancelled() => return,
            }
            let (source, stop) = (Arc::clone(&self.source), self.stop.clone());
            let fetched = spawn_blocking(move || source.fetch_newest(&stop));
            let fetched = tokio::select! {
                fetched = fetched => fetched,
                // Who asks meanwhile may know of a newer commit, and is answered after the next fetch.
                never = channels.asked.take_all() => match never {},
            };
            if self.stop.is_cancelled() {
                return;
            }
            let fetched = fetched.unwrap_or_else(|_| {
                Err("internal error: the fetch crashed; please report it".to_owned())
            });
            failures = if fetched.is_ok() { 0 } else { failures.saturating_add(1) };
            self.record(&mut status, fetched);
            if let Some(request) = request {
                // Its receiver is gone where the watcher ends.
                let _ended = channels.wakes.send(request).await;
            }
            if is_reload {
                channels.reload.notify_one();
            }
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => self.interval,
            Some(earlier) => RETRY.saturating_mul(1 << earlier.min(8)).min(self.interval),
        }
    }

    fn record(&self, status: &mut SourceStatus, fetched: Result<NewestCommit, String>) {
        let before = status.clone();
        let mut rewritten = None;
        match fetched {
            Ok(newest) => {
                status.commit = newest.id;
                status.fetched_at = Some(self.statuses.now());
                status.error = None;
                rewritten = newest.rewritten_from;
            }
            Err(why) => status.error = Some(why),
        }
        self.statuses.edit(|all| all.source = Some(status.clone()));
        self.log(&before, status, rewritten.as_deref());
    }

    fn log(&self, before: &SourceStatus, now: &SourceStatus, rewritten_from: Option<&str>) {
        let (url, reference, noun) = (&now.url, named(&now.reference), self.noun);
        let commit = short(&now.commit);
        if let Some(rewritten) = rewritten_from {
            tracing::warn!(
                "{reference} of {url} was rewritten: commit {}, which was used before, is not among those up to {commit}, of which 64 are fetched at most",
                short(rewritten)
            );
        }
        match &now.error {
            Some(why) if before.error.as_ref() != Some(why) => {
                let rest =
                    SourceStatus::rest(self.statuses.subscribe().borrow().manifests.are_in_force());
                tracing::error!("cannot fetch {url}: {why}; {noun} {commit} {rest}");
            }
            None if before.error.is_some() => tracing::info!("{url} can be fetched again"),
            _ => {}
        }
        if before.commit != now.commit {
            tracing::info!("{noun} {commit} of {reference} of {url} was fetched");
        }
    }
}

/// A ref in words.
fn named(reference: &str) -> &str {
    if reference == "HEAD" { "the default branch" } else { reference }
}

/// So much of an id is shown.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
