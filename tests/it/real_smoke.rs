//! What the other tests stand on: the real Home Assistant, and the program at a shell.

use std::fs;
use std::slice;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Project, age_identity, encrypt};

fn spotify(client_id: &str) -> Value {
    json!({"domain": "spotify", "client_id": client_id, "client_secret": "secret of spotify"})
}

each_release!(ha_keeps_a_credential_over_a_restart);
fn ha_keeps_a_credential_over_a_restart(release: Release) {
    let mut ha = HomeAssistant::start(release);
    assert!(ha.credentials().is_empty());
    let made = ha.create_credential(spotify("first"));
    assert_eq!(made["id"], "spotify_first");
    assert_eq!(ha.storage("application_credentials"), None, "written later, not at once");

    let address = ha.url();
    ha.restart();

    assert_eq!(ha.url(), address);
    assert_eq!(ha.credentials(), slice::from_ref(&made));
    let stored = ha.storage("application_credentials").unwrap();
    assert_eq!(stored["data"]["items"], json!([made]));
}

each_release!(ha_loses_what_it_had_not_written_when_killed);
fn ha_loses_what_it_had_not_written_when_killed(release: Release) {
    let mut ha = HomeAssistant::start(release);
    ha.create_credential(spotify("first"));

    ha.restart_after_kill();

    assert!(ha.credentials().is_empty());
}

each_release!(ha_reads_a_folder_that_was_there_before_it);
fn ha_reads_a_folder_that_was_there_before_it(release: Release) {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join(".storage");
    fs::create_dir(&storage).unwrap();
    let item =
        json!({"id": "by_hand", "domain": "spotify", "client_id": "a", "client_secret": "b"});
    let document = json!({
        "version": 1,
        "minor_version": 1,
        "key": "application_credentials",
        "data": {"items": [item]},
    });
    fs::write(storage.join("application_credentials"), document.to_string()).unwrap();

    let mut ha = HomeAssistant::start_in(release, folder.path());

    assert_eq!(ha.credentials(), [item]);
    assert_eq!(ha.config_dir(), folder.path());
    ha.stop();
    assert!(folder.path().join("configuration.yaml").exists(), "the caller's folder stays");
}

each_release!(ha_tells_the_owner_from_the_guest);
fn ha_tells_the_owner_from_the_guest(release: Release) {
    let ha = HomeAssistant::start(release);
    let owner = ha.call(json!({"type": "auth/current_user"})).unwrap();
    assert_eq!(owner["is_admin"], true);
    assert_ne!(ha.token(), ha.guest_token());
    let unknown = ha.call(json!({"type": "no/such/command"})).unwrap_err();
    assert_eq!(unknown["code"], "unknown_command");

    let (status, flow) =
        ha.rest("POST", "/api/config/config_entries/flow", Some(&json!({"handler": "spotify"})));

    assert_eq!((status, &flow["reason"]), (200, &json!("missing_credentials")));
    assert!(ha.config_entries().iter().all(|entry| entry["domain"] != "spotify"));
    assert!(ha.log().contains("homeassistant.bootstrap"), "{}", ha.log());
}

each_release!(ha_holds_on_to_a_credential_that_is_in_use);
fn ha_holds_on_to_a_credential_that_is_in_use(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let mut linked = Vec::new();
    for domain in ["linked_account", "linked_account_form", "linked_account_device"] {
        let made = ha.create_credential(
            json!({"domain": domain, "client_id": "house", "client_secret": "secret"}),
        );
        let id = made["id"].as_str().unwrap();
        let entry = ha.link_by_hand(domain, id);
        assert_eq!(ha.state_of(&entry), "loaded");
        let used =
            json!({"type": "application_credentials/config_entry", "config_entry_id": entry});
        assert_eq!(ha.call(used).unwrap()["application_credentials_id"], id);
        let delete =
            json!({"type": "application_credentials/delete", "application_credentials_id": id});
        assert_eq!(ha.call(delete).unwrap_err()["code"], "home_assistant_error");
        assert!(ha.use_account(&entry), "the token is valid");
        assert_eq!(ha.reload(&entry), "loaded");
        linked.push(entry);
    }
    let expired = ha.link_by_hand("linked_account", "linked_account_house");
    ha.expire_token(&expired);
    assert!(!ha.use_account(&expired), "nobody refreshes it");
    assert_eq!(ha.reload(&expired), "setup_retry");
    let unknown = ha.link_by_hand("linked_account", "appcred:home:nobody");
    assert_eq!(ha.state_of(&unknown), "setup_error");

    ha.restart();

    for entry in &linked {
        assert_eq!(ha.state_of(entry), "loaded");
    }
    assert_eq!(ha.state_of(&unknown), "setup_error");
}

#[test]
fn a_shell_is_bare_but_for_what_it_is_given() {
    let (identity, recipient) = age_identity();
    let armored = encrypt("a secret", &recipient);
    assert!(identity.starts_with("AGE-SECRET-KEY-1"), "not an identity");
    assert!(armored.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"), "{armored}");
    let project = Project::new().file("credentials/media.yaml", &armored);
    assert_eq!(fs::read_to_string(project.join("credentials/media.yaml")).unwrap(), armored);

    let ran = Appcred::new()
        .in_dir(project.path())
        .args(["--version"])
        .env("NO_COLOR", "1")
        .stdin("")
        .status(0)
        .stderr("")
        .run();

    assert_eq!(ran.status, Some(0));
}

#[test]
#[should_panic(expected = "ended with Some(0), expected 3")]
fn a_shell_checks_what_was_expected() {
    Appcred::new().args(["--version"]).status(3).stdout("nothing like it").run();
}

#[test]
fn a_run_may_be_cut_short() {
    let running = Appcred::new().args(["--version"]).spawn();
    running.signal(Signal::KILL);
    assert!(matches!(running.finish().status, None | Some(0)));
}
