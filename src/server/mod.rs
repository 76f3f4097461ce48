//! What a watcher shows by HTTP: a status page, probes, metrics, and JSON for programs.
//!
//! ```text
//!  connections.rs (sockets; ends gracefully) ──▶ access.rs (who may ask: Host, token, ingress)
//!                                                    │        └─ login.rs (a browser's way in)
//!                                                    ▼
//!  Status ─▶ report::status ─▶ page/, metrics.rs, probes.rs, /api/v1/status
//!  callback.rs = a provider's answer that arrives here ──Consent──▶ watch/
//!  reply.rs = headers that every answer has
//! ```
//!
//! Nothing is kept but the newest status, and nothing is changed but by a provider's answer.

mod access;
mod callback;
mod connections;
mod login;
mod metrics;
mod page;
mod probes;
mod reply;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub use access::{Access, AccessError};

use crate::report::{self, Names};
use crate::setup::loopback::CALLBACK;
use crate::status::Status;
use crate::watch::{CallbackRequest, Heartbeat};

use callback::Desk;
use page::Page;

/// All that is served.
pub struct Serving {
    /// How the houses stand.
    pub status: watch::Receiver<Arc<Status>>,
    /// Beats as long as the watcher runs.
    pub heartbeat: Heartbeat,
    /// The newest snapshot file's text; none before the first.
    pub snapshot: watch::Receiver<Option<Arc<str>>>,
    /// Where providers' answers go.
    pub consents: mpsc::Sender<CallbackRequest>,
    /// What files are called.
    pub names: Arc<Names>,
    /// Who may ask.
    pub access: Access,
}

/// What the routes share.
#[derive(Clone)]
struct House {
    status: watch::Receiver<Arc<Status>>,
    heartbeat: Heartbeat,
    snapshot: watch::Receiver<Option<Arc<str>>>,
    names: Arc<Names>,
    page: Arc<Page>,
    desk: Arc<Desk>,
    access: Arc<Access>,
}

impl House {
    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }
}

impl FromRef<House> for Arc<Access> {
    fn from_ref(house: &House) -> Self {
        Arc::clone(&house.access)
    }
}

/// Serves until it is dropped, or until `ended` comes true; what is being answered then is finished.
pub async fn serve(listener: TcpListener, serving: Serving, ended: impl Future<Output = ()>) {
    let Serving { status, heartbeat, snapshot, consents, names, access } = serving;
    let access = Arc::new(access);
    let house = House {
        status,
        heartbeat,
        snapshot,
        names,
        page: Arc::default(),
        desk: Arc::new(Desk::new(consents)),
        access: Arc::clone(&access),
    };
    connections::serve(listener, router(house), ended).await;
}

fn router(house: House) -> Router {
    let guarded = Router::new()
        .route("/", get(page::whole))
        .route("/fragment", get(page::fragment))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/snapshot", get(snapshot))
        .route_layer(from_fn_with_state(Arc::clone(&house.access), access::guard));
    let others = Router::new()
        // A browser that comes back from a provider brings no cookie of ours: the state stands for it.
        .route(CALLBACK, get(callback::arrive))
        .route("/login", post(login::log_in))
        .route("/logout", post(login::log_out))
        .route_layer(from_fn_with_state(Arc::clone(&house.access), access::guard_address));
    Router::new()
        .merge(guarded)
        .merge(others)
        // The kubelet asks by the pod's address and without a token, and is told next to nothing.
        .route("/healthz", get(probes::alive))
        .route("/readyz", get(probes::ready))
        .fallback(async || reply::words(StatusCode::NOT_FOUND, "There is nothing here."))
        .layer(from_fn_with_state(Arc::clone(&house.access), reply::harden))
        .layer(from_fn(reply::only_what_is_served))
        .with_state(house)
}

async fn status(State(house): State<House>) -> Response {
    match report::status::json(&house.status(), &house.names) {
        Ok(text) => json(text),
        Err(why) => reply::words(StatusCode::INTERNAL_SERVER_ERROR, &why.to_string()),
    }
}

async fn snapshot(State(house): State<House>) -> Response {
    let snapshot = house.snapshot.borrow().clone();
    match snapshot {
        Some(text) => json(text.to_string()),
        None => reply::words(
            StatusCode::NOT_FOUND,
            "There is no snapshot yet: one is taken once every target was looked at.",
        ),
    }
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
