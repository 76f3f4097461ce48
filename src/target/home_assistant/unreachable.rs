//! Why no Home Assistant answers at an address, and what to do about it.

use std::io;

use reqwest::StatusCode;
use reqwest::header::LOCATION;
use rustls::{CertificateError, InvalidMessage};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::http::Response;

use super::address::Address;
use crate::http::TunnelError;
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
        TunnelError::Name(error) => unknown_name(address, error),
        TunnelError::Connect(error) => refused(address, error),
        TunnelError::Proxy(why) => why.clone(),
    };
    unreachable(address, why)
}

fn unknown_name(address: &Address, error: &io::Error) -> String {
    let host = address.host();
    let help = if host.ends_with(".local") {
        "names under `.local` are not found from everywhere: write its IP address instead"
    } else {
        "check the name, or write its IP address instead"
    };
    let why = plain(error);
    let why = why.rsplit(": ").next().unwrap_or_default();
    format!("the name `{host}` is not found ({why}); {help}")
}

fn refused(address: &Address, error: &io::Error) -> String {
    let port = address.port();
    let help = match error.kind() {
        io::ErrorKind::ConnectionRefused if port == PORT => {
            "nothing listens there: start Home Assistant, or wait until it has started".to_owned()
        }
        io::ErrorKind::ConnectionRefused if address.url().port().is_some() => {
            format!(
                "nothing listens on port {port}: is Home Assistant running, and is that its port?"
            )
        }
        io::ErrorKind::ConnectionRefused => {
            let usual = address.with_port(PORT);
            format!(
                "nothing listens on port {port}: is Home Assistant running? Its own port is {PORT}, as in {usual}"
            )
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "is that machine on, and in a network that this one reaches?".to_owned()
        }
        _ => return error.to_string(),
    };
    format!("{}; {help}", plain(error))
}

/// Where nothing comes.
pub(super) fn no_answer(address: &Address, seconds: u64) -> TargetError {
    unreachable(
        address,
        format!(
            "no answer within {seconds} seconds; is that machine on, and is there no firewall in between?"
        ),
    )
}

/// Where what answers is no Home Assistant. `speaks_tls` says whether it answers to TLS where the
/// address has none.
pub(super) fn no_socket(address: &Address, error: &SocketError, speaks_tls: bool) -> TargetError {
    if speaks_tls {
        let other = address.with_tls(true);
        return unreachable(address, format!("it speaks TLS; write {other}"));
    }
    let why = match error {
        SocketError::Http(answer) => return by_status(address, answer),
        SocketError::Io(error) => match tls_error(error) {
            Some(error) => by_tls(address, error),
            None => format!("{error}; {}", ask_browser()),
        },
        SocketError::Protocol(_) | SocketError::HttpFormat(_) => {
            other_server(address, "what answers does not speak WebSocket")
        }
        other => other.to_string(),
    };
    unreachable(address, why)
}

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

fn by_status(address: &Address, answer: &Response<Option<Vec<u8>>>) -> TargetError {
    let status = answer.status();
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            let why = format!("it answers {status}; wait until Home Assistant has started");
            TargetError::Starting { address: address.to_string(), why }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => TargetError::Forbidden {
            address: address.to_string(),
            why: format!(
                "it answers {status} before any token was sent; a proxy may want a password of its own, or Home Assistant may have banned this machine (ip_bans.yaml)"
            ),
        },
        _ if status.is_redirection() => {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| Address::parse(to).ok());
            let to = to.map(|to| format!(" to {}", to.origin())).unwrap_or_default();
            unreachable(address, format!("it redirects{to}; write the address where that ends"))
        }
        _ => unreachable(address, other_server(address, &status.to_string())),
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

fn by_tls(address: &Address, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("it does not speak TLS; write {}", address.with_tls(false))
        }
        rustls::Error::InvalidCertificate(error) => by_certificate(error),
        other => other.to_string(),
    }
}

fn by_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its certificate is of an authority that this machine does not trust (UnknownIssuer); name the file of that authority as `ca_file` of the target in appcred.yaml".to_owned(),
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
            "its certificate is one of an authority, and none of a server; make it again with `-addext basicConstraints=CA:FALSE`, and name its file as `ca_file` of the target in appcred.yaml".to_owned()
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
