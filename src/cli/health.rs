//! `health`

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exit::ExitStatus;
use super::listen::Listen;

/// A watcher that works answers at once.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Ask the watcher on this machine whether it works
///
/// It gets /healthz of the watcher's status page, for health checks of containers that hold no other program.
/// Exit status 0: it works. 1: it does not, or there is no answer.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  appcred health
  appcred health --listen 127.0.0.1:9000")]
pub(super) struct Health {
    /// The address that `watch` was given; 0.0.0.0 and [::] reach this machine, too
    #[arg(long, env = "APPCRED_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8099")]
    listen: Listen,
}

pub(super) async fn run(verb: &Health) -> anyhow::Result<ExitStatus> {
    let Listen::At(address) = verb.listen else {
        bail!("`watch --listen off` serves no /healthz: give both the same address");
    };
    let status = timeout(TIMEOUT, ask(address)).await;
    let status = status.with_context(|| {
        format!("no answer from {address} within {} seconds", TIMEOUT.as_secs())
    })?;
    let is_refused = |why: &anyhow::Error| {
        let why = why.downcast_ref::<io::Error>();
        why.is_some_and(|why| why.kind() == io::ErrorKind::ConnectionRefused)
    };
    if status.as_ref().is_err_and(is_refused) {
        bail!(
            "nothing listens at {address}: start `appcred watch`, or pass --listen with the address that it was given"
        );
    }
    let status = status.with_context(|| format!("cannot ask the watcher at {address}"))?;
    if status != StatusCode::OK {
        bail!("the watcher at {address} does not work: /healthz answers {status}");
    }
    Ok(ExitStatus::Success)
}

async fn ask(address: SocketAddr) -> anyhow::Result<StatusCode> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/healthz").header(HOST, address.to_string());
    let request = request.header(CONNECTION, "close").body(String::new())?;
    let (answer, closed) = tokio::join!(sender.send_request(request), connection);
    let status = answer?.status();
    closed?;
    Ok(status)
}
