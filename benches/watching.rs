//! The watcher at one real Home Assistant: how soon a saved file is there, what one changed file of
//! many costs, and what it costs to wait.
//!
//! `tests/run --no-run && cargo bench --bench watching [-- MOST_FILES]`
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at what it cannot do"
)]

#[allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the fixture of the tests, of which a bench needs a part"
)]
#[path = "../tests/it/real/mod.rs"]
mod real;
mod usage;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use notify::{RecursiveMode, Watcher};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use real::{HomeAssistant, Release};
use usage::{processor_time, resident};

/// The watcher's own wait for quiet.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// What a saved file may cost beyond that, over inotify's own latency and one create.
const LATENCY_LIMIT: f64 = 2.0;
/// What one changed file of the most may cost over one of ten.
const MANY_LIMIT: f64 = 3.0;
const ROUNDS: usize = 15;
const FEW: usize = 10;
/// The longest that anything may take.
const NEVER: Duration = Duration::from_secs(300);

fn main() {
    let most = std::env::args().skip(1).find_map(|most| most.parse().ok()).unwrap_or(10_000);
    let bare = median((0..ROUNDS).map(|_| inotify()).collect()) + create_alone();
    let mut of_few = Duration::ZERO;
    for files in [FEW, most / 10, most] {
        let mut house = House::new(files);
        house.wait_for_all();
        thread::sleep(Duration::from_secs(4));
        let changed = median((0..ROUNDS).map(|round| house.change(round)).collect());
        println!(
            "{files:>6} files: changed file to acknowledged {:.1} ms, of which {} ms wait for quiet; at rest {:.1} MiB",
            milliseconds(changed),
            DEBOUNCE.as_millis(),
            resident(house.watcher.id()) / 1024.0,
        );
        if files == FEW {
            of_few = changed;
            let added = median((0..ROUNDS).map(|round| house.add(round)).collect());
            let ours = added.saturating_sub(DEBOUNCE);
            let ratio = ours.as_secs_f64() / bare.as_secs_f64();
            let verdict = if ratio <= LATENCY_LIMIT { "ok" } else { "TOO SLOW" };
            println!(
                "         new file to acknowledged {:.2} ms beyond that wait, over inotify and one create ({:.2} ms): ratio {ratio:.2} (limit {LATENCY_LIMIT}) {verdict}",
                milliseconds(ours),
                milliseconds(bare)
            );
        } else if files == most {
            let ratio = changed.as_secs_f64() / of_few.as_secs_f64();
            let verdict = if ratio <= MANY_LIMIT { "ok" } else { "TOO SLOW" };
            println!("         over one of {FEW}: ratio {ratio:.2} (limit {MANY_LIMIT}) {verdict}");
        }
        println!("         {:.2} ms of processor a resync", house.resync_cost());
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// From a write's end to the event.
fn inotify() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if matches!(event.unwrap().kind, notify::EventKind::Access(_)) {
            sender.send(Instant::now()).ok();
        }
    })
    .unwrap();
    watcher.watch(folder.path(), RecursiveMode::NonRecursive).unwrap();
    fs::write(folder.path().join("a"), "x").unwrap();
    let written = Instant::now();
    events.recv_timeout(NEVER).unwrap().saturating_duration_since(written)
}

/// One create over a socket that is open.
fn create_alone() -> Duration {
    let ha = HomeAssistant::start(Release::Ha2024_3);
    let create = |number: usize| {
        json!({"type": "application_credentials/create", "domain": "spotify",
            "client_id": format!("c{number}"), "client_secret": "s", "name": "N", "auth_domain": format!("a{number}")})
    };
    // The first one loads the integration.
    ha.call(create(0)).unwrap();
    let once = |number| {
        let begin = Instant::now();
        ha.call(create(number)).unwrap();
        begin.elapsed()
    };
    median((1..=ROUNDS).map(once).collect())
}

struct House {
    ha: HomeAssistant,
    project: TempDir,
    recipient: age::x25519::Recipient,
    identity: Identity,
    watcher: Child,
    lines: Receiver<(Instant, String)>,
    files: usize,
}

impl House {
    fn new(files: usize) -> Self {
        let ha = HomeAssistant::start(Release::Ha2024_3);
        let project = tempfile::tempdir().unwrap();
        let identity = Identity::generate();
        let recipient = identity.to_public();
        for number in 0..files {
            write(project.path(), number, "first", &recipient);
        }
        let (watcher, lines) = watch(&ha, project.path(), &identity, Duration::from_secs(300));
        Self { ha, project, recipient, identity, watcher, lines, files }
    }

    fn wait_for_all(&self) {
        for _ in 0..self.files {
            self.next("create spotify");
        }
    }

    /// When the next line with this text came.
    fn next(&self, text: &str) -> Instant {
        loop {
            let (at, line) = self.lines.recv_timeout(NEVER).unwrap();
            if line.contains(text) {
                return at;
            }
        }
    }

    /// From a saved file with a new entry to the word that Home Assistant has it.
    fn add(&mut self, round: usize) -> Duration {
        thread::sleep(Duration::from_millis(700));
        write(self.project.path(), self.files + round, "new", &self.recipient);
        let saved = Instant::now();
        self.next("create spotify") - saved
    }

    /// The same where a secret changes: one credential more to delete.
    fn change(&mut self, round: usize) -> Duration {
        thread::sleep(Duration::from_millis(700));
        write(self.project.path(), self.files / 2, &format!("secret-{round}"), &self.recipient);
        let saved = Instant::now();
        self.next("replace spotify") - saved
    }

    /// In milliseconds of processor, with nothing to do: of another watcher, which looks more often.
    fn resync_cost(&mut self) -> f64 {
        const EACH: Duration = Duration::from_secs(2);
        const RESYNCS: u32 = 6;
        self.end();
        (self.watcher, self.lines) = watch(&self.ha, self.project.path(), &self.identity, EACH);
        self.next("in sync");
        thread::sleep(EACH + EACH / 2);
        let before = processor_time(self.watcher.id());
        thread::sleep(EACH * RESYNCS);
        (processor_time(self.watcher.id()) - before) * 1000.0 / f64::from(RESYNCS)
    }

    fn end(&mut self) {
        kill_process(Pid::from_child(&self.watcher), Signal::TERM).unwrap();
        self.watcher.wait().unwrap();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.end();
    }
}

/// A watcher, and what it says as it says it.
fn watch(
    ha: &HomeAssistant,
    project: &Path,
    identity: &Identity,
    resync: Duration,
) -> (Child, Receiver<(Instant, String)>) {
    let mut watcher = Command::new(env!("CARGO_BIN_EXE_appcred"))
        .args(["watch", "--listen", "off", "--resync", &resync.as_secs().to_string()])
        .current_dir(project)
        .env("APPCRED_AGE_IDENTITY", identity.to_string().expose_secret())
        .env("HASS_SERVER", ha.url())
        .env("HASS_TOKEN", ha.token())
        .env("XDG_STATE_HOME", project)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let errors = BufReader::new(watcher.stderr.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in errors.lines() {
            if sender.send((Instant::now(), line.unwrap())).is_err() {
                return;
            }
        }
    });
    (watcher, lines)
}

/// One entry a file, a hundred files a folder.
fn write(project: &Path, number: usize, secret: &str, recipient: &age::x25519::Recipient) {
    let folder = project.join(format!("credentials/{}", number / 100));
    fs::create_dir_all(&folder).unwrap();
    let armored = age::encrypt_and_armor(recipient, secret.as_bytes()).unwrap();
    let armored = armored.trim_end().replace('\n', "\n      ");
    let text = format!(
        "application_credentials:\n  - domain: spotify\n    name: N{number}\n    client_id: c{number}\n    integration: {{setup: false}}\n    client_secret: |\n      {armored}\n"
    );
    let mut file = fs::File::create(folder.join(format!("{number}.yaml"))).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
