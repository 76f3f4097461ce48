//! Whatever is sent to the server of `watch`, it answers or closes, never with 500, and never with what only the token
//! shows.

#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use appcred::report::FileNames;
use appcred::server::{Access, Serving, TokenFile, serve};
use appcred::watch::{Heartbeat, StatusStore};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

const TOKEN: &str = "m4rk3d-token-of-some-length";
/// The snapshot is only for who has the token.
const SNAPSHOT: &str = "m4rk3d-snapshot";

struct Served {
    address: SocketAddr,
    _runtime: Runtime,
    _token: NamedTempFile,
    _statuses: StatusStore,
    _snapshot: watch::Sender<Option<Arc<str>>>,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let token = NamedTempFile::new().unwrap();
    std::fs::write(token.path(), TOKEN).unwrap();
    let access = Access::new(
        address,
        Some(TokenFile::new(token.path().to_owned()).unwrap()),
        None,
        Vec::new(),
    );
    let statuses = StatusStore::new(Timestamp::now);
    let (snapshot, newest) = watch::channel(Some(Arc::from(SNAPSHOT)));
    let (callbacks, mut taken) = mpsc::channel(4);
    let (wakes, mut woken) = mpsc::channel(4);
    runtime.spawn(async move { while taken.recv().await.is_some() {} });
    runtime.spawn(async move { while woken.recv().await.is_some() {} });
    let serving = Serving {
        heartbeat: Heartbeat::new(),
        status: statuses.subscribe(),
        snapshot: newest,
        callbacks,
        wakes,
        hook: None,
        names: Arc::new(FileNames::new("/house".into(), "/house".into(), ".".into())),
        access: access.unwrap(),
    };
    runtime.spawn(serve(listener, serving, std::future::pending()));
    Served { address, _runtime: runtime, _token: token, _statuses: statuses, _snapshot: snapshot }
});

fuzz_target!(|bytes: &[u8]| {
    let mut stream = TcpStream::connect(SERVED.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // It may have closed by now.
    if stream.write_all(bytes).is_err() || stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "no end: {bytes:?}");
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{answer}");
    assert!(!answer.contains("HTTP/1.1 500") && !answer.contains("m4rk3d"), "{answer}");
});
