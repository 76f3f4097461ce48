//! From an address and a token to a socket that takes commands.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::DATE;
use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use super::address::Address;
use super::connect::CONNECT_TIMEOUT_SECONDS;
use super::connection::{Socket, wiped_text};
use super::messages::{Greeting, LogIn};
use super::unreachable::{self, FailedHandshake, WebPage, unreachable};
use crate::http::{self, HeaderMap, Network, Stream};
use crate::model::Secret;
use crate::target::TargetError;
use crate::target::fence::{FenceSlot, FencedStream};
use crate::target::wiped_json::to_json;

/// A list of 100,000 credentials comes in one frame of some 20 MB.
const MAX_INCOMING_BYTES: usize = 256 * 1024 * 1024;

/// How much is read at a time. Each connection keeps a buffer of this size, 128 KiB by default.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// How long what does not answer to HTTP may take to answer to TLS.
const PROBE_TIMEOUT_SECONDS: u64 = 3;
/// No page that a proxy shows in place of Home Assistant is larger.
const LARGEST_PAGE_BYTES: u64 = 256 * 1024;

/// A socket before log-in, and what was seen on the way to it.
pub(super) struct OpenSocket {
    pub(super) socket: Socket,
    pub(super) fence: FenceSlot,
    /// The time of the server's answer by its own clock, as HTTP writes it.
    pub(super) date: Option<String>,
}

/// A socket that takes commands.
pub(super) struct LoggedIn {
    pub(super) socket: Socket,
    pub(super) fence: FenceSlot,
    /// HA's.
    pub(super) version: Option<String>,
}

/// Logs in on a socket: then commands may be sent.
pub(super) async fn log_in(
    OpenSocket { mut socket, fence, .. }: OpenSocket,
    address: &Address,
    token: &Secret,
) -> Result<LoggedIn, TargetError> {
    let Greeting::TokenWanted { ha_version } = greeting(&mut socket, address).await? else {
        return Err(unreachable(address, "it did not ask for an access token".to_owned()));
    };
    let token = to_json(&LogIn { access_token: token.expose() })
        .map_err(|_| unreachable(address, "the access token is not text".to_owned()))?;
    let sent = socket.send(Message::Text(wiped_text(token))).await;
    sent.map_err(|error| unreachable(address, error.to_string()))?;
    match greeting(&mut socket, address).await? {
        Greeting::Welcome => Ok(LoggedIn { socket, fence, version: ha_version }),
        Greeting::Refused => Err(TargetError::Unauthorized { address: address.to_string() }),
        Greeting::TokenWanted { .. } => {
            Err(unreachable(address, "it asked for an access token twice".to_owned()))
        }
    }
}

/// Opens a socket, before log-in.
///
/// # Errors
/// The reason, with what to do about it.
pub(super) async fn open(address: &Address, network: &Network) -> Result<OpenSocket, TargetError> {
    let tls = network.tls(address.url()).map_err(|why| unreachable(address, why))?;
    let opening = async {
        let stream = network.connect(address.url(), &tls).await;
        let stream = stream.map_err(|error| unreachable::no_connection(address, &error))?;
        let headers = network.headers.clone();
        let error = match shake_hands(address, stream, Arc::clone(&tls), headers).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let is_tls =
            !address.is_encrypted() && !is_http(&error) && speaks_tls(address, network, tls).await;
        let is_other = is_http(&error) && !unreachable::says_starting(&error);
        let page = if is_other { page(address, network).await } else { None };
        let failed = FailedHandshake { error: &error, speaks_tls: is_tls, page, network };
        Err(failed.explain(address))
    };
    let opened = timeout(Duration::from_secs(CONNECT_TIMEOUT_SECONDS), opening).await;
    opened.unwrap_or_else(|_| Err(unreachable::no_answer(address, CONNECT_TIMEOUT_SECONDS)))
}

async fn shake_hands(
    address: &Address,
    stream: Stream,
    tls: Arc<ClientConfig>,
    headers: HeaderMap,
) -> Result<OpenSocket, tungstenite::Error> {
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MAX_INCOMING_BYTES))
        .max_frame_size(Some(MAX_INCOMING_BYTES));
    let connector = if address.is_encrypted() { Connector::Rustls(tls) } else { Connector::Plain };
    let mut request = address.websocket().into_client_request()?;
    request.headers_mut().extend(headers);
    let fence = FenceSlot::default();
    let stream = FencedStream { stream, fence: fence.clone() };
    let shaken = client_async_tls_with_config(request, stream, Some(limits), Some(connector)).await;
    let (socket, answer) = shaken?;
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
    Ok(OpenSocket { socket, fence, date })
}

/// What answers in place of HA's WebSocket, by HTTP: a page of HA that needs no token, and whose request HA
/// does not count as an attempt to log in.
async fn page(address: &Address, network: &Network) -> Option<WebPage> {
    let client = network.client(address.url()).ok()?.build().ok()?;
    let answer = client.get(address.auth("providers")).send().await.ok()?;
    let status = answer.status();
    let body = http::read(answer, LARGEST_PAGE_BYTES).await.ok()?;
    Some(WebPage { status, text: String::from_utf8_lossy(&body).into_owned() })
}

/// Whether what does not answer to HTTP would answer to TLS.
async fn speaks_tls(address: &Address, network: &Network, tls: Arc<ClientConfig>) -> bool {
    let Ok(stream) = network.connect(address.url(), &tls).await else { return false };
    let address = address.with_tls(true);
    let shaking = shake_hands(&address, stream, tls, HeaderMap::new());
    let tried = timeout(Duration::from_secs(PROBE_TIMEOUT_SECONDS), shaking).await;
    tried.is_ok_and(|tried| unreachable::speaks_tls(&tried.map(|_| ())))
}

fn is_http(error: &tungstenite::Error) -> bool {
    use tungstenite::error::ProtocolError::WrongHttpVersion;
    matches!(error, tungstenite::Error::Http(_) | tungstenite::Error::Protocol(WrongHttpVersion))
}

async fn greeting(socket: &mut Socket, address: &Address) -> Result<Greeting, TargetError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map_err(|_| {
                    unreachable(address, "it does not answer as Home Assistant does".to_owned())
                });
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_)) | None => {
                return Err(unreachable(address, "it closed the connection at log-in".to_owned()));
            }
            Some(Err(error)) => return Err(unreachable(address, error.to_string())),
        }
    }
}
