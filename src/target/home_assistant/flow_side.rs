//! From where a flow is called, and whether its link may be shown.

use reqwest::Url;

use super::flow_response::FlowResponse;
use crate::integrations::{self, Release};
use crate::model::{Domain, FlowStep, Secret};

/// A secret of so many bytes appears nowhere by chance.
const LONG: usize = 8;

/// From where a flow is called, and for which credential.
pub struct FlowSide<'a> {
    /// The integration.
    pub domain: &'a Domain,
    /// The address below which the provider's redirect arrives, without a slash at the end.
    pub base: &'a str,
    /// The secrets that must not be seen in a link.
    pub secrets: &'a [&'a Secret],
}

impl FlowSide<'_> {
    /// What HA's answer means, without a link that would show a secret.
    pub(super) fn read(&self, step: FlowResponse, release: Option<Release>) -> FlowStep {
        step.read(|url| self.hides_secret(url, release))
    }

    fn hides_secret(&self, url: &str, release: Option<Release>) -> bool {
        let writes_it = integrations::facts(self.domain, release)
            .is_some_and(|facts| facts.secret_in_authorize_url);
        writes_it || self.secrets.iter().any(|secret| holds(url, secret.expose()))
    }
}

/// Whether a secret is in a URL, plain or encoded: as a value, or as a part of something that
/// is too long to be there by chance.
fn holds(url: &str, secret: &str) -> bool {
    let is_long = secret.len() >= LONG;
    let holds = |text: &str| text == secret || is_long && text.contains(secret);
    let in_query =
        || Url::parse(url).is_ok_and(|url| url.query_pairs().any(|(_, value)| holds(&value)));
    !secret.is_empty() && (holds(url) || in_query())
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn a_secret_in_a_link_is_seen_however_it_is_written() {
        assert!(holds("http://a/?x=s%2Fcret", "s/cret"));
        assert!(holds("http://a/?x=s+e", "s e"));
        assert!(holds("http://a/?x=mys%2Fcretsecret", "s/cretsecret"));
        assert!(holds("not a url s/cretsecret", "s/cretsecret"));
        assert!(!holds("http://a/?x=other", "x"));
        assert!(!holds("http://a/?x=other", "s/cretsecret"));
        assert!(!holds("http://a/?x=other", ""));
    }
}
