//! Whom Home Assistant's Supervisor lets in: any user who is signed in there. So each is looked up, and only
//! administrators see more than a greeting.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::html::{self, Refresh, Tone};
use crate::watch::AdministratorQuery;

use super::access::Access;
use super::reply;

/// Who is signed in: the Supervisor takes care that nobody else writes it.
const USER_ID: HeaderName = HeaderName::from_static("x-remote-user-id");
/// The Supervisor's own watchdog asks there, for nobody.
const WATCHDOG_PATH: &str = "/healthz";
/// Home Assistant may be starting.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

const GREETING: &str = "appcred keeps the application credentials of this Home Assistant as they are declared in \
    Git. What it does is shown to administrators only.";
const UNKNOWN_USER: &str = "Home Assistant does not say who you are. Open appcred from the side bar of Home \
    Assistant; if that does not help, update the Supervisor.";
const NO_ANSWER: &str = "Home Assistant could not be asked whether you are an administrator. Try again; the log of \
    appcred says why.";

/// Where the Supervisor asks from, and who knows the administrators.
pub struct Ingress {
    /// Its address. What comes from there was let in by it.
    pub supervisor: IpAddr,
    /// Answers whether a user is an administrator.
    pub administrators: mpsc::Sender<AdministratorQuery>,
}

impl Ingress {
    /// Why a user is not let in.
    async fn refusal(&self, user: Option<String>) -> Option<Response> {
        let Some(user) = user else { return Some(refused(StatusCode::FORBIDDEN, UNKNOWN_USER)) };
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.administrators.send(AdministratorQuery { user, answer }).await.ok()?;
            answered.await.ok()?
        };
        match timeout(LONGEST_ANSWER, asked).await.ok().flatten() {
            Some(true) => None,
            Some(false) => Some(greeting()),
            None => Some(refused(StatusCode::SERVICE_UNAVAILABLE, NO_ANSWER)),
        }
    }
}

fn greeting() -> Response {
    let sentence = ("Hello", GREETING);
    html::sentence(StatusCode::FORBIDDEN, sentence, Tone::Idle, Refresh::Never)
}

fn refused(status: StatusCode, why: &str) -> Response {
    reply::refused(status, "Not shown", why)
}

/// The only user that is named.
fn user(headers: &HeaderMap) -> Option<String> {
    let mut users = headers.get_all(USER_ID).iter();
    let (user, None) = (users.next()?, users.next()) else { return None };
    user.to_str().ok().filter(|user| !user.is_empty()).map(str::to_owned)
}

/// Of what the Supervisor lets in, lets through what an administrator asks.
pub(super) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(ingress) = access.ingress_of(&request)
        && request.uri().path() != WATCHDOG_PATH
    {
        let user = user(request.headers());
        if let Some(refusal) = ingress.refusal(user).await {
            return refusal;
        }
    }
    next.run(request).await
}
