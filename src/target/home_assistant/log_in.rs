//! From an address and a token to a socket that takes commands.

use std::io;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use super::address::Address;
use super::connection::Socket;
use super::messages::{Greeting, LogIn};
use crate::model::Secret;
use crate::target::TargetError;

/// A list of 100,000 credentials comes in one frame of some 20 MB.
const MAX_INCOMING_BYTES: usize = 256 * 1024 * 1024;

/// A socket on which commands may be sent, and HA's version.
pub(super) async fn log_in(
    address: &Address,
    tls: Arc<ClientConfig>,
    token: &Secret,
) -> Result<(Socket, Option<String>), TargetError> {
    let mut socket = open(address, tls).await.map_err(|why| unreachable(address, why))?;
    let Greeting::TokenWanted { ha_version } = greeting(&mut socket, address).await? else {
        return Err(unreachable(address, "it did not ask for an access token".to_owned()));
    };
    let token = serde_json::to_string(&LogIn { access_token: token.expose() })
        .map_err(|_| unreachable(address, "the access token is no text".to_owned()))?;
    let sent = socket.send(Message::text(token)).await;
    sent.map_err(|error| unreachable(address, reason(&error)))?;
    match greeting(&mut socket, address).await? {
        Greeting::Welcome => Ok((socket, ha_version)),
        Greeting::Refused => Err(TargetError::Unauthorized { address: address.to_string() }),
        Greeting::TokenWanted { .. } => {
            Err(unreachable(address, "it asked for an access token twice".to_owned()))
        }
    }
}

async fn open(address: &Address, tls: Arc<ClientConfig>) -> Result<Socket, String> {
    // Opened here because tokio-tungstenite mistakes the port of a bare IPv6 address.
    let stream = TcpStream::connect((address.host(), address.port()))
        .await
        .map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_INCOMING_BYTES))
        .max_frame_size(Some(MAX_INCOMING_BYTES));
    let connector = if address.is_encrypted() { Connector::Rustls(tls) } else { Connector::Plain };
    let (socket, _) =
        client_async_tls_with_config(address.websocket(), stream, Some(limits), Some(connector))
            .await
            .map_err(|error| reason(&error))?;
    Ok(socket)
}

async fn greeting(socket: &mut Socket, address: &Address) -> Result<Greeting, TargetError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map_err(|_| {
                    unreachable(address, "it does not speak as Home Assistant".to_owned())
                });
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_)) | None => {
                return Err(unreachable(address, "it closed the connection at log-in".to_owned()));
            }
            Some(Err(error)) => return Err(unreachable(address, reason(&error))),
        }
    }
}

fn unreachable(address: &Address, why: String) -> TargetError {
    TargetError::Unreachable { address: address.to_string(), why }
}

/// An error in words, with what to do where that can be known.
fn reason(error: &tungstenite::Error) -> String {
    if let tungstenite::Error::Io(error) = error
        && is_unknown_issuer(error)
    {
        return format!("{error}; name the file of its certificate authority as `ca_file`");
    }
    error.to_string()
}

fn is_unknown_issuer(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        inner,
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
    )
}
