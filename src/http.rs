//! One HTTP exchange for `oauth2`: no redirect followed, bounded in time and in size. A leaf.

use std::time::Duration;

use oauth2::http::Response;
use oauth2::{HttpRequest, HttpResponse};
use reqwest::{Client, ClientBuilder, Url, redirect};
use thiserror::Error;
use url::Host;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(20);
/// Answers of token endpoints are a few hundred bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why there is no answer. Holds neither what was sent nor the address, both of which may be secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request or the answer did not get through.
    #[error("{0}")]
    Lost(String),
    /// The answer goes on and on.
    #[error("its answer is larger than {} KiB", LARGEST_ANSWER / 1024)]
    TooLarge,
}

/// A client that follows no redirect and waits for nobody for ever.
pub fn client() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("appcred/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
}

/// Whether an address is this very machine, so that nobody listens in between.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// Where no whole answer came.
pub async fn exchange(client: &Client, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
    let request = reqwest::Request::try_from(request).map_err(lost)?;
    let mut answer = client.execute(request).await.map_err(lost)?;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(lost)? {
        if body.len() + part.len() > LARGEST_ANSWER {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    let mut response = Response::new(body);
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn lost(error: reqwest::Error) -> NoAnswer {
    if error.is_timeout() {
        return NoAnswer::Lost(format!("no answer within {} seconds", TIMEOUT.as_secs()));
    }
    NoAnswer::Lost(innermost(error))
}

/// Why a request failed, without its address: the innermost cause is the one that tells a person
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
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for url in ["http://localhost/t", "http://127.8.0.1:80/t", "http://[::1]:8123/t"] {
            assert!(is_loopback(&url.parse().unwrap()), "{url}");
        }
        for url in ["http://localhost.example/", "http://10.0.0.1/", "http://0.0.0.0/"] {
            assert!(!is_loopback(&url.parse().unwrap()), "{url}");
        }
    }
}
