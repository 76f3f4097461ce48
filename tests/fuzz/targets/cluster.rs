//! Whatever resources a cluster has, the controller reads what of them can be read: it never panics, asks for nothing but
//! Secrets of their namespace, and no secret is in what it says of them.

#![no_main]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use appcred::kubernetes::{Cluster, ClusterScope, ControllerSettings, begin};
use appcred::model::Owner;
use appcred::target::Stop;
use appcred::watch::{ReadSpecs, StatusStore};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const NAMESPACE: &str = "home";
/// Where this is in a value of a Secret and nowhere else, it is searched for.
const MARK: &str = "m4rk3d";

/// What the API server has, by plural and name.
type Objects = BTreeMap<(&'static str, String), Json>;

struct Served {
    runtime: Runtime,
    cluster: Cluster,
    objects: Arc<Mutex<Objects>>,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let objects = Arc::new(Mutex::new(Objects::new()));
    let cluster = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, Arc::clone(&objects)));
        let config = json!({
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
            "users": [{"name": "u", "user": {}}],
            "current-context": "c",
        });
        let file: PathBuf = tempfile::NamedTempFile::new().unwrap().into_temp_path().keep().unwrap();
        std::fs::write(&file, config.to_string()).unwrap();
        let cluster = Cluster::find(Some(file.clone()), None).await.unwrap();
        std::fs::remove_file(file).unwrap();
        cluster
    });
    Served { runtime, cluster, objects }
});

async fn serve(listener: TcpListener, objects: Arc<Mutex<Objects>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&objects)));
    }
}

/// Lists, gets, and watches that see nothing. What is written is not kept.
async fn answer(mut stream: TcpStream, objects: Arc<Mutex<Objects>>) -> Option<()> {
    let mut received = Vec::new();
    loop {
        let end = loop {
            match received.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if stream.read_buf(&mut received).await.ok()? == 0 => return None,
                None => {}
            }
        };
        let head = String::from_utf8(received.drain(..end).collect()).ok()?;
        let path = head.strip_prefix("GET ")?.split(' ').next()?;
        if path.contains("watch=true") {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            // Until nobody is there any more.
            while stream.read_buf(&mut received).await.ok()? != 0 {}
            return None;
        }
        let (code, body) = found(path, &objects.lock().unwrap());
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn found(path: &str, objects: &Objects) -> (u16, Json) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').skip_while(|part| *part != "namespaces").collect();
    match parts.as_slice() {
        ["namespaces", NAMESPACE, plural] => {
            let items = objects.range((*plural, String::new())..);
            let items = items.take_while(|((of, _), _)| of == plural).map(|(_, object)| object);
            let (version, kind) = match *plural {
                "homeassistants" => ("appcred.io/v1alpha1", "HomeAssistantList"),
                "applicationcredentials" => ("appcred.io/v1alpha1", "ApplicationCredentialList"),
                "secrets" => ("meta.k8s.io/v1", "PartialObjectMetadataList"),
                _ => panic!("{path} was asked for"),
            };
            let items: Vec<Json> = match *plural {
                "secrets" => items.map(|of| json!({"metadata": of["metadata"]})).collect(),
                _ => items.cloned().collect(),
            };
            let metadata = json!({"resourceVersion": "1"});
            (200, json!({"apiVersion": version, "kind": kind, "metadata": metadata, "items": items}))
        }
        ["namespaces", NAMESPACE, "secrets", name] if query.is_empty() && is_name(name) => {
            match objects.get(&("secrets", (*name).to_owned())) {
                Some(secret) => (200, secret.clone()),
                None => (404, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "none", "reason": "NotFound", "code": 404})),
            }
        }
        _ => panic!("{path}?{query} was asked for"),
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || b"-.".contains(&one);
    let is_end = |end: Option<&u8>| end.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= 253 && bytes.iter().all(|one| is_part(*one)) && is_end(bytes.first()) && is_end(bytes.last())
}

/// The objects of a text, as far as a cluster takes them, and whether a mark in them is a secret.
fn objects(text: &str) -> Option<(Objects, bool)> {
    let (mut all, mut is_marked) = (Objects::new(), true);
    for document in yaml_serde::Deserializer::from_str(text) {
        let mut object = Json::deserialize(document).ok()?;
        let plural = match object.get("kind")?.as_str()? {
            "HomeAssistant" => "homeassistants",
            "ApplicationCredential" => "applicationcredentials",
            "Secret" => "secrets",
            _ => return None,
        };
        let metadata = object.get_mut("metadata")?.as_object_mut()?;
        let name = metadata.get("name")?.as_str().filter(|name| is_name(name))?.to_owned();
        metadata.insert("namespace".to_owned(), NAMESPACE.into());
        metadata.insert("uid".to_owned(), format!("{plural} {name}").into());
        metadata.insert("resourceVersion".to_owned(), "1".into());
        let mut shown = object.clone();
        if plural == "secrets" {
            shown.as_object_mut()?.remove("data");
        }
        is_marked &= !shown.to_string().contains(MARK);
        all.insert((plural, name), object);
    }
    Some((all, is_marked))
}

fuzz_target!(|text: &str| {
    let Some((objects, is_marked)) = objects(text) else { return };
    let Served { runtime, cluster, objects: served } = &*SERVED;
    *served.lock().unwrap() = objects;
    let said = runtime.block_on(async {
        let settings = ControllerSettings {
            scope: ClusterScope::Namespace(NAMESPACE.to_owned()),
            owner: Owner::new("fuzzed").unwrap(),
            deletion_timeout: Duration::from_secs(60),
            clock: Timestamp::now,
            lease: None,
        };
        let (statuses, stop) = (StatusStore::new(Timestamp::now), Stop::new());
        let mut parts = begin(cluster, settings, &statuses, &stop);
        let answered = tokio::time::timeout(Duration::from_secs(50), parts.reader.answered()).await;
        answered.expect("the cluster has answered");
        let reading = parts.reader.read();
        parts.tasks.shutdown().await;
        format!("{reading:?}")
    });
    assert!(!is_marked || !said.contains(MARK), "{said}");
});
