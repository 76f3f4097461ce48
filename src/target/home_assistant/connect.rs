//! From an address and a token to a running HA that takes commands.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::address::Address;
use super::connection::Connection;
use super::log_in::{self, LoggedIn};
use super::messages::{Command, CurrentUser, Features};
use super::rest::Rest;
use super::{HomeAssistant, flows, unreachable};
use crate::http::Network;
use crate::integrations::Release;
use crate::model::Secret;
use crate::target::TargetError;
use crate::target::unreadable::UnreadableLog;

/// How long connecting and logging in may take.
pub(super) const CONNECT_TIMEOUT_SECONDS: u64 = 20;

/// How many connections are opened at once. With thousands at once, each would time out.
const CONNECTED_AT_ONCE: usize = 128;
/// After this, a connection that gets no answer no longer counts against the limit.
const LONGEST_PLACE: Duration = Duration::from_secs(2);

/// Limits how many connections are being opened.
#[derive(Debug)]
struct ConnectRoom(Semaphore);

static ROOM: ConnectRoom = ConnectRoom::new();

impl ConnectRoom {
    const fn new() -> Self {
        Self(Semaphore::const_new(CONNECTED_AT_ONCE))
    }

    /// Carries it out as soon as there is room.
    async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        // The semaphore is never closed.
        let place = self.0.acquire().await.ok();
        let mut work = pin!(work);
        let done = timeout(LONGEST_PLACE, &mut work).await;
        drop(place);
        match done {
            Ok(done) => done,
            Err(_) => work.await,
        }
    }
}

/// What is needed to reach HA.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// As in `https://ha.example:8123`, or `http://supervisor/core` within an app.
    pub url: String,
    /// An access token of an administrator.
    pub token: Secret,
    /// How all connections to it are made.
    pub network: Network,
}

/// Connects, logs in, and makes sure that the token is an administrator's.
pub async fn connect(settings: ConnectionSettings) -> Result<HomeAssistant, TargetError> {
    let ConnectionSettings { url, token, network } = settings;
    let address = Address::parse(&url)?;
    // Boxed since the future is large and is moved.
    let connecting = Box::pin(async move {
        let opening = async {
            let opened = log_in::open(&address, &network).await?;
            log_in::log_in(opened, &address, &token).await
        };
        let logged_in = in_time(&address, opening).await?;
        begin(address, &network, token, logged_in).await
    });
    ROOM.take(connecting).await
}

/// What is done before the first command is soon done.
pub(super) async fn in_time<T>(
    address: &Address,
    connecting: impl Future<Output = Result<T, TargetError>>,
) -> Result<T, TargetError> {
    let connected = timeout(Duration::from_secs(CONNECT_TIMEOUT_SECONDS), connecting).await;
    connected.unwrap_or_else(|_| Err(unreachable::no_answer(address, CONNECT_TIMEOUT_SECONDS)))
}

/// Takes over a socket on which log-in is over, and makes sure that the token is an administrator's.
pub(super) async fn begin(
    address: Address,
    network: &Network,
    token: Secret,
    LoggedIn { socket, fence, version }: LoggedIn,
) -> Result<HomeAssistant, TargetError> {
    tracing::debug!(%address, version, "connected to Home Assistant");
    let connection = Connection::new(socket, fence);
    let rest = Rest::new(address.clone(), network, token, connection.fence.clone())?;
    let release = Release::of(version.as_deref());
    let mut ha = HomeAssistant {
        base: address.frontend_base().to_owned(),
        has_my: false,
        address,
        version,
        release,
        connection,
        rest,
        domains: OnceCell::new(),
        unreadable: UnreadableLog::default(),
        installing: Default::default(),
        run: format!("{:016x}", fastrand::u64(..)),
    };
    let features = Command::SupportedFeatures { features: Features { coalesce_messages: 1 } };
    let (_, user, core) = tokio::try_join!(
        ha.connection.ask::<()>(features),
        ha.connection.ask::<CurrentUser>(Command::CurrentUser),
        ha.core_when_set_up(),
    )
    .map_err(|fault| ha.error(fault))?;
    if !user.is_admin {
        return Err(TargetError::NotAdmin { address: ha.address.to_string() });
    }
    ha.has_my = core.has("my");
    if let Some(set) = core.set_address() {
        ha.base = set.to_owned();
    } else if ha.address.is_supervisor() {
        ha.base = flows::DEFAULT_BASE.to_owned();
    }
    Ok(ha)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::time::timeout;

    use super::{CONNECTED_AT_ONCE, ConnectRoom, LONGEST_PLACE};

    #[tokio::test(start_paused = true)]
    async fn so_many_are_connected_to_at_once_and_who_does_not_answer_leaves_its_place() {
        let (room, begun) = (ConnectRoom::new(), AtomicUsize::new(0));
        let connect = || {
            room.take(async {
                begun.fetch_add(1, Ordering::SeqCst);
                pending::<()>().await;
            })
        };
        let mut all = pin!(join_all((0..=CONNECTED_AT_ONCE).map(|_| connect())));
        timeout(LONGEST_PLACE / 2, &mut all).await.unwrap_err();
        assert_eq!(begun.load(Ordering::SeqCst), CONNECTED_AT_ONCE);
        timeout(LONGEST_PLACE, &mut all).await.unwrap_err();
        assert_eq!(begun.load(Ordering::SeqCst), CONNECTED_AT_ONCE + 1);
    }
}
