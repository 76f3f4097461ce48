//! A consent belongs to the browser that began it.
//!
//! Whoever reads a link can consent with an account of their own, and bring the answer here. So the
//! button of the status page leads over us: that leaves a cookie, and an answer is taken from a browser
//! that has it. From any other it is taken only once somebody who may see the status page says so.

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, LOCATION, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::callback::AuthorizationResponse;
use crate::html::{self, Refresh, Tone};
use crate::listener::Peer;
use crate::model::{AccountName, CALLBACK_PATH, FlowStep, Links, hex};
use crate::setup::state;
use crate::status::Waiting;

use super::access::{Attempt, cookies, is_of_another_site};
use super::callback::PendingConsent;
use super::sessions::Fingerprint;
use super::{LARGEST_FORM, ServerState, callback, reply};

const COOKIE_PREFIX: &str = "appcred_consent_";
/// No provider lets anybody take longer.
const COOKIE_SECONDS: u32 = 3600;

/// Makes and knows the cookies that say which consents a browser began. They end with the process.
pub(super) struct Binding([u8; 32]);

impl Binding {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// Whether a browser began the consent with this state.
    pub(super) fn is_of(&self, headers: &HeaderMap, state: &str) -> bool {
        let ours = Fingerprint::of(&self.value(state));
        cookies(headers, &name(state)).any(|value| Fingerprint::of(value).is_same(&ours))
    }

    fn cookie(&self, state: &str) -> String {
        let (name, value) = (name(state), self.value(state));
        // Lax, since the provider sends the browser back from another site.
        format!(
            "{name}={value}; Path={CALLBACK_PATH}; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax"
        )
    }

    fn value(&self, state: &str) -> String {
        let digest = Sha256::new().chain_update(self.0).chain_update(state).finalize();
        BASE64_URL_SAFE_NO_PAD.encode(digest)
    }
}

/// Several consents may be under way in one browser.
fn name(state: &str) -> String {
    let digest = Sha256::digest(state);
    format!("{COOKIE_PREFIX}{}", hex(&digest[..8]))
}

/// Sends a browser to the provider.
pub(super) async fn begin(
    State(server): State<ServerState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    // Another page must not begin one in the name of whoever visits it.
    if is_of_another_site(&headers) {
        return not_begun(StatusCode::FORBIDDEN, "Start this on the status page.");
    }
    let query = query.unwrap_or_default();
    let [target, key, account] =
        ["target", "key", "account"].map(|name| value(query.as_bytes(), name));
    let is_meant = |waiting: &Waiting<'_>| {
        let of = waiting.set_up.account.as_ref();
        Some(waiting.entry.key.as_str()) == key.as_deref()
            && of.map(AccountName::as_str) == account.as_deref()
    };
    let status = server.status();
    let waiting = status
        .targets
        .iter()
        .find(|(name, _)| Some(name.as_str()) == target.as_deref())
        .and_then(|(_, it)| it.waiting().find(is_meant));
    let Some(FlowStep::Consent(link)) = waiting.map(|waiting| waiting.step) else {
        return not_begun(StatusCode::NOT_FOUND, "This account does not wait for consent.");
    };
    let (Some(state), Ok(url)) = (state(link), link.shown(Links::Shown)) else {
        return not_begun(StatusCode::NOT_FOUND, "The link of this account is not shown.");
    };
    let headers = [(LOCATION, url.to_owned()), (SET_COOKIE, server.access.binding.cookie(&state))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn not_begun(status: StatusCode, why: &str) -> Response {
    reply::refused(status, "No consent was begun", why)
}

fn not_taken(status: StatusCode, why: &str) -> Response {
    reply::refused(status, "Not accepted", why)
}

/// Asks whether the person at a browser that did not begin a consent gave it all the same.
pub(super) fn ask(server: &ServerState, pending: &PendingConsent, query: &str) -> Response {
    let body = maud::html! {
        // Relative, since the page may be served below another path.
        form .card method="post" action="callback" {
                p {
                    "Somebody consented for " strong { (pending.account) } " at " (pending.target)
                    ", but not by the button of the status page in this browser."
                }
                p { "Hand it to Home Assistant only if that was you." }
                input type="hidden" name="query" value=(query);
                @if server.access.has_token() {
                    label for="token" { "Token, if you are not logged in here" }
                    input #token name="token" type="password" autocomplete="current-password";
                }
                button .button type="submit" { "That was me" }
        }
    };
    let title = "Was that you? · appcred";
    html::page(StatusCode::FORBIDDEN, title, Tone::Wait, Refresh::Never, &body)
}

/// Takes an answer for which somebody vouches who may see the status page.
pub(super) async fn confirm(
    State(server): State<ServerState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let is_admitted = server.access.is_admitted(&request);
    let Ok(form) = to_bytes(request.into_body(), LARGEST_FORM).await else {
        return not_taken(StatusCode::BAD_REQUEST, "The form is incomplete.");
    };
    if !is_admitted {
        let token = value(&form, "token").unwrap_or_default();
        match server.access.attempt(peer.ip(), &token) {
            Attempt::Right(_) => {}
            Attempt::Wrong => {
                return not_taken(
                    StatusCode::UNAUTHORIZED,
                    "That is not the token. Go back and try again.",
                );
            }
            Attempt::TooMany(wait) => return reply::too_many("wrong tokens", wait, not_taken),
        }
    }
    let query = value(&form, "query").unwrap_or_default();
    let Some(state) = AuthorizationResponse::read(&query).state else {
        return callback::hand_over(&server, query, None).await;
    };
    // By its address the page that answers can be loaded again until it shows the result.
    let cookie = server.access.binding.cookie(&state);
    let headers = [(LOCATION, format!("callback?{query}")), (SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// One value of a form or a query.
fn value(text: &[u8], name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(text).filter(|(key, _)| key == name);
    values.next().map(|(_, value)| value.into_owned())
}
