//! Who asks for a round at once: a program that may see the status page, or a Git host by its signature.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio::time::Instant;
use url::form_urlencoded;

use crate::listener::Peer;
use crate::model::{TargetName, Visible};
use crate::report::started;
use crate::status::{Link, Status};
use crate::watch::WakeRequest;

use super::signature::is_signed;
use super::{ServerState, reply};

/// For the same targets one is enough within this: each reads all files and asks Home Assistant.
const PAUSE: Duration = Duration::from_secs(5);

/// When rounds were asked for, by the target or for all.
#[derive(Default)]
pub(super) struct Pace(Mutex<BTreeMap<Option<TargetName>, Instant>>);

impl Pace {
    /// Takes a turn; answers how long to wait where the last one was not long ago.
    fn take(&self, of: Option<&TargetName>) -> Option<Duration> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, at| at.elapsed() < PAUSE);
        if let Some(at) = taken.get(&of.cloned()) {
            return Some(PAUSE.saturating_sub(at.elapsed()));
        }
        taken.insert(of.cloned(), Instant::now());
        None
    }
}

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
    if let Some(wait) = server.hook_throttle.wait(peer.ip()) {
        return reply::too_many("wrong signatures", wait, reply::words);
    }
    let Some(secret) = file.secret() else {
        return reply::words(StatusCode::SERVICE_UNAVAILABLE, "The secret cannot be read now.");
    };
    if !is_signed(&headers, &body, &secret, Timestamp::now()) {
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
    if let Some(wait) = server.pace.take(named) {
        return reply::too_many("requests", wait, reply::words);
    }
    let asked = status.targets.iter().filter(|(name, _)| named.is_none_or(|named| named == *name));
    let (left_out, started): (Vec<_>, Vec<_>) =
        asked.partition(|(_, target)| matches!(target.link, Link::NoAccess { .. }));
    let targets: BTreeSet<TargetName> = started.iter().map(|(name, _)| (*name).clone()).collect();
    let left_out = left_out.into_iter().map(|(name, _)| name);
    let answer = started::json(targets.iter(), left_out);
    if server.wakes.try_send(WakeRequest { targets: targets.clone() }).is_err() {
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

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::{PAUSE, Pace};
    use crate::model::TargetName;

    #[tokio::test(start_paused = true)]
    async fn the_same_targets_have_one_turn_in_a_while() {
        let (pace, home) = (Pace::default(), TargetName::new("home"));
        assert_eq!(pace.take(None), None);
        assert_eq!(pace.take(Some(&home)), None);
        advance(PAUSE / 2).await;
        assert_eq!((pace.take(None), pace.take(Some(&home))), (Some(PAUSE / 2), Some(PAUSE / 2)));
        advance(PAUSE / 2).await;
        assert_eq!(pace.take(None), None);
    }
}
