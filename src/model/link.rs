//! What a person follows to consent, and who may see it.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use url::{Host, Url};

use super::Secret;

/// Whether a report shows consent links and device codes. Whoever reads one first can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// It does.
    Shown,
    /// It does not, since others may read it.
    Hidden,
}

/// Why a consent link is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HiddenLink {
    /// The integration writes the client secret into it.
    HoldsSecret,
    /// It is no address that a browser should open.
    Unsafe,
    /// Others may read the report.
    NotAsked,
}

/// The page where somebody consents. It may hold the client secret, and is shown only to the person who
/// needs it: no `Display`, a redacted `Debug`, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentLink {
    url: Secret,
    holds_secret: bool,
}

impl ConsentLink {
    /// `holds_secret` where the integration writes the client secret into the link.
    pub fn new(url: Secret, holds_secret: bool) -> Self {
        Self { url, holds_secret }
    }

    /// The link for a report.
    ///
    /// # Errors
    /// Where the report must not show it.
    pub fn shown(&self, links: Links) -> Result<&str, HiddenLink> {
        if web_page(self.url.expose()).is_none() {
            Err(HiddenLink::Unsafe)
        } else if self.holds_secret {
            Err(HiddenLink::HoldsSecret)
        } else if links == Links::Hidden {
            Err(HiddenLink::NotAsked)
        } else {
            Ok(self.url.expose())
        }
    }

    /// The link for a browser on this machine; `None` where no browser should open it.
    pub fn page(&self) -> Option<Url> {
        web_page(self.url.expose())
    }

    /// One parameter of the link's query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.url.expose()).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for ConsentLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(consent link)")
    }
}

/// Whether a text is an address of HTTP.
pub fn is_web(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The address of a web page that may be opened, or be shown so that a click opens it.
///
/// Home Assistant hands on what an integration or a provider says, so it may be anything: a program
/// registered for another scheme, a file, an option of the command that opens links. Plain http is for
/// this machine only: every provider that we know asks for consent over https. A name before an `@` is
/// there to deceive.
pub fn web_page(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_safe = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    let has_user = !url.username().is_empty() || url.password().is_some();
    (is_safe && !has_user && !text.contains(|c: char| c.is_control() || c.is_whitespace()))
        .then_some(url)
}

/// Whether an address is this very machine, so that no other machine is in between.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.strip_suffix('.').unwrap_or(name) == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Whether a text is the address of something on this very machine.
pub fn is_of_this_machine(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| is_loopback(&url))
}

/// Whether a text has an IPv6 address with a zone, as in `[fe80::1%eth0]`, which URLs cannot hold.
pub fn has_zone(text: &str) -> bool {
    let inside = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.is_some_and(|(address, _)| address.contains('%'))
}

#[cfg(test)]
mod tests {
    use super::{ConsentLink, HiddenLink, Links, Secret, is_loopback, web_page};

    #[test]
    fn only_this_machine_is_loopback() {
        for url in [
            "http://localhost/t",
            "http://LOCALHOST./t",
            "http://127.8.0.1:80/t",
            "http://[::1]:8123/t",
            "http://[::ffff:127.0.0.1]/t",
        ] {
            assert!(is_loopback(&url.parse().unwrap()), "{url}");
        }
        for url in ["http://localhost.example/", "http://10.0.0.1/", "http://0.0.0.0/"] {
            assert!(!is_loopback(&url.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn only_web_pages_are_opened() {
        for url in [
            "https://accounts.spotify.com/authorize?state=s",
            "http://127.0.0.1:8080/authorize",
            "http://localhost/authorize",
            "http://[::1]:80/authorize",
        ] {
            assert!(web_page(url).is_some(), "{url}");
        }
        for url in [
            "",
            "--help",
            "/etc/passwd",
            "file:///etc/passwd",
            "x-evil:run",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://provider.example/authorize",
            "http://192.168.1.2/authorize",
            "http://localhost.example/",
            "https://accounts.google.com@evil.example/",
            "https://a:b@evil.example/",
            "https://",
            " https://provider.example/",
            "https://provider.example/\n--help",
            "ftp://provider.example/",
        ] {
            assert_eq!(web_page(url), None, "{url}");
        }
    }

    #[test]
    fn a_link_is_shown_only_to_whom_it_may_be_shown() {
        let link = |url: &str, holds_secret| ConsentLink::new(Secret::new(url), holds_secret);
        let safe = link("https://p.example/a?state=s", false);
        assert_eq!(safe.shown(Links::Shown), Ok("https://p.example/a?state=s"));
        assert_eq!(safe.shown(Links::Hidden), Err(HiddenLink::NotAsked));
        let secret = link("https://p.example/a?secret=s", true);
        assert_eq!(secret.shown(Links::Shown), Err(HiddenLink::HoldsSecret));
        assert_eq!(link("file:///a", true).shown(Links::Shown), Err(HiddenLink::Unsafe));
        assert_eq!(format!("{safe:?}"), "(consent link)");
    }
}
