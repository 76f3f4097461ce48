//! Headers that a person has added, as a proxy may want them.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

/// What HTTP, its WebSockets and our HTTP library decide themselves.
const OWN: &[&str] = &[
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const OWN_PREFIXES: &[&str] = &["content-", "proxy-", "sec-"];

/// Why a header cannot be added.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadHeader {
    /// No name of a header.
    #[error("is not the name of a header, which has only letters, digits and `-`")]
    Name,
    /// A name that is ours.
    #[error("cannot be added, since appcred or HTTP itself sets it")]
    Own,
}

/// The name of a header that may be added. `own` has those, in small letters, that are set for this server too.
///
/// # Errors
/// Where it is no name, or one that is set anyway.
pub fn header_name(text: &str, own: &[&str]) -> Result<HeaderName, BadHeader> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| BadHeader::Name)?;
    let is_own = OWN.contains(&name.as_str())
        || own.contains(&name.as_str())
        || OWN_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
    if is_own { Err(BadHeader::Own) } else { Ok(name) }
}

/// Adds a header, whose value is printed nowhere. Whether it is a value.
pub fn add_header(headers: &mut HeaderMap, name: &HeaderName, value: &str) -> bool {
    let Ok(mut value) = HeaderValue::from_str(value) else { return false };
    value.set_sensitive(true);
    headers.insert(name, value);
    true
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::{BadHeader, add_header, header_name};

    #[test]
    fn what_is_set_anyway_cannot_be_added() {
        for name in ["CF-Access-Client-Id", "X-Api-Key", "cookie", "Authorization", "Forwarded"] {
            assert_eq!(header_name(name, &[]).unwrap().as_str(), name.to_lowercase(), "{name}");
        }
        for name in [
            "X-Own",
            "HOST",
            "Content-Length",
            "content-type",
            "Connection",
            "Upgrade",
            "Sec-WebSocket-Key",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "User-Agent",
        ] {
            assert_eq!(header_name(name, &["x-own"]).unwrap_err(), BadHeader::Own, "{name}");
        }
        for name in ["", "a b", "a:b", "a\nb", "ä", "(x)"] {
            assert_eq!(header_name(name, &[]).unwrap_err(), BadHeader::Name, "{name:?}");
        }
    }

    #[test]
    fn a_value_is_printed_nowhere() {
        let (mut headers, name) = (HeaderMap::new(), header_name("x-key", &[]).unwrap());
        assert!(add_header(&mut headers, &name, "hush"));
        assert!(!format!("{headers:?}").contains("hush"));
        assert!(!add_header(&mut headers, &name, "a\r\nb: c"));
    }
}
