//! What a daemon serves to browsers and programs, and what comes in through that.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::report::FileNames;
use crate::server::{Access, Serving, TokenFile, serve};
use crate::target::Stop;
use crate::watch::{CallbackRequest, Heartbeat, StatusStore, WakeRequest};

/// Answers of providers that wait to be passed on.
const CALLBACK_QUEUE: usize = 64;
/// Requests for a round that wait for the one before.
pub(super) const WAKE_QUEUE: usize = 8;

/// What a daemon serves.
pub(super) struct Served {
    /// Where, and whom; nobody where there is none.
    pub(super) at: Option<(TcpListener, Access)>,
    /// The secret of the webhooks of Git hosts.
    pub(super) hook: Option<TokenFile>,
    /// What files are called.
    pub(super) names: Arc<FileNames>,
    /// The newest snapshot.
    pub(super) snapshot: watch::Receiver<Option<Arc<str>>>,
}

/// What comes in.
pub(super) type Requests = (mpsc::Receiver<CallbackRequest>, mpsc::Receiver<WakeRequest>);

impl Served {
    /// Begins to serve, until it is to stop.
    pub(super) fn begin(
        self,
        tasks: &mut JoinSet<()>,
        (statuses, heartbeat, stop): (&StatusStore, &Heartbeat, &Stop),
    ) -> Requests {
        let (callbacks, callbacks_in) = mpsc::channel(CALLBACK_QUEUE);
        let (wakes, wakes_in) = mpsc::channel(WAKE_QUEUE);
        let Self { at, hook, names, snapshot } = self;
        if let Some((listener, access)) = at {
            let (status, heartbeat) = (statuses.subscribe(), heartbeat.clone());
            let serving =
                Serving { status, heartbeat, snapshot, callbacks, wakes, hook, names, access };
            tasks.spawn(serve(listener, serving, stop.clone().cancelled_owned()));
        }
        (callbacks_in, wakes_in)
    }
}
