//! A listener for HTTP whose connections are bounded in number, time and size.
//!
//! A connection carries one request: it is closed after its answer. A new one always gets in: where
//! there are too many, the oldest one of the peer that has most of them is closed. So a client that holds
//! connections open, or reads no answers, blocks only itself.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long a request may take to arrive. A browser opens connections that it may never use.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take, until its last byte was read.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long answers may still take once the server is to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// A system without free file handles is asked again after this.
const PAUSE: Duration = Duration::from_millis(200);

/// How much a server takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Open connections of one peer.
    pub per_peer: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// A path whose bodies may be larger, and how large.
    pub larger: Option<(&'static str, usize)>,
}

impl Limits {
    fn body_at(&self, path: &str) -> usize {
        self.larger.filter(|(at, _)| *at == path).map_or(self.body, |(_, largest)| largest)
    }
}

/// Serves until `ended`. What is being answered then is finished, if that does not take long.
pub async fn serve(
    listener: TcpListener,
    limits: Limits,
    router: Router,
    ended: impl Future<Output = ()> + Send + 'static,
) {
    serve_bounded(BoundedListener { listener, limits, open: Arc::default() }, router, ended).await;
}

async fn serve_bounded(
    listener: BoundedListener,
    router: Router,
    ended: impl Future<Output = ()> + Send + 'static,
) {
    let service = router
        .layer(from_fn_with_state(listener.limits, receive))
        .into_make_service_with_connect_info::<Peer>();
    let stop = CancellationToken::new();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    tokio::pin!(serving);
    tokio::select! {
        // It ends when it is asked to, and not before.
        _ = &mut serving => return,
        () = ended => stop.cancel(),
    }
    if timeout(SHUTDOWN_TIMEOUT, serving).await.is_err() {
        tracing::debug!("some connections were cut");
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub struct Peer(Arc<OpenConnection>);

impl Peer {
    /// The address, without the form that IPv6 has for IPv4.
    pub fn ip(&self) -> IpAddr {
        self.0.ip
    }

    /// Who asks; `None` where a request came by no connection of ours.
    pub fn of(request: &Request) -> Option<&Self> {
        request.extensions().get::<ConnectInfo<Self>>().map(|ConnectInfo(peer)| peer)
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self(Arc::clone(&stream.io().connection))
    }
}

/// Reads the whole request, whose time is bounded by its connection, and ends that after the answer.
async fn receive(
    State(limits): State<Limits>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let largest = limits.body_at(parts.uri.path());
    let mut response = match to_bytes(body, largest).await {
        Ok(body) => {
            peer.0.is_received.store(true, Ordering::Relaxed);
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
        Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.\n").into_response(),
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The open connections, the oldest first.
#[derive(Default)]
struct OpenConnections {
    last_id: u64,
    connections: BTreeMap<u64, Closer>,
}

struct Closer {
    ip: IpAddr,
    close: CancellationToken,
}

impl OpenConnections {
    /// Makes room for one more, and notes it.
    fn admit(&mut self, ip: IpAddr, limits: Limits) -> (u64, CancellationToken) {
        let count =
            |open: &Self, ip: IpAddr| open.connections.values().filter(|it| it.ip == ip).count();
        if count(self, ip) >= limits.per_peer {
            self.close_oldest_of(ip);
        } else if self.connections.len() >= limits.connections
            && let Some(most) =
                self.connections.values().map(|it| it.ip).max_by_key(|ip| count(self, *ip))
        {
            self.close_oldest_of(most);
        }
        self.last_id += 1;
        let close = CancellationToken::new();
        self.connections.insert(self.last_id, Closer { ip, close: close.clone() });
        (self.last_id, close)
    }

    fn close_oldest_of(&mut self, ip: IpAddr) {
        let oldest = self.connections.iter().find(|(_, it)| it.ip == ip).map(|(id, _)| *id);
        if let Some(closer) = oldest.and_then(|id| self.connections.remove(&id)) {
            closer.close.cancel();
        }
    }
}

/// One open connection, as its requests see it. No longer counted once it is dropped.
struct OpenConnection {
    id: u64,
    ip: IpAddr,
    is_received: AtomicBool,
    open: Arc<Mutex<OpenConnections>>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        lock(&self.open).connections.remove(&self.id);
    }
}

/// Nothing can panic while this is held, and if so the list would still be whole.
fn lock(open: &Mutex<OpenConnections>) -> MutexGuard<'_, OpenConnections> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

struct BoundedListener {
    listener: TcpListener,
    limits: Limits,
    open: Arc<Mutex<OpenConnections>>,
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => return (self.admit(stream, address), address),
                Err(error) => wait_after(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl BoundedListener {
    fn admit(&self, stream: TcpStream, address: SocketAddr) -> BoundedStream {
        let ip = address.ip().to_canonical();
        let (id, close) = lock(&self.open).admit(ip, self.limits);
        let is_received = AtomicBool::new(false);
        let open = Arc::clone(&self.open);
        BoundedStream {
            stream,
            connection: Arc::new(OpenConnection { id, ip, is_received, open }),
            closed: Box::pin(close.cancelled_owned()),
            deadline: Box::pin(sleep(RECEIVE_TIMEOUT)),
            is_answering: false,
        }
    }
}

/// A client that is gone already is no fault; anything else may pass.
async fn wait_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot accept a connection");
        sleep(PAUSE).await;
    }
}

/// A socket that ends with an error once its time is over.
struct BoundedStream {
    stream: TcpStream,
    connection: Arc<OpenConnection>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Pin<Box<Sleep>>,
    is_answering: bool,
}

impl BoundedStream {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let over = |why| Err(io::Error::new(io::ErrorKind::TimedOut, why));
        if !self.is_answering && self.connection.is_received.load(Ordering::Relaxed) {
            self.is_answering = true;
            self.deadline = Box::pin(sleep_until(Instant::now() + ANSWER_TIMEOUT));
        }
        if self.closed.as_mut().poll(context).is_ready() {
            over("closed in favour of a newer connection")
        } else if self.deadline.as_mut().poll(context).is_ready() {
            over("the peer is too slow")
        } else {
            Ok(())
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Bytes;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::sleep;

    use super::{ANSWER_TIMEOUT, BoundedListener, Limits, lock, serve_bounded};

    const LARGE: usize = 64 * 1024 * 1024;
    const FEW: Limits =
        Limits { connections: 6, per_peer: 4, body: 16, larger: Some(("/large", 32)) };

    struct Server {
        address: SocketAddr,
        open: Arc<std::sync::Mutex<super::OpenConnections>>,
    }

    impl Server {
        async fn start() -> Self {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let open = Arc::default();
            let listener = BoundedListener { listener, limits: FEW, open: Arc::clone(&open) };
            let large = Bytes::from(vec![b'x'; LARGE]);
            let router = Router::new()
                .route("/small", get(async || "small"))
                .route("/large", get(async move || large.clone()))
                .route("/post", post(async |body: Bytes| body));
            tokio::spawn(serve_bounded(listener, router, std::future::pending()));
            Self { address, open }
        }

        async fn send(&self, from: u8, request: &str) -> TcpStream {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 0, from], 0))).unwrap();
            let mut stream = socket.connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream
        }

        async fn get(&self, from: u8, path: &str) -> String {
            read(self.send(from, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await).await
        }
    }

    /// All that comes until the connection ends; a cut one ends with an error.
    async fn read(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        while matches!(stream.read_buf(&mut bytes).await, Ok(count) if count > 0) {}
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_connection_carries_one_request_of_bounded_size() {
        let server = Server::start().await;
        let answer = server.get(1, "/small").await;
        assert!(answer.contains("connection: close") && answer.ends_with("small"), "{answer}");
        for (length, status) in [(16, "200"), (17, "413")] {
            let body = "b".repeat(length);
            let head = format!("POST /post HTTP/1.1\r\nhost: x\r\ncontent-length: {length}");
            let answer = read(server.send(1, &format!("{head}\r\n\r\n{body}")).await).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
        }
        assert_eq!((FEW.body_at("/large"), FEW.body_at("/post")), (32, 16));
        let chunked = "POST /post HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let endless = format!("{chunked}10\r\n0123456789abcdef\r\n1\r\nx\r\n");
        let answer = read(server.send(1, &endless).await).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_come_is_not_waited_for() {
        let server = Server::start().await;
        for part in [
            "",
            "GET /small HTT",
            "GET /small HTTP/1.1\r\nhost: x\r\n",
            "POST /post HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nbody",
        ] {
            let answer = read(server.send(1, part).await).await;
            assert!(!answer.contains(" 200 "), "{part}: {answer}");
        }
        assert!(lock(&server.open).connections.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_is_cut() {
        let server = Server::start().await;
        let stream = server.send(1, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(ANSWER_TIMEOUT * 2).await;
        assert!(lock(&server.open).connections.is_empty());
        assert!(read(stream).await.len() < LARGE);
    }

    #[tokio::test]
    async fn the_oldest_connection_makes_room_and_nobody_shuts_others_out() {
        let server = Server::start().await;
        let patient = server.send(2, "GET /small HTTP/1.1\r\nhost: x\r\n").await;
        let mut held = Vec::new();
        for _ in 0..50 {
            held.push(server.send(1, "GET /sm").await);
            assert!(server.get(1, "/small").await.ends_with("small"));
            assert!(server.get(3, "/small").await.ends_with("small"));
        }
        assert!(lock(&server.open).connections.len() <= FEW.connections);
        let mut patient = patient;
        patient.write_all(b"\r\n").await.unwrap();
        assert!(read(patient).await.ends_with("small"), "a peer loses connections of its own");
    }
}
