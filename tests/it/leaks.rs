//! A watcher at a real Home Assistant, as loud as it gets: marked secrets are looked for wherever another process or
//! somebody later could find them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release, free_port, send};
use crate::shell::{Appcred, Running};
use crate::watch::{arrives, eventually};

const FIRST: &str = "m4rk3d-first";
const SECOND: &str = "m4rk3d-second";
const BY_HAND: &str = "m4rk3d-by-hand";
const PAGE_TOKEN: &str = "m4rk3d-token-of-the-page";

#[track_caller]
fn search(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{what} has {secret}:\n{text}");
    }
}

/// What the kernel shows of a process and of all that came from it.
#[track_caller]
fn search_process(running: &Running, secrets: &[String]) {
    let process = format!("/proc/{}", running.id());
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("{process}/{file}")).unwrap();
        search(file, &String::from_utf8_lossy(&text), secrets);
    }
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "a crash would write the secrets in memory to a file");
}

#[track_caller]
fn search_files(folder: &Path, allowed: &[&str], secrets: &[String]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search_files(&path, allowed, secrets);
        } else if !allowed.iter().any(|name| path.ends_with(name)) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            search(&path.display().to_string(), &text, secrets);
        }
    }
}

/// What the server answers to who has its token and to who has not.
#[track_caller]
fn search_answers(url: &str, secrets: &[String]) {
    let bearer = format!("Bearer {PAGE_TOKEN}");
    for path in [
        "/",
        "/fragment",
        "/metrics",
        "/api/v1/status",
        "/api/v1/snapshot",
        "/healthz",
        "/readyz",
        "/login",
        "/consent",
        "/auth/external/callback?code=c&state=s",
        "/nothing",
    ] {
        for headers in [&[][..], &[("Authorization", bearer.as_str())]] {
            for method in ["GET", "POST"] {
                let answer = send(method, &format!("{url}{path}"), headers, None).unwrap();
                search(path, &answer.text, secrets);
            }
        }
    }
}

/// What a program that gives a secret sees of who starts it.
const PROGRAM: &str = "#!/bin/sh
{ env; tr '\\0' '\\n' <\"/proc/$PPID/cmdline\"; ls \"/proc/$$/fd\"; } >\"$(dirname \"$0\")/seen\"
cat \"$(dirname \"$0\")/secret\"
";

/// A watched house and what is secret of it.
struct Scene {
    house: House,
    running: Running,
    url: String,
    secrets: Vec<String>,
}

impl Scene {
    fn start(ha: &HomeAssistant) -> Self {
        let (house, port) = (House::new(), free_port());
        let program = house.project.join("bin/show").display().to_string();
        house.project.write("bin/secret", FIRST);
        let files = [
            ("bin/show", PROGRAM, 0o755),
            ("token", ha.token(), 0o600),
            ("page-token", PAGE_TOKEN, 0o600),
            ("key", &house.identity, 0o600),
        ];
        for (file, text, mode) in files {
            house.project.write(file, text);
            fs::set_permissions(house.project.join(file), fs::Permissions::from_mode(mode))
                .unwrap();
        }
        let text = format!(
            "owner: default\nage: {{identities: [key]}}\nsources: {{safe: {{command: ['{program}', '{{}}']}}}}\n\
            targets: {{home: {{url: '{}', token: !file token}}}}\n",
            ha.url(),
        );
        house.project.write("appcred.yaml", &text);
        declare(&house, FIRST);
        for folder in ["temp", "home"] {
            fs::create_dir(house.project.join(folder)).unwrap();
        }
        let listen = format!("--listen=127.0.0.1:{port}");
        let running = Appcred::new()
            .in_dir(house.project.path())
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", house.project.join("home"))
            .env("TMPDIR", house.project.join("temp"))
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .args(["watch", "-vv", "--log-format", "json", &listen, "--token-file", "page-token"])
            .spawn();
        let secrets = [FIRST, SECOND, BY_HAND, PAGE_TOKEN, ha.token(), &house.identity];
        let secrets = secrets.map(str::to_owned).to_vec();
        Self { house, running, url: format!("http://127.0.0.1:{port}"), secrets }
    }

    fn search_outside(&self) {
        search_answers(&self.url, &self.secrets);
        search_process(&self.running, &self.secrets);
    }
}

/// One entry with this secret, and one whose secret a program gives.
fn declare(house: &House, secret: &str) {
    let from_program = "  - {domain: twitch, key: b, client_id: b, client_secret: !from safe x, integration: {setup: false}}\n";
    house.declare(&[house.entry("spotify", "A", "a", secret), from_program.to_owned()]);
}

each_release!(ha_watcher_leaves_no_secret_where_others_look);
fn ha_watcher_leaves_no_secret_where_others_look(release: Release) {
    let mut ha = HomeAssistant::start(release);
    ha.create_credential(
        json!({"domain": "twitch", "client_id": "by-hand", "client_secret": BY_HAND}),
    );
    let scene = Scene::start(&ha);
    arrives(&ha, &[("a", FIRST), ("b", FIRST), ("by-hand", BY_HAND)]);
    scene.search_outside();

    // A rotation, and Home Assistant goes while the next one is on its way.
    declare(&scene.house, SECOND);
    arrives(&ha, &[("a", SECOND), ("b", FIRST), ("by-hand", BY_HAND)]);
    declare(&scene.house, FIRST);
    ha.kill();
    eventually("it is down", || scene.running.stderr().contains("cannot reach"));
    scene.search_outside();
    ha.start_again();
    let broken = format!("application_credentials: [{SECOND}\n");
    scene.house.project.write("credentials/broken.yaml", &broken);
    eventually("it is read", || scene.running.stderr().contains("broken.yaml"));
    scene.search_outside();

    let Scene { house, running, secrets, .. } = scene;
    running.signal(Signal::TERM);
    let ran = running.finish();
    search("standard error", &ran.stderr, &secrets);
    search("standard output", &ran.stdout, &secrets);
    search("the log of Home Assistant", &ha.log(), &secrets);
    let own = ["bin/secret", "token", "page-token", "key", "credentials/broken.yaml"];
    search_files(house.project.path(), &own, &secrets);
    assert!(house.project.join("bin/seen").exists(), "the program looked");
}
