//! Whose a credential is, on a running Home Assistant.

use serde_json::{Value, json};

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release};

const DOMAIN: &str = "linked_account";

/// A house in Git with an owner of its own.
fn house_of(owner: &str) -> House {
    let house = House::new();
    house.project.write("appcred.yaml", &format!("owner: {owner}\n"));
    house
}

impl House {
    /// An entry with more fields.
    fn entry_with(&self, name: &str, client_id: &str, secret: &str, more: &str) -> String {
        self.entry(DOMAIN, name, client_id, secret) + more
    }

    #[track_caller]
    fn is_in_sync_with(&self, ha: &HomeAssistant) {
        self.appcred(ha).args(["plan", "--detailed-exitcode"]).status(0).run();
    }
}

fn auth_domains(ha: &HomeAssistant) -> Vec<Value> {
    ha.credentials().into_iter().map(|mut held| held["auth_domain"].take()).collect()
}

fn remove_account(ha: &HomeAssistant, account: &str) {
    let path = format!("/api/config/config_entries/entry/{account}");
    assert_eq!(ha.rest("DELETE", &path, None).0, 200);
}

/// Anna's account, linked with a credential made by hand that `house` has adopted and rotated.
fn shadowed(house: &House, ha: &HomeAssistant) -> (String, String) {
    let made = ha
        .create_credential(json!({"domain": DOMAIN, "client_id": "anna", "client_secret": "old"}));
    let id = made["id"].as_str().unwrap().to_owned();
    let account = ha.link_by_hand(DOMAIN, &id);
    house.declare(&[house.entry_with("Anna", "anna", "new", "    adopt: true\n")]);
    house.apply(ha);
    (id, account)
}

each_release!(ha_what_home_assistant_took_over_from_yaml_is_left_alone_until_it_is_adopted);
/// Home Assistant stores what it takes over from YAML under the integration's name; with a client
/// id that is a number the id of it looks like that of a second credential.
fn ha_what_home_assistant_took_over_from_yaml_is_left_alone_until_it_is_adopted(release: Release) {
    let ha = HomeAssistant::start(release);
    let made = ha.create_credential(json!({
        "domain": DOMAIN, "client_id": "12345", "client_secret": "theirs", "auth_domain": DOMAIN,
    }));
    assert_eq!(made["id"], "linked_account_12345");
    let house = house_of("house");
    house.declare(&[house.entry(DOMAIN, "Ben", "ben", "ours")]);
    house.apply(&ha);
    assert_eq!(ha.credentials()[0], made);
    house.is_in_sync_with(&ha);

    let account = ha.link_by_hand(DOMAIN, DOMAIN);
    let adopted = house.entry_with("Anna", "'12345'", "new", "    adopt: true\n");
    house.declare(&[house.entry(DOMAIN, "Ben", "ben", "ours"), adopted]);
    house.apply(&ha);

    let all = ["appcred:house:ben", "appcred:house:anna:linked_account", DOMAIN];
    assert_eq!(auth_domains(&ha), all);
    assert_eq!(ha.state_of(&account), "loaded");
    house.is_in_sync_with(&ha);
}

each_release!(ha_what_one_owner_has_shadowed_no_other_touches);
fn ha_what_one_owner_has_shadowed_no_other_touches(release: Release) {
    let ha = HomeAssistant::start(release);
    let (house, cabin) = (house_of("house"), house_of("cabin"));
    let (_, account) = shadowed(&house, &ha);
    let held = ha.credentials();
    assert_eq!(held.len(), 3, "{held:?}");

    cabin.declare(&[cabin.entry(DOMAIN, "Ben", "ben", "theirs")]);
    cabin.appcred(&ha).args(["apply", "--yes", "--remove-integrations"]).run();
    cabin.declare(&[cabin.entry_with("Anna", "anna", "theirs", "    adopt: true\n")]);
    let ran = cabin.appcred(&ha).args(["apply", "--yes"]).status(1).run();
    let why = "entry `anna` of owner `house` manages it";
    assert!(ran.stdout.contains(why), "{}", ran.stdout);

    assert_eq!(ha.credentials(), held);
    assert_eq!(ha.state_of(&account), "loaded");
    house.is_in_sync_with(&ha);
}

each_release!(ha_account_of_a_renamed_entry_goes_on);
fn ha_account_of_a_renamed_entry_goes_on(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = house_of("house");
    house.declare(&[house.entry(DOMAIN, "Anna", "anna", "first")]);
    house.apply(&ha);
    let account = ha.link_by_hand(DOMAIN, "appcred:house:anna");

    house.declare(&[house.entry(DOMAIN, "Family", "anna", "first")]);
    let ran = house.appcred(&ha).args(["apply", "--yes", "--remove-integrations"]).run();
    assert!(ran.stdout.contains("claim linked_account \"Family\""), "{}", ran.stdout);
    assert!(ran.stdout.contains("`formerly` with the old key"), "{}", ran.stdout);
    house.is_in_sync_with(&ha);
    house.declare(&[house.entry(DOMAIN, "Family", "anna", "second")]);
    house.apply(&ha);

    let held = ha.credentials();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held.iter().all(|one| one["client_secret"] == "second"), "{held:?}");
    assert_eq!(ha.state_of(&account), "loaded");
    house.is_in_sync_with(&ha);

    remove_account(&ha, &account);
    house.apply(&ha);
    assert_eq!(auth_domains(&ha), ["appcred:house:family"]);
}

each_release!(ha_account_gets_no_client_of_an_entry_that_was_given_its_key);
/// Ben's entry is removed and Anna's renamed to that, before anything is applied; and both get another owner.
fn ha_account_gets_no_client_of_an_entry_that_was_given_its_key(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = house_of("house");
    let entry = |name: &str, client: &str, more: &str| {
        house.entry_with(name, client, &format!("of {client}"), more)
    };
    house.declare(&[entry("Anna", "anna", ""), entry("Ben", "ben", "")]);
    house.apply(&ha);
    let accounts =
        ["anna", "ben"].map(|key| ha.link_by_hand(DOMAIN, &format!("appcred:house:{key}")));
    let held = ha.credentials();
    let left = |message: &str| {
        let ran = house.appcred(&ha).args(["apply", "--yes"]).status(1).run();
        assert!(ran.stdout.contains(message), "{}", ran.stdout);
        assert!(ha.credentials().starts_with(&held));
    };

    house.declare(&[entry("Ben", "anna", "    key: ben\n    formerly: [anna]\n")]);
    left("was linked under `ben` with another client");
    house.declare(&[entry("Anna", "anna2", ""), entry("Ben", "ben", "")]);
    house.project.write("appcred.yaml", "owner: villa\nprevious_owners: [house]\n");
    left("the owner `house`, which `previous_owners` names");

    for client in ["anna", "anna2"] {
        house.declare(&[entry("Anna", client, ""), entry("Ben", "ben", "")]);
        house.apply(&ha);
        house.is_in_sync_with(&ha);
    }
    let clients = ha.credentials().into_iter().map(|mut held| held["client_id"].take());
    assert!(clients.clone().all(|client| client == "anna2" || client == "ben"));
    for account in accounts {
        assert_eq!(ha.state_of(&account), "loaded");
    }
}

each_release!(ha_removed_entry_takes_its_shadow_its_original_and_its_claim_along);
fn ha_removed_entry_takes_its_shadow_its_original_and_its_claim_along(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = house_of("house");
    let (id, account) = shadowed(&house, &ha);
    let all = [Value::Null, json!(format!("appcred:house:anna:{id}")), json!(id)];
    assert_eq!(auth_domains(&ha), all);

    house.declare(&[house.entry(DOMAIN, "Ben", "ben", "ours")]);
    let ran = house.apply(&ha);
    assert!(ran.stdout.contains("used by the linked account"), "{}", ran.stdout);
    assert_eq!(ha.credentials().len(), 4);
    assert_eq!(ha.state_of(&account), "loaded");

    remove_account(&ha, &account);
    house.apply(&ha);
    assert_eq!(auth_domains(&ha), ["appcred:house:ben"]);
    house.is_in_sync_with(&ha);
}

/// An account that names the credential of `house` by its id and not by its mark, as after a restore
/// of one of Home Assistant's two storage files.
fn named_by_id(ha: &mut HomeAssistant) -> (String, String) {
    let id = ha.credentials()[0]["id"].as_str().unwrap().to_owned();
    let mark = "appcred:house:anna";
    let account = ha.link_by_hand(DOMAIN, mark);
    ha.stop();
    let file = ha.config_dir().join(".storage/core.config_entries");
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(stored.contains(mark), "{stored}");
    std::fs::write(&file, stored.replace(mark, &id)).unwrap();
    ha.start_again();
    assert_eq!(ha.state_of(&account), "setup_error");
    (id, account)
}

each_release!(ha_account_that_names_our_credential_by_its_id_is_named_and_runs_again);
fn ha_account_that_names_our_credential_by_its_id_is_named_and_runs_again(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let house = house_of("house");
    house.declare(&[house.entry(DOMAIN, "Anna", "anna", "first")]);
    house.apply(&ha);
    let (id, account) = named_by_id(&mut ha);

    let ben = house.entry(DOMAIN, "Ben", "ben", "ours");
    house.declare(&[house.entry(DOMAIN, "Anna", "anna", "second"), ben.clone()]);
    let ran = house.appcred(&ha).args(["apply", "--yes"]).status(1).run();
    let why = "the linked account \"Linked by hand\" names it by its id";
    assert!(ran.stdout.contains(why), "{}", ran.stdout);
    assert!(auth_domains(&ha).contains(&json!("appcred:house:ben")));

    house.apply(&ha);
    assert_eq!(ha.state_of(&account), "loaded", "{}", ha.log());
    house.is_in_sync_with(&ha);
    house.declare(&[house.entry(DOMAIN, "Anna", "anna", "third"), ben.clone()]);
    house.apply(&ha);
    let shadow = ha.credentials().into_iter().rfind(|held| held["auth_domain"] == *id).unwrap();
    assert_eq!(shadow["client_secret"], "third");
    house.is_in_sync_with(&ha);

    remove_account(&ha, &account);
    house.apply(&ha);
    house.is_in_sync_with(&ha);
    let mut all = auth_domains(&ha);
    all.sort_by_key(Value::to_string);
    assert_eq!(all, ["appcred:house:anna", "appcred:house:ben"]);
    // What is noted of the account that is gone is said of no other.
    ha.link_by_hand(DOMAIN, "cloud");
    house.is_in_sync_with(&ha);
}

each_release!(ha_accounts_one_of_which_names_our_credential_by_its_id_are_all_named);
fn ha_accounts_one_of_which_names_our_credential_by_its_id_are_all_named(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let house = house_of("house");
    house.declare(&[house.entry(DOMAIN, "Anna", "anna", "first")]);
    house.apply(&ha);
    let (_, account) = named_by_id(&mut ha);
    ha.link_by_hand(DOMAIN, "cloud");
    house.declare(&[house.entry(DOMAIN, "Ben", "ben", "ours")]);
    for _ in 0..2 {
        let ran = house.appcred(&ha).args(["apply", "--yes"]).status(1).run();
        let why = "one of these linked accounts names it by its id and does not find it: \"Linked by hand\", \"Linked by hand\"";
        assert!(ran.stdout.contains(why), "{}", ran.stdout);
        assert!(auth_domains(&ha).contains(&json!("appcred:house:ben")));
    }
    remove_account(&ha, &account);
    house.apply(&ha);
    house.is_in_sync_with(&ha);
}
