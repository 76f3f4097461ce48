//! How a browser gets in where a token is needed: by a form, once for each run of the watcher.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use maud::html;
use url::form_urlencoded;

use super::access::{Access, COOKIE_NAME};
use super::page::{Shell, shell};

const WRONG: &str = "That is not the token.";

/// The form.
pub(super) fn page(status: StatusCode, why: Option<&str>) -> Response {
    let main = html! {
        main {
            h1 { "appcred" }
            form .card method="post" action="login" {
                label for="token" { "Token" }
                p #hint .soft { "It is in the file that " code { "--token-file" } " names." }
                @if let Some(why) = why { p #wrong .bad role="alert" { (why) } }
                input #token name="token" type="password" autocomplete="current-password" required
                    autofocus aria-describedby=[Some(if why.is_some() { "hint wrong" } else { "hint" })];
                button .button type="submit" { "Log in" }
            }
        }
    };
    shell(status, &Shell { title: "appcred: log in", refresh: false, script: false }, &main)
}

pub(super) async fn log_in(State(access): State<Arc<Access>>, body: Bytes) -> Response {
    let said = form_urlencoded::parse(&body).find(|(name, _)| name == "token");
    if !access.has_token() || !said.is_some_and(|(_, token)| access.is_token(&token)) {
        return page(StatusCode::FORBIDDEN, Some(WRONG));
    }
    to_the_page(access.session().expose(), "")
}

pub(super) async fn log_out() -> Response {
    to_the_page("", "; Max-Age=0")
}

fn to_the_page(value: &str, more: &str) -> Response {
    let cookie = format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Strict{more}");
    (StatusCode::SEE_OTHER, [(LOCATION, "./".to_owned()), (SET_COOKIE, cookie)]).into_response()
}
