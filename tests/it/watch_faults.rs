//! `watch` and what goes wrong around it, with real files, webhooks and Home Assistants.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::forms::check_own;
use crate::ha_apply::House;
use crate::listener::Listener;
use crate::real::{HomeAssistant, Release, each_release, free_port, send};
use crate::shell::{Appcred, Running, encrypt};
use crate::watch::{Folder, arrives, eventually};

/// As an installation has it that faces the internet.
const BANNING: &str = "\
homeassistant:
  name: Test house
http:
  server_host: 127.0.0.1
  server_port: !env_var APPCRED_TEST_PORT
  ip_ban_enabled: true
  login_attempts_threshold: 3
linked_account:
";

each_release!(ha_that_bans_addresses_is_asked_once_with_a_token_that_it_refuses);
fn ha_that_bans_addresses_is_asked_once_with_a_token_that_it_refuses(release: Release) {
    let config = tempfile::tempdir().unwrap();
    fs::write(config.path().join("configuration.yaml"), BANNING).unwrap();
    let ha = HomeAssistant::start_in(release, config.path());
    let house = House::new();
    let project = &house.project;
    let home = format!("targets:\n  home:\n    url: {}\n    token: !secret token\n", ha.url());
    project.write("appcred.yaml", &home);
    project.write("secrets.yaml", "token: refused\n");
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    let running = house
        .with_key(Appcred::new().in_dir(project.path()))
        .args(["watch", "--resync", "1", "--listen=off"])
        .spawn();
    let attempts =
        || ha.log().matches("Login attempt or request with invalid authentication").count();
    let refused = "not trying again before that is changed";
    eventually("the refusal is seen", || running.stderr().contains(refused));
    // What is read anew does not make it try again, nor does a resync meanwhile.
    for times in 1..=3 {
        let logged = |text: &str| running.stderr().matches(text).count() == times;
        project.write("credentials/broken.yaml", "application_credentials: [");
        eventually("it is read", || logged("credentials/broken.yaml:1:"));
        fs::remove_file(project.join("credentials/broken.yaml")).unwrap();
        eventually("it is read", || logged("no error is left, so changes are applied again"));
    }
    // The oldest does not log an attempt whose client hangs up before its name is looked up.
    assert!(attempts() <= 1, "{}", ha.log());

    project.write("secrets.yaml", &format!("token: {}\n", ha.token()));
    arrives(&ha, &[("a", "first")]);
    assert!(!config.path().join("ip_bans.yaml").exists());
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches(refused).count(), 1, "{}", ran.stderr);
}

each_release!(ha_that_two_watchers_of_one_owner_share_sees_them_notice_each_other);
fn ha_that_two_watchers_of_one_owner_share_sees_them_notice_each_other(release: Release) {
    let ha = HomeAssistant::start(release);
    let (one, other) = (House::new(), House::new());
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for house in [&one, &other] {
        house.project.write("appcred.yaml", "owner: shared\n");
    }
    one.declare(&[one.entry("spotify", "A", "a", "first")]);
    other.declare(&[other.entry("twitch", "B", "b", "second")]);
    // As on two machines: no lock of one is seen by the other.
    let watch = |house: &House, state: &tempfile::TempDir| {
        let arguments = ["watch", "--resync", "1", "--listen=off"];
        house.appcred(&ha).env("XDG_STATE_HOME", state.path()).args(arguments).spawn()
    };
    let running = [watch(&one, &here), watch(&other, &there)];
    // Until they notice each other they change things several times a second.
    let notices =
        |running: &Running| running.stderr().contains("another appcred manages this target");
    eventually("one of them notices the other", || running.iter().any(notices));
    let texts = running.map(|running| {
        running.signal(Signal::TERM);
        running.finish().stderr
    });
    for text in &texts {
        let changes = text.matches(": done").count();
        assert!(changes <= 20, "{changes} changes: {text}");
    }
}

#[test]
fn a_custom_integration_of_the_project_is_provisioned() {
    let scene = Folder::new();
    let project = "custom_integrations: [mine]\ntargets: {lab: {config_dir: ha}}\n";
    scene.project.write("appcred.yaml", project);
    let armored = encrypt("MARKED", &scene.recipient);
    let armored = armored.trim_end().replace('\n', "\n      ");
    let entry = format!(
        "application_credentials:\n  - domain: mine\n    client_id: c\n    client_secret: |\n      {armored}\n"
    );
    scene.project.write("credentials/mine.yaml", &entry);
    let running = scene.appcred(&["watch", "--listen=off"]).spawn();
    eventually("both are there", || scene.storage().exists() && scene.holds(2));
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn a_dry_run_goes_on_beside_a_real_one() {
    let scene = Folder::new();
    let running = scene.appcred(&["watch", "--listen=off"]).spawn();
    eventually("the first one works", || scene.storage().exists());
    let port = free_port();
    let listen = format!("--listen=127.0.0.1:{port}");
    let dry = scene.appcred(&["watch", "--dry-run", &listen]).spawn();
    let status = format!("http://127.0.0.1:{port}/api/v1/status");
    eventually("the dry run looks at the target", || {
        send("GET", &status, &[], None).is_ok_and(|answer| answer.text.contains("\"in_sync\""))
    });
    for running in [dry, running] {
        running.signal(Signal::TERM);
        assert_eq!(running.finish().status, Some(0));
    }
}

#[test]
fn a_snapshot_has_the_digests_of_what_rekey_wrote() {
    let scene = Folder::new();
    let recipients = format!("age: {{recipients: [{}]}}\n", scene.recipient);
    let project = format!("targets: {{lab: {{config_dir: ha}}}}\n{recipients}");
    scene.project.write("appcred.yaml", &project);
    let running = scene.appcred(&["watch", "--listen=off", "--snapshot", "snapshot.json"]).spawn();
    let path = scene.project.join("snapshot.json");
    let digest = || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let snapshot: Value = serde_json::from_str(&text).ok()?;
        let credential = &snapshot["targets"][0]["credentials"][0];
        Some(credential["client_secret_ciphertext"].as_str()?.to_owned())
    };
    eventually("a digest", || digest().is_some());
    let first = digest();
    // The same value, encrypted anew.
    scene.appcred(&["rekey", "--force"]).run();
    eventually("another digest", || digest().is_some_and(|digest| Some(digest) != first));
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn webhooks_are_notified_once_of_an_error_in_the_manifests_and_of_its_end() {
    let scene = Folder::new();
    let listener = Listener::start(200);
    let project = format!(
        "targets: {{lab: {{config_dir: ha}}, other: {{config_dir: there}}}}\nnotify: {{webhook: {:?}}}\n",
        listener.url()
    );
    scene.project.write("appcred.yaml", &project);
    let running = scene.appcred(&["watch", "--listen=off"]).spawn();
    let works =
        || ["ha", "there"].iter().all(|it| scene.project.join(it).join(".storage").exists());
    eventually("both are watched", works);
    scene.project.write("credentials/b.yaml", "application_credentials:\n  - {client_idd: x}\n");
    let notice = listener.next();
    check_own("notice.schema.json", &notice);
    assert_eq!((&notice["event"], &notice["target"]), (&json!("manifests_in_error"), &Value::Null));
    let message = notice["message"].as_str().unwrap();
    assert!(message.contains("this is fixed: credentials/b.yaml:2:6: "), "{message}");
    fs::remove_file(scene.project.join("credentials/b.yaml")).unwrap();
    assert_eq!(listener.next()["event"], "manifests_valid");
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn a_webhook_is_posted_what_its_service_takes() {
    let scene = Folder::new();
    let (chat, topic) = (Listener::start(200), Listener::start(200));
    let project = format!(
        "targets: {{lab: {{config_dir: ha}}}}\nnotify:\n  - webhook: {:?}\n    body: {{text: \"appcred, {{event}}: {{message}}\", priority: 5}}\n  - webhook: {:?}\n    body: \"{{{{{{event}}}}}} {{target}}\"\n",
        chat.url(),
        topic.url()
    );
    scene.project.write("appcred.yaml", &project);
    let running = scene.appcred(&["watch", "--listen=off"]).spawn();
    eventually("it is watched", || scene.project.join("ha/.storage").exists());
    scene.project.write("credentials/b.yaml", "application_credentials:\n  - {client_idd: x}\n");
    let message = chat.next();
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with("appcred, manifests_in_error: nothing new is applied"), "{text}");
    assert!(text.contains("credentials/b.yaml:2:6: "), "{text}");
    assert_eq!(message, json!({"text": text, "priority": 5}));
    assert_eq!(topic.next(), json!("{manifests_in_error} "));
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn a_watcher_without_a_target_ends_at_once() {
    let scene = Folder::new();
    let printed = scene.appcred(&["watch", "--target", "lob"]).status(1).run().stderr;
    assert!(printed.contains("there is no target `lob`: did you mean `lab`?"), "{printed}");
    fs::remove_file(scene.project.join("appcred.yaml")).unwrap();
    let printed = scene.appcred(&["watch"]).status(1).run().stderr;
    assert!(printed.contains("no target: name one in appcred.yaml"), "{printed}");
}

#[test]
fn a_webhook_that_is_dead_or_refuses_does_not_hold_up_another() {
    let scene = Folder::new();
    let dead = format!("http://127.0.0.1:{}/", free_port());
    let (alive, refusing) = (Listener::start(200), Listener::start(404));
    let project = |folder: &str| {
        let hooks = [dead.as_str(), &refusing.url(), &alive.url()];
        let hooks: Vec<String> =
            hooks.iter().map(|url| format!("  - webhook: {url:?}\n")).collect();
        let targets = format!("targets: {{lab: {{config_dir: {folder}}}}}\n");
        scene.project.write("appcred.yaml", &format!("{targets}notify:\n{}", hooks.concat()));
    };
    // A file in the place of the folder: an error, and then none.
    scene.project.write("ha", "");
    project("ha");
    let running = scene.appcred(&["watch", "--listen=off"]).spawn();
    alive.next_of("error");
    project("elsewhere");
    // The first notice was refused for good: it is not posted again before the next one.
    assert_eq!(alive.next_of("recovered")["target"], "lab");
    assert_eq!(refusing.next()["event"], "recovered");
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("MARKED-HOOK"), "{}", ran.stderr);
}

/// A file that is mounted on another one until this is dropped.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.0).status().unwrap().success());
    }
}

#[test]
fn a_manifest_that_is_mounted_on_its_own_and_replaced_outside_is_reported() {
    let scene = Folder::new();
    let manifest = scene.project.join("credentials/all.yaml");
    let outside = scene.project.join("outside.yaml");
    fs::copy(&manifest, &outside).unwrap();
    let mount = Command::new("mount").arg("--bind").args([&outside, &manifest]).output().unwrap();
    if !mount.status.success() {
        #[expect(clippy::print_stderr, reason = "whoever runs the tests shall see it")]
        {
            eprintln!(
                "skipped: nothing can be mounted here: {}",
                String::from_utf8_lossy(&mount.stderr)
            );
        }
        return;
    }
    let _mounted = Mounted(manifest.clone());
    let running = scene.appcred(&["watch", "--listen=off", "--resync", "1"]).spawn();
    eventually("it works", || running.stderr().contains("in sync"));

    // Written in place, it is seen.
    let text = fs::read_to_string(&outside).unwrap();
    fs::write(&outside, text.replace("client_id: a", "client_id: changed")).unwrap();
    eventually("it arrives", || fs::read_to_string(scene.storage()).unwrap().contains("changed"));
    assert!(!running.stderr().contains("was replaced outside"), "{}", running.stderr());

    // As an editor saves it.
    fs::write(scene.project.join("new"), &text).unwrap();
    fs::rename(scene.project.join("new"), &outside).unwrap();
    let warning = "credentials/all.yaml was replaced outside of the container, and the new file is not seen here";
    eventually("that is reported", || running.stderr().contains(warning));
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0));
    assert_eq!(ran.stderr.matches(warning).count(), 1, "{}", ran.stderr);
}
