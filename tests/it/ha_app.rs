//! The app of Home Assistant, from its options to a linked account, before a stand-in for the Supervisor.
//!
//! `packaging/try app` runs this, as root in a network of its own where `supervisor` is this machine and has 172.30.32.2.

use std::fs;
use std::io::BufRead;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::linking::Linking;
use crate::real::{Browser, CONFIGURATION, HomeAssistant, Process, Release, free_port, send};
use crate::watch::eventually;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const INGRESS: &str = "/api/hassio_ingress/t0k-en_1";
const APP_TOKEN: &str = "the-token-of-the-app";

/// The app, with the Supervisor's stand-in before a real Home Assistant.
struct App {
    linking: Linking,
    ingress: u16,
    folder: tempfile::TempDir,
    _supervisor: Process,
    watcher: Option<Process>,
}

impl App {
    /// A house whose Home Assistant has this in its configuration, too.
    fn in_house(release: Release, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let config = folder.path().join("ha");
        fs::create_dir(&config).unwrap();
        fs::write(config.join("configuration.yaml"), format!("{CONFIGURATION}{more}")).unwrap();
        let linking = Linking::with(HomeAssistant::start_in(release, &config));
        let python = Path::new(ROOT).join("target/home-assistant/2026.11/current/bin/python");
        let ingress = free_port();
        let mut supervisor = Process::spawn(
            Command::new(python)
                .arg(Path::new(ROOT).join("tests/real/supervisor/supervisor.py"))
                .args([&linking.ha.url(), linking.ha.token(), APP_TOKEN, &ingress.to_string()])
                .stdout(Stdio::piped()),
        );
        let mut line = String::new();
        supervisor.output().read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        Self { linking, ingress, folder, _supervisor: supervisor, watcher: None }
    }

    /// Starts it with these options; the project is the house's.
    fn start(&mut self, options: &Value) {
        let at = |name: &str| self.folder.path().join(name);
        let (data, config) = (at("data"), at("config"));
        fs::create_dir(&data).unwrap();
        fs::create_dir(&config).unwrap();
        let project = config.join("appcred");
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(self.linking.house.project.path()).arg(&project);
        assert!(copy.status().unwrap().success());
        let readable = Command::new("chmod").args(["-R", "a+rX"]).arg(&project).status().unwrap();
        assert!(readable.success());
        fs::write(data.join("options.json"), options.to_string()).unwrap();
        let programs = Path::new(env!("CARGO_BIN_EXE_appcred")).parent().unwrap();
        self.watcher = Some(Process::spawn(
            Command::new(Path::new(ROOT).join("packaging/app/start"))
                .args([&data, &config])
                .env_clear()
                .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
                .env("SUPERVISOR_TOKEN", APP_TOKEN)
                .stderr(fs::File::create(at("log")).unwrap()),
        ));
        eventually("it is alive", || {
            let alive = send("GET", "http://127.0.0.1:8099/healthz", &[], None);
            alive.is_ok_and(|answer| answer.status == 200)
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}{INGRESS}", self.ingress)
    }

    /// The id of a user.
    fn user(&self, name: &str) -> String {
        let users = self.linking.ha.call(json!({"type": "config/auth/list"})).unwrap();
        let user = users.as_array().unwrap().iter().find(|user| user["name"] == name);
        user.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// What a user sees there.
    fn seen_by(&self, user: &str, path: &str) -> (u16, String) {
        let session = format!("ingress_session={}", self.user(user));
        let forged = ("X-Remote-User-Id", &*self.user("owner"));
        let url = format!("{}/{path}", self.url());
        let seen = send("GET", &url, &[("Cookie", &session), forged], None).unwrap();
        (seen.status, seen.text)
    }
}

fn links_an_account_by_the_page_of_the_app(release: Release) {
    let mut app = App::in_house(release, "my:\n");
    let entry = app.linking.entry("linked_account", "Anna", "anna", "MARKED-SECRET");
    app.linking.house.declare(&[entry]);
    app.start(&json!({"identity": app.linking.house.identity, "dry_run": false}));
    eventually("it waits for consent", || app.seen_by("owner", "").1.contains("Consent at"));
    let guest = app.seen_by("guest", "");
    assert!(guest.0 == 403 && guest.1.contains("administrators only"), "{guest:?}");
    assert!(!guest.1.contains("Anna"), "{}", guest.1);
    assert_eq!(app.seen_by("guest", "api/v1/status").0, 403);
    let direct = send("GET", "http://127.0.0.1:8099/", &[], None).unwrap();
    assert_eq!(direct.status, 403, "{}", direct.text);

    // The button, as a browser follows it.
    let browser = Browser::start();
    browser.go_to(&format!("{}/readyz", app.url()));
    browser.value(&format!("document.cookie = 'ingress_session={}; path=/'", app.user("owner")));
    browser.go_to(&format!("{}/", app.url()));
    browser.page_with("1 account waits for your consent.");
    let begin = browser.value("document.querySelector('#waiting a.button').href");
    browser.click("#waiting a.button");
    browser.go_on_in(1);
    browser.wait_until("document.querySelector('#sign-in') !== null");
    let session = format!("ingress_session={}", app.user("owner"));
    let link = send("GET", begin.as_str().unwrap(), &[("Cookie", &session)], None)
        .unwrap()
        .location
        .unwrap();
    // My Home Assistant leads the browser of a person on to their Home Assistant.
    let back = app.linking.provider.consent(&link).location.unwrap();
    let (my, query) = back.split_once('?').unwrap();
    assert_eq!(my, "https://my.home-assistant.io/redirect/oauth");
    let callback = format!("{}/auth/external/callback?{query}", app.linking.ha.url());
    assert_eq!(send("GET", &callback, &[], None).unwrap().status, 200);
    browser.go_on_in(0);
    browser.page_with("Everything is in sync.");
    assert_eq!(app.linking.account("linked_account")["state"], "loaded");

    let pid = app.watcher.as_ref().unwrap().id();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["Uid:\t65532\t65532\t65532\t65532", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"]
    {
        assert!(status.contains(line), "{line}: {status}");
    }
    app.watcher.take().unwrap().terminate();
    let log = app.log();
    for secret in ["MARKED-SECRET", query, APP_TOKEN, app.linking.ha.token(), "AGE-SECRET-KEY"] {
        assert!(!log.contains(secret), "{log}");
    }
}

fn says_what_is_needed_without_my(release: Release) {
    let mut app = App::in_house(release, "");
    let entry = app.linking.entry("linked_account", "Anna", "anna", "MARKED-SECRET");
    app.linking.house.declare(&[entry]);
    app.start(&json!({"identity": app.linking.house.identity, "dry_run": false}));
    eventually("it says so", || {
        app.seen_by("owner", "").1.contains("add `my:` to configuration.yaml")
    });
    assert!(app.log().contains("add `my:` to configuration.yaml"), "{}", app.log());
    app.watcher.take().unwrap().terminate();
}

/// For the oldest and the newest release.
macro_rules! as_root {
    ($($test:ident)*) => { $(mod $test {
        use $crate::real::Release;

        #[test]
        #[ignore = "packaging/try runs it, as root in a network of its own"]
        fn in_2024_3() {
            super::$test(Release::Ha2024_3);
        }

        #[test]
        #[ignore = "packaging/try runs it, as root in a network of its own"]
        fn in_2026_11() {
            super::$test(Release::Ha2026_11);
        }
    })* };
}
as_root!(links_an_account_by_the_page_of_the_app says_what_is_needed_without_my);
