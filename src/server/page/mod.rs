//! The status page: made whole on the server, of nothing but itself, and useful without a script.
//!
//! ```text
//!  verdict.rs (one sentence) · waiting.rs (what a person must do) · manifests.rs · targets.rs
//!        └────────▶ main, made once for each status ◀──asks── script.js, every other second
//! ```

mod manifests;
mod targets;
mod verdict;
mod waiting;

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::codes::TargetCode;
use crate::model::{hex, visible_lines};
use crate::report::moment::Moment;
use crate::report::status::report;
use crate::report::{FileNames, problems};
use crate::status::Status;

use crate::callback::Reply;

use super::ServerState;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// A key's bow and bit.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg fill='none' stroke='%232f7fc1' stroke-width='2'%3E%3Ccircle cx='5' cy='8' r='3'/%3E%3Cpath d='M8 8h7M13 8v3'/%3E%3C/g%3E%3C/svg%3E";

/// What a page's main part is put in the place of.
const MAIN_HERE: &str = "<!-- main -->";

/// What of a page is the same as on others: nothing is loaded from elsewhere, and only our own
/// style and script are taken.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; form-action 'self'; base-uri 'none'",
        digest(STYLE),
        digest(SCRIPT),
    )
});

/// The page's main part, and what distinguishes it from others.
#[derive(Clone)]
pub(super) struct Main {
    html: Bytes,
    tag: Arc<str>,
}

impl Main {
    fn of(server: &ServerState) -> Self {
        server.main.of(&server.status(), |status| {
            let html = Bytes::from(visible(main(status, &server.names)).into_string());
            let digest = Sha256::digest(&html);
            Self { html, tag: hex(&digest[..12]).into() }
        })
    }
}

/// When a page loads itself again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    Never,
    WithoutScript,
    Always,
}

/// How a page is dressed.
pub(super) struct Shell<'a> {
    pub(super) title: &'a str,
    pub(super) refresh: Refresh,
    pub(super) script: bool,
}

/// A page around its body.
pub(super) fn shell(status: StatusCode, shell: &Shell<'_>, body: Markup) -> Response {
    let page = framed(shell, &visible(body)).into_string();
    (status, page_headers(), page).into_response()
}

/// Hidden characters of names from outside are escaped, whatever part of a page shows them.
fn visible(part: Markup) -> Markup {
    PreEscaped(visible_lines(&part.0).into_owned())
}

fn page_headers() -> [(HeaderName, &'static str); 2] {
    [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY.as_str())]
}

fn framed(shell: &Shell<'_>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (shell.title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
                @match shell.refresh {
                    Refresh::Never => {}
                    Refresh::WithoutScript => noscript { meta http-equiv="refresh" content="10"; },
                    Refresh::Always => meta http-equiv="refresh" content="5";,
                }
            }
            body {
                (body)
                @if shell.script { script { (PreEscaped(SCRIPT)) } }
            }
        }
    }
}

/// What a browser is shown that a provider sent back.
pub(super) fn reply(reply: &Reply) -> Response {
    let body = html! {
        main { h1 { "appcred" } p .card { (reply.text) } }
    };
    let refresh = if reply.reloads { Refresh::Always } else { Refresh::Never };
    shell(reply.status, &Shell { title: "appcred", refresh, script: false }, body)
}

/// The whole page. Its main part is not copied for each who asks: it may be large.
pub(super) async fn whole(State(server): State<ServerState>, request: Request) -> Response {
    let base = server.access.base(&request);
    let may_leave = server.access.has_token() && !server.access.is_ingress(&request);
    let made = Main::of(&server);
    let body = html! {
        header .top {
            img src=(ICON) alt="" width="20" height="20";
            h1 { "appcred" }
            p #connection .bad role="status" {}
            @if may_leave {
                form method="post" action={ (base) "logout" } {
                    button .quiet type="submit" { "Log out" }
                }
            }
        }
        main #main data-from={ (base) "fragment" } data-tag=(made.tag) { (PreEscaped(MAIN_HERE)) }
        footer .soft {
            p {
                "appcred " (env!("CARGO_PKG_VERSION")) " · the same for programs: "
                a href={ (base) "api/v1/status" } { "status" } ", "
                a href={ (base) "api/v1/snapshot" } { "snapshot" } ", "
                a href={ (base) "metrics" } { "metrics" }
            }
        }
    };
    let shell = Shell { title: "appcred", refresh: Refresh::WithoutScript, script: true };
    let frame = framed(&shell, &body).into_string();
    let (before, after) = frame.split_once(MAIN_HERE).unwrap_or((&frame, ""));
    let parts = [Bytes::from(before.to_owned()), made.html, Bytes::from(after.to_owned())];
    let parts = stream::iter(parts.map(Ok::<_, Infallible>));
    (page_headers(), Body::from_stream(parts)).into_response()
}

/// The main part, where it is another than whoever asks has.
pub(super) async fn fragment(State(server): State<ServerState>, request: Request) -> Response {
    let made = Main::of(&server);
    let tag = format!("\"{}\"", made.tag);
    let has = request.headers().get(IF_NONE_MATCH).and_then(|has| has.to_str().ok());
    if has == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (ETAG, tag)];
    (headers, made.html).into_response()
}

fn main(status: &Status, names: &FileNames) -> Markup {
    let report = report(status, names);
    let excerpts = problems::excerpts(&status.manifests.problems, manifests::MOST_PROBLEMS);
    html! {
        (verdict::verdict(&report))
        (waiting::waiting(&report))
        (manifests::manifests(&report.manifests, &excerpts))
        (targets::targets(&report))
    }
}

/// A moment; the script says how far away it is.
fn time(moment: Moment) -> Markup {
    html! { time datetime=(moment.exact()) title=(moment.for_people()) { (moment.for_people()) } }
}

/// How good or bad it is, as the style knows it.
fn tone(verdict: TargetCode) -> &'static str {
    match verdict {
        TargetCode::InSync => "ok",
        TargetCode::WaitingForConsent | TargetCode::WaitingForAnswers | TargetCode::Differs => {
            "wait"
        }
        TargetCode::Failed | TargetCode::Unreachable | TargetCode::NoAccess => "bad",
        TargetCode::Connecting | TargetCode::NothingSelected => "idle",
    }
}

/// A state in words, with a symbol of its tone.
fn badge(tone: &str, words: &str) -> Markup {
    html! { span .badge .(tone) { (words) } }
}

/// A part of an `id` that is unlike that of any other name.
fn id_part(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
