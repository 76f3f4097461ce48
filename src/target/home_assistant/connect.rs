//! From an address and a token to a running HA that takes commands.

use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::address::Address;
use super::connection::{Connection, Socket};
use super::log_in::{self, OpenSocket};
use super::messages::{Command, CurrentUser, Features};
use super::rest::Rest;
use super::{HomeAssistant, flows, unreachable};
use crate::http::Network;
use crate::integrations::Release;
use crate::model::Secret;
use crate::target::TargetError;
use crate::target::unreadable::UnreadableLog;

/// From the first packet to the end of log-in.
pub(super) const CONNECT_TIMEOUT_SECONDS: u64 = 20;

/// What is needed to reach HA.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// As in `https://ha.example:8123`, or `http://supervisor/core` within an add-on.
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
    let opening = async {
        let OpenSocket { socket, .. } = log_in::open(&address, &network).await?;
        log_in::log_in(socket, &address, &token).await
    };
    let logged_in = in_time(&address, opening).await?;
    begin(address, &network, token, logged_in).await
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
    (socket, version): (Socket, Option<String>),
) -> Result<HomeAssistant, TargetError> {
    tracing::debug!(%address, version, "connected to Home Assistant");
    let connection = Connection::new(socket);
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
