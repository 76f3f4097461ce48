//! Notices that a real Matrix server takes: by PUT, with an access token in a header.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::real::{Process, free_port, send};
use crate::watch::{Folder, eventually};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Synapse with one user. Gone when dropped.
struct Matrix {
    url: String,
    token: String,
    _process: Process,
    _folder: TempDir,
}

impl Matrix {
    #[track_caller]
    fn start() -> Self {
        let python = Path::new(ROOT).join("target/matrix/current/bin/python");
        assert!(python.exists(), "there is no Matrix server to test with: run tests/run");
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new(python);
        command.args(["-B", "-P"]).arg(Path::new(ROOT).join("tests/real/matrix/server.py"));
        command.arg(folder.path()).arg(port.to_string()).current_dir(folder.path());
        let process = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let url = format!("http://127.0.0.1:{port}/_matrix/client");
        let versions = format!("{url}/versions");
        eventually("Matrix answers", || send("GET", &versions, &[], None).is_ok());
        let mut matrix = Self { url, token: String::new(), _process: process, _folder: folder };
        let user = json!({"username": "a", "password": "b", "auth": {"type": "m.login.dummy"}});
        matrix.token = matrix.ask("POST", "register", Some(&user))["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        matrix
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let authorization = self.authorization();
        let headers = [("Authorization", authorization.as_str())];
        let url = format!("{}/v3/{path}", self.url);
        let headers = if self.token.is_empty() { &[][..] } else { &headers };
        let answer = send(method, &url, headers, body.map(ToString::to_string)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.value()
    }

    /// The texts in a room, the oldest first.
    fn texts(&self, room: &str) -> Vec<String> {
        let messages = self.ask("GET", &format!("rooms/{room}/messages?dir=f&limit=50"), None);
        let texts = messages["chunk"].as_array().unwrap().iter();
        texts.filter_map(|event| Some(event["content"]["body"].as_str()?.to_owned())).collect()
    }
}

#[test]
fn a_matrix_room_gets_each_notice() {
    let matrix = Matrix::start();
    let room =
        matrix.ask("POST", "createRoom", Some(&json!({})))["room_id"].as_str().unwrap().to_owned();
    let scene = Folder::new();
    let (url, manifest) = (&matrix.url, "credentials/b.yaml");
    let project = format!(
        "targets: {{lab: {{config_dir: ha}}}}\nnotify:\n  webhook: {url}/v3/rooms/{room}/send/m.room.message/{{id}}\n  method: PUT\n  headers: {{Authorization: !env_var MATRIX}}\n  body: {{msgtype: m.text, body: \"{{event}} {{id}}\"}}\n"
    );
    scene.project.write("appcred.yaml", &project);
    let without = scene.appcred(&["watch", "--listen=off", "--dry-run"]).spawn();
    let token = matrix.authorization();
    let watch = scene.appcred(&["watch", "--listen=off"]).env("MATRIX", &token);
    let why =
        "cannot read the header `authorization` of the webhook: the environment variable `MATRIX`";
    eventually("it says what is missing", || without.stderr().contains(why));
    without.signal(Signal::TERM);
    drop(without.finish());

    let running = watch.spawn();
    eventually("it is watched", || scene.project.join("ha/.storage").exists());
    let wrong = "application_credentials:\n  - {client_idd: x}\n";
    let right = "application_credentials: []\n";
    for (text, count) in [(wrong, 1), (right, 2), (wrong, 3)] {
        scene.project.write(manifest, text);
        eventually("a notice is there", || matrix.texts(&room).len() == count);
    }
    let texts = matrix.texts(&room);
    let events: Vec<&str> = texts.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(events, ["manifests_in_error", "manifests_valid", "manifests_in_error"]);
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&matrix.token), "{}", ran.stderr);
}
