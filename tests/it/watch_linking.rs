//! `watch` and accounts that somebody must consent to.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::forms::check_own;
use crate::linking::Linking;
use crate::listener::Listener;
use crate::real::{CONFIGURATION, HomeAssistant, Release, each_release, visit};
use crate::shell::Running;
use crate::watch::eventually;

fn link(notice: &Value) -> String {
    notice["pending_consents"][0]["link"].as_str().unwrap().to_owned()
}

fn notifications(ha: &HomeAssistant) -> Vec<Value> {
    let all = ha.call(json!({"type": "persistent_notification/get"})).unwrap();
    let all = all.as_array().unwrap();
    all.iter().filter(|one| one["notification_id"] == "appcred_default").cloned().collect()
}

each_release!(ha_links_stay_fresh_over_a_restart_and_consent_is_seen);
fn ha_links_stay_fresh_over_a_restart_and_consent_is_seen(release: Release) {
    let mut linking = Linking::new(release);
    let listener = Listener::start(503);
    let notify =
        format!("owner: default\nnotify:\n  - home_assistant\n  - webhook: {:?}\n", listener.url());
    linking.house.project.write("appcred.yaml", &notify);
    linking.house.declare(&[linking.entry("linked_account", "Anna *A*", "anna", "MARKED-SECRET")]);
    let running = linking.appcred(&["watch", "--resync", "3600"]).spawn();

    let pending = listener.next_of("consent_pending");
    check_own("notice.schema.json", &pending);
    let first = link(&pending);
    assert!(first.starts_with(&linking.provider.url()), "{first}");
    eventually("a message in Home Assistant", || !notifications(&linking.ha).is_empty());
    let message = notifications(&linking.ha)[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!(r"[Anna \*A\*]({first})")), "{message}");

    linking.ha.restart();
    let second = link(&listener.next_of("consent_pending"));
    assert_ne!(first, second, "a flow dies with Home Assistant");
    linking.consent(&second);

    listener.next_of("consent_settled");
    assert_eq!(linking.account("linked_account")["state"], "loaded");
    eventually("no message any more", || notifications(&linking.ha).is_empty());
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    for secret in ["MARKED-SECRET", "MARKED-HOOK", &second] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

each_release!(ha_action_notifies_of_what_happens_at_its_house);
fn ha_action_notifies_of_what_happens_at_its_house(release: Release) {
    let folder = tempfile::TempDir::new().unwrap();
    // The integration `notify` has one action of its own: it shows a message.
    let configuration = format!("{CONFIGURATION}notify:\n");
    std::fs::write(folder.path().join("configuration.yaml"), configuration).unwrap();
    let linking = Linking::with(HomeAssistant::start_in(release, folder.path()));
    let notify = "owner: default\nallow_placeholders: true\nnotify:\n  - action: notify.persistent_notification\n  - action: notify.mobile_app_gone\n";
    linking.house.project.write("appcred.yaml", notify);
    let name = "'Anna {{{ 6*7 }}} {# gone #}'";
    let entry = linking.entry("linked_account", name, "anna", "MARKED-SECRET");
    linking.house.declare(&[entry + "    key: anna\n"]);
    let running = linking.appcred(&["watch", "--resync", "5"]).spawn();
    let shown = || linking.ha.call(json!({"type": "persistent_notification/get"})).unwrap();
    eventually("a message", || {
        let shown = shown();
        let mut all = shown.as_array().unwrap().iter();
        all.any(|one| {
            one["title"] == "appcred: home" && one["message"] == "anna now waits for consent"
        })
    });
    // What is named so would be a template for older releases, which report no changes of credentials.
    let credential = linking.ha.credentials().remove(0);
    let delete = json!({"type": "application_credentials/delete", "application_credentials_id": credential["id"]});
    linking.ha.call(delete).unwrap();
    eventually("the name as it is", || {
        let shown = shown();
        let mut all = shown.as_array().unwrap().iter();
        all.any(|one| {
            let message = one["message"].as_str().unwrap();
            message.contains("\"Anna { { { 6*7 }}} { # gone #}\"")
        })
    });
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("notify.mobile_app_gone did not accept a notice"),
        "{}",
        ran.stderr
    );
}

each_release!(ha_consent_that_is_refused_is_reported_and_can_be_given_after_all);
fn ha_consent_that_is_refused_is_reported_and_can_be_given_after_all(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    let listener = Listener::start(200);
    linking.house.project.write(
        "appcred.yaml",
        &format!("owner: default\nnotify: {{webhook: {:?}}}\n", listener.url()),
    );
    let running = linking.appcred(&["watch", "--resync", "3600"]).spawn();
    let first = link(&listener.next_of("consent_pending"));
    visit(&linking.provider.refuse(&first).location.unwrap());
    let second = link(&listener.next_of("consent_pending"));
    assert_ne!(first, second);
    linking.consent(&second);
    listener.next_of("consent_settled");
    eventually("a linked account", || linking.set_up("anna")["state"] == "loaded");
    running.signal(Signal::TERM);
    let ran = running.finish();
    let refused = "set up linked_account \"Anna\": consent was refused at the provider";
    assert_eq!(ran.stderr.matches(refused).count(), 1, "{}", ran.stderr);
    let linked = "set up linked_account \"Anna\": the account is linked";
    assert_eq!(ran.stderr.matches(linked).count(), 1, "{}", ran.stderr);
    let (before, after) = ran.stderr.split_once(linked).unwrap();
    let in_sync = "INFO in sync";
    assert!(before.contains("not linked yet: anna") && !before.contains(in_sync), "{before}");
    assert!(after.contains(in_sync), "{after}");
}

each_release!(ha_set_up_that_fails_by_itself_is_left_alone_until_its_entry_changes);
fn ha_set_up_that_fails_by_itself_is_left_alone_until_its_entry_changes(release: Release) {
    let linking = Linking::new(release);
    let device = "linked_account_device";
    let wrong = linking.house.entry_with_integration(device, "Anna", "anna", "wrong");
    linking.provider.client("anna", "right");
    let other = linking.house.entry("spotify", "Other", "other", "second");
    linking.house.declare(&[wrong, other.clone()]);
    let listener = Listener::start(200);
    linking.house.project.write(
        "appcred.yaml",
        &format!("owner: default\nnotify: {{webhook: {:?}}}\n", listener.url()),
    );
    let running = linking.appcred(&["watch", "--resync", "1"]).spawn();
    eventually("an attempt", || !linking.provider.token_log().is_empty());
    let others = || {
        let held = linking.ha.credentials().into_iter();
        held.filter(|held| held["client_id"] == "other").collect::<Vec<_>>()
    };
    for _ in 0..2 {
        // What is mended shows that another round has ended.
        for held in others() {
            let delete = "application_credentials/delete";
            let id = &held["id"];
            linking.ha.call(json!({"type": delete, "application_credentials_id": id})).unwrap();
        }
        eventually("a round", || others().len() == 1);
    }
    assert_eq!(linking.provider.token_log().len(), 1, "{:?}", linking.provider.token_log());
    let failed = listener.next_of("set_up_failed")["message"].as_str().unwrap().to_owned();
    assert!(failed.starts_with("the set-up of anna failed: "), "{failed}");
    assert!(failed.contains("client id or secret is wrong"), "{failed}");

    linking.house.declare(&[linking.entry(device, "Anna", "anna", "right"), other]);
    let pending = listener.next_of("consent_pending");
    let code = pending["pending_consents"][0]["code"].as_str().unwrap().to_owned();
    linking.provider.consent(&linking.provider.device_link(&code));
    eventually("a linked account", || linking.set_up("anna")["state"] == "loaded");
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert!(ran.stderr.contains("client id or secret is wrong"), "{}", ran.stderr);
}

/// Anna's account, linked by a running watcher; her entry names the provider's token endpoint.
fn linked(release: Release) -> (Linking, Running, String) {
    let linking = Linking::new(release);
    let listener = Listener::start(200);
    let project = format!("owner: default\nnotify: {{webhook: {:?}}}\n", listener.url());
    linking.house.project.write("appcred.yaml", &project);
    linking.provider.client("anna", "first");
    declare_both(&linking, "first");
    let running = linking.appcred(&["watch", "--resync", "1"]).spawn();
    linking.consent(&link(&listener.next_of("consent_pending")));
    listener.next_of("consent_settled");
    let account = linking.account("linked_account")["entry_id"].as_str().unwrap().to_owned();
    (linking, running, account)
}

/// Anna's entry with this secret, and one that shows when a round has ended.
fn declare_both(linking: &Linking, secret: &str) {
    let url = linking.provider.url();
    let anna = linking.house.entry_with_integration("linked_account", "Anna", "anna", secret);
    let anna = format!("{anna}    integration: {{token_url: '{url}/token'}}\n");
    linking.house.declare(&[anna, linking.house.entry("spotify", "Other", "other", "second")]);
}

/// Deletes a client's credential by hand, and waits until the watcher has put it back.
#[track_caller]
fn delete_and_wait(linking: &Linking, client_id: &str) {
    let held = || linking.ha.credentials().into_iter().find(|held| held["client_id"] == client_id);
    let id = held().unwrap()["id"].clone();
    let delete = "application_credentials/delete";
    linking.ha.call(json!({"type": delete, "application_credentials_id": id})).unwrap();
    eventually("it is put back", || held().is_some());
}

each_release!(ha_rotation_to_a_wrong_secret_keeps_the_old_one_and_asks_once);
fn ha_rotation_to_a_wrong_secret_keeps_the_old_one_and_asks_once(release: Release) {
    let (linking, running, account) = linked(release);
    declare_both(&linking, "wrong");
    eventually("it is refused", || {
        running.stderr().contains("the provider refuses the new secret")
    });
    let asked = linking.provider.token_log().len();
    for _ in 0..3 {
        delete_and_wait(&linking, "other");
    }
    assert_eq!(linking.provider.token_log().len(), asked, "a refusal is remembered");
    let secret = || {
        let held = linking.ha.credentials().into_iter();
        held.filter(|held| held["client_id"] == "anna")
            .map(|held| held["client_secret"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(secret(), ["first"]);
    assert_eq!(linking.ha.state_of(&account), "loaded");

    linking.provider.client("anna", "third");
    declare_both(&linking, "third");
    eventually("the right one is in use", || secret() == ["third"]);
    eventually("it runs", || linking.ha.state_of(&account) == "loaded");
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(
        ran.stderr.matches("the provider refuses the new secret").count(),
        1,
        "{}",
        ran.stderr
    );
}

each_release!(ha_linked_account_whose_credential_was_deleted_by_hand_is_not_set_up_again);
fn ha_linked_account_whose_credential_was_deleted_by_hand_is_not_set_up_again(release: Release) {
    let (linking, running, account) = linked(release);
    delete_and_wait(&linking, "anna");
    delete_and_wait(&linking, "other");
    eventually("it runs", || linking.ha.state_of(&account) == "loaded");
    assert!(linking.open_flows().is_empty());
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.stderr.matches("waiting for consent").count(), 1, "{}", ran.stderr);
    assert_eq!(linking.accounts("linked_account").len(), 1);
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_account_that_runs_and_asks_for_consent_again_is_reported_at_once);
fn ha_account_that_runs_and_asks_for_consent_again_is_reported_at_once(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    linking.consent(&crate::linking::link(&linking.json(&["apply", "--yes"])));
    linking.apply();
    let account = linking.account("linked_account")["entry_id"].as_str().unwrap().to_owned();
    let listener = Listener::start(200);
    let project = format!("owner: default\nnotify: {{webhook: {:?}}}\n", listener.url());
    linking.house.project.write("appcred.yaml", &project);
    // The oldest release reports no flows.
    let resync = if release == Release::Ha2024_3 { "1" } else { "86400" };
    let running = linking.appcred(&["watch", "--resync", resync, "--listen=off"]).spawn();
    eventually("it watches", || running.stderr().contains("in sync"));

    linking.ha.ask_again(&account);

    let consent = link(&listener.next_of("consent_pending"));
    assert_eq!(linking.ha.state_of(&account), "loaded");
    linking.consent(&consent);
    listener.next_of("consent_settled");
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}
