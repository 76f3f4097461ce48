//! Whether a client and its redirect URI are registered: asked at the authorize endpoint, before anybody
//! logs in.
//!
//! ```text
//!  AuthorizeQuestion ──▶ Request (HA's own link, fresh state) ──ask.rs──▶ Answer ──judge.rs──▶ Registration
//!                                                                           ▲ rules.rs, rules.json
//! ```
//!
//! A server that follows RFC 6749 (4.1.2.1) sends no browser to a redirect URI that is not registered, so
//! one that sends ours back has it. A login page alone proves nothing: many servers check after it.

mod ask;
mod judge;
mod rules;

use std::collections::BTreeMap;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId as OAuthClientId, CsrfToken, PkceCodeChallenge, RedirectUrl};
use url::Url;

use crate::codes::RegistrationCode;
use crate::integrations::{Facts, Release, facts};
use crate::model::{
    ClientId, DesiredCredential, Domain, Implementation, MY_REDIRECT_URI, web_page,
};

pub(super) use ask::ask;
use rules::Provider;

/// Where the provider is to send browsers after consent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedirectUri {
    /// The address.
    pub uri: String,
    /// Whether no target said so: it is what HA does by default.
    pub is_assumed: bool,
}

impl RedirectUri {
    /// What a target says, else what HA does by default.
    pub fn of(target: Option<&str>) -> Self {
        Self { uri: target.unwrap_or(MY_REDIRECT_URI).to_owned(), is_assumed: target.is_none() }
    }
}

/// What to ask about a client and its redirect URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthorizeQuestion {
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// Where it is asked, or why it is not.
    pub authorize_url: Result<String, String>,
    /// What must be registered with the client.
    pub redirect_uri: RedirectUri,
    /// What HA's link has beside what OAuth2 wants in each.
    pub parameters: BTreeMap<String, String>,
    /// Whether HA's link has a code challenge.
    pub pkce: bool,
    /// Whether the address is the integration's own, so that its provider's rules hold.
    pub is_known_provider: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// In one word.
    pub code: RegistrationCode,
    /// Why; in the provider's own words where it had some.
    pub why: String,
}

impl Registration {
    fn new(code: RegistrationCode, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }

    fn unreachable(why: impl Into<String>) -> Self {
        Self::new(RegistrationCode::Unreachable, why)
    }

    fn unclear(why: impl Into<String>) -> Self {
        Self::new(RegistrationCode::Unclear, why)
    }

    /// Whether nobody could link an account now.
    pub fn is_refused(&self) -> bool {
        matches!(self.code, RegistrationCode::NotRegistered | RegistrationCode::UnknownClient)
    }

    /// What two answers say together: a no counts only where it is said twice.
    #[must_use]
    pub(super) fn confirmed_by(self, second: Self) -> Self {
        use RegistrationCode::{NotAsked, Unclear, Unreachable};
        match (self.is_refused(), second.code) {
            (true, Unclear | Unreachable | NotAsked) => {
                Self::unclear(format!("it said \"{}\", and then: {}", self.why, second.why))
            }
            (true, _) => second,
            (false, _) => self,
        }
    }
}

impl AuthorizeQuestion {
    /// The one about an entry, for a release of Home Assistant (the newest where that is not known).
    pub fn of(
        entry: &DesiredCredential,
        release: Option<Release>,
        redirect_uri: RedirectUri,
    ) -> Self {
        let facts = facts(&entry.domain, release).cloned().unwrap_or_default();
        let own = entry.integration.authorize_url.clone();
        let mut question = Self {
            domain: entry.domain.clone(),
            client_id: entry.client_id.clone(),
            is_known_provider: own.is_none(),
            authorize_url: own
                .or_else(|| facts.authorize_url.clone())
                .ok_or_else(|| "no authorize endpoint is known".to_owned()),
            redirect_uri,
            parameters: facts.authorize_parameters.clone(),
            pkce: facts.pkce,
        };
        let provider = question.provider();
        if let Some(url) = provider.and_then(|provider| provider.ask_at.clone()) {
            question.authorize_url = Ok(url);
        }
        if let Some(scope) = provider.and_then(|provider| provider.scope.clone()) {
            question.parameters = BTreeMap::from([("scope".to_owned(), scope)]);
        }
        if let Some(why) = reason_not_to_ask(entry, &facts, question.is_known_provider) {
            question.authorize_url = Err(why.to_owned());
        }
        question
    }

    fn provider(&self) -> Option<&'static Provider> {
        rules::built_in().provider(&self.domain).filter(|_| self.is_known_provider)
    }

    /// HA's own link, with a fresh state; without a page for a person where the server can do without.
    ///
    /// # Errors
    /// Where there is none that may be opened: with the reason.
    fn request(&self) -> Result<Request, String> {
        let url = self.authorize_url.clone()?;
        let url = web_page(&url).ok_or("its address is not https")?;
        let redirect = RedirectUrl::new(self.redirect_uri.uri.clone())
            .map_err(|_| "the redirect URI is not a URL")?;
        let back = redirect.url().clone();
        let mut parameters = self.parameters.clone();
        if self.speaks_openid(&url) {
            parameters.insert("prompt".to_owned(), "none".to_owned());
        }
        let client = BasicClient::new(OAuthClientId::new(self.client_id.as_str().to_owned()))
            .set_auth_uri(AuthUrl::from_url(url))
            .set_redirect_uri(redirect);
        let mut link = client.authorize_url(CsrfToken::new_random);
        for (name, value) in &parameters {
            link = link.add_extra_param(name, value);
        }
        if self.pkce {
            link = link.set_pkce_challenge(PkceCodeChallenge::new_random_sha256().0);
        }
        let (url, state) = link.url();
        Ok(Request {
            url,
            back,
            state: state.into_secret(),
            client_id: self.client_id.clone(),
            domain: self.domain.clone(),
            is_error_page: false,
        })
    }

    fn speaks_openid(&self, url: &Url) -> bool {
        let in_url = url.query_pairs().find(|(name, _)| name == "scope");
        let scope = in_url.map(|(_, scope)| scope.into_owned());
        let scope = scope.as_ref().or_else(|| self.parameters.get("scope"));
        let asks_openid = || scope.is_some_and(|scope| scope.split(' ').any(|one| one == "openid"));
        self.provider().map_or_else(asks_openid, |provider| provider.prompt_none)
    }
}

/// Why a provider is not asked.
fn reason_not_to_ask<'r>(
    entry: &DesiredCredential,
    facts: &Facts,
    is_known_provider: bool,
) -> Option<&'r str> {
    if facts.secret_in_authorize_url {
        return Some("the integration writes the client secret into its link");
    }
    if facts.ignores_client {
        return Some("the integration uses a client of its own");
    }
    if entry.integration.implementation == Implementation::Cloud {
        return Some("the account is linked through Home Assistant Cloud");
    }
    rules::built_in().reason_not_to_ask(&entry.domain).filter(|_| is_known_provider)
}

/// One address that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    url: Url,
    /// The redirect URI.
    back: Url,
    state: String,
    client_id: ClientId,
    domain: Domain,
    /// Whether an answer led here as to a page about an error.
    is_error_page: bool,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Where a redirect leads.
    location: Option<Url>,
    body: String,
}

#[cfg(test)]
mod tests;
