//! What is known beforehand of the integrations that take application credentials. A leaf.
//!
//! The facts were read from the sources of HA 2024.3.3 and 2026.11.0. A running HA knows better
//! which integrations it has; this list serves where there is none to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::Domain;

/// What is known of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Facts {
    /// Whether it uses one fixed implementation, whatever `auth_domain` says: all its
    /// credentials collapse into the last one.
    #[serde(default)]
    pub ignores_auth_domain: bool,
    /// Its provider's token endpoint, unless that is made at run time or comes from a library.
    pub token_url: Option<String>,
    /// Where its provider hands out clients, where the integration itself says so.
    pub console_url: Option<String>,
    /// How it says who it is at that endpoint.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Whether it writes the client secret into the consent link.
    #[serde(default)]
    pub secret_in_authorize_url: bool,
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the form's body.
    #[default]
    Body,
    /// In the header, by HTTP's basic authentication.
    Basic,
}

/// Every integration of HA itself that takes application credentials in some release.
pub fn known() -> &'static BTreeSet<Domain> {
    static KNOWN: LazyLock<BTreeSet<Domain>> = LazyLock::new(|| FACTS.keys().cloned().collect());
    &KNOWN
}

/// What is known of an integration of HA itself; `None` where it is not one of [`known`].
pub fn facts(domain: &Domain) -> Option<&'static Facts> {
    FACTS.get(domain)
}

/// The built-in file does not change after the build, and a test reads it: the empty list that
/// would replace an unreadable one is never seen.
static FACTS: LazyLock<BTreeMap<Domain, Facts>> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> Result<BTreeMap<Domain, Facts>, serde_json::Error> {
    #[derive(Deserialize)]
    struct FactsFile {
        integrations: BTreeMap<String, Facts>,
    }
    let file: FactsFile = serde_json::from_str(include_str!("facts.json"))?;
    Ok(file.integrations.into_iter().map(|(name, facts)| (Domain::new(name), facts)).collect())
}

#[cfg(test)]
mod tests {
    use super::{ClientAuth, facts, known, read};
    use crate::model::Domain;

    #[test]
    fn the_built_in_file_reads() {
        assert_eq!(read().unwrap().len(), known().len());
        assert!(known().len() >= 54, "integrations were lost: {}", known().len());
        assert!(known().contains(&Domain::new("spotify")));
    }

    #[test]
    fn withings_alone_ignores_auth_domain() {
        let ignoring: Vec<_> = known()
            .iter()
            .filter(|domain| facts(domain).unwrap().ignores_auth_domain)
            .map(Domain::as_str)
            .collect();
        assert_eq!(ignoring, ["withings"]);
        assert_eq!(facts(&Domain::new("spotfy")), None);
    }

    #[test]
    fn token_endpoints_are_addresses_that_may_be_told_a_secret() {
        let facts = |domain: &str| facts(&Domain::new(domain)).unwrap();
        for domain in known() {
            let url = &facts(domain.as_str()).token_url;
            assert!(url.as_ref().is_none_or(|url| url.starts_with("https://")), "{domain}");
        }
        let spotify = facts("spotify");
        assert_eq!(spotify.token_url.as_deref(), Some("https://accounts.spotify.com/api/token"));
        assert_eq!(spotify.client_auth, ClientAuth::Body);
        assert_eq!(facts("fitbit").client_auth, ClientAuth::Basic);
        assert_eq!(facts("mcp").token_url, None);
    }
}
