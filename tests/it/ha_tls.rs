//! A Home Assistant behind a certificate of one's own: both ways to it trust the same authorities.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use appcred::http::{Network, ProxyAddress, authorities_in};
use appcred::model::{ConfigEntry, Domain, EntryId, EntryState, Secret};
use appcred::target::home_assistant::{ConnectionSettings, HomeAssistant, connect};
use appcred::target::{Done, Execute, Operation, Stop, TargetError};
use futures_util::{SinkExt, StreamExt};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;

/// Serves one WebSocket, then one HTTP call; returns the URL, the certificate's file and the call.
async fn serve(folder: &TempDir) -> (String, PathBuf, tokio::task::JoinHandle<String>) {
    let (acceptor, file) = acceptor(folder, "ca.pem");
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let call = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(stream) = acceptor.accept(stream).await else { return String::new() };
        tokio::spawn(speak(stream));
        let (stream, _) = listener.accept().await.unwrap();
        answer(acceptor.accept(stream).await.unwrap()).await
    });
    (url, file, call)
}

/// What speaks TLS as localhost, and the file of its certificate.
fn acceptor(folder: &TempDir, name: &str) -> (TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

/// The WebSocket of an HA whose only config entry is still being set up when first looked at.
async fn speak(stream: TlsStream<TcpStream>) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    socket.send(Message::text(json!({"type": "auth_required"}).to_string())).await.unwrap();
    socket.next().await.unwrap().unwrap();
    socket.send(Message::text(json!({"type": "auth_ok"}).to_string())).await.unwrap();
    let mut states = ["setup_in_progress", "loaded"].into_iter();
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        for command in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            let result = match command["type"].as_str().unwrap() {
                "auth/current_user" => json!({"is_admin": true}),
                "get_config" => json!({"state": "RUNNING"}),
                "config_entries/get_single" => json!({"config_entry":
                    {"entry_id": "e", "domain": "d", "title": "t", "state": states.next()}}),
                "config_entries/flow/progress" | "application_credentials/list" => json!([]),
                "config_entries/get" => {
                    json!([{"entry_id": "e", "domain": "d", "title": "t", "state": "loaded"}])
                }
                "frontend/get_user_data" => json!({"value": {}}),
                _ => Value::Null,
            };
            let id = &command["id"];
            let answer = json!({"id": id, "type": "result", "success": true, "result": result});
            socket.send(Message::text(answer.to_string())).await.unwrap();
        }
    }
}

/// Answers one HTTP call and returns its head.
async fn answer(mut stream: TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let body = r#"{"require_restart": false}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    String::from_utf8(head).unwrap()
}

/// A proxy behind TLS; it keeps the first line of every request.
async fn tls_proxy(folder: &TempDir) -> (String, PathBuf, Arc<Mutex<Vec<String>>>) {
    let (acceptor, file) = acceptor(folder, "proxy.pem");
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut client = acceptor.accept(stream).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
            let place = line.split(' ').nth(1).unwrap().to_owned();
            seen.lock().unwrap().push(line);
            let mut server = TcpStream::connect(place).await.unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move {
                // Either side may be gone.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, file, lines)
}

#[tokio::test]
async fn a_proxy_behind_tls_carries_both_ways() {
    let folder = TempDir::new().unwrap();
    let (url, file, call) = serve(&folder).await;
    let (proxy, proxy_file, lines) = tls_proxy(&folder).await;
    let authorities = [file, proxy_file].map(|file| authorities_in(&file).unwrap()).concat();
    let proxy = Some(ProxyAddress::parse(&proxy).unwrap());
    let network = Network { authorities, proxy, ..Network::default() };
    let settings =
        ConnectionSettings { url: url.clone(), token: Secret::new("the-token"), network };
    let mut ha = connect(settings).await.ok().unwrap();
    let mut outcomes = Vec::new();
    for one in both() {
        ha.execute(vec![one], &Stop::new(), &mut |_, outcome| outcomes.push(outcome)).await;
    }
    assert_eq!(outcomes, [Ok(Done::Reloaded(EntryState::Loaded)), Ok(Done::Removed)]);
    assert!(call.await.unwrap().starts_with("DELETE /api/config/config_entries/entry/e "));
    let connect = format!("CONNECT {} HTTP/1.1", url.trim_start_matches("https://"));
    assert_eq!(*lines.lock().unwrap(), [connect.clone(), connect]);
}

/// A call by each way.
fn both() -> [Operation; 2] {
    let account = ConfigEntry {
        id: EntryId::new("e"),
        domain: Domain::new("d"),
        title: "t".into(),
        state: EntryState::Loaded,
        reason: None,
        implementation: None,
    };
    [Operation::Reload(account.id.clone()), Operation::RemoveAccount(account)]
}

async fn open(url: String, ca_file: Option<&Path>) -> Result<HomeAssistant, TargetError> {
    let authorities = ca_file.map_or(Vec::new(), |file| authorities_in(file).unwrap());
    let network = Network { authorities, ..Network::default() };
    connect(ConnectionSettings { url, token: Secret::new("the-token"), network }).await
}

#[tokio::test]
async fn an_unknown_authority_is_refused_with_the_way_out() {
    let folder = TempDir::new().unwrap();
    let (url, _, _) = serve(&folder).await;
    let said = open(url, None).await.err().unwrap().to_string();
    assert!(said.contains("UnknownIssuer") && said.contains("`ca_file`"), "{said}");
}

#[tokio::test]
async fn a_ca_file_opens_both_ways() {
    let folder = TempDir::new().unwrap();
    let (url, file, call) = serve(&folder).await;
    let mut ha = open(url, Some(&file)).await.ok().unwrap();
    let mut outcomes = Vec::new();
    for one in both() {
        ha.execute(vec![one], &Stop::new(), &mut |_, outcome| outcomes.push(outcome)).await;
    }
    assert_eq!(outcomes, [Ok(Done::Reloaded(EntryState::Loaded)), Ok(Done::Removed)]);
    let head = call.await.unwrap();
    assert!(head.starts_with("DELETE /api/config/config_entries/entry/e "), "{head}");
    assert!(head.contains("authorization: Bearer the-token\r\n"), "{head}");
    ha.close().await;
}
