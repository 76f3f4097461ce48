//! Whether a user of Home Assistant administers it: for whom its Supervisor lets in to the status page.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::target::Stop;
use crate::target::home_assistant::{ConnectionSettings, administrators};

/// An open page asks every other second. Whoever is no administrator any more is let in no longer than this.
const KNOWN_FOR: Duration = Duration::from_secs(15);
/// After a failure Home Assistant is asked again after this.
const FAILED_FOR: Duration = Duration::from_secs(3);

/// Whether this user is an administrator.
#[derive(Debug)]
pub struct AdministratorQuery {
    /// The id of the user in Home Assistant.
    pub user: String,
    /// Where the answer goes; nothing where Home Assistant does not say, which is logged.
    pub answer: oneshot::Sender<Option<bool>>,
}

/// Answers such questions.
pub struct AdministratorsTask {
    /// The Home Assistant that lets users in.
    pub house: ConnectionSettings,
    /// The questions.
    pub queries: mpsc::Receiver<AdministratorQuery>,
    /// Ends it.
    pub stop: Stop,
}

impl AdministratorsTask {
    /// Answers until it is stopped.
    pub async fn run(self) {
        let Self { house, mut queries, stop } = self;
        let mut known: Option<(Instant, Option<BTreeSet<String>>)> = None;
        loop {
            let query = tokio::select! {
                query = queries.recv() => query,
                () = stop.cancelled() => return,
            };
            let Some(AdministratorQuery { user, answer }) = query else { return };
            if answer.is_closed() {
                continue;
            }
            if known.as_ref().is_none_or(|(until, _)| *until <= Instant::now()) {
                tokio::select! {
                    asked = ask(&house) => known = Some(asked),
                    () = stop.cancelled() => return,
                }
            }
            let administrators =
                known.as_ref().and_then(|(_, administrators)| administrators.as_ref());
            // Whoever asked may be gone.
            let _gone = answer.send(administrators.map(|all| all.contains(&user)));
        }
    }
}

/// Who they are, and until when that counts.
async fn ask(house: &ConnectionSettings) -> (Instant, Option<BTreeSet<String>>) {
    let (lifetime, administrators) = match administrators(house.clone()).await {
        Ok(administrators) => (KNOWN_FOR, Some(administrators)),
        Err(why) => {
            tracing::warn!("cannot ask Home Assistant who may see the status page: {why}");
            (FAILED_FOR, None)
        }
    };
    (Instant::now() + lifetime, administrators)
}
