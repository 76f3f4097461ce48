//! How a browser gets in where a token is needed: by a form, once for each run of the watcher.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use crate::html::{self, Refresh, Tone};
use crate::listener::Peer;

use super::access::{Access, Attempt, SESSION_COOKIE, cookies};
use super::reply;

const WRONG: &str = "That is not the token.";

/// The form.
pub(super) fn page(status: StatusCode, why: Option<&str>) -> Response {
    let main = maud::html! {
            form .card method="post" action="login" {
                label for="token" { "Token" }
                p #hint .soft { "It is in the file that " code { "--token-file" } " names." }
                @if let Some(why) = why { p #wrong .bad role="alert" { (why) } }
                input #token name="token" type="password" autocomplete="current-password" required
                    autofocus aria-describedby=[Some(if why.is_some() { "hint wrong" } else { "hint" })];
                button .button type="submit" { "Log in" }
            }
    };
    let tone = if why.is_some() { Tone::Bad } else { Tone::Idle };
    html::page(status, "Log in · appcred", tone, Refresh::Never, &main)
}

pub(super) async fn log_in(
    State(access): State<Arc<Access>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    let said = form_urlencoded::parse(&body).find(|(name, _)| name == "token");
    match said.map(|(_, token)| access.attempt(peer.ip(), &token)) {
        Some(Attempt::Right(token)) => match access.sessions.begin(token) {
            Ok(id) => to_the_page(id.expose(), ""),
            Err(why) => {
                reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "Not logged in", &why.to_string())
            }
        },
        Some(Attempt::TooMany(wait)) => {
            reply::too_many("wrong tokens", wait, |status, why| page(status, Some(why)))
        }
        Some(Attempt::Wrong) | None => page(StatusCode::FORBIDDEN, Some(WRONG)),
    }
}

pub(super) async fn log_out(State(access): State<Arc<Access>>, headers: HeaderMap) -> Response {
    for id in cookies(&headers, SESSION_COOKIE) {
        access.sessions.end(id);
    }
    to_the_page("", "; Max-Age=0")
}

fn to_the_page(value: &str, more: &str) -> Response {
    let cookie = format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{more}");
    (StatusCode::SEE_OTHER, [(LOCATION, "./".to_owned()), (SET_COOKIE, cookie)]).into_response()
}
