//! A real browser without a window, moved as a person would, by the WebDriver protocol.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::port::{free_port, is_open};
use super::process::Process;
use super::web;

const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The key by which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Root has no sandbox, and nothing may be asked of the network beside the page.
const FLAGS: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Chromium with a profile of its own. Gone with it when dropped.
pub(crate) struct Browser {
    session: String,
    // Dropped before its folder.
    _driver: Process,
    _profile: TempDir,
}

impl Browser {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more of Chromium's own flags.
    #[track_caller]
    pub(crate) fn with(flags: &[&str]) -> Self {
        let profile = tempfile::Builder::new().prefix("appcred-chromium-").tempdir().unwrap();
        let port = free_port();
        let driver = Process::spawn(
            Command::new("chromedriver")
                .arg(format!("--port={port}"))
                .env("HOME", profile.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        wait_for("chromedriver, which tests/run brings", || is_open(port).then_some(()));
        let profile_flag = format!("--user-data-dir={}", profile.path().display());
        let own = FLAGS.iter().chain(flags).copied();
        let flags: Vec<&str> = own.chain([profile_flag.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let driver_url = format!("http://127.0.0.1:{port}/session");
        let made = command("POST", &driver_url, Some(&wanted)).unwrap();
        let session = format!("{driver_url}/{}", made["sessionId"].as_str().unwrap());
        Self { session, _driver: driver, _profile: profile }
    }

    /// Goes to an address.
    #[track_caller]
    pub(crate) fn go_to(&self, url: &str) {
        self.post("url", &json!({"url": url})).unwrap();
    }

    /// Clicks on what the page shows under this CSS selector, as soon as it does.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        wait_for(selector, || {
            let found = self.find(selector)?;
            self.post(&format!("element/{found}/click"), &json!({})).ok()
        });
    }

    /// Waits until the page shows this text, and gives its address.
    #[track_caller]
    pub(crate) fn page_with(&self, text: &str) -> String {
        wait_for(text, || {
            let body = self.find("body")?;
            let shown = self.get(&format!("element/{body}/text")).ok()?;
            shown.as_str()?.contains(text).then_some(())
        });
        self.get("url").unwrap().as_str().unwrap().to_owned()
    }

    /// Waits until this expression of the page's is true.
    #[track_caller]
    pub(crate) fn wait_until(&self, expression: &str) {
        wait_for(expression, || (self.value(expression) == true).then_some(()));
    }

    /// What an expression of the page's comes to.
    #[track_caller]
    pub(crate) fn value(&self, expression: &str) -> Value {
        let script = json!({"script": format!("return {expression}"), "args": []});
        self.post("execute/sync", &script).unwrap()
    }

    /// Goes on in the window or tab that was opened as the nth, as soon as it is there.
    #[track_caller]
    pub(crate) fn go_on_in(&self, nth: usize) {
        wait_for("a window", || {
            let windows = self.get("window/handles").ok()?;
            let handle = windows.get(nth)?;
            self.post("window", &json!({"handle": handle})).ok()
        });
    }

    /// Presses a key, by its name in WebDriver.
    #[track_caller]
    pub(crate) fn press(&self, key: char) {
        let keys =
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]});
        self.post("actions", &actions).unwrap();
    }

    /// Asks Chromium itself, by its DevTools protocol.
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters})).unwrap()
    }

    /// Everything that the page's console was told since this was last asked.
    #[track_caller]
    pub(crate) fn console(&self) -> Vec<String> {
        let logged = self.post("se/log", &json!({"type": "browser"})).unwrap();
        let lines = logged.as_array().unwrap().iter();
        lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    fn find(&self, selector: &str) -> Option<String> {
        let question = json!({"using": "css selector", "value": selector});
        let found = self.post("element", &question).ok()?;
        Some(found[ELEMENT].as_str()?.to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Value> {
        command("POST", &format!("{}/{path}", self.session), Some(body))
    }

    fn get(&self, path: &str) -> Result<Value, Value> {
        command("GET", &format!("{}/{path}", self.session), None)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends by itself; what it does not, goes with the driver's process group.
        let _ended = web::send("DELETE", &self.session, &[], None);
    }
}

fn command(method: &str, url: &str, body: Option<&Value>) -> Result<Value, Value> {
    let headers = [("Content-Type", "application/json")];
    let answer = web::send(method, url, &headers, body.map(Value::to_string)).unwrap();
    let mut value = answer.value();
    if answer.status == 200 { Ok(value["value"].take()) } else { Err(value) }
}

#[track_caller]
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begin.elapsed() < LONGEST_WAIT, "{what}: not seen");
        thread::sleep(Duration::from_millis(50));
    }
}
