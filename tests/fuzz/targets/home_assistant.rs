//! Whatever Home Assistant answers, reading it ends: with what it holds or with an error, never with a panic, and never
//! with what is secret in the error.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use appcred::model::Secret;
use appcred::target::Observe;
use appcred::target::home_assistant::{ConnectionSettings, connect};
use futures_util::{SinkExt, StreamExt};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

const TOKEN: &str = "m4rk3d-token";

/// No timeout is longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// Its clock goes on as soon as nothing else does, so that what waits in vain does not take as long.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().start_paused(true).build().unwrap());

/// One for all inputs: to find a free port takes longer than all else, once thousands were closed lately.
static LISTENER: LazyLock<std::net::TcpListener> = LazyLock::new(|| {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
});

/// A line for each command: the result of it, or after `!` all that is sent.
async fn answer(listener: TcpListener, text: String) -> Option<()> {
    let (stream, _) = listener.accept().await.ok()?;
    let mut socket = accept_async(stream).await.ok()?;
    let hello = r#"{"type":"auth_required","ha_version":"2026.11.0"}"#;
    socket.send(Message::text(hello)).await.ok()?;
    socket.next().await?.ok()?;
    socket.send(Message::text(r#"{"type":"auth_ok","ha_version":"2026.11.0"}"#)).await.ok()?;
    let mut lines = text.lines();
    loop {
        let Message::Text(sent) = socket.next().await?.ok()? else { continue };
        let sent: Value = serde_json::from_str(&sent).ok()?;
        let commands = sent.as_array().cloned().unwrap_or_else(|| vec![sent]);
        for command in commands {
            let line = lines.next()?;
            let said = match line.strip_prefix('!') {
                Some(raw) => raw.to_owned(),
                None => format!(
                    r#"{{"id":{},"type":"result","success":true,"result":{line}}}"#,
                    command["id"]
                ),
            };
            socket.send(Message::text(said)).await.ok()?;
        }
    }
}

fuzz_target!(|text: &str| {
    RUNTIME.block_on(async {
        // Connections of the input before that nobody took.
        while LISTENER.accept().is_ok() {}
        let listener = TcpListener::from_std(LISTENER.try_clone().unwrap()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(answer(listener, text.to_owned()));
        let settings =
            ConnectionSettings { url, token: Secret::new(TOKEN), network: Default::default() };
        let read = async { connect(settings).await?.observe().await };
        let ended = timeout(LONGEST, read).await.unwrap_or_else(|_| panic!("it does not end: {text:?}"));
        if let Err(error) = ended {
            assert!(!error.to_string().contains(TOKEN), "{error}");
        }
        server.abort();
    });
});
