//! What a watcher shows by HTTP: a status page, probes, metrics, and JSON for programs.
//!
//! ```text
//!  crate::listener (bounded connections) ──▶ access.rs (who may ask: Host, token, ingress)
//!                                                    │        └─ login.rs, sessions.rs (browsers),
//!                                                    │           token_file.rs, throttle.rs (wrong tokens),
//!                                                    │           ingress.rs (users of HA) ──▶ watch/
//!                                                    ▼
//!  Status ─▶ report::status ─▶ page/, metrics.rs, probes.rs, /api/v1/status
//!  shared.rs = what is rendered once for each status
//!  consent.rs = the consent that this browser began; callback.rs = a provider's answer that arrives
//!  here ──CallbackRequest──▶ watch/
//!  wake.rs, signature.rs = programs and Git hosts that ask for a round ──WakeRequest──▶ watch/
//!  reply.rs = headers that every answer has
//! ```
//!
//! Nothing is kept but the newest status. Nothing is changed but by a provider's answer, and by a round that
//! somebody asks for.

mod access;
mod callback;
mod consent;
mod ingress;
mod login;
mod metrics;
mod page;
mod probes;
mod reply;
mod sessions;
mod shared;
mod signature;
mod throttle;
mod token_file;
mod wake;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub use access::{Access, AccessError};
pub use ingress::Ingress;
pub use token_file::TokenFile;

use crate::callback::Consents;
use crate::files::fetched;
use crate::listener::{self, Limits};
use crate::model::CALLBACK_PATH;
use crate::report::{self, FileNames};
use crate::status::Status;
use crate::watch::{CallbackRequest, Heartbeat, WakeRequest};

use page::Main;
use shared::Shared;
use throttle::Throttle;

/// A provider's answer is the largest thing that a form holds.
const LARGEST_FORM: usize = 16 * 1024;
/// A reverse proxy asks for many from one address.
const LIMITS: Limits = Limits {
    connections: 256,
    per_peer: 128,
    body: LARGEST_FORM,
    larger: Some((HOOK_PATH, 256 * 1024)),
};
/// Where Git hosts say that something was pushed, with what was.
const HOOK_PATH: &str = "/api/v1/hook";

/// All that is served.
pub struct Serving {
    /// The status of all targets.
    pub status: watch::Receiver<Arc<Status>>,
    /// Beats as long as the watcher runs.
    pub heartbeat: Heartbeat,
    /// The newest snapshot file's text; none before the first.
    pub snapshot: watch::Receiver<Option<Arc<str>>>,
    /// Where providers' answers go.
    pub callbacks: mpsc::Sender<CallbackRequest>,
    /// Where requests for a round go.
    pub wakes: mpsc::Sender<WakeRequest>,
    /// The secret of the webhooks of Git hosts.
    pub hook: Option<TokenFile>,
    /// What files are called.
    pub names: Arc<FileNames>,
    /// Who may ask.
    pub access: Access,
}

/// What the routes share.
#[derive(Clone)]
struct ServerState {
    status: watch::Receiver<Arc<Status>>,
    heartbeat: Heartbeat,
    snapshot: watch::Receiver<Option<Arc<str>>>,
    names: Arc<FileNames>,
    main: Arc<Shared<Main>>,
    json: Arc<Shared<Rendered>>,
    metrics: Arc<Shared<Rendered>>,
    callbacks: mpsc::Sender<CallbackRequest>,
    wakes: mpsc::Sender<WakeRequest>,
    hook: Option<Arc<TokenFile>>,
    hook_throttle: Arc<Throttle>,
    consents: Consents,
    access: Arc<Access>,
}

/// What is served to everybody alike, or why it could not be made.
type Rendered = Result<Bytes, String>;

impl ServerState {
    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }
}

impl FromRef<ServerState> for Arc<Access> {
    fn from_ref(server: &ServerState) -> Self {
        Arc::clone(&server.access)
    }
}

/// Serves until it is dropped, or until `ended` comes true; what is being answered then is finished.
pub async fn serve(
    listener: TcpListener,
    serving: Serving,
    ended: impl Future<Output = ()> + Send + 'static,
) {
    let Serving { status, heartbeat, snapshot, callbacks, wakes, hook, names, access } = serving;
    let access = Arc::new(access);
    let server = ServerState {
        status,
        heartbeat,
        snapshot,
        names,
        main: Arc::default(),
        json: Arc::default(),
        metrics: Arc::default(),
        callbacks,
        wakes,
        hook: hook.map(Arc::new),
        hook_throttle: Arc::default(),
        consents: Consents::default(),
        access: Arc::clone(&access),
    };
    listener::serve(listener, LIMITS, router(server), ended).await;
}

fn router(server: ServerState) -> Router {
    let guarded = Router::new()
        .route("/", get(page::whole))
        .route("/fragment", get(page::fragment))
        .route("/consent", get(consent::begin))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/snapshot", get(snapshot))
        .route("/api/v1/reconcile", post(wake::reconcile))
        .route_layer(from_fn_with_state(Arc::clone(&server.access), access::guard));
    let others = Router::new()
        // A browser that comes back from a provider does not bring its session.
        .route(CALLBACK_PATH, get(callback::arrive).post(consent::confirm))
        .route("/login", post(login::log_in))
        .route("/logout", post(login::log_out))
        .route_layer(from_fn_with_state(Arc::clone(&server.access), access::guard_address));
    Router::new()
        .merge(guarded)
        .merge(others)
        // The kubelet asks by the pod's address and without a token, and gets almost no information.
        .route("/healthz", get(probes::alive))
        .route("/readyz", get(probes::ready))
        // A Git host has no token: its signature is the proof.
        .route(HOOK_PATH, post(wake::hook))
        .fallback(async || reply::words(StatusCode::NOT_FOUND, "There is nothing here."))
        .layer(from_fn_with_state(Arc::clone(&server.access), ingress::guard))
        .layer(from_fn_with_state(Arc::clone(&server.access), reply::harden))
        .with_state(server)
}

async fn status(State(server): State<ServerState>) -> Response {
    let made = server.json.of(&server.status(), |status| {
        let text = report::status::json(status, &server.names);
        let text = text.map(|text| Bytes::from(fetched::renamed(text)));
        text.map_err(|why| why.to_string())
    });
    answer(made, "application/json")
}

fn answer(made: Rendered, content_type: &'static str) -> Response {
    match made {
        Ok(bytes) => ([(header::CONTENT_TYPE, content_type)], bytes).into_response(),
        Err(why) => reply::words(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}

async fn snapshot(State(server): State<ServerState>) -> Response {
    let snapshot = server.snapshot.borrow().clone();
    match snapshot {
        Some(text) => answer(Ok(Bytes::from_owner(SharedText(text))), "application/json"),
        None => reply::words(
            StatusCode::NOT_FOUND,
            "There is no snapshot yet: one is taken once every target was looked at or could not be reached.",
        ),
    }
}

/// A text that is answered without a copy.
struct SharedText(Arc<str>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
