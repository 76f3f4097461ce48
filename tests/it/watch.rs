//! `watch` on a running Home Assistant: whatever happens, it arrives.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use appcred::target::{LiveTarget, Observe};
use futures_util::{FutureExt, StreamExt};
use rustix::process::Signal;
use serde_json::json;

use crate::ha_apply::House;
use crate::ha_faults::open;
use crate::real::{HomeAssistant, Release, each_release, free_port, send};
use crate::shell::{Appcred, Project, age_identity, encrypt};

/// The longest that anything may take here before it counts as never.
const NEVER: Duration = Duration::from_secs(60);

#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < NEVER, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until Home Assistant holds these clients' secrets.
#[track_caller]
pub(crate) fn arrives(ha: &HomeAssistant, expected: &[(&str, &str)]) {
    let begin = Instant::now();
    loop {
        let credentials = ha.credentials();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let mut held: Vec<_> = credentials
            .iter()
            .map(|held| (text(&held["client_id"]), text(&held["client_secret"])))
            .collect();
        held.sort();
        if held
            .iter()
            .map(|(id, secret)| (id.as_str(), secret.as_str()))
            .eq(expected.iter().copied())
        {
            return;
        }
        assert!(begin.elapsed() < NEVER, "{held:?} is held, {expected:?} wanted");
        thread::sleep(Duration::from_millis(50));
    }
}

each_release!(ha_follows_files_and_mends_what_is_changed_by_hand);
fn ha_follows_files_and_mends_what_is_changed_by_hand(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let house = House::new();
    let (a, b) =
        (house.entry("spotify", "A", "a", "first"), house.entry("twitch", "B", "b", "second"));
    house.declare(std::slice::from_ref(&a));
    let running = house.appcred(&ha).args(["watch", "--resync", "1"]).spawn();
    arrives(&ha, &[("a", "first")]);

    house.declare(&[a.clone(), b.clone()]);
    arrives(&ha, &[("a", "first"), ("b", "second")]);

    let project = &house.project;
    // By this name, it was not moved by a slip.
    fs::rename(project.join("credentials"), project.join("elsewhere.disabled")).unwrap();
    eventually("it is missed", || running.stderr().contains("nothing new is applied until"));
    fs::create_dir(project.join("credentials")).unwrap();
    let text = format!("application_credentials:\n{}", house.entry("spotify", "A", "a", "third"));
    fs::write(project.join("new"), text).unwrap();
    fs::rename(project.join("new"), project.join("credentials/all.yaml")).unwrap();
    arrives(&ha, &[("a", "third")]);

    project.write("credentials/broken.yaml", "application_credentials: [");
    house.declare(&[house.entry("spotify", "A", "a", "fourth")]);
    eventually("it is read", || running.stderr().contains("credentials/broken.yaml:1:"));
    arrives(&ha, &[("a", "third")]);
    fs::remove_file(project.join("credentials/broken.yaml")).unwrap();
    arrives(&ha, &[("a", "fourth")]);

    let id = ha.credentials()[0]["id"].clone();
    ha.call(json!({"type": "application_credentials/delete", "application_credentials_id": id}))
        .unwrap();
    arrives(&ha, &[("a", "fourth")]);

    ha.restart_after_kill();
    arrives(&ha, &[("a", "fourth")]);

    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("credentials/broken.yaml:1:"), "{}", ran.stderr);
}

each_release!(ha_follows_a_swap_of_symlinks_as_kubernetes_does_it);
fn ha_follows_a_swap_of_symlinks_as_kubernetes_does_it(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    let project = &house.project;
    let version = |name: &str, secret: &str| {
        let text =
            format!("application_credentials:\n{}", house.entry("spotify", "A", "a", secret));
        project.write(&format!("credentials/{name}/all.yaml"), &text);
    };
    version("..2026_1", "first");
    symlink("..2026_1", project.join("credentials/..data")).unwrap();
    symlink("..data/all.yaml", project.join("credentials/all.yaml")).unwrap();
    let running = house.appcred(&ha).args(["watch"]).spawn();
    arrives(&ha, &[("a", "first")]);

    version("..2026_2", "second");
    symlink("..2026_2", project.join("credentials/..data_tmp")).unwrap();
    fs::rename(project.join("credentials/..data_tmp"), project.join("credentials/..data")).unwrap();
    fs::remove_dir_all(project.join("credentials/..2026_1")).unwrap();
    arrives(&ha, &[("a", "second")]);

    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

each_release!(a_dry_run_tells_and_changes_nothing);
fn a_dry_run_tells_and_changes_nothing(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    let running =
        house.appcred(&ha).args(["watch", "--dry-run", "--poll", "1", "--resync", "1"]).spawn();
    let to_do = |name: &str| {
        let line = format!("to do: create spotify \"{name}\"");
        running.stderr().matches(&line).count()
    };
    eventually("it is reported", || to_do("A") == 1);
    house.declare(&[house.entry("spotify", "B", "b", "first")]);
    eventually("it is reported", || to_do("B") == 1);
    assert_eq!(to_do("A"), 1, "each state once: {}", running.stderr());
    running.signal(Signal::TERM);
    running.finish();
    assert!(ha.credentials().is_empty());
}

each_release!(ha_changes_of_every_kind_of_files_arrive);
fn ha_changes_of_every_kind_of_files_arrive(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    let project = &house.project;
    let manifest = |secret: &str| {
        format!("application_credentials:\n{}", house.entry("spotify", "A", "a", secret))
    };
    let secrets = |secret: &str| {
        project.write("secrets.yaml", &format!("b_secret: {secret}\n"));
    };
    // A repository that is synchronized by swapping a link above it, as git-sync does.
    project.write("trees/1/credentials/deep/a.yaml", &manifest("1"));
    project.write("trees/2/credentials/deep/a.yaml", &manifest("2"));
    symlink("trees/1", project.join("now")).unwrap();
    let elsewhere = "application_credentials:\n  - {domain: twitch, name: B, client_id: b, client_secret: !secret b_secret, integration: {setup: false}}\n";
    project.write("elsewhere.yaml", elsewhere);
    project.write("appcred.yaml", "manifests: [now/credentials, elsewhere.yaml]\n");
    secrets("one");
    let running = house.appcred(&ha).args(["watch", "--resync", "3600"]).spawn();
    arrives(&ha, &[("a", "1"), ("b", "one")]);

    symlink("trees/2", project.join("next")).unwrap();
    fs::rename(project.join("next"), project.join("now")).unwrap();
    arrives(&ha, &[("a", "2"), ("b", "one")]);

    fs::remove_dir_all(project.join("trees/1")).unwrap();
    secrets("two");
    arrives(&ha, &[("a", "2"), ("b", "two")]);

    // As an editor saves: a new file under another name, the old one moved away.
    project.write("trees/2/credentials/deep/.a.yaml.new", &manifest("3"));
    let file = |name: &str| project.join(&format!("trees/2/credentials/deep/{name}"));
    fs::rename(file("a.yaml"), file("a.yaml~")).unwrap();
    fs::rename(file(".a.yaml.new"), file("a.yaml")).unwrap();
    arrives(&ha, &[("a", "3"), ("b", "two")]);

    fs::rename(project.join("trees/2/credentials/deep"), project.join("trees/2/credentials/flat"))
        .unwrap();
    project.write("trees/2/credentials/flat/a.yaml", &manifest("4"));
    arrives(&ha, &[("a", "4"), ("b", "two")]);

    project.write("appcred.yaml", "manifests: [elsewhere.yaml]\n");
    arrives(&ha, &[("b", "two")]);

    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

each_release!(ha_checkout_of_a_thousand_files_arrives_at_once);
fn ha_checkout_of_a_thousand_files_arrives_at_once(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    let git = |args: &[&str]| {
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"])
            .args(args)
            .current_dir(house.project.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    house.project.write("appcred.yaml", "owner: default\nallow_plaintext: true\n");
    let declare = |secret: &str| {
        for at in 0..1000 {
            let entry = format!(
                "application_credentials:\n  - {{domain: spotify, name: N{at}, client_id: c{at}, client_secret: {secret}, integration: {{setup: false}}}}\n"
            );
            house.project.write(&format!("credentials/{}/{at}.yaml", at % 10), &entry);
        }
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    declare("first");
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "first"]);
    git(&["switch", "--quiet", "--create", "second"]);
    declare("second");
    git(&["commit", "--quiet", "-am", "second"]);
    git(&["switch", "--quiet", "main"]);
    let all_are = |secret: &str| {
        let held = ha.credentials();
        held.len() == 1000 && held.iter().all(|held| held["client_secret"] == secret)
    };
    let running = house.appcred(&ha).args(["watch", "--resync", "3600", "-v"]).spawn();
    eventually("all are there", || all_are("first"));

    git(&["switch", "--quiet", "second"]);
    eventually("all are as in the other branch", || all_are("second"));

    running.signal(Signal::TERM);
    let ran = running.finish();
    let woken = ran.stderr.matches("files changed").count();
    assert!((1..=5).contains(&woken), "woken {woken} times");
}

each_release!(ha_that_is_down_while_files_change_is_brought_up_to_date);
fn ha_that_is_down_while_files_change_is_brought_up_to_date(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let house = House::new();
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    let running = house.appcred(&ha).args(["watch", "--resync", "3600"]).spawn();
    arrives(&ha, &[("a", "first")]);

    ha.stop();
    house.declare(&[
        house.entry("spotify", "A", "a", "second"),
        house.entry("twitch", "B", "b", "third"),
    ]);
    eventually("it is noticed", || running.stderr().contains("cannot reach"));
    ha.start_again();
    arrives(&ha, &[("a", "second"), ("b", "third")]);

    // Within the ten seconds after which Home Assistant writes it down.
    ha.restart_after_kill();
    arrives(&ha, &[("a", "second"), ("b", "third")]);

    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0));
    assert!(!ran.stderr.contains("drift"), "{}", ran.stderr);
}

each_release!(ha_drift_is_reported_and_left_where_that_is_wished);
fn ha_drift_is_reported_and_left_where_that_is_wished(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    house.project.write("appcred.yaml", "owner: default\npolicy: {on_drift: report}\n");
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    let running = house.appcred(&ha).args(["watch", "--resync", "1"]).spawn();
    arrives(&ha, &[("a", "first")]);
    eventually("it is as wanted", || running.stderr().contains("in sync"));
    let id = ha.credentials()[0]["id"].clone();
    ha.call(json!({"type": "application_credentials/delete", "application_credentials_id": id}))
        .unwrap();
    eventually("it is reported", || running.stderr().contains("drift, to do: create"));
    assert!(ha.credentials().is_empty(), "it is left");

    house.declare(&[house.entry("spotify", "A", "a", "second")]);
    arrives(&ha, &[("a", "second")]);
    running.signal(Signal::TERM);
    let ran = running.finish();
    let printed = "drift, to do: create spotify \"A\"";
    assert_eq!(ran.stderr.matches(printed).count(), 1, "{}", ran.stderr);
}

#[test]
fn a_second_watcher_is_reported_who_holds_the_target() {
    let scene = Folder::new();
    let running = scene.appcred(&["watch"]).spawn();
    eventually("the first one works", || scene.project.join("ha/.storage").exists());

    let printed = scene.appcred(&["watch"]).status(1).run().stderr;
    assert!(printed.contains("lab: another watcher has this target: process "), "{printed}");

    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
    let third = scene.appcred(&["watch"]).spawn();
    eventually("the third one works", || third.stderr().contains("in sync"));
    third.signal(Signal::TERM);
    assert_eq!(third.finish().status, Some(0));
}

#[test]
fn a_mistyped_integration_is_guessed() {
    let scene = Folder::new();
    scene.project.write(
        "credentials/b.yaml",
        "application_credentials:\n  - {domain: spotfy, client_id: z, client_secret: !env_var S}\n",
    );
    let port = free_port();
    let listen = format!("--listen=127.0.0.1:{port}");
    let running = scene.appcred(&["watch", &listen]).env("S", "first").spawn();
    let guessed =
        "not done: create spotfy \"spotfy\": unknown integration `spotfy`: did you mean `spotify`?";
    eventually("it is guessed", || running.stderr().contains(guessed));
    let error =
        "ERROR credentials/b.yaml:2:14: unknown integration `spotfy`: did you mean `spotify`? (";
    assert!(running.stderr().contains(error), "{}", running.stderr());

    let get = |path: &str| send("GET", &format!("http://127.0.0.1:{port}{path}"), &[], None);
    let counted = "appcred_manifest_problems{severity=\"error\"} 1";
    let metrics = get("/metrics").unwrap().text;
    assert!(metrics.contains(counted), "{metrics}");
    let ready = get("/readyz").unwrap();
    assert_eq!((ready.status, ready.text.as_str()), (503, "the manifests are in error\n"));
    let status = get("/api/v1/status").unwrap().value();
    let problem = &status["manifests"]["problems"][0];
    assert_eq!(problem["code"], "unknown-integration", "{status}");
    assert_eq!(status["manifests"]["in_force"], true, "all else is done");
    let page = get("/").unwrap().text;
    assert!(page.contains("credentials/b.yaml:2:14"), "{page}");
    assert!(page.contains("1 problem keeps an entry from being applied"), "{page}");

    scene.project.write("credentials/b.yaml", "application_credentials: []\n");
    eventually("it is ready", || get("/readyz").is_ok_and(|answer| answer.status == 200));
    running.signal(Signal::TERM);
    running.finish();
}

#[test]
fn systemd_is_notified_and_a_signal_reads_everything_anew() {
    let scene = Folder::new();
    let path = scene.project.join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(NEVER)).unwrap();
    let systemd_gets = |expected: &str| {
        let mut all = String::new();
        let mut buffer = [0; 4096];
        while !all.contains(expected) {
            let length = socket.recv(&mut buffer).unwrap_or_else(|_| panic!("{expected}: {all}"));
            all.push_str(&String::from_utf8_lossy(&buffer[..length]));
            all.push('\n');
        }
    };
    let running = scene
        .appcred(&["watch", "--resync", "3600"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .spawn();
    systemd_gets("READY=1");
    systemd_gets("STATUS=1 of 1 targets in sync");
    systemd_gets("WATCHDOG=1");

    scene.storage_is_emptied();
    running.signal(Signal::HUP);
    systemd_gets("RELOADING=1");
    systemd_gets("READY=1");
    eventually("it is mended", || scene.holds(1));

    running.signal(Signal::TERM);
    systemd_gets("STOPPING=1");
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn the_unit_for_systemd_starts() {
    let unit = include_str!("../../packaging/systemd/appcred.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["appcred", "-C", "/etc/appcred", arguments @ ..] = words.as_slice() else {
        panic!("{line}")
    };
    let scene = Folder::new();
    let path = scene.project.join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(NEVER)).unwrap();
    let credentials = tempfile::tempdir().unwrap();
    fs::write(credentials.path().join("identity"), &scene.identity).unwrap();
    let running = Appcred::new()
        .in_dir(scene.project.path())
        .args(arguments)
        .env("APPCRED_AGE_IDENTITY", credentials.path().join("identity"))
        .env("STATE_DIRECTORY", scene.state.path())
        .env("NOTIFY_SOCKET", &path)
        .spawn();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..length].trim_ascii(), b"READY=1");
    eventually("it works", || scene.storage().exists());
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert!(ran.stderr.lines().all(is_json), "{}", ran.stderr);
}

#[test]
fn a_snapshot_is_kept_up_and_plans_without_keys() {
    let scene = Folder::new();
    fs::create_dir(scene.project.join("out")).unwrap();
    let running =
        scene.appcred(&["watch", "--snapshot", "out/snapshot.json", "--poll", "1"]).spawn();
    let snapshot = scene.project.join("out/snapshot.json");
    let plan = || {
        Appcred::new()
            .in_dir(scene.project.path())
            .args(["plan", "--against", "out/snapshot.json", "--detailed-exitcode"])
            .spawn()
            .finish()
    };
    eventually("a snapshot in sync", || snapshot.exists() && plan().status == Some(0));

    // In place, which no folder shows, and looked for every second.
    scene.declare(&["a", "b"]);
    eventually("the new entry in it", || fs::read_to_string(&snapshot).unwrap().contains("\"b\""));
    eventually("a snapshot in sync", || plan().status == Some(0));
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
    assert!(!fs::read_to_string(&snapshot).unwrap().contains("MARKED"));
}

#[test]
fn a_snapshot_is_of_everything_though_a_part_is_selected() {
    let scene = Folder::new();
    scene.declare(&["a", "b", "c"]);
    scene.appcred(&["apply", "--yes"]).run();
    let watch = ["watch", "--key", "b", "--snapshot", "snapshot.json"];
    let running = scene.appcred(&watch).spawn();
    eventually("a snapshot", || scene.project.join("snapshot.json").exists());
    let plan = ["plan", "--against", "snapshot.json", "--detailed-exitcode"];
    Appcred::new().in_dir(scene.project.path()).args(plan).status(0).run();
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

each_release!(ha_reports_what_changes_and_not_how_things_are);
fn ha_reports_what_changes_and_not_how_things_are(release: Release) {
    let ha = HomeAssistant::start(release);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut target = open(&ha.url(), ha.token()).await.ok().unwrap();
        let mut changes = target.changes().await.unwrap().unwrap();
        // One that has just started may change still; how things are would be reported each time.
        for _ in 0..5 {
            target.observe().await.unwrap();
            if changes.next().now_or_never().is_none() {
                break;
            }
            changes = target.changes().await.unwrap().unwrap();
        }
        // What Home Assistant sends of itself arrives before the answer to this.
        let mut has_changed = async || {
            target.observe().await.unwrap();
            changes.next().now_or_never().is_some()
        };
        assert!(!has_changed().await, "nothing has changed yet");
        ha.create_credential(json!({"domain": "spotify", "client_id": "a", "client_secret": "b"}));
        // The oldest release does not report credentials.
        assert_eq!(has_changed().await, release != Release::Ha2024_3);
        ha.link_by_hand("linked_account", "linked_account");
        let change = tokio::time::timeout(NEVER, changes.next()).await.unwrap();
        assert!(change.is_some());
    });
}

/// A house in Git whose target is a folder.
pub(crate) struct Folder {
    pub(crate) project: Project,
    identity: String,
    pub(crate) recipient: age::x25519::Recipient,
    state: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let (identity, recipient) = age_identity();
        let project = Project::new().file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
        let scene = Self { project, identity, recipient, state: tempfile::tempdir().unwrap() };
        scene.declare(&["a"]);
        scene
    }

    pub(crate) fn declare(&self, names: &[&str]) {
        let list = if names.is_empty() { " []\n" } else { "\n" };
        let mut text = format!("application_credentials:{list}");
        for name in names {
            let armored = encrypt(&format!("MARKED-{name}"), &self.recipient);
            let armored = armored.trim_end().replace('\n', "\n      ");
            text.push_str(&format!(
                "  - domain: spotify\n    name: {name}\n    client_id: {name}\n    client_secret: |\n      {armored}\n"
            ));
        }
        self.project.write("credentials/all.yaml", &text);
    }

    pub(crate) fn appcred(&self, args: &[&str]) -> Appcred {
        Appcred::new()
            .in_dir(self.project.path())
            .env("APPCRED_AGE_IDENTITY", &self.identity)
            .env("XDG_STATE_HOME", self.state.path())
            .args(args)
    }

    pub(crate) fn storage(&self) -> std::path::PathBuf {
        self.project.join("ha/.storage/application_credentials")
    }

    fn storage_is_emptied(&self) {
        let text = fs::read_to_string(self.storage()).unwrap();
        let mut storage: serde_json::Value = serde_json::from_str(&text).unwrap();
        storage["data"]["items"] = json!([]);
        fs::write(self.storage(), storage.to_string()).unwrap();
    }

    pub(crate) fn holds(&self, count: usize) -> bool {
        let text = fs::read_to_string(self.storage()).unwrap();
        let storage: serde_json::Value = serde_json::from_str(&text).unwrap();
        storage["data"]["items"].as_array().unwrap().len() == count
    }
}

#[test]
fn the_time_zone_of_the_machine_counts_where_a_window_names_none() {
    let project = Project::new().file("credentials.yaml", "application_credentials: []\n");
    let watch = |zone: &str, window: &str, said: &str| {
        let policy = format!("policy: {{windows: [{{from: '01:00', to: '03:00'{window}}}]}}\n");
        project.write("appcred.yaml", &format!("targets: {{lab: {{config_dir: ha}}}}\n{policy}"));
        let appcred = Appcred::new().in_dir(project.path()).env("TZ", zone).args(["watch"]);
        let running = appcred.env("XDG_STATE_HOME", project.path()).spawn();
        eventually(said, || running.stderr().contains(said));
        running.signal(Signal::TERM);
        running.finish().stderr
    };
    watch("Europe/Berln", "", "the environment variable TZ is `Europe/Berln`");
    let said = watch("Europe/Berln", ", time_zone: Europe/Berlin", "in sync");
    assert!(!said.contains("TZ"), "{said}");
    watch("Europe/Berlin", "", "in sync");
}
