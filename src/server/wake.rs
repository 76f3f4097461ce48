//! Who asks for a round at once: a program that may see the status page, or a Git host by its signature.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use url::form_urlencoded;

use crate::listener::Peer;
use crate::model::{TargetName, Visible};
use crate::report::started;
use crate::status::{Link, Status};
use crate::watch::WakeRequest;

use super::signature::is_signed;
use super::{ServerState, reply};

/// Reads the manifests again and has targets looked at: the one that `target` names, or all.
pub(super) async fn reconcile(
    State(server): State<ServerState>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let mut named = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &named) {
            ("target", None) => named = Some(TargetName::new(value.into_owned())),
            _ => {
                let why = format!(
                    "`?target=NAME` is all that may be said here, once; not `{}`.",
                    name.visible()
                );
                return reply::words(StatusCode::BAD_REQUEST, &why);
            }
        }
    }
    let status = server.status();
    if let Some(name) = named.as_ref().filter(|name| !status.targets.contains_key(*name)) {
        let why = format!("No target `{}` is watched.", name.as_str().visible());
        return reply::words(StatusCode::NOT_FOUND, &why);
    }
    wake(&server, &status, named.as_ref())
}

/// The same for all targets, when a Git host says that something was pushed.
pub(super) async fn hook(
    State(server): State<ServerState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(file) = &server.hook else {
        return reply::words(
            StatusCode::NOT_FOUND,
            "Webhooks are accepted where --hook-secret-file names their secret.",
        );
    };
    let Some(secret) = file.secret() else {
        return reply::words(StatusCode::SERVICE_UNAVAILABLE, "The secret cannot be read now.");
    };
    // As with tokens, the wrong signatures of one peer must not shut out another one behind its address.
    if !is_signed(&headers, &body, &secret, Timestamp::now()) {
        if let Some(wait) = server.hook_throttle.wait(peer.ip()) {
            return reply::too_many("wrong signatures", wait, reply::words);
        }
        let count = server.hook_throttle.failed(peer.ip());
        tracing::warn!(peer = %peer.ip(), count, "a webhook without the right signature was refused");
        return reply::words(
            StatusCode::UNAUTHORIZED,
            "The signature is missing or wrong: the secret of the webhook must be the one in the file of --hook-secret-file.",
        );
    }
    server.hook_throttle.succeeded(peer.ip());
    wake(&server, &server.status(), None)
}

/// A target that refuses its access is left alone: Home Assistant bans whoever tries again too often.
fn wake(server: &ServerState, status: &Status, named: Option<&TargetName>) -> Response {
    let asked = status.targets.iter().filter(|(name, _)| named.is_none_or(|named| named == *name));
    let (mut targets, mut left_out) = (BTreeSet::new(), Vec::new());
    for (name, target) in asked {
        match &target.link {
            Link::NoAccess { .. } => left_out.push((name, started::NO_ACCESS)),
            Link::Suspended => left_out.push((name, started::SUSPENDED)),
            Link::Connecting | Link::Up { .. } | Link::Down { .. } => {
                targets.insert(name.clone());
            }
        }
    }
    let answer = started::json(targets.iter(), left_out);
    if server.wakes.try_send(WakeRequest { targets }).is_err() {
        return reply::words(StatusCode::SERVICE_UNAVAILABLE, "appcred is busy; try again.");
    }
    match answer {
        Ok(text) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (StatusCode::ACCEPTED, json, text).into_response()
        }
        Err(why) => reply::words(StatusCode::INTERNAL_SERVER_ERROR, &why.to_string()),
    }
}
