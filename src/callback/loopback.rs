//! A port of this machine to which a browser comes back.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::html;
use crate::listener::{Limits, serve};
use crate::model::HandOverError;

use super::{AuthorizationResponse, Consents, Reply, is_same_state, take};

const LIMITS: Limits = Limits { connections: 16, per_peer: 16, body: 0, larger: None };
/// Arrivals that were not looked at yet.
const MAX_WAITING: usize = 16;

/// Listens on `127.0.0.1` until it is dropped, and serves one path.
pub struct Loopback {
    origin: String,
    expected: Arc<Mutex<Option<String>>>,
    arrivals: mpsc::Receiver<Arrival>,
    server: JoinHandle<()>,
    stop: DropGuard,
}

/// What a browser brought.
pub enum Arrival {
    /// The answer that is waited for.
    Answer(Delivery),
    /// An answer to something else: it is refused.
    Forged,
}

/// An answer, and where to say what became of it: the browser waits for that.
#[derive(Debug)]
pub struct Delivery {
    /// The query of the address, with the code in it: never to be logged.
    pub query: String,
    taken: oneshot::Sender<Result<(), HandOverError>>,
}

impl Delivery {
    /// Hands an answer over by a channel, and waits for what becomes of it there.
    ///
    /// # Errors
    /// Where it was not taken; where nobody takes answers now.
    pub async fn hand_over<T>(
        query: String,
        to: &mpsc::Sender<T>,
        addressed: impl FnOnce(Self) -> T,
    ) -> Result<(), HandOverError> {
        let busy = || HandOverError::NotNow("appcred is busy".to_owned());
        let (taken, result) = oneshot::channel();
        to.try_send(addressed(Self { query, taken })).map_err(|_| busy())?;
        // Whoever had it may have stopped.
        result.await.unwrap_or_else(|_| Err(busy()))
    }

    /// Says what became of it. The browser may have gone meanwhile.
    pub fn taken(self, taken: Result<(), HandOverError>) {
        drop(self.taken.send(taken));
    }
}

#[derive(Clone)]
struct CallbackState {
    expected: Arc<Mutex<Option<String>>>,
    consents: Consents,
    arrivals: mpsc::Sender<Arrival>,
}

impl Loopback {
    /// Takes a port; any that is free for 0.
    ///
    /// # Errors
    /// Where the port is taken.
    pub async fn listen(port: u16, path: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let expected = Arc::default();
        let (sender, arrivals) = mpsc::channel(MAX_WAITING);
        let waiting = CallbackState {
            expected: Arc::clone(&expected),
            consents: Consents::default(),
            arrivals: sender,
        };
        let router = Router::new().route(path, get(arrive)).with_state(waiting);
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, LIMITS, router, stop.clone().cancelled_owned()));
        Ok(Self { origin, expected, arrivals, server, stop: stop.drop_guard() })
    }

    /// Where a browser on this machine reaches it, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// From now on waits for an answer with this state, and for no other.
    pub fn expect(&mut self, state: &str) {
        *lock(&self.expected) = Some(state.to_owned());
    }

    /// The next arrival.
    pub async fn next(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // The server holds the other end as long as this lives.
            None => std::future::pending().await,
        }
    }

    /// Ends it once the browser has its last page.
    ///
    /// # Errors
    /// Where the server has crashed.
    pub async fn close(self) -> Result<(), JoinError> {
        drop(self.stop);
        self.server.await
    }
}

/// Nothing can panic while this is held, and if so the state would still be whole.
fn lock(expected: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    expected.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn arrive(State(waiting): State<CallbackState>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let answer = AuthorizationResponse::read(&query);
    let expected = lock(&waiting.expected).clone();
    let is_pending =
        |state: &str| expected.as_ref().is_some_and(|expected| is_same_state(expected, state));
    if expected.is_some() && !answer.state.as_deref().is_some_and(is_pending) {
        // A flood of forged ones need not all be reported.
        drop(waiting.arrivals.try_send(Arrival::Forged));
    }
    let arrivals = waiting.arrivals.clone();
    let hand_over = async move || Delivery::hand_over(query, &arrivals, Arrival::Answer).await;
    page(&take(&waiting.consents, &answer, is_pending, hand_over).await)
}

/// The page of a reply; nothing of it is kept, and no other page may frame it.
fn page(reply: &Reply) -> Response {
    let mut response = reply.page();
    html::frame_ancestors(response.headers_mut(), "'none'");
    let headers: [(HeaderName, &'static str); 3] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::{Arrival, Loopback};
    use crate::model::HandOverError;

    async fn send(origin: &str, request: &str) -> String {
        let address = origin.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(origin: &str, target: &str) -> String {
        send(origin, &format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }

    #[tokio::test]
    async fn one_path_is_served_and_an_answer_is_brought_again_until_it_is_taken() {
        let mut listener = Loopback::listen(0, "/back").await.unwrap();
        let origin = listener.origin().to_owned();
        listener.expect("s");
        let _idle = TcpStream::connect(origin.strip_prefix("http://").unwrap()).await.unwrap();
        assert!(get(&origin, "/favicon.ico").await.starts_with("HTTP/1.1 404 "));
        assert!(get(&origin, "/back/?code=1&state=s").await.starts_with("HTTP/1.1 404 "));
        let post = send(&origin, "POST /back?code=1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        assert!(get(&origin, "/back?code=1&state=t").await.starts_with("HTTP/1.1 400 "));
        assert!(matches!(listener.next().await, Arrival::Forged));

        let browser = tokio::spawn({
            let origin = origin.clone();
            async move { get(&origin, "/back?state=s&code=1").await }
        });
        let Arrival::Answer(delivery) = listener.next().await else { panic!() };
        assert_eq!(delivery.query, "state=s&code=1");
        delivery.taken(Err(HandOverError::NotNow("it answered <503>".to_owned())));
        let page = browser.await.unwrap();
        assert!(page.starts_with("HTTP/1.1 503 ") && page.contains("http-equiv"), "{page}");
        assert!(page.contains("it answered &lt;503&gt;"), "{page}");

        let browser = tokio::spawn({
            let origin = origin.clone();
            async move { get(&origin, "/back?state=s&code=1").await }
        });
        let Arrival::Answer(delivery) = listener.next().await else { panic!() };
        delivery.taken(Ok(()));
        listener.close().await.unwrap();
        let page = browser.await.unwrap();
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("Thank you."), "{page}");
        assert!(page.contains("cache-control: no-store"), "{page}");
    }

    #[tokio::test]
    async fn a_taken_port_is_refused() {
        let first = Loopback::listen(0, "/back").await.unwrap();
        let port = first.origin().rsplit(':').next().unwrap().parse().unwrap();
        assert!(Loopback::listen(port, "/back").await.is_err());
    }
}
