//! What `watch` serves of a real house.

use rustix::process::Signal;

use crate::answering_proxy::RefusingProxy;
use crate::linking::Linking;
use crate::real::{Browser, Release, each_release, free_port, send, visit};
use crate::shell::{Appcred, Project};
use crate::watch::eventually;

fn is_ready(url: &str) {
    let ready = format!("{url}/readyz");
    eventually("ready", || send("GET", &ready, &[], None).is_ok_and(|answer| answer.status == 200));
}

/// A project whose target is a folder.
fn folder() -> Project {
    Project::new()
        .file("appcred.yaml", "targets:\n  house: {config_dir: ha}\n")
        .file("credentials/a.yaml", "application_credentials: []\n")
}

each_release!(ha_consent_is_clicked_through_on_the_page_to_a_loaded_account);
fn ha_consent_is_clicked_through_on_the_page_to_a_loaded_account(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "MARKED-SECRET")]);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let (listen, base) = (format!("--listen=127.0.0.1:{port}"), format!("--consent-base={url}"));
    let running = linking.appcred(&["watch", &listen, &base]).spawn();
    is_ready(&url);

    let browser = Browser::start();
    browser.go_to(&url);
    browser.page_with("1 account waits for your consent.");
    browser.click("#waiting a.button");
    browser.go_on_in(1);
    browser.click("#sign-in");
    browser.click("#allow");
    let back = browser.page_with("Thank you.");
    assert!(back.starts_with(&format!("{url}/auth/external/callback?")), "{back}");

    browser.go_on_in(0);
    browser.page_with("Everything is in sync.");
    let badges = "[...document.querySelectorAll('.badge')]";
    browser.wait_until(&format!("{badges}.some(badge => badge.textContent === 'linked')"));
    assert_eq!(linking.account("linked_account")["state"], "loaded");
    let of_ours = |line: &String| line.starts_with(&url);
    assert!(!browser.console().iter().any(of_ours));
    let snapshot = format!("{url}/api/v1/snapshot");
    linking.appcred(&["plan", "--detailed-exitcode", "--against", &snapshot]).status(0).run();

    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let (_, query) = back.split_once('?').unwrap();
    for secret in ["MARKED-SECRET", query] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

each_release!(ha_consent_is_not_lost_when_home_assistant_cannot_take_it_once);
fn ha_consent_is_not_lost_when_home_assistant_cannot_take_it_once(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    let proxy = RefusingProxy::before(&linking.ha);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let (listen, base) = (format!("--listen=127.0.0.1:{port}"), format!("--consent-base={url}"));
    let watch = linking.appcred(&["watch", &listen, &base]).env("HASS_SERVER", proxy.url());
    let running = watch.spawn();
    is_ready(&url);
    let begin = visit(&format!("{url}/consent?target=home&key=anna"));
    let cookie = begin.cookie.unwrap();
    let back = linking.provider.consent(&begin.location.unwrap()).location.unwrap();

    let bring = || send("GET", &back, &[("Cookie", &cookie)], None).unwrap();
    let page = bring();
    assert_eq!((page.status, proxy.refused()), (503, 1), "{}", page.text);
    eventually("it is taken", || bring().status == 200);

    eventually("a linked account", || linking.set_up("anna")["state"] == "loaded");
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn what_was_done_is_kept_with_the_commit_that_caused_it() {
    let stored = r#"{"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": []}}"#;
    let accounts = r#"{"version": 1, "key": "core.config_entries", "data": {"entries": []}}"#;
    let project = folder()
        .file(".gitignore", "ha\n")
        .file("ha/.storage/application_credentials", stored)
        .file("ha/.storage/core.config_entries", accounts);
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
        let ran = command.current_dir(project.path()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "first"]);
    let first = git(&["rev-parse", "--short=12", "HEAD"]);
    let port = free_port();
    let listen = format!("--listen=127.0.0.1:{port}");
    let watch = Appcred::new().in_dir(project.path()).env("S", "m4rk3d-secret");
    let running = watch.args(["watch", &listen]).spawn();
    let url = format!("http://127.0.0.1:{port}");
    is_ready(&url);
    let status = || visit(&format!("{url}/api/v1/status")).value();
    let commit = |id: &str, modified: bool| serde_json::json!({"id": id, "modified": modified});
    assert_eq!(status()["manifests"]["commit"], commit(&first, false));

    let entry = "application_credentials:\n  - {domain: spotify, client_id: one, client_secret: !env_var S}\n";
    project.write("credentials/a.yaml", entry);
    eventually("it is created", || status()["history"][0]["result"] == "done");
    let done = &status()["history"][0];
    assert_eq!(done["commit"], commit(&first, true), "it is not committed: {done}");
    assert!(done["what"].as_str().unwrap().starts_with("create spotify"), "{done}");

    git(&["commit", "--quiet", "-am", "second"]);
    let second = git(&["rev-parse", "--short=12", "HEAD"]);
    project.write("credentials/a.yaml", "application_credentials: []\n");
    git(&["commit", "--quiet", "-am", "third"]);
    let third = git(&["rev-parse", "--short=12", "HEAD"]);
    assert_ne!(second, third);
    running.signal(Signal::HUP);
    eventually("it is read", || status()["manifests"]["commit"] == commit(&third, false));
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn nobody_is_let_in_by_mistake() {
    let project = folder().file("short", "short\n").file("token", "0123456789abcdef\n");
    for (arguments, why) in [
        (&["--listen", "0.0.0.0:0"][..], "--token-file, or run behind Home Assistant"),
        (&["--listen", "[::]:0"], "can be reached from other machines"),
        (&["--listen", "127.0.0.1:0", "--ingress"], "needs --listen 0.0.0.0:8099"),
        (&["--listen", "0.0.0.0:0", "--ingress"], "--ingress needs SUPERVISOR_TOKEN"),
        (&["--listen", "127.0.0.1:0", "--token-file", "none"], "cannot read none"),
        (&["--listen", "127.0.0.1:0", "--token-file", "short"], "is too short"),
        (&["--listen", "203.0.113.1:1", "--token-file", "token"], "has no such address"),
        (&["--listen", "here"], "as in 127.0.0.1:8099"),
        (&["--listen", "off", "--consent-base", "https://x"], "cannot be used with --listen off"),
        (&["--consent-base", "https://x/y"], "nothing after that"),
    ] {
        let watch = Appcred::new().in_dir(project.path()).args(["watch"]).args(arguments);
        let printed = watch.status(1).run().stderr;
        assert!(printed.contains(why), "{arguments:?}: {printed}");
    }
    let app = ["watch", "--listen", "0.0.0.0:0", "--ingress", "--consent-base", "https://x"];
    let app = Appcred::new().in_dir(project.path()).args(app).env("SUPERVISOR_TOKEN", "t");
    let printed = app.status(1).run().stderr;
    assert!(printed.contains("needs --token-file"), "{printed}");
}

#[test]
fn a_taken_port_is_reported_before_anything_starts() {
    let project = folder();
    let port = free_port();
    let listen = format!("--listen=127.0.0.1:{port}");
    let watch = || Appcred::new().in_dir(project.path()).args(["watch", &listen]);
    let first = watch().spawn();
    is_ready(&format!("http://127.0.0.1:{port}"));
    let printed = Appcred::new().in_dir(folder().path()).args(["watch", &listen]).status(1).run();
    assert!(printed.stderr.contains("choose another port with --listen"), "{}", printed.stderr);
    first.signal(Signal::TERM);
    assert_eq!(first.finish().status, Some(0));
}

#[test]
fn a_token_opens_what_listens_everywhere() {
    let project = folder().file("token", "0123456789abcdef\n");
    let port = free_port();
    let listen = format!("--listen=0.0.0.0:{port}");
    let arguments = ["watch", &listen, "--token-file", "token"];
    let running = Appcred::new().in_dir(project.path()).args(arguments).spawn();
    let url = format!("http://127.0.0.1:{port}");
    is_ready(&url);
    assert_eq!(visit(&format!("{url}/metrics")).status, 401);
    let bearer = [("Authorization", "Bearer 0123456789abcdef")];
    let metrics = send("GET", &format!("{url}/metrics"), &bearer, None).unwrap();
    assert!(metrics.text.contains("appcred_target_up{target=\"house\"} 1"), "{}", metrics.text);
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0));
    assert!(!ran.stderr.contains("0123456789abcdef"), "{}", ran.stderr);
}
