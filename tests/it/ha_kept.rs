//! What people said is to be left alone, at a running Home Assistant.

use serde_json::Value;

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release};

const DOMAIN: &str = "linked_account";

fn secrets(ha: &HomeAssistant) -> Vec<Value> {
    ha.credentials().into_iter().map(|mut held| held["client_secret"].take()).collect()
}

each_release!(ha_what_is_protected_suspended_or_forgotten_stays);
fn ha_what_is_protected_suspended_or_forgotten_stays(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    let anna = |secret: &str, more: &str| {
        house.declare(&[house.entry(DOMAIN, "Anna", "anna", secret) + more]);
    };
    anna("first", "");
    house.apply(&ha);
    let account = ha.link_by_hand(DOMAIN, "appcred:default:anna");

    anna("second", "    protect: true\n");
    let ran = house.appcred(&ha).args(["apply", "--yes"]).status(1).run();
    assert!(ran.stdout.contains("`anna` is protected"), "{}", ran.stdout);
    assert_eq!(secrets(&ha), ["first"]);
    house.appcred(&ha).args(["apply", "--yes", "--allow-protected", "anna"]).run();
    assert_eq!(secrets(&ha), ["second"]);

    anna("third", "    suspend: true\n");
    house.apply(&ha);
    assert_eq!(secrets(&ha), ["second"]);

    house.appcred(&ha).args(["forget", "anna"]).run();
    house.appcred(&ha).args(["apply", "--yes", "--allow-empty", "--remove-integrations"]).run();
    assert_eq!(secrets(&ha), ["second"]);
    assert_eq!(ha.state_of(&account), "loaded");

    // What has the key again takes it up again.
    anna("third", "");
    house.apply(&ha);
    assert_eq!(secrets(&ha), ["third"]);
}

each_release!(ha_a_suspended_entry_is_not_set_up);
fn ha_a_suspended_entry_is_not_set_up(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    let entry = house.entry_with_integration(DOMAIN, "Anna", "anna", "first");
    house.declare(&[entry.clone() + "    suspend: true\n"]);
    house.apply(&ha);
    assert!(ha.credentials().is_empty());
    house.declare(std::slice::from_ref(&entry));
    house.appcred(&ha).args(["apply", "--yes", "--no-setup"]).run();
    house.declare(&[entry + "    suspend: true\n"]);
    let ran = house.apply(&ha);
    assert!(ran.stdout.contains("set up linked_account"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("redirect_uri"), "nobody is asked for consent: {}", ran.stdout);
}
