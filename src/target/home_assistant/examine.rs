//! What is seen on the way to a running HA, step by step: unlike [`connect`](super::connect), which stops at the
//! first step that fails and has one answer, it keeps what the steps before have shown.

use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;

use super::address::Address;
use super::connect::{begin, in_time};
use super::core_state::CoreState;
use super::log_in::{self, OpenSocket};
use super::messages::Command;
use super::read::TokenSource;
use super::session::SessionStore;
use super::{HomeAssistant, HomeAssistantEndpoint};
use crate::http::{Network, certificate_end};
use crate::model::Secret;
use crate::secret::SecretResolver;
use crate::target::{ConnectError, TargetError};

/// From the first packet to the last answer. HA may be starting meanwhile.
const TIMEOUT_SECONDS: u64 = 90;

/// What is seen on the way to a running HA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The proxy through which it is reached, without user and password.
    pub proxy: Option<String>,
    /// What answers there; else why nothing does, and what to do.
    pub reached: Result<SeenServer, String>,
    /// What it says to our token; none where it was not reached.
    pub welcome: Option<Result<Welcome, NotWelcome>>,
}

/// What a connection shows before any token is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenServer {
    /// The end of its certificate; none without TLS.
    pub certificate_end: Option<Timestamp>,
    /// How far its clock is ahead of ours, where its answer has a date. It is right to the second.
    pub clock_ahead: Option<SignedDuration>,
}

/// What HA says of itself to an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// As in `2024.3.3`.
    pub version: Option<String>,
    /// HA's own word for its state, as in `RUNNING`.
    pub state: String,
    /// Whether it could not use its configuration, and has few integrations.
    pub is_recovering: bool,
    /// Whether the integration `my` is loaded.
    pub has_my: bool,
    /// Where providers send browsers after consent.
    pub redirect_uri: String,
}

/// Why HA does not let us in, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWelcome {
    /// There is no token to send.
    NoToken(String),
    /// It does not accept the token.
    Token(String),
    /// The token is of a user who is no administrator.
    Right(String),
    /// The connection failed after it was made.
    Lost(String),
}

impl HomeAssistantEndpoint {
    /// Goes all the way to HA, and changes nothing there.
    pub async fn examine(
        &self,
        resolver: &Arc<SecretResolver>,
        sessions: Option<&SessionStore>,
    ) -> Examination {
        let address = match Address::parse(&self.url) {
            Ok(address) => address,
            Err(why) => return Examination::failed(None, why.to_string()),
        };
        // Before HA waits for the token: somebody may have to type something in.
        let (network, source) = match self.read(resolver, sessions).await {
            Ok(read) => read,
            Err(why) => return Examination::failed(None, why.to_string()),
        };
        let proxy = match network.proxy_for(address.url()) {
            Ok(proxy) => proxy.map(|proxy| proxy.to_string()),
            Err(why) => return Examination::failed(None, why),
        };
        let opened = match log_in::open(&address, &network).await {
            Ok(opened) => opened,
            Err(why) => return Examination::failed(proxy, why.to_string()),
        };
        let reached = Ok(reached(&opened));
        let limit = Duration::from_secs(TIMEOUT_SECONDS);
        let entering = self.enter(opened, address, &network, source);
        let welcome = timeout(limit, entering).await.unwrap_or_else(|_| {
            Err(NotWelcome::Lost(format!("no answer within {TIMEOUT_SECONDS} seconds")))
        });
        Examination { proxy, reached, welcome: Some(welcome) }
    }

    async fn enter(
        &self,
        opened: OpenSocket,
        address: Address,
        network: &Network,
        source: Result<TokenSource, ConnectError>,
    ) -> Result<Welcome, NotWelcome> {
        let token = match source {
            Ok(source) => self.token(source, network).await,
            Err(why) => Err(why),
        };
        let token = token.map_err(|why| NotWelcome::NoToken(why.to_string()))?;
        let welcomed = welcomed(opened, address, network, token.clone()).await;
        welcomed.map_err(|why| match why {
            TargetError::Unauthorized { .. } => {
                NotWelcome::Token(format!("{why}; {}", self.auth.advice(&token)))
            }
            TargetError::NotAdmin { .. } => {
                NotWelcome::Right(format!("{why}; {}", self.auth.advice(&token)))
            }
            other => NotWelcome::Lost(other.to_string()),
        })
    }
}

impl Examination {
    fn failed(proxy: Option<String>, why: String) -> Self {
        Self { proxy, reached: Err(why), welcome: None }
    }
}

fn reached(OpenSocket { socket, date, .. }: &OpenSocket) -> SeenServer {
    let certificates = match socket.get_ref() {
        MaybeTlsStream::Rustls(stream) => stream.get_ref().1.peer_certificates(),
        _ => None,
    };
    let end = certificates.and_then(<[_]>::first).and_then(certificate_end);
    let end = end.and_then(|end| i64::try_from(end.as_secs()).ok());
    let date = date.as_deref().and_then(|date| rfc2822::parse(date).ok());
    SeenServer {
        certificate_end: end.and_then(|end| Timestamp::from_second(end).ok()),
        clock_ahead: date.map(|date| date.timestamp().duration_since(Timestamp::now())),
    }
}

async fn welcomed(
    opened: OpenSocket,
    address: Address,
    network: &Network,
    token: Secret,
) -> Result<Welcome, TargetError> {
    let logged_in = in_time(&address, log_in::log_in(opened, &address, &token)).await?;
    let ha = begin(address, network, token, logged_in).await?;
    let core = ha.connection.ask::<CoreState>(Command::Configuration).await;
    let core = core.map_err(|fault| ha.error(fault))?;
    let HomeAssistant { ref version, has_my, .. } = ha;
    let welcome = Welcome {
        version: version.clone(),
        state: core.state().to_owned(),
        is_recovering: core.is_recovering(),
        has_my,
        redirect_uri: ha.redirect_uri(),
    };
    ha.close().await;
    Ok(welcome)
}
