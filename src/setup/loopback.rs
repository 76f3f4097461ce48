//! Where a provider's redirect arrives on this machine: one path, one answer for each state.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer::Answer;

/// HA's own path, which it adds to whatever address it is given.
pub const CALLBACK: &str = "/auth/external/callback";
/// Arrivals that nobody has looked at yet.
const MOST_UNSEEN: usize = 16;

const TAKEN: &str = "Thank you. You can close this page: the terminal tells the rest.";
const ANSWERED: &str = "This was answered already. You can close this page.";
const UNEXPECTED: &str =
    "Nobody waits for this. If you have just consented, follow the newest link of appcred instead.";

/// Listens until it is dropped.
pub struct Loopback {
    base: String,
    waiting: Arc<Mutex<Waiting>>,
    arrivals: mpsc::Receiver<Arrival>,
    _server: DropGuard,
}

/// What came by the listener.
pub enum Arrival {
    /// What the provider answers: the query of the address, with the code in it.
    Answer(String),
    /// Something with another state than the one that is waited for: it was not passed on.
    Forged,
}

/// What answer is waited for.
#[derive(Default)]
enum Waiting {
    #[default]
    Nothing,
    For(String),
    Answered(String),
}

#[derive(Clone)]
struct Desk {
    waiting: Arc<Mutex<Waiting>>,
    arrivals: mpsc::Sender<Arrival>,
}

impl Loopback {
    /// Listens on this port of this machine alone; on any free one for 0.
    ///
    /// # Errors
    /// Where the port is taken.
    pub async fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let waiting = Arc::new(Mutex::new(Waiting::Nothing));
        let (sender, arrivals) = mpsc::channel(MOST_UNSEEN);
        let desk = Desk { waiting: Arc::clone(&waiting), arrivals: sender };
        let router = Router::new().route(CALLBACK, get(arrive)).with_state(desk);
        let end = CancellationToken::new();
        let ended = end.clone();
        tokio::spawn(async move {
            tokio::select! {
                // It ends when it is dropped, and not before.
                _ = axum::serve(listener, router) => {}
                () = ended.cancelled() => {}
            }
        });
        Ok(Self { base, waiting, arrivals, _server: end.drop_guard() })
    }

    /// What HA is told as the address of its frontend.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The address that a provider sends browsers back to.
    pub fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.base)
    }

    /// From now on takes one answer with this state, and none with another.
    pub fn expect(&mut self, state: &str) {
        *lock(&self.waiting) = Waiting::For(state.to_owned());
    }

    /// Waits for the next thing that comes by.
    pub async fn next(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // The server holds the other end as long as this lives.
            None => std::future::pending().await,
        }
    }
}

/// Nothing can panic while this is held, and if so the state would still be whole.
fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn arrive(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let judged = judge(&mut lock(&desk.waiting), &query);
    let (status, text, arrival) = match judged {
        Judged::Taken => (StatusCode::OK, TAKEN, Some(Arrival::Answer(query))),
        Judged::Again => (StatusCode::GONE, ANSWERED, None),
        Judged::Forged => (StatusCode::BAD_REQUEST, UNEXPECTED, Some(Arrival::Forged)),
        Judged::Unexpected => (StatusCode::BAD_REQUEST, UNEXPECTED, None),
    };
    if let Some(arrival) = arrival {
        // A flood of forged ones need not all be told.
        drop(desk.arrivals.try_send(arrival));
    }
    page(status, text)
}

enum Judged {
    Taken,
    Again,
    Forged,
    Unexpected,
}

/// An answer has the state that is waited for, once, and a code or an error.
fn judge(waiting: &mut Waiting, query: &str) -> Judged {
    let answer = Answer::read(query);
    match waiting {
        Waiting::For(state) | Waiting::Answered(state) if answer.state.as_ref() != Some(state) => {
            Judged::Forged
        }
        Waiting::For(state) if answer.is_whole => {
            *waiting = Waiting::Answered(std::mem::take(state));
            Judged::Taken
        }
        Waiting::Answered(_) => Judged::Again,
        Waiting::For(_) | Waiting::Nothing => Judged::Unexpected,
    }
}

/// Nothing of what was sent is in it, and nothing of it is kept.
fn page(status: StatusCode, text: &str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let body = format!("<!doctype html>\n<title>appcred</title>\n<p>{text}</p>\n");
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::{Judged, Waiting, judge};

    fn word(judged: &Judged) -> &'static str {
        match judged {
            Judged::Taken => "taken",
            Judged::Again => "again",
            Judged::Forged => "forged",
            Judged::Unexpected => "unexpected",
        }
    }

    #[test]
    fn only_the_first_answer_with_the_right_state_is_taken() {
        let mut waiting = Waiting::default();
        assert_eq!(word(&judge(&mut waiting, "code=c&state=s")), "unexpected");
        waiting = Waiting::For("s".to_owned());
        for (query, expected) in [
            ("", "forged"),
            ("code=c", "forged"),
            ("code=c&state=t", "forged"),
            ("code=c&state=s&state=t", "forged"),
            ("code=c&state=s&state=s", "forged"),
            ("state=s", "unexpected"),
            ("state=s&code=c", "taken"),
            ("state=s&code=c", "again"),
            ("state=t&code=c", "forged"),
        ] {
            assert_eq!(word(&judge(&mut waiting, query)), expected, "{query}");
        }
        waiting = Waiting::For("a b".to_owned());
        assert_eq!(word(&judge(&mut waiting, "error=access_denied&state=a%20b")), "taken");
    }
}
