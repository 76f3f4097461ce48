//! The status page: made whole on the server, of nothing but itself, and useful without a script.
//!
//! ```text
//!  verdict.rs (one sentence) · waiting.rs (what a person must do) · manifests.rs · targets.rs, entries.rs ·
//!  history.rs (what was done)
//!        └────────▶ main, made once for each status ◀──asks── script.js, every other second
//! ```

mod entries;
mod history;
mod manifests;
mod targets;
mod verdict;
mod waiting;

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use maud::{Markup, PreEscaped, html as markup};
use sha2::{Digest, Sha256};

use crate::codes::TargetCode;
use crate::files::fetched;
use crate::html::{self, Frame, Refresh, Tone};
use crate::model::hex;
use crate::report::moment::Moment;
use crate::report::status::report;
use crate::report::{FileNames, problems};
use crate::status::Status;

use super::ServerState;
use verdict::PageSummary;

const SCRIPT: &str = include_str!("script.js");

/// What a page's main part is put in the place of.
const MAIN_HERE: &str = "<!-- main -->";

/// Nothing is loaded from elsewhere, and only our own style and script are taken.
static POLICY: LazyLock<String> = LazyLock::new(|| html::policy(Some(SCRIPT)));

/// The page's main part, and what distinguishes it from others.
#[derive(Clone)]
pub(super) struct Main {
    html: Bytes,
    tag: Arc<str>,
    verdict: PageSummary,
}

impl Main {
    fn of(server: &ServerState) -> Self {
        server.main.of(&server.status(), |status| {
            let (verdict, main) = main(status, &server.names);
            let html = html::visible(&main).into_string();
            let html = Bytes::from(fetched::renamed(html));
            let digest = Sha256::digest(&html);
            Self { html, tag: hex(&digest[..12]).into(), verdict }
        })
    }
}

/// The whole page. Its main part is not copied for each who asks: it may be large.
pub(super) async fn whole(State(server): State<ServerState>, request: Request) -> Response {
    let base = server.access.base(&request);
    let may_leave = server.access.has_token() && !server.access.is_ingress(&request);
    let made = Main::of(&server);
    let more = markup! {
        p #connection .bad role="status" {}
        @if may_leave {
            form method="post" action={ (base) "logout" } {
                button .quiet type="submit" { "Log out" }
            }
        }
    };
    let body = markup! {
        (html::top(&more))
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
    let PageSummary { tone, title, .. } = &made.verdict;
    let refresh = Refresh::WithoutScript;
    let frame = Frame { title, tone: *tone, refresh, script: Some(SCRIPT) };
    let frame = html::framed(&frame, &html::visible(&body)).into_string();
    let (before, after) = frame.split_once(MAIN_HERE).unwrap_or((&frame, ""));
    let parts = [Bytes::from(before.to_owned()), made.html, Bytes::from(after.to_owned())];
    let parts = stream::iter(parts.map(Ok::<_, Infallible>));
    (html::headers(&POLICY), Body::from_stream(parts)).into_response()
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

fn main(status: &Status, names: &FileNames) -> (PageSummary, Markup) {
    let report = report(status, names);
    let excerpts = problems::excerpts(&status.problems(), manifests::MOST_PROBLEMS);
    let verdict = PageSummary::of(&report);
    let main = markup! {
        (verdict::section(&report, &verdict))
        (waiting::waiting(&report))
        (manifests::manifests(&report.manifests, report.source.as_ref(), &excerpts))
        (targets::targets(&report))
        (history::history(&report))
    };
    (verdict, main)
}

/// A moment; the script says how far away it is.
fn time(moment: Moment) -> Markup {
    markup! { time datetime=(moment.exact()) title=(moment.for_people()) { (moment.for_people()) } }
}

/// A moment at which something is to begin; once it has passed, that happens now.
fn due(moment: Moment) -> Markup {
    markup! {
        time data-due datetime=(moment.exact()) title=(moment.for_people()) { (moment.for_people()) }
    }
}

/// How good or bad it is. Of a target that cannot be reached nothing is known.
fn tone(verdict: TargetCode) -> Tone {
    match verdict {
        TargetCode::InSync => Tone::Ok,
        TargetCode::WaitingForConsent | TargetCode::WaitingForAnswers | TargetCode::Differs => {
            Tone::Wait
        }
        TargetCode::Failed
        | TargetCode::TokenRefused
        | TargetCode::NotAdministrator
        | TargetCode::NoAccess => Tone::Bad,
        TargetCode::Connecting
        | TargetCode::NothingSelected
        | TargetCode::Suspended
        | TargetCode::Unreachable => Tone::Idle,
    }
}

/// A state in words, with a symbol of its tone.
fn badge(tone: Tone, words: &str) -> Markup {
    markup! { span .badge .(tone.class()) { (words) } }
}

/// A part of an `id` that is unlike that of any other name.
fn id_part(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
