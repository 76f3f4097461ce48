//! The frame of every page that a browser is shown: its style, its icon, and what it may load. One for
//! the status page, its log-in, and where a browser comes back to.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::model::visible_lines;

const STYLE: &str = include_str!("style.css");

/// How good or bad something is: the style has a colour and a shape for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Ok,
    /// Somebody should look at it.
    Wait,
    /// It is wrong.
    Bad,
    /// Nothing is known of it now.
    Idle,
}

impl Tone {
    /// Its class in the style.
    pub fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wait => "wait",
            Self::Bad => "bad",
            Self::Idle => "idle",
        }
    }

    /// The icon of a page: a key, in a colour that is seen on light and dark tabs, and of a shape for
    /// people who do not see colours.
    pub fn icon(self) -> &'static str {
        static ICONS: LazyLock<[String; 4]> = LazyLock::new(|| {
            [
                drawn("%232f8f5b", "%3Ccircle cx='5' cy='8' r='3'/%3E"),
                drawn("%23c98a14", "%3Ccircle cx='5' cy='8' r='3' stroke-dasharray='3.2 1.5'/%3E"),
                drawn("%23d8453b", "%3Cpath d='M2 5h6v6H2z'/%3E"),
                drawn("%238a949e", "%3Ccircle cx='5' cy='8' r='3'/%3E"),
            ]
        });
        &ICONS[self as usize]
    }
}

fn drawn(colour: &str, bow: &str) -> String {
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cg \
         fill='none' stroke='{colour}' stroke-width='2'%3E{bow}%3Cpath d='M8 8h7M13 8v3'/%3E%3C/g%3E%3C/svg%3E"
    )
}

/// When a page loads itself again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Never.
    Never,
    /// Where its script does not run.
    WithoutScript,
    /// Every few seconds.
    Always,
}

/// What surrounds the body of a page.
pub struct Frame<'a> {
    /// Its title.
    pub title: &'a str,
    /// That of its icon.
    pub tone: Tone,
    /// When it loads itself again.
    pub refresh: Refresh,
    /// Its script.
    pub script: Option<&'a str>,
}

/// What a page without a script may load: nothing, and from nowhere; only our own style is taken.
static POLICY: LazyLock<String> = LazyLock::new(|| policy(None));

/// What a page may load: nothing from elsewhere, and only our own style and this script are taken.
pub fn policy(script: Option<&str>) -> String {
    let digest = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let script = script
        .map(|script| format!("script-src 'sha256-{}'; connect-src 'self'; ", digest(script)));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; {}img-src data:; form-action 'self'; base-uri 'none'",
        digest(STYLE),
        script.unwrap_or_default(),
    )
}

/// The headers of a page with this policy.
pub fn headers(policy: &str) -> [(HeaderName, &str); 2] {
    [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)]
}

/// A page without a script, as it is answered.
pub fn page(
    status: StatusCode,
    title: &str,
    tone: Tone,
    refresh: Refresh,
    main: &Markup,
) -> Response {
    let frame = Frame { title, tone, refresh, script: None };
    let body = html! { (top(&html! {})) main { (main) } };
    let [content_type, policy] = headers(&POLICY).map(|(name, value)| (name, value.to_owned()));
    (status, [content_type, policy], framed(&frame, &visible(&body)).into_string()).into_response()
}

/// A page that says one thing: in a few words, and in a sentence.
pub fn sentence(
    status: StatusCode,
    (title, text): (&str, &str),
    tone: Tone,
    refresh: Refresh,
) -> Response {
    let main = html! {
        section .verdict .(tone.class()) {
            p .words role="status" { (title) }
            p { (text) }
        }
    };
    page(status, &format!("{title} · appcred"), tone, refresh, &main)
}

/// Says which pages may frame an answer. One that is not a page of ours may do nothing else either.
pub fn frame_ancestors(headers: &mut HeaderMap, ancestors: &str) {
    let policy = headers.get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let nothing = "default-src 'none'; base-uri 'none'; form-action 'none'";
    let policy = format!("{}; frame-ancestors {ancestors}", policy.unwrap_or(nothing));
    let policy = HeaderValue::from_str(&policy);
    headers.extend(policy.ok().map(|policy| (CONTENT_SECURITY_POLICY, policy)));
}

/// What every page begins with; `more` is beside the name.
pub fn top(more: &Markup) -> Markup {
    html! {
        header .top {
            img src=(LOGO.as_str()) alt="" width="20" height="20";
            h1 { "appcred" }
            (more)
        }
    }
}

static LOGO: LazyLock<String> =
    LazyLock::new(|| drawn("%232f7fc1", "%3Ccircle cx='5' cy='8' r='3'/%3E"));

/// A whole page.
pub fn framed(frame: &Frame<'_>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) }
                link #icon rel="icon" href=(frame.tone.icon());
                style { (PreEscaped(STYLE)) }
                @match frame.refresh {
                    Refresh::Never => {}
                    Refresh::WithoutScript => noscript { meta http-equiv="refresh" content="10"; },
                    Refresh::Always => meta http-equiv="refresh" content="5";,
                }
            }
            body {
                (body)
                @if let Some(script) = frame.script { script { (PreEscaped(script)) } }
            }
        }
    }
}

/// Hidden characters of names from outside are escaped, whatever part of a page shows them.
pub fn visible(part: &Markup) -> Markup {
    PreEscaped(visible_lines(&part.0).into_owned())
}
