//! Changing a credential under an account that is linked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use appcred::model::{ConfigEntry, Domain, FlowId};
use appcred::setup::drive::{self, FlowState};
use appcred::target::{Done, Execute, Operation, Refusal, Stop};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::ha_faults::open;
use crate::linking::{AnnasSetUp, Linking, link};
use crate::real::{Release, TokenRequest, each_release};

const APPLY: &[&str] = &["apply", "--yes"];

/// Anna's account, linked by her consent; her tokens are out of date at once, so that every set-up
/// asks the provider for a new one.
fn linked(release: Release) -> (Linking, String) {
    let linking = Linking::new(release);
    linking.provider.tokens_live(1);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    linking.consent(&link(&linking.json(APPLY)));
    linking.apply();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
    let account = linking.account("linked_account")["entry_id"].as_str().unwrap().to_owned();
    (linking, account)
}

impl Linking {
    /// What the provider saw last.
    fn last_request(&self) -> TokenRequest {
        self.provider.token_log().pop().unwrap()
    }

    /// The states that an account is seen in while something goes on.
    fn states_during<T>(&self, account: &str, work: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut states = BTreeSet::new();
                while !is_over.load(Ordering::Relaxed) {
                    states.insert(self.ha.state_of(account));
                }
                states
            });
            let came_to = work();
            is_over.store(true, Ordering::Relaxed);
            (came_to, watching.join().unwrap())
        })
    }

    /// Removes the account as one that used this when that was planned.
    #[tokio::main(flavor = "current_thread")]
    async fn remove_one_of(&self, implementation: &str) -> Result<Done, Refusal> {
        let mut ha = open(&self.ha.url(), self.ha.token()).await.ok().unwrap();
        let account = ha.accounts(&Domain::new("linked_account")).await?.remove(0);
        let account = ConfigEntry { implementation: Some(implementation.into()), ..account };
        let mut ended = None;
        let remove = vec![Operation::RemoveAccount(account)];
        ha.execute(remove, &Stop::new(), &mut |_, result| ended = Some(result)).await;
        ended.unwrap()
    }

    #[track_caller]
    fn reauth_flows(&self) -> Vec<Value> {
        let flows = self.ha.call(json!({"type": "config_entries/flow/progress"})).unwrap();
        serde_json::from_value(flows).unwrap()
    }
}

each_release!(ha_rotated_secret_is_what_the_provider_sees_next);
fn ha_rotated_secret_is_what_the_provider_sees_next(release: Release) {
    let (linking, account) = linked(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "second")]);

    let (ran, states) = linking.states_during(&account, || linking.apply());

    assert!(ran.stdout.contains("# reloads the linked account \"Anna\""), "{}", ran.stdout);
    let of_a_reload = ["loaded", "not_loaded", "setup_in_progress"];
    assert!(states.iter().all(|state| of_a_reload.contains(&state.as_str())), "{states:?}");
    let last = linking.last_request();
    assert_eq!((last.grant.as_str(), last.status), ("refresh_token", 200));
    assert_eq!(last.client_secret.as_deref(), Some("second"));
    assert_eq!(linking.ha.state_of(&account), "loaded");
    let held = linking.ha.credentials();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0]["client_secret"], "second");
    linking.ha.expire_token(&account);
    assert!(linking.ha.use_account(&account));
    assert_eq!(linking.last_request().client_secret.as_deref(), Some("second"));
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_rotation_to_a_wrong_secret_ends_with_the_old_one_in_force);
fn ha_rotation_to_a_wrong_secret_ends_with_the_old_one_in_force(release: Release) {
    let (linking, account) = linked(release);
    linking.house.declare(&[linking.house.entry("linked_account", "Anna", "anna", "wrong")]);

    let ran = linking.appcred(APPLY).status(1).run();

    assert!(ran.stdout.contains("the old credential is in force again"), "{}", ran.stdout);
    let last = linking.last_request();
    assert_eq!((last.status, last.client_secret.as_deref()), (200, Some("first")));
    assert_eq!(linking.ha.state_of(&account), "loaded");
    let held = linking.ha.credentials();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0]["client_secret"], "first");
    assert!(linking.reauth_flows().is_empty(), "nobody is asked for a consent that is not needed");
}

/// An entry that names the provider's token endpoint.
fn entry_with_token_url(linking: &Linking, secret: &str) -> String {
    let url = linking.provider.url();
    let entry = linking.house.entry_with_integration("linked_account", "Anna", "anna", secret);
    format!("{entry}    integration: {{token_url: '{url}/token'}}\n")
}

each_release!(ha_wrong_secret_is_not_put_in_use_though_the_access_token_still_lives);
fn ha_wrong_secret_is_not_put_in_use_though_the_access_token_still_lives(release: Release) {
    let linking = Linking::new(release);
    linking.provider.client("anna", "first");
    linking.house.declare(&[entry_with_token_url(&linking, "first")]);
    linking.consent(&link(&linking.json(APPLY)));
    linking.apply();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
    let account = linking.account("linked_account")["entry_id"].as_str().unwrap().to_owned();
    let held = linking.ha.credentials();

    linking.house.declare(&[entry_with_token_url(&linking, "wrong")]);
    let (ran, states) = linking.states_during(&account, || linking.appcred(APPLY).status(1).run());
    let refused = "not replaced: the provider refuses the new secret (invalid_client";
    assert!(ran.stdout.contains(refused), "{}", ran.stdout);
    assert_eq!(states, BTreeSet::from(["loaded".to_owned()]));
    assert_eq!(linking.ha.credentials(), held);

    linking.provider.go_down();
    let ran = linking.appcred(APPLY).run();
    assert!(ran.stderr.contains("the provider could not be asked about it"), "{}", ran.stderr);
    linking.provider.come_up();

    linking.provider.client("anna", "second");
    linking.house.declare(&[entry_with_token_url(&linking, "second")]);
    let ran = linking.apply();
    assert!(!ran.stderr.contains("could not be asked"), "{}", ran.stderr);
    assert_eq!(linking.ha.credentials()[0]["client_secret"], "second");
    assert_eq!(linking.ha.state_of(&account), "loaded");
}

each_release!(ha_wrong_secret_does_not_shadow_one_made_by_hand);
fn ha_wrong_secret_does_not_shadow_one_made_by_hand(release: Release) {
    let linking = Linking::new(release);
    linking.provider.client("anna", "first");
    linking.ha.create_credential(
        json!({"domain": "linked_account", "client_id": "anna", "client_secret": "first"}),
    );
    let flow = json!({"handler": "linked_account"});
    let (_, flow) = linking.ha.rest("POST", "/api/config/config_entries/flow", Some(&flow));
    linking.consent(flow["url"].as_str().unwrap());
    let path = format!("/api/config/config_entries/flow/{}", flow["flow_id"].as_str().unwrap());
    linking.ha.rest("GET", &path, None);
    let held = linking.ha.credentials();

    let wrong = entry_with_token_url(&linking, "wrong") + "    adopt: true\n";
    linking.house.declare(&[wrong]);
    let ran = linking.appcred(APPLY).status(1).run();

    assert!(ran.stdout.contains("the provider refuses the new secret"), "{}", ran.stdout);
    assert_eq!(linking.ha.credentials(), held);
}

each_release!(ha_account_that_a_wrong_secret_broke_is_healed_by_the_right_one);
fn ha_account_that_a_wrong_secret_broke_is_healed_by_the_right_one(release: Release) {
    let (linking, account) = linked(release);
    linking.provider.client("anna", "second");
    assert_eq!(linking.ha.reload(&account), "setup_error");
    assert_eq!(linking.reauth_flows().len(), 1);
    assert_eq!(linking.set_up("anna")["state"], "needs_consent_again");

    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "second")]);
    linking.apply();

    assert_eq!(linking.ha.state_of(&account), "loaded");
    assert!(linking.reauth_flows().is_empty());
    assert_eq!(linking.set_up("anna"), json!({"state": "loaded"}));
}

impl Linking {
    /// Deletes Anna's credential as a person may, and lets her account notice; gives what it was.
    #[track_caller]
    fn delete_by_hand(&self, account: &str) -> Value {
        let held = self.ha.credentials().remove(0);
        let delete = "application_credentials/delete";
        self.ha.call(json!({"type": delete, "application_credentials_id": held["id"]})).unwrap();
        assert_eq!(self.ha.reload(account), "setup_error");
        held
    }

    #[track_caller]
    fn is_whole_again(&self, account: &str, held: usize) {
        assert_eq!(self.ha.state_of(account), "loaded");
        assert_eq!(self.accounts("linked_account").len(), 1);
        assert_eq!(self.ha.credentials().len(), held);
        assert!(self.reauth_flows().is_empty());
        let plan = self.json(&["plan"]);
        assert_eq!(plan["steps"], json!([]), "{plan:#}");
    }
}

each_release!(ha_account_whose_credential_was_deleted_by_hand_finds_it_again);
fn ha_account_whose_credential_was_deleted_by_hand_finds_it_again(release: Release) {
    let (linking, account) = linked(release);
    linking.delete_by_hand(&account);
    linking.apply();
    linking.is_whole_again(&account, 1);
}

each_release!(
    ha_account_that_finds_its_credential_again_is_reloaded_by_that_run_also_without_set_ups
);
fn ha_account_that_finds_its_credential_again_is_reloaded_by_that_run_also_without_set_ups(
    release: Release,
) {
    let (linking, account) = linked(release);
    let entry = linking.entry("linked_account", "Anna", "anna", "first");
    // As `import` writes it.
    let imported = entry.clone() + "    integration: {setup: false}\n";
    for (entry, argument) in [(&imported, "--color=never"), (&entry, "--no-setup")] {
        linking.house.declare(std::slice::from_ref(entry));
        linking.delete_by_hand(&account);
        linking.appcred(APPLY).args([argument]).run();
        linking.is_whole_again(&account, 1);
    }

    // An account that does not run with what was created is said at once.
    linking.house.declare(&[imported]);
    linking.delete_by_hand(&account);
    linking.provider.client("anna", "second");
    let ran = linking.appcred(APPLY).status(1).run();
    let why = "the credential is there; the linked account \"Anna\" does not run (setup_error)";
    assert!(ran.stdout.contains(why), "{}", ran.stdout);
}

each_release!(ha_account_of_a_renamed_entry_whose_credential_was_deleted_by_hand_finds_it_again);
fn ha_account_of_a_renamed_entry_whose_credential_was_deleted_by_hand_finds_it_again(
    release: Release,
) {
    let (linking, account) = linked(release);
    let renamed = linking.entry("linked_account", "Anna", "anna", "first")
        + "    key: other\n    formerly: [anna]\n";
    linking.house.declare(&[renamed]);
    linking.apply();
    linking.delete_by_hand(&account);
    linking.apply();
    linking.is_whole_again(&account, 2);
}

each_release!(ha_account_that_a_cut_off_run_left_down_is_reloaded_by_the_next);
fn ha_account_that_a_cut_off_run_left_down_is_reloaded_by_the_next(release: Release) {
    let (linking, account) = linked(release);
    let mut held = linking.delete_by_hand(&account);
    held.as_object_mut().unwrap().remove("id");
    linking.ha.create_credential(held);
    let planned = linking.appcred(&["plan", "--detailed-exitcode"]).status(2).run().stdout;
    assert!(planned.contains("reload linked_account \"Anna\""), "{planned}");
    linking.apply();
    linking.is_whole_again(&account, 1);
}

each_release!(ha_rotation_killed_at_the_reload_is_finished_by_the_next_run);
fn ha_rotation_killed_at_the_reload_is_finished_by_the_next_run(release: Release) {
    let (linking, account) = linked(release);
    for (number, pause) in [0, 30, 60, 100, 200].into_iter().enumerate() {
        let secret = format!("secret-{number}");
        linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", &secret)]);
        let running = linking.appcred(APPLY).spawn();
        let is_new = |held: &Value| held["client_secret"] == secret;
        while !linking.ha.credentials().iter().any(is_new) {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(pause));
        running.signal(Signal::KILL);
        running.finish();
        linking.apply();
        linking.is_whole_again(&account, 1);
        assert_eq!(linking.ha.credentials()[0]["client_secret"], secret);
    }
}

each_release!(ha_secret_of_a_credential_made_by_hand_is_rotated_by_a_shadow);
fn ha_secret_of_a_credential_made_by_hand_is_rotated_by_a_shadow(release: Release) {
    let mut linking = Linking::new(release);
    linking.provider.tokens_live(1);
    linking.provider.client("anna", "first");
    let made = linking.ha.create_credential(
        json!({"domain": "linked_account", "client_id": "anna", "client_secret": "first"}),
    );
    linking
        .house
        .declare(&[linking.entry("linked_account", "Anna", "anna", "first") + "    adopt: true\n"]);
    let flow = json!({"handler": "linked_account"});
    let (_, flow) = linking.ha.rest("POST", "/api/config/config_entries/flow", Some(&flow));
    linking.consent(flow["url"].as_str().unwrap());
    let path = format!("/api/config/config_entries/flow/{}", flow["flow_id"].as_str().unwrap());
    let (_, done) = linking.ha.rest("GET", &path, None);
    let account = done["result"]["entry_id"].as_str().unwrap();
    linking.apply();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();

    let rotated = linking.entry("linked_account", "Anna", "anna", "second") + "    adopt: true\n";
    linking.house.declare(std::slice::from_ref(&rotated));
    let ran = linking.apply();

    let id = made["id"].as_str().unwrap();
    assert!(ran.stdout.contains(&format!("takes the place of {id}, which")), "{}", ran.stdout);
    let last = linking.last_request();
    assert_eq!((last.status, last.client_secret.as_deref()), (200, Some("second")));
    assert_eq!(linking.ha.state_of(account), "loaded");
    let list = linking.appcred(&["list"]).run().stdout;
    assert!(list.contains("was made by hand") && list.contains("deleted when"), "{list}");
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
    linking.ha.restart();
    assert_eq!(linking.ha.state_of(account), "loaded");
    assert_eq!(linking.last_request().client_secret.as_deref(), Some("second"));

    linking.ha.rest("DELETE", &format!("/api/config/config_entries/entry/{account}"), None);
    linking.appcred(APPLY).args(["--no-setup"]).run();
    let held = linking.ha.credentials();
    assert_eq!(held.len(), 1, "the one made by hand and its shadow are gone: {held:?}");
    assert_eq!(held[0]["auth_domain"], "appcred:default:anna");
    assert_eq!(held[0]["client_secret"], "second");
}

each_release!(ha_changed_client_id_is_consented_to_again);
fn ha_changed_client_id_is_consented_to_again(release: Release) {
    let (linking, account) = linked(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "new-client", "third")]);
    let planned = linking.appcred(&["plan"]).run().stdout;
    assert!(planned.contains("linked accounts need consent again"), "{planned}");
    assert!(planned.contains("> link again linked_account \"Anna\""), "{planned}");

    let applied = linking.json(APPLY);

    let consent = link(&applied);
    assert!(consent.contains("client_id=new-client"), "{consent}");
    assert_eq!(linking.ha.state_of(&account), "setup_error");
    assert_eq!(linking.set_up("new-client")["state"], "needs_consent_again");
    linking.consent(&consent);
    linking.apply();
    assert_eq!(linking.json(&["plan"])["steps"], json!([]), "it has gone on");
    assert_eq!(linking.ha.state_of(&account), "loaded");
    let last = linking.last_request();
    assert_eq!((last.status, last.client_id.as_deref()), (200, Some("new-client")));
    assert_eq!(linking.accounts("linked_account").len(), 1);
    assert_eq!(linking.ha.credentials().len(), 1);
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_changed_client_id_of_a_token_that_still_lives_is_told_to_ask_later);
fn ha_changed_client_id_of_a_token_that_still_lives_is_told_to_ask_later(release: Release) {
    let (linking, account) = linked(release);
    linking.provider.tokens_live(3600);
    linking.ha.reload(&account);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "new-client", "third")]);
    let told = linking.appcred(APPLY).status(1).run().stdout;
    assert!(
        told.contains("asks for consent again once the account's token is out of date"),
        "{told}"
    );
    assert_eq!(linking.ha.state_of(&account), "loaded");
}

each_release!(ha_withdrawn_consent_is_given_again_by_authorize);
fn ha_withdrawn_consent_is_given_again_by_authorize(release: Release) {
    let (linking, account) = linked(release);
    linking.provider.forget_consent();
    assert_eq!(linking.ha.reload(&account), "setup_error");
    let told = linking.appcred(&["list"]).run().stdout;
    assert!(told.contains("needs consent again"), "{told}");

    let port = crate::real::free_port().to_string();
    let arguments = ["authorize", "--no-browser", "--show-links", "--port", &port];
    let mut running = linking.appcred(&arguments).spawn();
    let consent = running.line_with("/authorize?");
    crate::real::visit(&linking.provider.consent(&consent).location.unwrap());
    running.line_with("link again linked_account \"Anna\": linked");
    assert_eq!(running.finish().status, Some(0));

    assert_eq!(linking.ha.state_of(&account), "loaded");
    assert!(linking.reauth_flows().is_empty());
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_consent_that_was_cancelled_elsewhere_is_not_reported_as_given);
#[tokio::main(flavor = "current_thread")]
async fn ha_consent_that_was_cancelled_elsewhere_is_not_reported_as_given(release: Release) {
    let (linking, account) = linked(release);
    linking.provider.forget_consent();
    assert_eq!(linking.ha.state_of(&account), "loaded", "until its next set-up");
    let ha = open(&linking.ha.url(), linking.ha.token()).await.ok().unwrap();
    let accounts = ha.accounts(&Domain::new("linked_account")).await.unwrap();
    let account = accounts.iter().find(|one| one.id.as_str() == account);
    let set_up = AnnasSetUp::new("linked_account");
    let task = set_up.task(account);

    let ended =
        drive::follow(&ha, &task, &FlowId::new("gone"), "http://127.0.0.1:1", &Stop::new()).await;

    let FlowState::Failed(why) = ended.unwrap() else { panic!("it counts as linked") };
    assert!(why.contains("was cancelled"), "{why}");
}

each_release!(ha_account_that_is_to_be_linked_again_is_linked_only_where_that_was_seen);
/// The token that it has still lives, so that it runs whatever becomes of the set-up.
fn ha_account_that_is_to_be_linked_again_is_linked_only_where_that_was_seen(release: Release) {
    let linking = Linking::new(release);
    let declare = |client: &str, secret: &str| {
        let entry = linking.entry("linked_account_form", "Cabin", client, secret);
        let answers = "    integration: {answers: {home: {home: Cabin}}}\n";
        linking.house.declare(&[entry + answers]);
    };
    declare("cabin", "first");
    linking.consent(&link(&linking.json(APPLY)));
    linking.apply();

    declare("second-client", "second");
    let ran = linking.appcred(APPLY).status(if release == Release::Ha2024_3 { 1 } else { 0 }).run();
    if release == Release::Ha2024_3 {
        assert!(ran.stdout.contains("asks for consent again once"), "{}", ran.stdout);
        return;
    }
    let flows = linking.open_flows();
    let [flow] = flows.as_slice() else { panic!("{flows:?}") };
    let flow = format!("/api/config/config_entries/flow/{}", flow["flow_id"].as_str().unwrap());
    assert_eq!(linking.ha.rest("DELETE", &flow, None).0, 200);
    let told = linking.appcred(APPLY).status(1).run().stdout;
    assert!(told.contains("the account was not linked again"), "{told}");
    assert_eq!(linking.account("linked_account_form")["state"], "loaded");

    declare("third-client", "third");
    let refused = linking.provider.refuse(&link(&linking.json(APPLY))).location.unwrap();
    crate::real::visit(&refused);
    let told = linking.appcred(APPLY).status(1).run().stdout;
    assert!(told.contains("consent was refused at the provider"), "{told}");
    assert_eq!(linking.account("linked_account_form")["state"], "loaded");

    declare("fourth-client", "fourth");
    let consent = link(&linking.json(APPLY));
    linking.consent(&consent);
    let flow = linking.open_flows()[0]["flow_id"].as_str().unwrap().to_owned();
    // Home Assistant's own page finishes it.
    let ended = linking.ha.rest("GET", &format!("/api/config/config_entries/flow/{flow}"), None);
    assert_eq!(ended.1["reason"], "reconfigure_successful", "{}", ended.1);
    linking.apply();
    assert_eq!(linking.accounts("linked_account_form").len(), 1);
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_account_goes_with_its_credential_only_where_somebody_says_so);
fn ha_account_goes_with_its_credential_only_where_somebody_says_so(release: Release) {
    let (linking, _) = linked(release);
    let ben = linking.entry("linked_account", "Ben", "ben", "second");
    linking.house.declare(std::slice::from_ref(&ben));
    let told = linking.appcred(APPLY).args(["--no-setup"]).run().stdout;
    assert!(told.contains("used by the linked account \"Anna\""), "{told}");
    assert_eq!((linking.ha.credentials().len(), linking.accounts("linked_account").len()), (2, 1));

    let told = linking.appcred(APPLY).args(["--no-setup", "--remove-integrations"]).run().stdout;
    assert!(told.contains("removes the linked account \"Anna\" first"), "{told}");
    let held = linking.ha.credentials();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0]["client_id"], "ben");
    assert!(linking.accounts("linked_account").is_empty());
}

each_release!(ha_account_goes_with_its_entry_where_that_said_so);
fn ha_account_goes_with_its_entry_where_that_said_so(release: Release) {
    let linking = Linking::new(release);
    let anna = linking.entry("linked_account", "Anna", "anna", "first");
    let tied = "    integration: {on_delete: remove_integration}\n";
    linking.house.declare(&[format!("{anna}{tied}")]);
    linking.consent(&link(&linking.json(APPLY)));
    linking.apply();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();

    linking.house.declare(&[anna]);
    linking.apply();
    linking.house.declare(&[linking.house.entry("spotify", "Other", "other", "second")]);
    let told = linking.apply().stdout;
    assert!(told.contains("used by the linked account"), "the word was taken back\n{told}");

    let anna = linking.entry("linked_account", "Anna", "anna", "first");
    linking.house.declare(&[format!("{anna}{tied}")]);
    linking.apply();
    linking.house.declare(&[linking.house.entry("spotify", "Other", "other", "second")]);
    assert_eq!(linking.remove_one_of("appcred:default:other"), Err(Refusal::Changed));
    assert_eq!(linking.accounts("linked_account").len(), 1, "it uses another credential by now");
    linking.apply();
    assert!(linking.accounts("linked_account").is_empty());
    let held = linking.ha.credentials();
    assert_eq!(held.len(), 1, "{held:?}");
}
