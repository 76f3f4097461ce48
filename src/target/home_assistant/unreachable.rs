//! Why no Home Assistant answers at an address, and what to do about it.

use std::io;

use reqwest::StatusCode;
use reqwest::header::{LOCATION, WWW_AUTHENTICATE};
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::http::Response;

use super::address::Address;
use crate::http::{Network, TunnelError};
use crate::target::TargetError;

/// Home Assistant's own port.
const PORT: u16 = 8123;

/// Where no better message is known.
pub(super) fn unreachable(address: &Address, why: String) -> TargetError {
    TargetError::Unreachable { address: address.to_string(), why }
}

/// Where no connection is made.
pub(super) fn no_connection(address: &Address, error: &TunnelError) -> TargetError {
    let why = match error {
        TunnelError::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let (address, why) = (address.to_string(), refused(address, error));
            return TargetError::NotListening { address, why };
        }
        TunnelError::Proxy(why) => return unreachable(address, why.clone()),
        TunnelError::Name(error) => unknown_name(address, error),
        TunnelError::Connect(error) => unroutable(error),
    };
    TargetError::NotConnected { address: address.to_string(), why }
}

fn unknown_name(address: &Address, error: &io::Error) -> String {
    let host = address.host();
    let help = if host.trim_end_matches('.').ends_with(".local") {
        "a name under `.local` is found by mDNS, which takes Debian's libnss-mdns and works neither in most containers nor beyond the router: write its IP address instead"
    } else {
        "check the name, or write its IP address instead"
    };
    let why = plain(error);
    let why = why.rsplit(": ").next().unwrap_or_default();
    format!("the name `{host}` is not found ({why}); {help}")
}

fn refused(address: &Address, error: &io::Error) -> String {
    let port = address.port();
    let help = if port == PORT {
        "nothing listens there: start Home Assistant, or wait until it has started".to_owned()
    } else if address.url().port().is_some() {
        format!("nothing listens on port {port}: is Home Assistant running, and is that its port?")
    } else {
        let usual = address.with_port(PORT);
        format!(
            "nothing listens on port {port}: is Home Assistant running? Its own port is {PORT}, as in {usual}"
        )
    };
    format!("{}; {help}", plain(error))
}

fn unroutable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("{}; is that machine on, and in a network that this one reaches?", plain(error))
        }
        _ => error.to_string(),
    }
}

/// Where nothing comes.
pub(super) fn no_answer(address: &Address, seconds: u64) -> TargetError {
    let why = format!(
        "no answer within {seconds} seconds; is that machine on, and is there no firewall in between?"
    );
    TargetError::NotConnected { address: address.to_string(), why }
}

/// A WebSocket that does not open.
pub(super) struct FailedHandshake<'f> {
    pub(super) error: &'f SocketError,
    /// Whether it answers to TLS where the address has none.
    pub(super) speaks_tls: bool,
    /// What answers there by HTTP.
    pub(super) page: Option<WebPage>,
    /// How it was tried.
    pub(super) network: &'f Network,
}

/// What is served where HA has a page that needs no token.
pub(super) struct WebPage {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl WebPage {
    fn is_home_assistant(&self) -> bool {
        // What older releases list is below `providers` in newer ones.
        self.status == StatusCode::OK
            && serde_json::from_str::<serde_json::Value>(&self.text)
                .is_ok_and(|page| page.is_array() || page["providers"].is_array())
    }

    /// As nginx says it, with status 400.
    fn wants_client_certificate(&self) -> bool {
        self.text.contains("SSL certificate")
    }
}

impl FailedHandshake<'_> {
    /// Why, and what to do.
    pub(super) fn explain(&self, address: &Address) -> TargetError {
        if self.speaks_tls {
            let other = address.with_tls(true);
            return unreachable(address, format!("it speaks TLS; write {other}"));
        }
        let why = match self.error {
            SocketError::Http(answer) => return self.by_answer(address, answer),
            SocketError::Io(error) => match tls_error(error) {
                Some(error) => self.by_tls(address, error),
                None => format!("{error}; {}", ask_browser()),
            },
            SocketError::Protocol(_) | SocketError::HttpFormat(_) if self.is_home_assistant() => {
                NO_WEBSOCKET.to_owned()
            }
            SocketError::Protocol(_) | SocketError::HttpFormat(_) => {
                other_server(address, "what answers does not speak WebSocket")
            }
            other => other.to_string(),
        };
        unreachable(address, why)
    }

    fn is_home_assistant(&self) -> bool {
        self.page.as_ref().is_some_and(WebPage::is_home_assistant)
    }

    fn by_answer(&self, address: &Address, answer: &Response<Option<Vec<u8>>>) -> TargetError {
        let status = answer.status();
        if is_starting(status) {
            let why = format!("it answers {status}; wait until Home Assistant has started");
            return TargetError::Starting { address: address.to_string(), why };
        }
        if self.is_home_assistant() {
            return unreachable(address, NO_WEBSOCKET.to_owned());
        }
        if let Some(page) = self.page.as_ref().filter(|page| page.wants_client_certificate()) {
            return unreachable(
                address,
                format!("it answers {}; {}", page.status, self.certificate()),
            );
        }
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let why = format!(
                    "it answers {status} before any token was sent, so the token is not the reason; {}",
                    self.refused_by_proxy(status, answer)
                );
                TargetError::Forbidden { address: address.to_string(), why }
            }
            _ if status.is_redirection() => unreachable(address, self.redirected(address, answer)),
            StatusCode::BAD_REQUEST => unreachable(address, UNTRUSTED_PROXY.to_owned()),
            _ => unreachable(address, other_server(address, &status.to_string())),
        }
    }

    fn refused_by_proxy(
        &self,
        status: StatusCode,
        answer: &Response<Option<Vec<u8>>>,
    ) -> &'static str {
        if !self.network.headers.is_empty() {
            "a proxy in front of Home Assistant does not accept the `headers` of this target: compare them with what it expects"
        } else if answer.headers().contains_key(WWW_AUTHENTICATE) {
            "a proxy in front of Home Assistant asks for a user and password: let it accept a header instead, and add that as `headers` of the target in appcred.yaml"
        } else if status == StatusCode::FORBIDDEN {
            "a proxy in front of Home Assistant may want a header (`headers` of the target in appcred.yaml), or Home Assistant may have banned this machine (ip_bans.yaml)"
        } else {
            "a proxy in front of Home Assistant wants a sign-in of its own: add the header by which it lets programs pass as `headers` of the target in appcred.yaml"
        }
    }

    /// A redirect for good says where to go. One for this once may lead to a sign-in page.
    fn redirected(&self, address: &Address, answer: &Response<Option<Vec<u8>>>) -> String {
        let status = answer.status();
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| Address::parse(address.url().join(to).ok()?.as_str()).ok());
        let to = to.map(|to| to.origin());
        let leads = to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
        let is_for_good =
            matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT);
        let is_to_tls = to.is_some_and(|to| {
            to.is_encrypted() && !address.is_encrypted() && to.host() == address.host()
        });
        if is_for_good || is_to_tls {
            return format!("it redirects{leads}; write the address where that ends");
        }
        let help = if self.network.headers.is_empty() {
            "if a browser gets a sign-in page there that is not Home Assistant's (such as that of Cloudflare Access), a proxy wants to know who we are: add the headers by which it lets programs pass as `headers` of the target in appcred.yaml; else write the address where the redirect ends"
        } else {
            "if that is a sign-in page (such as that of Cloudflare Access), the proxy does not accept the `headers` of this target: compare them with what it expects"
        };
        format!("it redirects{leads} before any token was sent; {help}")
    }

    fn by_tls(&self, address: &Address, error: &rustls::Error) -> String {
        use AlertDescription as Alert;
        match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                format!("it does not speak TLS; write {}", address.with_tls(false))
            }
            rustls::Error::InvalidCertificate(error) => by_certificate(error),
            rustls::Error::AlertReceived(
                alert @ (Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::HandshakeFailure),
            ) => format!("it ends the TLS handshake ({alert:?}); {}", self.certificate()),
            other => other.to_string(),
        }
    }

    fn certificate(&self) -> &'static str {
        if self.network.client.is_some() {
            "it does not accept our client certificate: name one that is made by an authority which it trusts, with those between in the same file, as `client_certificate` of the target in appcred.yaml"
        } else {
            "it wants a client certificate (mTLS): name its file as `client_certificate` and that of its key as `client_key` of the target in appcred.yaml"
        }
    }
}

/// As proxies answer while what is behind them does not.
pub(super) fn is_starting(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The same of a WebSocket that does not open.
pub(super) fn says_starting(error: &SocketError) -> bool {
    matches!(error, SocketError::Http(answer) if is_starting(answer.status()))
}

/// As aiohttp answers to an upgrade that has lost its headers.
const NO_WEBSOCKET: &str = "Home Assistant answers, but a proxy in front of it does not pass WebSockets on; in nginx that takes `proxy_http_version 1.1;`, `proxy_set_header Upgrade $http_upgrade;` and `proxy_set_header Connection \"upgrade\";`";

/// Home Assistant answers so to whatever comes from a proxy that it does not know.
const UNTRUSTED_PROXY: &str = "it answers 400 Bad Request; where a proxy is in between, Home Assistant must trust that: `http:` in its configuration.yaml needs `use_x_forwarded_for: true`, and the proxy's address under `trusted_proxies`";

/// Whether a handshake ended as it does only with a TLS server.
pub(super) fn speaks_tls(tried: &Result<(), SocketError>) -> bool {
    match tried {
        Err(SocketError::Io(error)) => {
            tls_error(error).is_some_and(|error| !matches!(error, rustls::Error::InvalidMessage(_)))
        }
        Err(SocketError::Http(_)) | Ok(()) => true,
        Err(_) => false,
    }
}

/// Something else answers.
fn other_server(address: &Address, how: &str) -> String {
    if address.has_path() {
        let bare = address.origin();
        format!("no Home Assistant answers below that path ({how}); write {bare}")
    } else {
        format!("no Home Assistant answers there ({how}); {}", ask_browser())
    }
}

fn by_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its certificate was issued by an authority that this machine does not trust (UnknownIssuer); name the file of that authority as `ca_file` of the target in appcred.yaml".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "its certificate is not for `{}` but for {}; write a name that it is for",
            expected.to_str(),
            presented.join(", ")
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it there, and check the clock of this machine".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; check the clocks of both machines".to_owned()
        }
        // As `openssl req -x509` makes them.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate belongs to an authority, not to a server; make it again with `-addext basicConstraints=CA:FALSE`, and name its file as `ca_file` of the target in appcred.yaml".to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

/// What helps where it is not Home Assistant that answers.
fn ask_browser() -> &'static str {
    "write the address at which a browser shows Home Assistant, and let a proxy pass WebSockets on"
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Without the number of the operating system.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
