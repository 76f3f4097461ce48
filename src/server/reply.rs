//! What every answer has in common.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::Access;
use crate::html::{self, Refresh, Tone};
use crate::model::counted;

/// A page for a person whose request is not carried out.
pub(super) fn refused(status: StatusCode, title: &str, why: &str) -> Response {
    html::sentence(status, (title, why), Tone::Bad, Refresh::Never)
}

/// A sentence for a program.
pub(super) fn words(status: StatusCode, sentence: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{sentence}\n")).into_response()
}

/// After too many of something: says when the next one is looked at, to a program or, by `answer`, otherwise.
pub(super) fn too_many(
    what: &str,
    wait: Duration,
    answer: impl Fn(StatusCode, &str) -> Response,
) -> Response {
    let seconds = wait.as_secs() + 1;
    let sentence = format!(
        "Too many {what}. Wait {}.",
        counted(usize::try_from(seconds).unwrap_or(usize::MAX), "second")
    );
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS, &sentence);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// No answer is stored, guessed at, reported to others or framed, except by Home Assistant where it is let in.
pub(super) async fn harden(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let is_ingress = access.is_ingress(&request);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let (ancestors, frames) =
        if is_ingress { ("'self'", "SAMEORIGIN") } else { ("'none'", "DENY") };
    html::frame_ancestors(headers, ancestors);
    let fixed: [(HeaderName, &'static str); 5] = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, frames),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}
