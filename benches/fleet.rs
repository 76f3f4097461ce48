//! A fleet on one machine: 1,000 targets in one watcher. The houses are fakes that speak Home
//! Assistant's protocol, all in one other process, which is this program again.
//!
//! `cargo bench --bench fleet [-- 1000] [wss]`
//!
//! Over wss, in a build without optimization on a busy machine with two cores, 100 houses took 95 MiB and 1,000 took
//! 423 MiB while each connection had a TLS configuration and an HTTP client of its own. With one of both for all they
//! took 74 and 195 MiB (medians of three runs; one run of the 423): 134 KiB instead of 373 KiB for each further house,
//! and 129 KiB without TLS.
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and stops at what it cannot do"
)]

mod usage;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

use usage::{processor_time, resident};

/// By this argument the program is the fleet.
const FLEET: &str = "--be-the-fleet";
/// The longest that anything may take.
const NEVER: Duration = Duration::from_secs(300);

fn main() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(FLEET) {
        let count = arguments.next().unwrap().parse().unwrap();
        let folder = arguments.next().map(PathBuf::from);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(be_the_fleet(count, folder));
    }
    let count = std::env::args().skip(1).find_map(|count| count.parse().ok()).unwrap_or(1_000);
    let is_encrypted = std::env::args().any(|argument| argument == "wss");
    let project = tempfile::tempdir().unwrap();
    let mut fleet = Command::new(std::env::current_exe().unwrap())
        .args([FLEET, &count.to_string()])
        .args(is_encrypted.then(|| project.path()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(fleet.stdout.take().unwrap());
    let port: u16 = line(&mut said).parse().unwrap();
    declare(&project, count, port, is_encrypted);
    let begin = Instant::now();
    let mut watcher = Command::new(env!("CARGO_BIN_EXE_appcred"))
        .args(["watch", "--resync", "3600", "--listen", "off"])
        .current_dir(project.path())
        .env("XDG_STATE_HOME", project.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = watcher.stderr.take().unwrap();
    let reading = thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    wait(&mut said, "all hold 10");
    println!(
        "{count} targets of 10 entries: connected, observed and applied in {:.2} s",
        begin.elapsed().as_secs_f64()
    );
    measure(&watcher, &mut said, count);
    kill_process(Pid::from_child(&watcher), Signal::TERM).unwrap();
    let ended = watcher.wait().unwrap();
    assert!(ended.success(), "{ended}: {}", reading.join().unwrap());
    fleet.kill().unwrap();
    fleet.wait().unwrap();
}

/// What the watcher costs once all is as wanted.
fn measure(watcher: &Child, said: &mut impl BufRead, count: u32) {
    // What was said of the first round is over when all were looked at once more.
    thread::sleep(Duration::from_secs(5));
    let memory = resident(watcher.id());
    println!(
        "memory at rest: {:.1} MiB, {:.0} KiB a target",
        memory / 1024.0,
        memory / f64::from(count)
    );
    let before = processor_time(watcher.id());
    thread::sleep(Duration::from_secs(10));
    println!(
        "processor at rest: {:.2} % of one core",
        (processor_time(watcher.id()) - before) * 10.0
    );

    let (begin, before) = (Instant::now(), processor_time(watcher.id()));
    kill_process(Pid::from_child(watcher), Signal::HUP).unwrap();
    wait(said, "all were looked at");
    let took = begin.elapsed();
    println!(
        "full resync: {:.2} s, {:.2} ms of processor a target",
        took.as_secs_f64(),
        (processor_time(watcher.id()) - before) * 1000.0 / f64::from(count)
    );
}

/// A project of ten entries for each house.
fn declare(project: &TempDir, count: u32, port: u16, is_encrypted: bool) {
    let (scheme, ca) = if is_encrypted { ("https", ", ca_file: ca.pem") } else { ("http", "") };
    fs::create_dir(project.path().join("credentials")).unwrap();
    let targets: String = (0..count)
        .map(|at| {
            format!("  house-{at}: {{url: \"{scheme}://127.0.0.1:{port}/{at}\", token: x{ca}}}\n")
        })
        .collect();
    let project_file = format!("allow_plaintext: true\ntargets:\n{targets}");
    fs::write(project.path().join("appcred.yaml"), project_file).unwrap();
    let entries: String = (0..10)
        .map(|at| format!("  - {{domain: spotify, name: N{at}, client_id: c{at}, client_secret: s{at}, integration: {{setup: false}}}}\n"))
        .collect();
    let manifest = format!("application_credentials:\n{entries}");
    fs::write(project.path().join("credentials/all.yaml"), manifest).unwrap();
}

fn line(said: &mut impl BufRead) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[track_caller]
fn wait(said: &mut impl BufRead, text: &str) {
    let begin = Instant::now();
    while line(said) != text {
        assert!(begin.elapsed() < NEVER);
    }
}

/// Which houses hold all, and which were looked at since the last word of that.
#[derive(Default)]
struct Counts {
    full: BTreeSet<usize>,
    looked_at: BTreeSet<usize>,
}

/// The folder is where the authority is written that signs the certificate of all houses; they speak no TLS without one.
async fn be_the_fleet(count: usize, folder: Option<PathBuf>) {
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
    let number: usize = text.split('/').nth(1).unwrap().parse().unwrap();
    if !text.contains("upgrade: websocket") {
        let body =
            json!({"entity_id": "zone.home", "state": "0", "context": {"id": number.to_string()}})
                .to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        drop(outgoing.write_all(answer.as_bytes()).await);
        return drop(outgoing.shutdown().await);
    }
    let stream = tokio::io::join(AsyncReadExt::chain(Cursor::new(head), incoming), outgoing);
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut held: Vec<Value> = Vec::new();
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
            let result = answer(&kind, &command, &mut held);
            let id = &command["id"];
            answers.push(json!({"id": id, "type": "result", "success": true, "result": result}));
            if kind.ends_with("/subscribe") {
                answers.push(json!({"id": id, "type": "event", "event": []}));
            }
            note(&kind, number, held.len(), count, &counts);
        }
        let answer = if answers.len() == 1 { answers.remove(0) } else { answers.into() };
        if socket.send(Message::text(answer.to_string())).await.is_err() {
            return;
        }
    }
}

fn answer(kind: &str, command: &Value, held: &mut Vec<Value>) -> Value {
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
            item
        }
        "config_entries/get" | "config_entries/flow/progress" | "config/auth/list" => json!([]),
        "get_config" => {
            json!({"components": [], "state": "RUNNING", "config_dir": "/config", "external_url": null, "internal_url": null})
        }
        "supported_features" | "subscribe_events" | "config_entries/flow/subscribe" => Value::Null,
        "frontend/get_user_data" => json!({"value": {}}),
        other => {
            eprintln!("nobody has told the fleet what to answer to {other}");
            Value::Null
        }
    }
}

fn note(kind: &str, number: usize, held: usize, count: usize, counts: &Mutex<Counts>) {
    let mut counts = counts.lock().unwrap();
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
