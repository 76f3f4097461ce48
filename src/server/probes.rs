//! Whether the watcher lives, and whether what it has read is in force and every target looked at.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::status::{Link, Status, TargetStatus};

use super::{ServerState, reply};

pub(super) async fn alive(State(server): State<ServerState>) -> Response {
    if server.heartbeat.is_alive() {
        reply::words(StatusCode::OK, "alive")
    } else {
        reply::words(StatusCode::SERVICE_UNAVAILABLE, "the watcher has stopped")
    }
}

pub(super) async fn ready(State(server): State<ServerState>) -> Response {
    match unready(&server.status()) {
        None => reply::words(StatusCode::OK, "ready"),
        Some(why) => reply::words(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// What it still waits for. Anybody may ask, so that it names nothing.
fn unready(status: &Status) -> Option<String> {
    if status.manifests.read_at.is_none() {
        return Some("the manifests were not read yet".to_owned());
    }
    if status.problems().has_errors() {
        return Some("the manifests are in error".to_owned());
    }
    if !status.manifests.are_in_force() {
        return Some("the manifests are not applied".to_owned());
    }
    match status.targets.values().filter(|target| !was_looked_at(target)).count() {
        0 => None,
        1 => Some("1 target has not been checked yet".to_owned()),
        count => Some(format!("{count} targets have not been checked yet")),
    }
}

/// Whatever came of it.
fn was_looked_at(target: &TargetStatus) -> bool {
    target.last_reconcile.is_some()
        || target.error.is_some()
        || matches!(target.link, Link::Down { .. } | Link::NoAccess { .. } | Link::Suspended)
}
