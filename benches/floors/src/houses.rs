//! Houses that speak Home Assistant's protocol as far as a watcher needs it, all at one port.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

use crate::Done;

/// What the houses hold and have seen. Asked for `/counts`, they say how many there are of each.
#[derive(Default)]
struct Counts {
    held: BTreeMap<usize, Vec<Value>>,
    /// Those that hold all.
    full: BTreeSet<usize>,
    /// Those that were looked at since the last word of that.
    looked_at: BTreeSet<usize>,
    connected: usize,
    created: usize,
}

/// The folder is where the authority is written that signs the certificate of all houses; they speak no TLS without one.
pub(crate) fn run(count: usize, folder: Option<&Path>) -> Done {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(count, folder));
    Ok(())
}

async fn serve(count: usize, folder: Option<&Path>) {
    let tls = folder.map(|folder| {
        let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.join("ca.pem"), signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
        let configuration = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key);
        TlsAcceptor::from(Arc::new(configuration.unwrap()))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let counts = Arc::new(Mutex::new(Counts::default()));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, counts) = (tls.clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            match tls {
                None => house(stream, count, counts).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => house(stream, count, counts).await,
                    Err(error) => eprintln!("{error}"),
                },
            }
        });
    }
}

async fn house(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    count: usize,
    counts: Arc<Mutex<Counts>>,
) {
    let (mut incoming, mut outgoing) = tokio::io::split(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match incoming.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let name = text.split(['/', ' ']).nth(2).unwrap();
    let number: usize = name.parse().unwrap_or_default();
    if !text.contains("upgrade: websocket") {
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        if incoming.read_exact(&mut vec![0; length]).await.is_err() {
            return;
        }
        let body = match name {
            "counts" => {
                let Counts { held, connected, created, .. } = &*counts.lock().unwrap();
                let holding = held.values().filter(|held| !held.is_empty()).count();
                json!({"holding": holding, "connected": connected, "created": created})
            }
            // Ids of its states, which no other house has.
            _ => json!([name]),
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        drop(outgoing.write_all(answer.as_bytes()).await);
        return drop(outgoing.shutdown().await);
    }
    let stream = tokio::io::join(AsyncReadExt::chain(Cursor::new(head), incoming), outgoing);
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    counts.lock().unwrap().connected += 1;
    socket
        .send(Message::text(
            json!({"type": "auth_required", "ha_version": "2026.11.0"}).to_string(),
        ))
        .await
        .unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Ok(text) = message.to_text() else { continue };
        let Ok(received) = serde_json::from_str::<Value>(text) else { continue };
        let commands = match received {
            Value::Array(commands) => commands,
            one => vec![one],
        };
        let mut answers = Vec::new();
        for command in commands {
            let kind = command["type"].as_str().unwrap().to_owned();
            if kind == "auth" {
                answers.push(json!({"type": "auth_ok"}));
                continue;
            }
            let result = answer(&kind, &command, &mut counts.lock().unwrap(), number);
            let id = &command["id"];
            answers.push(json!({"id": id, "type": "result", "success": true, "result": result}));
            if kind.ends_with("/subscribe") {
                answers.push(json!({"id": id, "type": "event", "event": []}));
            }
            note(&kind, number, count, &mut counts.lock().unwrap());
        }
        let answer = if answers.len() == 1 { answers.remove(0) } else { answers.into() };
        if socket.send(Message::text(answer.to_string())).await.is_err() {
            break;
        }
    }
    counts.lock().unwrap().connected -= 1;
}

fn answer(kind: &str, command: &Value, counts: &mut Counts, number: usize) -> Value {
    let held = counts.held.entry(number).or_default();
    match kind {
        "auth/current_user" => json!({"id": "u", "is_admin": true, "is_owner": true}),
        "application_credentials/config" => {
            json!({"domains": ["spotify"], "integrations": {"spotify": {}}})
        }
        "application_credentials/list" => held.clone().into(),
        "application_credentials/create" => {
            let mut item = command.clone();
            let fields = item.as_object_mut().unwrap();
            fields.remove("type");
            fields.insert(
                "id".to_owned(),
                json!(format!("spotify_{}", command["client_id"].as_str().unwrap())),
            );
            held.push(item.clone());
            counts.created += 1;
            item
        }
        "config_entries/get" | "config_entries/flow/progress" | "config/auth/list" => json!([]),
        "get_config" => {
            json!({"components": [], "state": "RUNNING", "config_dir": "/config", "external_url": null, "internal_url": null})
        }
        "supported_features" | "subscribe_events" | "config_entries/flow/subscribe" => Value::Null,
        "application_credentials/subscribe" | "config_entries/subscribe" => Value::Null,
        "frontend/get_user_data" => json!({"value": {}}),
        other => {
            eprintln!("nobody has told the fleet what to answer to {other}");
            Value::Null
        }
    }
}

fn note(kind: &str, number: usize, count: usize, counts: &mut Counts) {
    let held = counts.held.get(&number).map_or(0, Vec::len);
    if held == 10 && counts.full.insert(number) && counts.full.len() == count {
        println!("all hold 10");
        counts.looked_at.clear();
    }
    if kind == "application_credentials/list"
        && counts.full.len() == count
        && counts.looked_at.insert(number)
        && counts.looked_at.len() == count
    {
        println!("all were looked at");
        counts.looked_at.clear();
    }
}
