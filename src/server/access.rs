//! Who may ask.
//!
//! - On loopback anybody on this machine, but by a name of this machine: a page elsewhere whose name
//!   was made to lead here (DNS rebinding) sends its own.
//! - With a token whoever knows it, from wherever: a program as a bearer, a browser by its session.
//! - Home Assistant's Supervisor for its administrators, by the one address that it asks from (`ingress.rs`).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use thiserror::Error;
use url::Url;

use crate::listener::Peer;

use super::consent::Binding;
use super::ingress::Ingress;
use super::sessions::{Fingerprint, Sessions};
use super::throttle::Throttle;
use super::token_file::TokenFile;
use super::{login, reply};

/// The cookie of whoever has logged in.
pub(super) const SESSION_COOKIE: &str = "appcred_session";
/// Where a browser says that a request comes from.
const FETCH_SITE: &str = "sec-fetch-site";
/// Below which path the Supervisor shows us.
const INGRESS_PATH: &str = "x-ingress-path";

const NOT_BY_THIS_NAME: &str =
    "appcred does not answer to this host name. If it should, pass it with --allow-host.";
const NOT_FROM_THERE: &str =
    "Requests from another site are refused. To allow that site, pass it with --allow-host.";
const NOT_DIRECTLY: &str = "This page is reached only through Home Assistant.";
const NO_TOKEN: &str =
    "appcred needs the token in the file of --token-file, as `Authorization: Bearer`.";

/// Who may ask.
pub struct Access {
    port: u16,
    hosts: Vec<String>,
    token: Option<TokenFile>,
    ingress: Option<Ingress>,
    pub(super) sessions: Sessions,
    throttle: Throttle,
    pub(super) binding: Binding,
}

/// What came of a token that somebody gave.
pub(super) enum Attempt {
    /// It is right: its fingerprint.
    Right(Fingerprint),
    Wrong,
    /// It is wrong, as too many were that the peer gave before.
    TooMany(Duration),
}

/// Why nobody may be let in so.
#[derive(Debug, Error)]
pub enum AccessError {
    /// Anybody could come.
    #[error("{0} can be reached from other machines")]
    TooOpen(SocketAddr),
    /// Nothing secret could be made up.
    #[error("the system provides no random bytes: {0}")]
    NoRandomness(#[from] getrandom::Error),
}

impl Access {
    /// For who listens on `address`: by a token, or from the address of the Supervisor, or with
    /// neither on loopback, by its names and those in `hosts`, each with a port or for any.
    ///
    /// # Errors
    /// Where anybody could come.
    pub fn new(
        address: SocketAddr,
        token: Option<TokenFile>,
        ingress: Option<Ingress>,
        hosts: Vec<String>,
    ) -> Result<Self, AccessError> {
        if token.is_none() && ingress.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(AccessError::TooOpen(address));
        }
        let (sessions, throttle) = (Sessions::default(), Throttle::default());
        let binding = Binding::new()?;
        Ok(Self { port: address.port(), hosts, token, ingress, sessions, throttle, binding })
    }

    /// The port, where the system was to choose it.
    pub fn listens_on(&mut self, port: u16) {
        self.port = port;
    }

    /// What the Supervisor lets in; nothing where it is not the one that asks.
    pub(super) fn ingress_of(&self, request: &Request) -> Option<&Ingress> {
        let peer = Peer::of(request).map(Peer::ip)?;
        self.ingress.as_ref().filter(|ingress| ingress.supervisor == peer)
    }

    /// Whether the Supervisor asks.
    pub(super) fn is_ingress(&self, request: &Request) -> bool {
        self.ingress_of(request).is_some()
    }

    /// Before what the addresses of our own pages are written, for whoever asks.
    pub(super) fn base(&self, request: &Request) -> String {
        let path = request.headers().get(INGRESS_PATH).and_then(|path| path.to_str().ok());
        match path.filter(|path| self.is_ingress(request) && is_plain(path)) {
            Some(path) => format!("{}/", path.trim_end_matches('/')),
            None => "./".to_owned(),
        }
    }

    /// Whether somebody has to log in at all.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Compares a token that a peer gives with ours. Behind a reverse proxy many share an address, so that the
    /// wrong tokens of one must not shut out the others; ours is too long to be guessed.
    pub(super) fn attempt(&self, peer: IpAddr, said: &str) -> Attempt {
        let token = self.token.as_ref().and_then(TokenFile::current);
        match token.filter(|token| token.is_same(&Fingerprint::of(said.trim()))) {
            Some(token) => {
                self.throttle.succeeded(peer);
                Attempt::Right(token)
            }
            None => {
                if let Some(wait) = self.throttle.wait(peer) {
                    return Attempt::TooMany(wait);
                }
                let count = self.throttle.failed(peer);
                tracing::warn!(%peer, count, "a wrong token for the status page was refused");
                Attempt::Wrong
            }
        }
    }

    /// Whether a browser shows a session that began with the token as it is now.
    fn has_session(&self, headers: &HeaderMap) -> bool {
        let mut cookies = cookies(headers, SESSION_COOKIE).peekable();
        if cookies.peek().is_none() {
            return false;
        }
        let Some(token) = self.token.as_ref().and_then(TokenFile::current) else { return false };
        cookies.any(|cookie| self.sessions.has(cookie, &token))
    }

    /// Whether one may speak from there, whoever one is.
    fn refusal_of_address(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let refused = |why| Some(reply::words(StatusCode::FORBIDDEN, why));
        if self.is_ingress(request) {
            return if is_from_elsewhere(request) { refused(NOT_FROM_THERE) } else { None };
        }
        match (&self.token, &self.ingress) {
            (None, Some(_)) => refused(NOT_DIRECTLY),
            (None, None) if !host(headers).is_some_and(|host| self.is_own(&host)) => {
                refused(NOT_BY_THIS_NAME)
            }
            _ if !self.is_origin_fit(headers) => refused(NOT_FROM_THERE),
            _ => None,
        }
    }

    /// A name of this machine with our port, or one that was named to us.
    fn is_own(&self, asked: &Authority) -> bool {
        let name = asked.host().trim_start_matches('[').trim_end_matches(']');
        let is_loopback = name.eq_ignore_ascii_case("localhost")
            || name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        (is_loopback && asked.port_u16().unwrap_or(80) == self.port) || self.is_named(asked)
    }

    fn is_named(&self, asked: &Authority) -> bool {
        let is_it = |named: &String| {
            named.eq_ignore_ascii_case(asked.host()) || named.eq_ignore_ascii_case(asked.as_str())
        };
        self.hosts.iter().any(is_it)
    }

    /// Where a page asks, it is one of ours: a browser says so.
    fn is_origin_fit(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let Some(origin) = origin.to_str().ok().and_then(authority_of) else { return false };
        Some(&origin) == host(headers).as_ref() || self.is_named(&origin)
    }

    /// Whether somebody is let in without giving a token.
    pub(super) fn is_admitted(&self, request: &Request) -> bool {
        self.token.is_none() || self.is_ingress(request) || self.has_session(request.headers())
    }

    /// Why nobody is let in who asks so.
    fn refusal(&self, peer: &Peer, request: &Request) -> Option<Response> {
        if self.is_admitted(request) {
            return None;
        }
        match bearer(request.headers()).map(|said| self.attempt(peer.ip(), said)) {
            Some(Attempt::Right(_)) => None,
            Some(Attempt::TooMany(wait)) => {
                Some(reply::too_many("wrong tokens", wait, reply::words))
            }
            Some(Attempt::Wrong) | None if request.uri().path() == "/" => {
                Some(login::page(StatusCode::UNAUTHORIZED, None))
            }
            Some(Attempt::Wrong) | None => Some(reply::words(StatusCode::UNAUTHORIZED, NO_TOKEN)),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Lets through who may speak from there: for what has a proof of its own.
pub(super) async fn guard_address(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    match access.refusal_of_address(&request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Lets through who may ask.
pub(super) async fn guard(
    State(access): State<Arc<Access>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(refusal) = access.refusal_of_address(&request) {
        return refusal;
    }
    let Some(mut refusal) = access.refusal(&peer, &request) else { return next.run(request).await };
    if refusal.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer realm=\"appcred\"");
        refusal.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    refusal
}

/// Whether a page of another site has its browser change something here. Behind Home Assistant, the names under which
/// it is reached are not known here, so that `Origin` says nothing. No such page knows the path of ingress, which is
/// random, and its cookie is for its own site alone; a browser that says where a request comes from is believed as well.
fn is_from_elsewhere(request: &Request) -> bool {
    !request.method().is_safe() && is_of_another_site(request.headers())
}

/// Whether a browser says that a page of another site sends this.
pub(super) fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(HOST)?.to_str().ok()?.parse().ok()
}

/// As a browser would write it into `Host`.
fn authority_of(origin: &str) -> Option<Authority> {
    let url = Url::parse(origin).ok()?;
    match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?).parse().ok(),
        None => url.host_str()?.parse().ok(),
    }
}

/// The values of a cookie.
pub(super) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    all.flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter_map(move |(key, value)| (key == name).then_some(value))
}

/// A path that can be written before an address as it is.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-');
    path.starts_with('/') && !path.starts_with("//") && path.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;

    use super::{FETCH_SITE, is_from_elsewhere};

    #[test]
    fn behind_ingress_a_browser_that_names_another_site_changes_nothing() {
        for (method, site, elsewhere) in [
            ("POST", Some("cross-site"), true),
            ("POST", Some("same-site"), true),
            ("POST", Some("same-origin"), false),
            ("POST", Some("none"), false),
            ("POST", None, false),
            ("GET", Some("cross-site"), false),
        ] {
            let request = Request::builder().method(method).uri("/");
            let request = site.into_iter().fold(request, |to, site| to.header(FETCH_SITE, site));
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(is_from_elsewhere(&request), elsewhere, "{method} {site:?}");
        }
    }
}
