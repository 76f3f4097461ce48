//! Where a snapshot comes from.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode};
use url::Url;

use crate::files::{self, DATA_LIMIT};
use crate::http::{self, Network, innermost};
use crate::model::{Secret, Visible};
use crate::target::TargetError;

const TIMEOUT_SECONDS: u64 = 60;
const MAX_REDIRECTS: usize = 5;

/// A file, or an address on the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotLocation {
    /// Standard input.
    Input,
    /// A file.
    File(PathBuf),
    /// An address.
    Web(Url),
}

impl SnapshotLocation {
    /// What begins with `http://` or `https://` is an address, `-` is standard input, all else a file.
    ///
    /// # Errors
    /// Where the address is none, or of another kind.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Url::parse(text).map(Self::Web).map_err(|_| "it is not a URL");
        }
        if text.contains("://") {
            return Err("an address begins with http:// or https://");
        }
        Ok(match text {
            "-" | "/dev/stdin" => Self::Input,
            file => Self::File(PathBuf::from(file)),
        })
    }
}

impl fmt::Display for SnapshotLocation {
    /// Without what may be a secret in an address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("standard input"),
            Self::File(file) => write!(f, "{}", file.visible()),
            Self::Web(url) => {
                write!(f, "{}{}", url.origin().ascii_serialization(), url.path())
            }
        }
    }
}

pub(super) async fn text(
    source: &SnapshotLocation,
    token: Option<&Secret>,
    network: &Network,
) -> Result<String, TargetError> {
    let bytes = match source {
        SnapshotLocation::Input | SnapshotLocation::File(_) => {
            let local = source.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let read = match local {
                    SnapshotLocation::File(file) => files::read(&file, DATA_LIMIT),
                    _ => files::read_bytes(&mut io::stdin(), DATA_LIMIT, DATA_LIMIT),
                };
                read.map(|mut bytes| std::mem::take(&mut *bytes)).map_err(|error| error.to_string())
            });
            let read = reading.await.map_err(|why| why.to_string()).flatten();
            read.map_err(|why| TargetError::Storage(format!("cannot read {source}: {why}")))?
        }
        SnapshotLocation::Web(url) => fetch(url, token, network)
            .await
            .map_err(|why| TargetError::Unreachable { address: source.to_string(), why })?,
    };
    let unusable = |why: &str| TargetError::Storage(format!("cannot use {source}: {why}"));
    if bytes.len() as u64 > DATA_LIMIT {
        return Err(unusable("it is larger than 128 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8"))
}

/// Follows redirects. Each place is reached by its own way, and only the first one gets the token.
async fn fetch(url: &Url, token: Option<&Secret>, network: &Network) -> Result<Vec<u8>, String> {
    let other = Network::default();
    let mut place = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let is_same = place.origin() == url.origin();
        let network = if is_same { network } else { &other };
        let response = get(&place, token.filter(|_| is_same), network).await?;
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let asks = format!("it asks for a token ({})", status.as_u16());
            return Err(format!("{asks}: set APPCRED_SNAPSHOT_TOKEN to one that it accepts"));
        }
        if status.is_success() {
            let mut body = http::read(response, DATA_LIMIT).await.map_err(|why| why.to_string())?;
            return Ok(std::mem::take(&mut *body));
        }
        if !status.is_redirection() {
            return Err(format!("it answers {status}"));
        }
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| place.join(to).ok());
        let is_safe = |to: &Url| to.scheme() == "https" || to.scheme() == place.scheme();
        place = to
            .filter(is_safe)
            .ok_or_else(|| format!("it answers {status} without a safe address"))?;
    }
    Err(format!("it redirects more than {MAX_REDIRECTS} times"))
}

async fn get(url: &Url, token: Option<&Secret>, network: &Network) -> Result<Response, String> {
    let client = network.client(url)?.build().map_err(innermost)?;
    let mut request = client.get(url.clone()).timeout(Duration::from_secs(TIMEOUT_SECONDS));
    if let Some(token) = token {
        request = request.bearer_auth(token.expose());
    }
    request.send().await.map_err(innermost)
}
