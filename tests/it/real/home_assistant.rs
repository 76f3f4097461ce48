//! A Home Assistant (HA) of one's own for a test.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::test_kill_process_group;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::port::{free_port, is_free, is_open};
use super::process::Process;
use super::provider::Provider;
use super::release::Release;
use super::socket::Socket;
use super::web;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LONGEST_START: Duration = Duration::from_secs(180);
const START_ATTEMPTS: usize = 3;

/// The port comes by the environment, so that a folder may be started again on another.
pub(crate) const CONFIGURATION: &str = "\
homeassistant:
  name: Test house
http:
  server_host: 127.0.0.1
  server_port: !env_var APPCRED_TEST_PORT
linked_account:
";

/// A real HA with an owner and a guest, gone with all its traces when dropped.
pub(crate) struct HomeAssistant {
    process: Option<Process>,
    release: Release,
    port: u16,
    token: String,
    guest_token: String,
    expired_token: String,
    folder: PathBuf,
    libraries: Option<PathBuf>,
    _temporary: Option<TempDir>,
}

impl Drop for HomeAssistant {
    fn drop(&mut self) {
        // Before the folder goes.
        if let Some(process) = self.process.take() {
            kill(process);
        }
    }
}

impl HomeAssistant {
    /// Starts one in a new folder.
    #[track_caller]
    pub(crate) fn start(release: Release) -> Self {
        let temporary = tempfile::Builder::new().prefix("appcred-ha-").tempdir().unwrap();
        let mut started = Self::start_in(release, temporary.path());
        started._temporary = Some(temporary);
        started
    }

    /// Starts one in a folder that is the caller's, keeping what is in it. A `configuration.yaml`
    /// that is there must take its port as [`CONFIGURATION`] does.
    #[track_caller]
    pub(crate) fn start_in(release: Release, folder: &Path) -> Self {
        Self::start_with(release, folder, None)
    }

    /// The same, with a folder of Python's libraries beside its own.
    #[track_caller]
    pub(crate) fn start_with(release: Release, folder: &Path, libraries: Option<&Path>) -> Self {
        let folder = std::path::absolute(folder).unwrap();
        let configuration = folder.join("configuration.yaml");
        if !configuration.exists() {
            fs::write(configuration, CONFIGURATION).unwrap();
        }
        give_integrations(&folder);
        let mut new = Self {
            process: None,
            release,
            port: free_port(),
            token: String::new(),
            guest_token: String::new(),
            expired_token: String::new(),
            folder,
            libraries: libraries.map(Path::to_owned),
            _temporary: None,
        };
        new.start_again();
        new
    }

    pub(crate) fn release(&self) -> Release {
        self.release
    }

    /// Where it listens, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A long-lived access token of the owner; the same as long as the folder is.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A long-lived access token of a user who is no administrator.
    pub(crate) fn guest_token(&self) -> &str {
        &self.guest_token
    }

    /// An access token of the owner that ended two days ago.
    pub(crate) fn expired_token(&self) -> &str {
        &self.expired_token
    }

    /// The configuration folder.
    pub(crate) fn config_dir(&self) -> &Path {
        &self.folder
    }

    /// What HA keeps under a key in `.storage`, if it has written that yet.
    #[track_caller]
    pub(crate) fn storage(&self, key: &str) -> Option<Value> {
        let text = fs::read_to_string(self.folder.join(".storage").join(key)).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// HA's log since its last start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Stops it as an operator would, which writes what is not written yet.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.process.take().expect("Home Assistant runs").terminate();
    }

    /// Kills it where it stands.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        kill(self.process.take().expect("Home Assistant runs"));
    }

    /// Stops and starts it, at the same address.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Kills and starts it, at the same address.
    #[track_caller]
    pub(crate) fn restart_after_kill(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Starts it after a [`stop`](Self::stop) or [`kill`](Self::kill), at the same address unless
    /// somebody took that meanwhile.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        self.start_until(Self::is_running);
    }

    /// The same, and does not wait until it has started.
    #[track_caller]
    pub(crate) fn begin_again(&mut self) {
        self.start_until(|ha| Ok(is_open(ha.port)));
    }

    #[track_caller]
    fn start_until(&mut self, is_up: fn(&mut Self) -> Result<bool, String>) {
        assert!(self.process.is_none(), "Home Assistant runs already");
        let _turn = Turn::wait();
        for attempt in 1.. {
            if !is_free(self.port) {
                self.port = free_port();
            }
            match self.try_start(is_up) {
                Ok(process) => {
                    self.process = Some(process);
                    return;
                }
                Err(why) if attempt == START_ATTEMPTS => {
                    let output = fs::read_to_string(self.output()).unwrap_or_default();
                    panic!("Home Assistant does not start: {why}\n{output}\n{}", self.log());
                }
                Err(_) => self.port = free_port(),
            }
        }
    }

    /// One command over a WebSocket: its result, or its error with `code` and `message`.
    #[track_caller]
    pub(crate) fn call(&self, command: Value) -> Result<Value, Value> {
        Socket::open(self.port, &self.token).call(command)
    }

    /// All credentials, secrets too.
    #[track_caller]
    pub(crate) fn credentials(&self) -> Vec<Value> {
        self.list("application_credentials/list")
    }

    /// Creates a credential as a person would by hand, and gives it as HA holds it.
    #[track_caller]
    pub(crate) fn create_credential(&self, mut fields: Value) -> Value {
        fields["type"] = "application_credentials/create".into();
        self.call(fields).unwrap()
    }

    /// All config entries.
    #[track_caller]
    pub(crate) fn config_entries(&self) -> Vec<Value> {
        self.list("config_entries/get")
    }

    /// Tells our own integrations (`linked_account`, …) who their provider is.
    #[track_caller]
    pub(crate) fn accounts_are_at(&self, provider: &Provider) {
        let addresses = json!({
            "authorize_url": format!("{}/authorize", provider.url()),
            "token_url": format!("{}/token", provider.url()),
            "device_url": format!("{}/device/code", provider.url()),
        });
        fs::write(self.folder.join("linked_account.json"), addresses.to_string()).unwrap();
    }

    /// Makes a config entry of one of our own integrations (`linked_account`, …) that names this
    /// `auth_domain` or id as what it uses, with a token that needs no provider. Gives its id.
    #[track_caller]
    pub(crate) fn link_by_hand(&self, domain: &str, auth_implementation: &str) -> String {
        let made = self.call(json!({
            "type": "call_service",
            "domain": "linked_account",
            "service": "link",
            "service_data": {"domain": domain, "auth_implementation": auth_implementation},
            "return_response": true,
        }));
        made.unwrap()["response"]["entry_id"].as_str().unwrap().to_owned()
    }

    /// Lets the token of a linked account be out of date.
    #[track_caller]
    pub(crate) fn expire_token(&self, entry_id: &str) {
        self.account_service("expire", entry_id).unwrap();
    }

    /// Has Home Assistant ask for consent again for an account that goes on running.
    #[track_caller]
    pub(crate) fn ask_again(&self, entry_id: &str) {
        self.account_service("ask", entry_id).unwrap();
    }

    /// Lets a linked account need its token, and tells whether it has a valid one then.
    #[track_caller]
    pub(crate) fn use_account(&self, entry_id: &str) -> bool {
        self.account_service("use", entry_id).is_ok()
    }

    #[track_caller]
    fn account_service(&self, name: &str, entry_id: &str) -> Result<Value, Value> {
        self.call(json!({
            "type": "call_service",
            "domain": "linked_account",
            "service": name,
            "service_data": {"entry_id": entry_id},
        }))
    }

    /// Sets a config entry up afresh and gives the state it arrives at.
    #[track_caller]
    pub(crate) fn reload(&self, entry_id: &str) -> String {
        let path = format!("/api/config/config_entries/entry/{entry_id}/reload");
        let (status, answer) = self.rest("POST", &path, None);
        assert_eq!(status, 200, "{answer}");
        self.state_of(entry_id)
    }

    /// The state of a config entry.
    #[track_caller]
    pub(crate) fn state_of(&self, entry_id: &str) -> String {
        let entries = self.config_entries();
        let entry = entries.iter().find(|entry| entry["entry_id"] == entry_id);
        entry.expect("there is such an entry")["state"].as_str().unwrap().to_owned()
    }

    /// One request to HA's REST API, as its frontend sends it: the status and the answer.
    #[track_caller]
    pub(crate) fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_rest(method, path, body).unwrap()
    }

    #[track_caller]
    fn list(&self, command: &str) -> Vec<Value> {
        let list = self.call(json!({"type": command})).unwrap();
        serde_json::from_value(list).unwrap()
    }

    fn try_rest(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let bearer = format!("Bearer {}", self.token);
        let url = self.url();
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("HA-Frontend-Base", &url),
        ];
        let body = body.map(Value::to_string);
        let answer = web::send(method, &format!("{url}{path}"), &headers, body)?;
        Ok((answer.status, answer.value()))
    }

    fn try_start(
        &mut self,
        is_up: fn(&mut Self) -> Result<bool, String>,
    ) -> Result<Process, String> {
        // Else what an earlier run said would be taken for this one's.
        let _none = fs::remove_file(self.log_file());
        let output = File::create(self.output()).unwrap();
        let mut command = hass(self.release);
        command
            .arg(&self.folder)
            .env("APPCRED_TEST_PORT", self.port.to_string())
            .env("HOME", &self.folder)
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        match &self.libraries {
            // The fork has what was imported without them.
            Some(libraries) => command.env("PYTHONPATH", libraries),
            None => command.env("APPCRED_TEST_HASS", fork_server(self.release)),
        };
        let mut process = Process::spawn(&mut command);
        let begin = Instant::now();
        while begin.elapsed() < LONGEST_START {
            if let Some(status) = process.ended() {
                return Err(format!("it ended with {status}"));
            }
            if is_up(self)? {
                return Ok(process);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("it is not up after {LONGEST_START:?}"))
    }

    /// Whether HA has started, or why it never will.
    fn is_running(&mut self) -> Result<bool, String> {
        if self.log().contains("Failed to create HTTP server") {
            return Err(format!("somebody took port {} before it", self.port));
        }
        if !is_open(self.port) {
            return Ok(false);
        }
        let Ok(tokens) = fs::read_to_string(self.folder.join("test_tokens.json")) else {
            return Ok(false);
        };
        let tokens: Value = serde_json::from_str(&tokens).unwrap();
        self.token = tokens["owner"].as_str().unwrap().to_owned();
        self.guest_token = tokens["guest"].as_str().unwrap().to_owned();
        self.expired_token = tokens["expired_owner"].as_str().unwrap().to_owned();
        let Ok((status, config)) = self.try_rest("GET", "/api/config", None) else {
            return Ok(false);
        };
        if status != 200 || config["config_dir"] != self.folder.to_string_lossy().as_ref() {
            return Err(format!("somebody else answers on port {}", self.port));
        }
        if config["recovery_mode"] == true || config["safe_mode"] == true {
            return Err("it started in recovery mode".into());
        }
        Ok(config["state"] == "RUNNING")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("home-assistant.log")
    }

    fn output(&self) -> PathBuf {
        self.folder.join("output.log")
    }
}

/// Our way to start HA, with the environment that all have.
fn hass(release: Release) -> Command {
    let mut command = Command::new(release.python());
    command
        // Else Python would look for modules beside the script, before HA's own.
        .arg("-P")
        .arg(Path::new(ROOT).join("tests/real/home_assistant/hass"))
        .env_clear()
        .env("LANG", "C.UTF-8")
        .env("PATH", "/usr/bin:/bin");
    command
}

/// The name at which a process listens that has imported a release once, for all tests.
fn fork_server(release: Release) -> String {
    static SERVERS: Mutex<BTreeMap<Release, Process>> = Mutex::new(BTreeMap::new());
    let name = format!("appcred-test-hass-{}-{}", process::id(), release.name());
    SERVERS.lock().unwrap().entry(release).or_insert_with(|| {
        let mut command = hass(release);
        Process::spawn(command.args(["--serve", &name]))
    });
    name
}

/// Kills it, and waits until its files and its port are let go. It is the child of another process.
fn kill(process: Process) {
    let group = process.pid();
    drop(process);
    let begin = Instant::now();
    while test_kill_process_group(group).is_ok() {
        assert!(begin.elapsed() < LONGEST_START, "Home Assistant does not end");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Copies our own integrations, unless the folder has some.
pub(crate) fn give_integrations(folder: &Path) {
    let to = folder.join("custom_components");
    if to.exists() {
        return;
    }
    let from = Path::new(ROOT).join("tests/real/custom_components");
    copy_folder(&from, &to);
}

/// Copies a folder with all that is in it; the new one may be there already.
#[track_caller]
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy_folder(&file.path(), &to),
            false => drop(fs::copy(file.path(), to).unwrap()),
        }
    }
}

/// A start is all work, so more at once than there are cores only makes each slower.
struct Turn;

static STARTING: Mutex<usize> = Mutex::new(0);
static STARTED: Condvar = Condvar::new();

impl Turn {
    fn wait() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let starting = STARTING.lock().unwrap();
        *STARTED.wait_while(starting, |starting| *starting >= cores).unwrap() += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *STARTING.lock().unwrap() -= 1;
        STARTED.notify_one();
    }
}
