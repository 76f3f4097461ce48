//! Where HA is.

use std::fmt;

use reqwest::Url;

use crate::model::has_zone;
use crate::target::TargetError;

/// The URL by which HA is reached, without anything that could be secret.
#[derive(Clone, Debug)]
pub(super) struct Address {
    base: Url,
}

impl Address {
    /// Reads what a person wrote, as in `https://ha.example:8123` or `http://supervisor/core`.
    pub(super) fn parse(text: &str) -> Result<Self, TargetError> {
        let fault = |why: &str| TargetError::Unreachable {
            address: shown(text).to_owned(),
            why: why.to_owned(),
        };
        if has_zone(text) {
            return Err(fault(
                "an address with a zone, as in [fe80::1%eth0], cannot be part of a URL; write the name of that machine, or an address of it without a zone",
            ));
        }
        // What is before the first colon of `ha.local:8123` is taken for a scheme.
        let mut base = Url::parse(text.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                fault("it is not a URL that begins with http:// or https://; write it as in http://homeassistant.local:8123")
            })?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(fault(
                "the URL must not contain a user or password; Home Assistant needs an access token",
            ));
        }
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self { base })
    }

    /// The URL itself.
    pub(super) fn url(&self) -> &Url {
        &self.base
    }

    /// Whether TLS guards the way.
    pub(super) fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The host's name or number, as a resolver wants it.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.base.port_or_known_default().unwrap_or_default()
    }

    /// Whether it says more than where the host is.
    pub(super) fn has_path(&self) -> bool {
        self.base.path() != "/"
    }

    /// The host without any path.
    pub(super) fn origin(&self) -> Self {
        self.but(|base| base.set_path(""))
    }

    /// The same host at another port.
    pub(super) fn with_port(&self, port: u16) -> Self {
        // What has a host may have a port.
        self.origin().but(|base| base.set_port(Some(port)).unwrap_or_default())
    }

    /// The same with TLS, or without.
    pub(super) fn with_tls(&self, is_encrypted: bool) -> Self {
        let scheme = if is_encrypted { "https" } else { "http" };
        let port = self.port();
        self.but(|base| {
            // Both are schemes of the same kind, so that neither can be refused.
            base.set_scheme(scheme).unwrap_or_default();
            base.set_port(Some(port)).unwrap_or_default();
        })
    }

    fn but(&self, change: impl FnOnce(&mut Url)) -> Self {
        let mut base = self.base.clone();
        change(&mut base);
        Self { base }
    }

    /// The WebSocket's URL.
    pub(super) fn websocket(&self) -> String {
        let scheme = if self.is_encrypted() { "wss" } else { "ws" };
        let mut url = if self.is_supervisor() {
            self.below(&["websocket"])
        } else {
            self.api(&["websocket"])
        };
        // Both are schemes of the same kind, so that this cannot be refused.
        let _ = url.set_scheme(scheme);
        url.into()
    }

    /// The URL of an HTTP call.
    pub(super) fn api(&self, path: &[&str]) -> Url {
        self.below(&[&["api"], path].concat())
    }

    /// Where providers send browsers back to, which needs no token.
    pub(super) fn callback(&self) -> Url {
        self.below(&["auth", "external", "callback"])
    }

    /// The URL of a page or call of HA's own sign-in.
    pub(super) fn auth(&self, name: &str) -> Url {
        self.below(&["auth", name])
    }

    /// Without a slash at its end, as HA wants it in `HA-Frontend-Base`.
    pub(super) fn frontend_base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// An add-on reaches HA through the Supervisor, whose WebSocket is not below `api`.
    pub(super) fn is_supervisor(&self) -> bool {
        self.host() == "supervisor" && self.base.path() == "/core"
    }

    fn below(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.frontend_base())
    }
}

/// As much of a text as cannot be a secret in a URL: neither a query nor what is before an `@`.
fn shown(text: &str) -> &str {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    text.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn check(given: &str, websocket: &str, api: &str) {
        let address = Address::parse(given).unwrap();
        assert_eq!(address.websocket(), websocket);
        assert_eq!(address.api(&["config", "a/b"]).as_str(), api);
        let (base, _) = api.split_once("/api/").unwrap();
        assert_eq!(address.callback().as_str(), format!("{base}/auth/external/callback"));
        assert_eq!(address.auth("token").as_str(), format!("{base}/auth/token"));
    }

    #[test]
    fn the_api_is_below_the_base() {
        let api = "http://ha.local:8123/api/config/a%2Fb";
        check("http://ha.local:8123", "ws://ha.local:8123/api/websocket", api);
        check(" http://ha.local:8123/?x=1#y ", "ws://ha.local:8123/api/websocket", api);
        check(
            "https://example.org/home//",
            "wss://example.org/home/api/websocket",
            "https://example.org/home/api/config/a%2Fb",
        );
        check(
            "http://supervisor/core/",
            "ws://supervisor/core/websocket",
            "http://supervisor/core/api/config/a%2Fb",
        );
    }

    #[test]
    fn a_number_is_given_to_the_resolver_bare() {
        let address = Address::parse("http://[::1]:8123").unwrap();
        assert_eq!((address.host(), address.port()), ("::1", 8123));
        assert_eq!(address.to_string(), "http://[::1]:8123");
        assert_eq!(Address::parse("https://a").unwrap().port(), 443);
        let zone = Address::parse("http://[fe80::1%eth0]:8123").unwrap_err().to_string();
        assert!(zone.contains("without a zone"), "{zone}");
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for text in ["ftp://h", "h:8123", "", "http://user:hush@h?hush", "hush@?hush"] {
            let said = Address::parse(text).unwrap_err().to_string();
            assert!(!said.contains("hush"), "{said}");
        }
    }
}
