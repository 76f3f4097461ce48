//! Whether the watcher lives, and whether what it has read is in force and every target looked at.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::status::{Link, Status, TargetStatus};

use super::{ServerState, reply};

/// Targets that are named in the reason.
const MOST_NAMED: usize = 5;

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

/// What it still waits for. It says the names of targets and nothing else, since anybody may ask.
fn unready(status: &Status) -> Option<String> {
    if status.manifests.read_at.is_none() {
        return Some("the manifests were not read yet".to_owned());
    }
    if !status.manifests.are_in_force() || status.problems().has_errors() {
        return Some("the manifests are in error".to_owned());
    }
    let waiting: Vec<&str> = status
        .targets
        .iter()
        .filter(|(_, target)| !was_looked_at(target))
        .map(|(name, _)| name.as_str())
        .collect();
    let named = waiting.get(..MOST_NAMED).unwrap_or(&waiting).join(", ");
    match waiting.len() {
        0 => None,
        1 => Some(format!("{named} has not been checked yet")),
        count if count > MOST_NAMED => {
            Some(format!("{named} and {} more have not been checked yet", count - MOST_NAMED))
        }
        _ => Some(format!("{named} have not been checked yet")),
    }
}

/// Whatever came of it.
fn was_looked_at(target: &TargetStatus) -> bool {
    target.last_reconcile.is_some()
        || target.error.is_some()
        || matches!(target.link, Link::Down { .. } | Link::NoAccess { .. } | Link::Suspended)
}
