//! Connections to other machines: one rule for proxies and one for TLS, for every kind of
//! connection; no redirect followed; every answer bounded in time and in size. A leaf.
//!
//! ```text
//!  mod.rs (HTTP calls) ──▶ proxy.rs = which proxy, if any
//!     │                    tls.rs = whom TLS trusts
//!     └─────▶ tunnel.rs = a connection of bytes, for what is no HTTP call
//! ```

mod header;
mod proxy;
mod tls;
mod tunnel;

pub use header::{BadHeader, add_header, header_name};
pub use proxy::{BadProxy, ProxyAddress};
pub use reqwest::header::{HeaderMap, HeaderName};
pub use tls::{ClientIdentity, authorities_in, certificate_end, certificates, check_client};
pub use tunnel::{Stream, TunnelError};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oauth2::http::Response;
use oauth2::{HttpRequest, HttpResponse};
use reqwest::{Client, ClientBuilder, Proxy, Url, redirect};
use rustls::ClientConfig;
pub use rustls::pki_types::CertificateDer;
use secrecy::zeroize::Zeroizing;
use thiserror::Error;

use proxy::{Variables, proxy_for};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client that several places share keeps a connection that nobody uses: a later call is to find out anew
/// whether the place can be reached.
const SHARED_IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Answers of token endpoints are a few hundred bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// Why there is no answer. Holds neither what was sent nor the address, both of which may be secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request or the answer did not get through.
    #[error("{0}")]
    Lost(String),
    /// The answer is too large.
    #[error("its answer is larger than {} KiB", .0 / 1024)]
    TooLarge(u64),
}

/// The clients that several places share, by whom they trust.
static CLIENTS: Mutex<Vec<(Arc<ClientConfig>, Client)>> = Mutex::new(Vec::new());

/// How a place is reached: what the project says beside the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Certificate authorities to trust beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The proxy through which all connections go; the environment decides where there is
    /// none.
    pub proxy: Option<ProxyAddress>,
    /// What the place is sent with each request, and nobody else.
    pub headers: HeaderMap,
    /// By what certificate we identify ourselves.
    pub client: Option<ClientIdentity>,
}

impl Network {
    /// A client for HTTP calls to the place of this URL. It follows no redirect and has a
    /// timeout.
    ///
    /// # Errors
    /// Where TLS has no authority to trust, or the environment names a proxy that cannot be used.
    pub fn client(&self, url: &Url) -> Result<ClientBuilder, String> {
        self.client_with(url, &*self.tls(url)?)
    }

    fn client_with(&self, url: &Url, tls: &ClientConfig) -> Result<ClientBuilder, String> {
        let builder = Client::builder()
            .user_agent(concat!("appcred/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls.clone())
            .default_headers(self.headers.clone())
            // The rule of ours decides, not the library's.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        Ok(match self.proxy_for(url)? {
            Some(proxy) => builder.proxy(Proxy::all(proxy.url().clone()).map_err(innermost)?),
            None => builder,
        })
    }

    /// The same, ready to be used; one for all places that are reached alike, unless something secret goes with it.
    ///
    /// # Errors
    /// The same.
    pub fn shared_client(&self, url: &Url) -> Result<Client, String> {
        let tls = self.tls(url)?;
        let is_plain = self.headers.is_empty() && self.client.is_none();
        if !is_plain || self.proxy_for(url)?.is_some() {
            return self.client_with(url, &tls)?.build().map_err(innermost);
        }
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(other, _)| Arc::ptr_eq(other, &tls)) {
            return Ok(client.clone());
        }
        // What no connection uses any more is not asked for again either.
        clients.retain(|(other, _)| Arc::strong_count(other) > 1);
        let client = self.client_with(url, &tls)?.pool_idle_timeout(SHARED_IDLE_TIMEOUT);
        let client = client.build().map_err(innermost)?;
        clients.push((tls, client.clone()));
        Ok(client)
    }

    /// Whom TLS trusts on the way to this URL, in whatever protocol.
    ///
    /// # Errors
    /// Where our own certificate cannot be used, or there are no authorities.
    pub fn tls(&self, url: &Url) -> Result<Arc<ClientConfig>, String> {
        let is_proxy_encrypted =
            self.proxy_for(url)?.is_some_and(|proxy| proxy.url().scheme() == "https");
        if url.scheme() == "https" || is_proxy_encrypted {
            tls::configuration(&self.authorities, self.client.as_ref())
        } else {
            tls::trusting_nobody()
        }
    }

    /// A connection of bytes to the host and port of a URL, for what is no HTTP call.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub async fn connect(&self, url: &Url, tls: &Arc<ClientConfig>) -> Result<Stream, TunnelError> {
        let proxy = self.proxy_for(url).map_err(TunnelError::Proxy)?;
        tunnel::connect(url, proxy.as_ref(), tls).await
    }

    /// The proxy through which this URL is reached; none where it is reached directly.
    ///
    /// # Errors
    /// Where the environment names a proxy that cannot be used.
    pub fn proxy_for(&self, url: &Url) -> Result<Option<ProxyAddress>, String> {
        proxy_for(url, self.proxy.as_ref(), Variables::of_process())
            .map_err(|why| format!("the proxy that the environment names {why}"))
    }
}

/// Reads an answer to its end. It may hold a secret, so it is put together once all of it is there: what
/// grows leaves copies behind.
///
/// # Errors
/// Where it does not come, or is larger than `limit` bytes.
pub async fn read(
    mut answer: reqwest::Response,
    limit: u64,
) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
    let (mut parts, mut length) = (Vec::new(), 0);
    while let Some(part) = answer.chunk().await.map_err(lost)? {
        length += part.len();
        if length as u64 > limit {
            return Err(NoAnswer::TooLarge(limit));
        }
        parts.push(part);
    }
    Ok(Zeroizing::new(parts.concat()))
}

/// Reads the first `limit` bytes of an answer, or all where it has fewer.
///
/// # Errors
/// Where they do not come.
pub async fn read_beginning(
    mut answer: reqwest::Response,
    limit: usize,
) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while body.len() < limit
        && let Some(part) = answer.chunk().await.map_err(lost)?
    {
        body.extend_from_slice(&part);
    }
    body.truncate(limit);
    Ok(body)
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// Where no whole answer came.
pub async fn exchange(client: &Client, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
    let request = reqwest::Request::try_from(request).map_err(lost)?;
    let mut answer = client.execute(request).await.map_err(lost)?;
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    let mut body = read(answer, LARGEST_ANSWER).await?;
    let mut response = Response::new(std::mem::take(&mut *body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn lost(error: reqwest::Error) -> NoAnswer {
    NoAnswer::Lost(match (error.is_timeout(), error.is_connect()) {
        (true, true) => format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs()),
        (true, false) => format!("no answer within {} seconds", TIMEOUT.as_secs()),
        (false, _) => innermost(error),
    })
}

/// Why a request failed, without its address: the innermost cause is the one that shows a person
/// something.
pub fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::{CONNECT_TIMEOUT, Network, NoAnswer, lost};

    /// The clock is paused, so nobody waits.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_not_made_in_time_is_reported_as_that() {
        // It takes the connection and never answers, so that TLS does not begin.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let client = Network::default().client(&url.parse().unwrap()).unwrap().build().unwrap();
        let why = lost(client.get(url).send().await.unwrap_err());
        let seconds = CONNECT_TIMEOUT.as_secs();
        assert_eq!(why, NoAnswer::Lost(format!("no connection within {seconds} seconds")));
    }
}
