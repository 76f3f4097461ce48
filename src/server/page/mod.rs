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

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::codes::TargetCode;
use crate::report::status::{Moment, report};
use crate::report::{Names, problems};
use crate::status::Status;

use super::House;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// A key's bow and bit.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg fill='none' stroke='%232f7fc1' stroke-width='2'%3E%3Ccircle cx='5' cy='8' r='3'/%3E%3Cpath d='M8 8h7M13 8v3'/%3E%3C/g%3E%3C/svg%3E";

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

/// The page's main part, as it was made last.
#[derive(Default)]
pub(super) struct Page(Mutex<Option<(Arc<Status>, Arc<Made>)>>);

/// The main part, and by what it is told from others.
struct Made {
    main: Markup,
    tag: String,
}

impl Page {
    /// The main part of this status, made where it is not the last one.
    fn of(&self, status: &Arc<Status>, names: &Names) -> Arc<Made> {
        // Nothing that panics leaves it half made.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, made)) = &*last
            && Arc::ptr_eq(of, status)
        {
            return Arc::clone(made);
        }
        let main = main(status, names);
        let digest = Sha256::digest(&main.0);
        let tag = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let made = Arc::new(Made { main, tag });
        *last = Some((Arc::clone(status), Arc::clone(&made)));
        made
    }
}

/// How a page is dressed.
pub(super) struct Shell<'a> {
    pub(super) title: &'a str,
    /// Whether it is loaded again where there is no script.
    pub(super) refresh: bool,
    pub(super) script: bool,
}

/// A page around its body.
pub(super) fn shell(status: StatusCode, shell: &Shell<'_>, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (shell.title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
                @if shell.refresh { noscript { meta http-equiv="refresh" content="10"; } }
            }
            body {
                (body)
                @if shell.script { script { (PreEscaped(SCRIPT)) } }
            }
        }
    };
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY.as_str())];
    (status, headers, page.into_string()).into_response()
}

/// A page that says one thing.
pub(super) fn sentence(status: StatusCode, sentence: &str) -> Response {
    let body = html! {
        main { h1 { "appcred" } p .card { (sentence) } }
    };
    shell(status, &Shell { title: "appcred", refresh: false, script: false }, &body)
}

/// The whole page.
pub(super) async fn whole(State(house): State<House>, request: Request) -> Response {
    let base = house.access.base(&request);
    let may_leave = house.access.has_token() && !house.access.is_ingress(&request);
    let made = house.page.of(&house.status(), &house.names);
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
        main #main data-from={ (base) "fragment" } data-tag=(made.tag) { (made.main) }
        footer .soft {
            p {
                "appcred " (env!("CARGO_PKG_VERSION")) " · the same for programs: "
                a href={ (base) "api/v1/status" } { "status" } ", "
                a href={ (base) "api/v1/snapshot" } { "snapshot" } ", "
                a href={ (base) "metrics" } { "metrics" }
            }
        }
    };
    shell(StatusCode::OK, &Shell { title: "appcred", refresh: true, script: true }, &body)
}

/// The main part, where it is another than whoever asks has.
pub(super) async fn fragment(State(house): State<House>, request: Request) -> Response {
    let made = house.page.of(&house.status(), &house.names);
    let tag = format!("\"{}\"", made.tag);
    let has = request.headers().get(IF_NONE_MATCH).and_then(|has| has.to_str().ok());
    if has == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (ETAG, tag)];
    (headers, made.main.0.clone()).into_response()
}

fn main(status: &Status, names: &Names) -> Markup {
    let report = report(status, names);
    let excerpts = problems::excerpts(&status.manifests.problems, manifests::MOST_PROBLEMS);
    html! {
        (verdict::verdict(&report))
        (waiting::waiting(&report))
        (manifests::manifests(&report.manifests, &excerpts))
        (targets::targets(&report))
    }
}

/// A moment; the script tells how far away it is.
fn time(moment: Moment) -> Markup {
    html! { time datetime=(moment.exact()) title=(moment.told()) { (moment.told()) } }
}

/// `1 file`, `2 files`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// How good or bad it is, as the style knows it.
fn tone(verdict: TargetCode) -> &'static str {
    match verdict {
        TargetCode::InSync => "ok",
        TargetCode::WaitingForConsent | TargetCode::Differs => "wait",
        TargetCode::Failed | TargetCode::Unreachable => "bad",
        TargetCode::Connecting => "idle",
    }
}

/// A state in words, with a sign of its tone.
fn badge(tone: &str, words: &str) -> Markup {
    html! { span .badge .(tone) { (words) } }
}

/// A part of an `id` that is unlike that of any other name.
fn id_part(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
