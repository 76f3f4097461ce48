//! A listener on loopback that waits for a browser to come back from where it was sent. A leaf.
//!
//! One path is served, to `GET` alone; what comes there is taken or refused by whoever waits. It is
//! taken once: the listener is closed then, and what was said is kept nowhere.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::form_urlencoded;

/// A browser opens connections that it may never use.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the browser may take to fetch the last page.
const FAREWELL: Duration = Duration::from_secs(2);
/// More are not kept open; the browser tries again.
const MOST_CONNECTIONS: usize = 16;

/// The names and values of a query, in its order.
pub type Query = Vec<(String, String)>;

/// A sentence for the person at the browser.
pub type Sentence = &'static str;

/// Listens on `127.0.0.1`.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Takes a port; any that is free for 0.
    ///
    /// # Errors
    /// Where the port is taken.
    pub async fn listen(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Where a browser on this machine reaches it, without a slash at the end.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until `take` takes the query of a request for `path`. What it refuses is told to the
    /// browser, and the wait goes on.
    ///
    /// # Errors
    /// Where the system gives no more connections.
    pub async fn receive<T>(
        self,
        path: &'static str,
        take: impl Fn(&Query) -> Result<(T, Sentence), Sentence>,
    ) -> io::Result<T> {
        let (ask, mut asked) = mpsc::channel::<Asked>(1);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                    connections.spawn(serve(accepted?.0, path, ask.clone()));
                }
                Some(_) = connections.join_next() => {}
                Some(Asked { query, reply, sent }) = asked.recv() => match take(&query) {
                    Ok((taken, sentence)) => {
                        // Whoever asked may be gone, which changes nothing.
                        let _ = reply.send((StatusCode::OK, sentence));
                        let _ = timeout(FAREWELL, sent.notified()).await;
                        return Ok(taken);
                    }
                    Err(sentence) => {
                        let _ = reply.send((StatusCode::BAD_REQUEST, sentence));
                    }
                },
            }
        }
    }
}

/// A request for the path.
struct Asked {
    query: Query,
    reply: oneshot::Sender<(StatusCode, Sentence)>,
    /// Told when the answer has been sent.
    sent: Arc<Notify>,
}

async fn serve(stream: TcpStream, path: &'static str, ask: mpsc::Sender<Asked>) {
    let sent = Arc::new(Notify::new());
    let answer = async |request: Request<Incoming>| {
        Ok::<_, Infallible>(respond(&request, path, &ask, &sent).await)
    };
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the listener broke");
    }
    sent.notify_one();
}

async fn respond(
    request: &Request<Incoming>,
    path: &str,
    ask: &mpsc::Sender<Asked>,
    sent: &Arc<Notify>,
) -> Response<String> {
    if request.uri().path() != path {
        return page(StatusCode::NOT_FOUND, "There is nothing here.");
    }
    if request.method() != Method::GET {
        return page(StatusCode::METHOD_NOT_ALLOWED, "This is not how a browser comes back.");
    }
    let query = query(request.uri().query().unwrap_or_default());
    let (reply, replied) = oneshot::channel();
    let _gone = ask.send(Asked { query, reply, sent: Arc::clone(sent) }).await;
    let (status, sentence) =
        replied.await.unwrap_or((StatusCode::GONE, "Somebody else was quicker."));
    page(status, sentence)
}

/// Reads the names and values of a query.
pub fn query(text: &str) -> Query {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// The address of the page may be secret, so it is given to nobody and kept nowhere.
fn page(status: StatusCode, sentence: Sentence) -> Response<String> {
    let html = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>appcred</title>\n<p>{sentence}</p>\n"
    );
    let mut response = Response::new(html);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::Loopback;

    async fn send(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(port: u16, target: &str) -> String {
        send(port, &format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }

    #[tokio::test]
    async fn one_path_is_served_until_its_query_is_taken() {
        let listener = Loopback::listen(0).await.unwrap();
        let port = listener.port;
        assert_eq!(listener.origin(), format!("http://127.0.0.1:{port}"));
        let waiting = tokio::spawn(listener.receive("/back", |query| {
            match query.iter().find(|(name, _)| name == "code") {
                Some((_, code)) => Ok((code.clone(), "Thank you.")),
                None => Err("No code."),
            }
        }));
        let _idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        assert!(get(port, "/favicon.ico").await.starts_with("HTTP/1.1 404 "));
        assert!(get(port, "/back/?code=1").await.starts_with("HTTP/1.1 404 "));
        let post = send(port, "POST /back?code=1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        let refused = get(port, "/back?state=1").await;
        assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("No code."), "{refused}");

        let taken = get(port, "/back?state=1&code=a%26b+c").await;

        assert!(taken.starts_with("HTTP/1.1 200 ") && taken.contains("Thank you."), "{taken}");
        assert!(taken.contains("cache-control: no-store"), "{taken}");
        assert_eq!(waiting.await.unwrap().unwrap(), "a&b c");
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "it listens no more");
    }

    #[tokio::test]
    async fn a_taken_port_is_refused() {
        let first = Loopback::listen(0).await.unwrap();
        assert!(Loopback::listen(first.port).await.is_err());
    }
}
