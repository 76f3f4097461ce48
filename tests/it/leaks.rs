//! A watcher at a real Home Assistant, as loud as it gets: marked secrets are looked for wherever another process or
//! somebody later could find them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use rustix::process::Signal;
use serde_json::json;

use crate::ha_apply::House;
use crate::listener::Listener;
use crate::real::{HomeAssistant, Release, each_release, free_port, send};
use crate::shell::{Appcred, Project, Running};
use crate::watch::{arrives, eventually};

const FIRST: &str = "m4rk3d-q7vx-first-2hkw";
const SECOND: &str = "m4rk3d-u3zt-second-9bnd";
const BY_HAND: &str = "m4rk3d-f8cj-by-hand-5rqs";
const PAGE_TOKEN: &str = "m4rk3d-w6yp-token-of-the-page-4xgm";
/// The files of the project that have secrets.
const OWN: [&str; 5] = ["bin/secret", "token", "page-token", "key", "credentials/broken.yaml"];

#[track_caller]
fn search(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        for form in forms(secret) {
            assert!(!text.contains(&form), "{what} has {secret} as {form}:\n{text}");
        }
    }
}

/// How a secret is written that is cut off, or a part of what is encoded.
fn forms(secret: &str) -> Vec<String> {
    let (begin, end) = secret.split_at(secret.len() / 2);
    let mut forms = vec![begin.to_owned(), end.to_owned()];
    forms.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
    for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
        for (before, of_before) in [("", 0), ("a", 2), ("aa", 3)] {
            let text = engine.encode(format!("{before}{secret}"));
            // The last sign is also of what follows.
            forms.push(text[of_before..text.len() - 1].to_owned());
        }
    }
    forms
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
    // A file that has no name any more is open still.
    for opened in fs::read_dir(format!("{process}/fd")).unwrap() {
        let opened = opened.unwrap().path();
        // It may be closed by now.
        let Ok(name) = fs::read_link(&opened) else { continue };
        let is_known = OWN.iter().any(|own| name.ends_with(own));
        if !is_known && fs::metadata(&opened).is_ok_and(|opened| opened.is_file()) {
            let text = fs::read(&opened).unwrap_or_default();
            search(&name.display().to_string(), &String::from_utf8_lossy(&text), secrets);
        }
    }
}

#[track_caller]
fn search_files(folder: &Path, secrets: &[String]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search_files(&path, secrets);
        } else if !OWN.iter().any(|name| path.ends_with(name)) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            search(&path.display().to_string(), &text, secrets);
        }
    }
}

/// What the server answers to who has its token and to who has not.
#[track_caller]
fn search_answers(url: &str, secrets: &[String]) {
    let bearer = format!("Bearer {PAGE_TOKEN}");
    let logged_in = send("POST", &format!("{url}/login"), &[], Some(format!("token={PAGE_TOKEN}")));
    let logged_in = logged_in.unwrap();
    search("the login", &format!("{logged_in:?}"), secrets);
    let cookie = logged_in.cookie.expect("the token is right");
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
        for headers in [&[][..], &[("Authorization", bearer.as_str())], &[("Cookie", &cookie)]] {
            for method in ["GET", "POST"] {
                let answer = send(method, &format!("{url}{path}"), headers, None).unwrap();
                search(path, &format!("{}{}", answer.headers, answer.text), secrets);
            }
        }
    }
}

/// What a program that gives a secret sees of who starts it.
const PROGRAM: &str = "#!/bin/sh
{ env; tr '\\0' '\\n' <\"/proc/$PPID/cmdline\"; tr '\\0' '\\n' <\"/proc/$$/cmdline\"; ls -l \"/proc/$$/fd\"; } >\"$(dirname \"$0\")/seen\"
cat \"$(dirname \"$0\")/secret\"
";

/// A watched house and what is secret of it.
struct Scene {
    house: House,
    /// Gets the notices that go to a webhook.
    webhook: Listener,
    running: Running,
    url: String,
    secrets: Vec<String>,
    /// When something was last created or deleted among the temporary files.
    temp_changed: SystemTime,
}

impl Scene {
    fn start(ha: &HomeAssistant) -> Self {
        let (house, port, webhook) = (House::new(), free_port(), Listener::start(200));
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
            targets: {{home: {{url: '{}', token: !file token}}}}\nnotify: [home_assistant, {{webhook: '{}'}}]\n",
            ha.url(),
            webhook.url(),
        );
        house.project.write("appcred.yaml", &text);
        declare(&house, FIRST);
        for folder in ["temp", "home"] {
            fs::create_dir(house.project.join(folder)).unwrap();
        }
        let temp_changed = changed(&house.project.join("temp"));
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
        let url = format!("http://127.0.0.1:{port}");
        Self { house, webhook, running, url, secrets, temp_changed }
    }

    fn search_outside(&self) {
        search_answers(&self.url, &self.secrets);
        search_process(&self.running, &self.secrets);
    }
}

/// What Home Assistant shows to whoever opens it.
fn notices(ha: &HomeAssistant) -> String {
    ha.call(json!({"type": "persistent_notification/get"})).unwrap().to_string()
}

fn changed(folder: &Path) -> SystemTime {
    fs::metadata(folder).unwrap().modified().unwrap()
}

/// One entry with this secret, which waits for consent, and one whose secret a program gives.
fn declare(house: &House, secret: &str) {
    let from_program = "  - {domain: twitch, key: b, client_id: b, client_secret: !from safe x, integration: {setup: false}}\n";
    let waits = house.entry_with_integration("linked_account", "A", "a", secret);
    house.declare(&[waits, from_program.to_owned()]);
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

    eventually("Home Assistant shows a link", || notices(&ha).contains("client_id=a"));
    search("what Home Assistant shows", &notices(&ha), &scene.secrets);
    let Scene { house, webhook, running, secrets, temp_changed, .. } = scene;
    running.signal(Signal::TERM);
    let ran = running.finish();
    search("standard error", &ran.stderr, &secrets);
    search("standard output", &ran.stdout, &secrets);
    search("the log of Home Assistant", &ha.log(), &secrets);
    let posted = webhook.posted();
    assert!(posted.iter().any(|notice| notice["event"] == "manifests_in_error"), "{posted:?}");
    search("a notice to a webhook", &format!("{posted:?}"), &secrets);
    search_files(house.project.path(), &secrets);
    let seen = fs::read_to_string(house.project.join("bin/seen")).expect("the program looked");
    let foreign = |line: &&str| line.contains(" -> ") && !line.contains("pipe:[");
    for line in seen.lines().filter(foreign) {
        let known = ["/dev/null", "/proc/", "/bin/show", "/bin/seen"];
        assert!(known.iter().any(|known| line.contains(known)), "a program has {line}:\n{seen}");
    }
    let temp = house.project.join("temp");
    assert_eq!(changed(&temp), temp_changed, "there was a temporary file, if only for a moment");
}

#[test]
fn no_other_process_of_its_user_sees_into_one_and_it_leaves_no_core() {
    let nobody = rustix::process::geteuid().is_root().then_some(65534);
    let project = Project::new().file("appcred.yaml", "owner: default\n");
    project.write("credentials/a.yaml", "application_credentials: []\n");
    chown(project.path(), nobody, None).unwrap();
    let home = project.join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, nobody, None).unwrap();
    let appcred = Appcred::new().in_dir(project.path()).env("HOME", &home).args(["watch"]);
    let appcred = appcred.env("HASS_SERVER", "http://127.0.0.1:9").env("HASS_TOKEN", FIRST);
    // What belongs to root says nothing.
    let running = match nobody {
        Some(_) => appcred.under(Path::new("/usr/bin/setpriv"), "--reuid=65534").spawn(),
        None => appcred.spawn(),
    };
    eventually("it watches", || running.stderr().contains("cannot reach"));
    let environ = fs::metadata(format!("/proc/{}/environ", running.id())).unwrap();
    assert_eq!(environ.uid(), 0, "the kernel gives what may not be read or dumped to root");
    running.signal(Signal::ABORT);
    assert_eq!(running.finish().status, None);
    search_files(project.path(), &[FIRST.to_owned()]);
}
