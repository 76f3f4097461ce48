//! Which connections go through a proxy.
//!
//! A proxy between us and a place that speaks plain HTTP reads the access token, so the rule is
//! the same for every kind of connection to a place: a place on this machine or in a private
//! network is reached directly, unless the project names a proxy for it; everything else follows
//! the usual environment variables.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use hyper_util::client::proxy::matcher::Matcher;
use thiserror::Error;
use url::{Host, Url};

use crate::model::password_of_url;

/// Names that no public name server has (RFC 6761, 6762, 8375, and what routers use).
const PRIVATE_SUFFIXES: &[&str] = &[
    "corp",
    "fritz.box",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
];

/// The address of a proxy. Only `ProxyAddress::url` gives its user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress(Url);

/// Why a text is no address of a proxy.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadProxy {
    /// No URL, or one with a path.
    #[error("is not the address of a proxy; write it as in http://proxy.example:3128")]
    NoAddress,
    /// A scheme that we do not speak.
    #[error("must begin with http:// or https://: other proxies, such as SOCKS, are not supported")]
    Scheme,
    /// It names a user.
    #[error("must not contain a user or password in plain text")]
    Credentials,
}

impl ProxyAddress {
    /// Reads what a project says, which must hold no password.
    ///
    /// # Errors
    /// Where the text is no address of a proxy, or holds a user or password.
    pub fn parse(text: &str) -> Result<Self, BadProxy> {
        if password_of_url(text).is_some() {
            return Err(BadProxy::Credentials);
        }
        let address = Self::with_credentials(text)?;
        if !address.0.username().is_empty() || address.0.password().is_some() {
            return Err(BadProxy::Credentials);
        }
        Ok(address)
    }

    /// Reads what is kept as a secret, which may hold a user and password.
    ///
    /// # Errors
    /// Where the text is no address of a proxy.
    pub fn with_credentials(text: &str) -> Result<Self, BadProxy> {
        let text = text.trim();
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&url).map_err(|_| BadProxy::NoAddress)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadProxy::Scheme);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(BadProxy::NoAddress);
        }
        Ok(Self(url))
    }

    /// All of it, user and password included.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The proxy variables of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    http: String,
    https: String,
    all: String,
    no: String,
}

impl Variables {
    /// Those of this process, which do not change while it runs.
    pub(super) fn of_process() -> &'static Self {
        static VARIABLES: OnceLock<Variables> = OnceLock::new();
        VARIABLES.get_or_init(|| Self {
            http: variable("HTTP_PROXY"),
            https: variable("HTTPS_PROXY"),
            all: variable("ALL_PROXY"),
            no: variable("NO_PROXY"),
        })
    }

    fn proxy_for(&self, url: &Url) -> Result<Option<ProxyAddress>, BadProxy> {
        let own = if url.scheme() == "https" { &self.https } else { &self.http };
        let proxy = if own.is_empty() { &self.all } else { own };
        if proxy.is_empty() || self.excepts(url) {
            return Ok(None);
        }
        ProxyAddress::with_credentials(proxy).map(Some)
    }

    /// The matcher handles domains, addresses and networks; ports are looked at here.
    fn excepts(&self, url: &Url) -> bool {
        let Ok(uri) = url.origin().ascii_serialization().parse() else { return false };
        let entries = self.no.split([',', ' ']).filter_map(|entry| exception(entry.trim(), url));
        let entries: Vec<&str> = entries.collect();
        let matcher = Matcher::builder().all("http://proxy.invalid").no(entries.join(",")).build();
        // The matcher does not take `*` for addresses.
        entries.contains(&"*") || matcher.intercept(&uri).is_none()
    }
}

/// In capital or in small letters, as is usual for these variables.
#[expect(
    clippy::disallowed_methods,
    reason = "HTTP libraries read these variables themselves, for every connection; so do we, in one place"
)]
fn variable(name: &str) -> String {
    [name.to_owned(), name.to_lowercase()]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .unwrap_or_default()
}

/// An entry of `NO_PROXY` without its port; none where it is for another port.
fn exception<'e>(entry: &'e str, url: &Url) -> Option<&'e str> {
    let entry = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry);
    let (host, port) = match entry.rsplit_once(':') {
        // An IPv6 address has colons of its own, and brackets where a port follows.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    };
    let is_meant = port.is_none_or(|port| port.parse().ok() == url.port_or_known_default());
    is_meant.then(|| host.trim_matches(['[', ']']).trim_end_matches('.'))
}

/// The proxy through which a place is reached; `asked` is what the project says.
pub(super) fn proxy_for(
    url: &Url,
    asked: Option<&ProxyAddress>,
    variables: &Variables,
) -> Result<Option<ProxyAddress>, BadProxy> {
    match asked {
        Some(proxy) => Ok(Some(proxy.clone())),
        None if is_private(url) => Ok(None),
        None => variables.proxy_for(url),
    }
}

/// Whether a place is this machine, or in a network that only its own machines reach.
fn is_private(url: &Url) -> bool {
    match url.host() {
        None => false,
        Some(Host::Ipv4(address)) => is_private_v4(address),
        Some(Host::Ipv6(address)) => is_private_v6(address),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let ends_with =
                |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.ends_with('.'));
            !name.contains('.') || PRIVATE_SUFFIXES.iter().any(ends_with)
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // What providers and overlay networks give out beside the private networks (RFC 6598).
    let is_shared = first == 100 && second & 0b1100_0000 == 64;
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || is_shared
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some_and(is_private_v4)
}

#[cfg(test)]
mod tests {
    use super::{BadProxy, ProxyAddress, Variables, proxy_for};

    fn variables(no: &str) -> Variables {
        Variables {
            http: "http://plain.example:1".to_owned(),
            https: "tls.example:2".to_owned(),
            all: String::new(),
            no: no.to_owned(),
        }
    }

    fn shown(url: &str, asked: Option<&ProxyAddress>, variables: &Variables) -> Option<String> {
        let proxy = proxy_for(&url.parse().unwrap(), asked, variables).unwrap();
        proxy.map(|proxy| proxy.to_string())
    }

    #[track_caller]
    fn check_exception(no: &str, direct: &[&str], by_proxy: &[&str]) {
        for url in direct {
            assert_eq!(shown(url, None, &variables(no)), None, "{url} with NO_PROXY={no}");
        }
        for url in by_proxy {
            assert!(shown(url, None, &variables(no)).is_some(), "{url} with NO_PROXY={no}");
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_in() {
        let plain = shown("http://ha.example", None, &variables(""));
        assert_eq!(plain.as_deref(), Some("http://plain.example:1"));
        let tls = shown("https://ha.example:8123/x", None, &variables(""));
        assert_eq!(tls.as_deref(), Some("http://tls.example:2"));
        let all = Variables { all: "https://u:p@all.example".to_owned(), ..Variables::default() };
        for url in ["http://ha.example", "https://ha.example"] {
            assert_eq!(shown(url, None, &all).as_deref(), Some("https://all.example"));
        }
        assert_eq!(shown("https://ha.example", None, &Variables::default()), None);
    }

    #[test]
    fn what_is_private_is_reached_directly_unless_the_project_says_otherwise() {
        let asked = ProxyAddress::parse("http://asked.example:3128").unwrap();
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "supervisor",
            "homeassistant",
            "homeassistant.local",
            "ha.lan",
            "ha.fritz.box",
            "ha.home.arpa",
            "ha.internal",
            "x.localhost",
            "HA.LOCAL.",
            "10.0.0.1",
            "172.31.0.1",
            "192.168.1.2",
            "169.254.1.1",
            "100.64.1.1",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:192.168.1.1]",
            "0.0.0.0",
        ] {
            let url = format!("http://{host}:8123");
            assert_eq!(shown(&url, None, &variables("")), None, "{host}");
            let asked = shown(&url, Some(&asked), &variables("*"));
            assert_eq!(asked.as_deref(), Some("http://asked.example:3128"), "{host}");
        }
        for host in ["ha.example", "local.example", "8.8.8.8", "100.128.0.1", "[2001:db8::1]"] {
            assert!(shown(&format!("http://{host}"), None, &variables("")).is_some(), "{host}");
        }
    }

    #[test]
    fn no_proxy_is_understood_in_all_its_forms() {
        check_exception("*", &["http://ha.example", "https://8.8.8.8"], &[]);
        for form in
            ["example.org", ".example.org", "*.example.org", "a.b, example.org", "a.b EXAMPLE.org"]
        {
            check_exception(form, &["https://ha.example.org"], &["https://ha-example.org"]);
        }
        check_exception("example.org.", &["https://example.org"], &["https://example.com"]);
        check_exception("ha.example:8123", &["http://ha.example:8123"], &["http://ha.example"]);
        check_exception("ha.example:443", &["https://ha.example"], &["http://ha.example"]);
        check_exception(
            "8.8.0.0/16,[2001:db8::1]:80",
            &["http://8.8.1.1", "http://[2001:db8::1]"],
            &["http://8.9.1.1", "https://[2001:db8::1]"],
        );
        check_exception("2001:db8::/32", &["https://[2001:db8::7]"], &["https://[2001:db9::7]"]);
        check_exception("", &[], &["http://ha.example"]);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_and_shows_no_password() {
        for (text, error) in [
            ("socks5://proxy.example", BadProxy::Scheme),
            ("http://proxy.example/path", BadProxy::NoAddress),
            ("http://", BadProxy::NoAddress),
            ("http://user:hush@proxy.example", BadProxy::Credentials),
        ] {
            assert_eq!(ProxyAddress::parse(text).unwrap_err(), error, "{text}");
        }
        let all = Variables { all: "socks5h://proxy.example".to_owned(), ..Variables::default() };
        let refused = proxy_for(&"https://ha.example".parse().unwrap(), None, &all);
        assert_eq!(refused, Err(BadProxy::Scheme));
        let hush =
            Variables { all: "http://user:hush@p.example".to_owned(), ..Variables::default() };
        let proxy = proxy_for(&"https://ha.example".parse().unwrap(), None, &hush).unwrap();
        assert!(!format!("{proxy:?}").contains("hush"));
    }
}
