//! A byte stream to a host and port: direct, or through a proxy by HTTP's `CONNECT`.

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use url::Url;

use super::proxy::ProxyAddress;

/// Bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection, whatever it goes through.
pub type Stream = Box<dyn ByteStream>;

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum TunnelError {
    /// The name of the host cannot be resolved.
    #[error("{0}")]
    Name(io::Error),
    /// The host does not accept the connection.
    #[error("{0}")]
    Connect(io::Error),
    /// The proxy cannot be reached, or refuses the request.
    #[error("{0}")]
    Proxy(String),
}

/// Connects to the host and port of a URL.
pub(super) async fn connect(
    url: &Url,
    proxy: Option<&ProxyAddress>,
    tls: &Arc<ClientConfig>,
) -> Result<Stream, TunnelError> {
    let Some(proxy) = proxy else { return Ok(Box::new(direct(url).await?)) };
    let to_proxy = direct(proxy.url()).await.map_err(|error| {
        TunnelError::Proxy(format!("the proxy {proxy} cannot be reached: {error}"))
    })?;
    let io: Stream = if proxy.url().scheme() == "https" {
        Box::new(encrypted(to_proxy, proxy, tls).await?)
    } else {
        Box::new(to_proxy)
    };
    through(io, url, proxy).await.map_err(TunnelError::Proxy)
}

/// Without any proxy.
async fn direct(url: &Url) -> Result<TcpStream, TunnelError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses = lookup_host((host, port)).await.map_err(TunnelError::Name)?;
    let addresses: Vec<_> = addresses.collect();
    let stream = TcpStream::connect(&*addresses).await.map_err(TunnelError::Connect)?;
    stream.set_nodelay(true).map_err(TunnelError::Connect)?;
    Ok(stream)
}

async fn encrypted(
    stream: TcpStream,
    proxy: &ProxyAddress,
    tls: &Arc<ClientConfig>,
) -> Result<impl ByteStream + use<>, TunnelError> {
    let fault =
        |why: String| TunnelError::Proxy(format!("cannot start TLS with the proxy {proxy}: {why}"));
    let host = proxy.url().host_str().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| fault(error.to_string()))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    connector.connect(name, stream).await.map_err(|error| fault(error.to_string()))
}

async fn through(io: Stream, url: &Url, proxy: &ProxyAddress) -> Result<Stream, String> {
    let fault = |error: String| format!("the proxy {proxy} does not connect to it: {error}");
    let host = url.host_str().unwrap_or_default();
    let place = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    let mut request = Request::builder().method(Method::CONNECT).uri(&place).header(HOST, &place);
    if let Some(credentials) = credentials(proxy.url()) {
        request = request.header(PROXY_AUTHORIZATION, credentials);
    }
    let request = request.body(String::new()).map_err(|error| fault(error.to_string()))?;
    let handshake = http1::handshake(TokioIo::new(io)).await;
    let (mut sender, connection) = handshake.map_err(|error| fault(error.to_string()))?;
    // It ends when the connection does, and then the request fails.
    tokio::spawn(connection.with_upgrades());
    let answer = sender.send_request(request).await.map_err(|error| fault(error.to_string()))?;
    match answer.status() {
        status if status.is_success() => {}
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            return Err(fault("it asks for a user and password (407)".to_owned()));
        }
        status => return Err(fault(format!("it answers {status}"))),
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(|error| fault(error.to_string()))?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

fn credentials(proxy: &Url) -> Option<HeaderValue> {
    if proxy.username().is_empty() && proxy.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(proxy.username());
    let password = decoded(proxy.password().unwrap_or_default());
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
