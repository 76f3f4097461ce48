//! What follows from an answer of an authorize endpoint.

use std::sync::LazyLock;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::Regex;
use serde::Deserialize;
use url::Url;

use super::rules::{Checks, Provider, Rules};
use super::{Answer, Registration, Request};
use crate::codes::RegistrationCode;
use crate::verify::words::one_line;

/// What is to be done with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It says this.
    Is(Registration),
    /// Its page about the error says it.
    Follow(Url),
}

/// Judges what was answered. `provider` is what is known of the server.
pub(super) fn judge(
    request: &Request,
    answer: &Answer,
    provider: Option<&Provider>,
    rules: &Rules,
) -> Judgement {
    let case = Case { request, answer, provider, rules };
    let judged = match (answer.status, &answer.location) {
        (429, _) => Registration::unclear("it received too many requests"),
        (500.., _) => Registration::unclear(format!("it answers {}", answer.status)),
        (300..400, Some(location)) => match case.redirect(location) {
            Some(registration) => registration,
            None => return Judgement::Follow(location.clone()),
        },
        _ => case.page(),
    };
    Judgement::Is(case.without_need(judged))
}

struct Case<'a> {
    request: &'a Request,
    answer: &'a Answer,
    provider: Option<&'a Provider>,
    rules: &'a Rules,
}

impl Case<'_> {
    /// What a redirect says; none where its page does.
    fn redirect(&self, to: &Url) -> Option<Registration> {
        let said = ErrorIn::of(to);
        if let Some(text) = said.text()
            && let Some(registration) = self.by_text(&text_of(&text), false)
        {
            return Some(registration);
        }
        if self.is_redirect_uri(to) {
            return Some(self.sent_back(to, said));
        }
        if self.is_followed(to) {
            return None;
        }
        if let Some(text) = said.text() {
            return Some(Registration::unclear(format!("it says {}", one_line(&text))));
        }
        let is_login = self.provider.is_some_and(|known| known.is_login_address(to.as_str()));
        Some(self.login(is_login).unwrap_or_else(|| {
            Registration::unclear("it redirects to another page, which proves nothing")
        }))
    }

    /// Our redirect URI came back.
    fn sent_back(&self, to: &Url, said: ErrorIn) -> Registration {
        let state = parameters(to).into_iter().find(|(name, _)| name == "state");
        if state.is_none_or(|(_, state)| state != self.request.state) {
            return Registration::unclear("it sends the redirect URI back without our `state`");
        }
        let why = match said.text() {
            Some(text) => format!("it sends the redirect URI back with {}", one_line(&text)),
            None => "it sends the redirect URI back".to_owned(),
        };
        Registration::new(RegistrationCode::Registered, why)
    }

    fn is_redirect_uri(&self, to: &Url) -> bool {
        let back = &self.request.back;
        (to.origin(), to.path()) == (back.origin(), back.path())
    }

    /// Only one page is followed, and never one that a browser takes an answer to.
    fn is_followed(&self, to: &Url) -> bool {
        let is_hop = to.host_str().is_some_and(|host| {
            self.provider.is_some_and(|known| known.hop_hosts.iter().any(|hop| hop == host))
        });
        let is_own = to.origin() == self.request.url.origin();
        let is_answer = parameters(to).iter().any(|(name, _)| name == "code");
        !self.request.is_error_page
            && !is_answer
            && (is_hop && to.scheme() == "https" || is_own && self.rules.is_error_page(to.path()))
    }

    fn page(&self) -> Registration {
        let Answer { status, body, .. } = self.answer;
        let is_error = (400..500).contains(status);
        if is_error && self.rules.is_not_an_answer(body) {
            return Registration::unclear(format!("something in front of it answers {status}"));
        }
        let said = ErrorIn::of_json(body).text();
        let text = text_of(said.as_deref().unwrap_or(body));
        // A login page may have such words as well, for whoever cannot log in.
        let may_say = self.request.is_error_page
            || is_error
            || self.provider.is_some_and(|known| known.errors_with_200);
        if may_say && let Some(registration) = self.by_text(&text, false) {
            return registration;
        }
        if self.provider.is_some_and(|known| known.error_in_script)
            && let Some(registration) = self.by_text(&one_space(body), true)
        {
            return registration;
        }
        let is_login =
            *status == 200 && self.provider.is_some_and(|known| known.is_login_page(body));
        if let Some(registration) = self.login(is_login) {
            return registration;
        }
        Registration::unclear(match said {
            Some(said) => format!("it answers {status} and says {}", one_line(&said)),
            None if *status == 200 => {
                "it shows a page, which proves nothing: it may check after login".to_owned()
            }
            None => format!("it answers {status}"),
        })
    }

    /// What a login proves, where this is one.
    fn login(&self, is_login: bool) -> Option<Registration> {
        let code = match self.provider.map_or(Checks::Nothing, |known| known.checks) {
            _ if !is_login => return None,
            Checks::All => RegistrationCode::Registered,
            Checks::Client => RegistrationCode::ClientKnown,
            Checks::Nothing => return None,
        };
        let what = match code {
            RegistrationCode::Registered => "client id and redirect URI",
            _ => "the client id alone",
        };
        Some(Registration::new(code, format!("it shows its login, before which it checks {what}")))
    }

    /// What a text means. Servers repeat what they were sent, which proves nothing.
    fn by_text(&self, text: &str, is_script: bool) -> Option<Registration> {
        let Request { client_id, back, domain, .. } = self.request;
        let mut text = text.to_owned();
        for sent in [client_id.as_str(), back.as_str()] {
            if self.rules.meaning(sent, domain, false).is_some() {
                text = text.replace(sent, "...");
            }
        }
        let (code, words) = self.rules.meaning(&text, domain, is_script)?;
        Some(Registration::new(code, one_line(words)))
    }

    /// Without a redirect URI, some accounts can still be linked.
    fn without_need(&self, judged: Registration) -> Registration {
        let needs =
            self.provider.is_none_or(|known| known.needs_redirect_uri(&self.request.domain));
        match judged.code {
            RegistrationCode::NotRegistered if !needs => Registration::unclear(format!(
                "it says {}; the integration can link an account without a redirect URI",
                judged.why
            )),
            _ => judged,
        }
    }
}

/// The error of an answer, in the forms that providers use.
#[derive(Default, Deserialize)]
struct ErrorIn {
    error: Option<String>,
    #[serde(alias = "message")]
    error_description: Option<String>,
}

impl ErrorIn {
    fn of(url: &Url) -> Self {
        let parameters = parameters(url);
        let first = |names: &[&str]| {
            let mut found = parameters.iter().filter(|(name, _)| names.contains(&name.as_str()));
            found.next().map(|(_, value)| value.clone())
        };
        let google = first(&["authError"]).as_deref().and_then(readable);
        Self {
            error: first(&["error", "oauthErrorCode"]),
            error_description: google
                .or_else(|| first(&["error_description", "error_hint", "oauthErrorMsg"])),
        }
    }

    fn of_json(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    fn text(&self) -> Option<String> {
        match (&self.error, &self.error_description) {
            (Some(code), Some(words)) => Some(format!("{code}: {words}")),
            (one, other) => one.clone().or_else(|| other.clone()),
        }
    }
}

/// The words in Google's error, which is a protocol buffer in base64.
fn readable(encoded: &str) -> Option<String> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&URL_SAFE, config).decode(encoded).ok()?;
    Some(one_line(&String::from_utf8_lossy(&bytes)))
}

/// The parameters of a query and of a fragment.
fn parameters(url: &Url) -> Vec<(String, String)> {
    let fragment = url.fragment().unwrap_or_default().as_bytes();
    let all = url.query_pairs().chain(url::form_urlencoded::parse(fragment));
    all.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

static SCRIPTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?is)<(script|style)\b.*?</(script|style)>|<!--.*?-->").ok());
static TAGS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)<[^>]*>").ok());

/// The words of a page, without marks that could be inside of them.
fn text_of(page: &str) -> String {
    let without = |pattern: &Option<Regex>, text: String| match pattern {
        Some(pattern) => pattern.replace_all(&text, " ").into_owned(),
        None => text,
    };
    let mut text = without(&TAGS, without(&SCRIPTS, page.to_owned()));
    for (written, meant) in [
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&quot;", ""),
        ("&#34;", ""),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        text = text.replace(written, meant);
    }
    one_space(&text)
}

/// A text without quotes, and with one space between words.
fn one_space(text: &str) -> String {
    let text: String = text.chars().filter(|c| !matches!(c, '"' | '`' | '\'' | '\\')).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
