//! Sockets: who is slow is let go, and at the end what is being answered is finished.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A browser opens connections that it may never use.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long answers may still take at the end.
const FAREWELL: Duration = Duration::from_secs(5);
/// A system without free file handles is asked again after this.
const PAUSE: Duration = Duration::from_millis(200);
/// More wait until one of these is closed.
const MOST_CONNECTIONS: usize = 256;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves until `ended`.
pub(super) async fn serve(listener: TcpListener, router: Router, ended: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    let service = router.clone().layer(Extension(Peer(peer)));
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_TIMEOUT)
                        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                    connections.spawn(graceful.watch(connection));
                }
                Err(error) => hold_on(&error).await,
            },
            Some(finished) = connections.join_next() => {
                if let Ok(Err(error)) = finished {
                    tracing::debug!(%error, "a connection broke");
                }
            }
            () = &mut ended => break,
        }
    }
    drop(listener);
    if timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::debug!("some connections were cut");
    }
}

/// A client that is gone already is no fault; all else may pass.
async fn hold_on(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot take a connection");
        sleep(PAUSE).await;
    }
}
