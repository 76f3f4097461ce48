//! The keys that `policy` names: followed where an entry has another one now, and reported where nothing has one.

use serde_json::json;

use crate::changing::House;
use crate::shell::Appcred;

const ENTRY: &str =
    "application_credentials:\n  - {domain: spotify, key: KEY, client_id: a, client_secret: AGE}\n";
const NONE: &str = "application_credentials: []\n";

fn entry(key: &str) -> String {
    ENTRY.replace("KEY", key)
}

fn with_policy(policy: &str) -> House {
    let house = House::new(&entry("a"));
    let project = house.text("appcred.yaml");
    house.project.write("appcred.yaml", &format!("{project}policy: {{{policy}}}\n"));
    house
}

#[track_caller]
fn says(appcred: Appcred, expected: &str) {
    let ran = appcred.run();
    let said = ran.stdout + &ran.stderr;
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_key_that_the_policy_protects_is_followed_to_the_present_one() {
    let house = with_policy("protect: [a]");
    house.appcred("apply --yes").run();
    house.appcred("rename a b").run();
    house.appcred("apply --yes").status(1).run();
    house.appcred("apply --yes --allow-protected a,b").run();
    assert_eq!(house.held(), [("appcred:house:b".to_owned(), "m4rk3d-old".to_owned())]);
    let changed = house.text("credentials.yaml");
    assert!(changed.contains("formerly"), "{changed}");
    house.appcred("rm b").status(1).run();
    house.declare(&entry("b, formerly: [a]").replace("AGE", "@NEW"));
    says(house.appcred("apply --yes").status(1), "not done: replace spotify");
}

#[test]
fn what_carries_a_protected_key_stays_where_another_entry_has_claimed_it() {
    let house = with_policy("protect: [a]");
    house.appcred("apply --yes").run();
    let account = json!({"version": 1, "minor_version": 4, "data": {"entries": [{
        "entry_id": "e1", "domain": "spotify", "title": "Ann", "source": "user", "disabled_by": null,
        "data": {"auth_implementation": "appcred:house:a", "token": {}},
    }]}});
    let accounts = "ha/.storage/core.config_entries";
    house.project.write(accounts, &account.to_string());
    house.declare(&entry("b, formerly: [a], protect: true"));
    house.appcred("apply --yes").run();
    let marks = || house.held().into_iter().map(|(mark, _)| mark).collect::<Vec<_>>();
    assert!(marks().contains(&"appcred:house:b:appcred:house:a".to_owned()), "{:?}", marks());

    house.declare(NONE);
    house.project.write(accounts, r#"{"version": 1, "data": {"entries": []}}"#);
    house.appcred("apply --yes --allow-empty").status(1).run();
    assert!(marks().contains(&"appcred:house:a".to_owned()), "{:?}", marks());
}

#[test]
fn a_mistyped_key_that_protects_nothing_is_reported() {
    let house = with_policy("protect: [ab, aa]");
    let expected = "`protect` protects nothing by this key: there is no entry or credential with the key `ab`: did you mean `a`?";
    says(house.appcred("plan"), expected);
    says(house.appcred("plan"), "appcred.yaml:4:20");
    house.appcred("plan --strict").status(1).run();
}

#[test]
fn a_mistyped_key_is_an_error_beside_a_suspended_target_too() {
    let house = House::new(&entry("a"));
    let project = house.text("appcred.yaml");
    let two = "ha}, old: {config_dir: old, suspend: true}";
    house.project.write("appcred.yaml", &project.replace("ha}", two));
    for mistyped in ["--exclude aa", "--key aa", "--domain spotfy", "--allow-protected aa"] {
        says(house.appcred(&format!("apply --yes {mistyped}")).status(1), "did you mean");
        assert_eq!(house.held(), []);
    }
    house.declare(&ENTRY.replace("KEY", "a, targets: [old]"));
    house.appcred("plan --key a --detailed-exitcode").status(0).run();
}

#[test]
fn what_is_forgotten_is_neither_imported_nor_deleted_without_a_word() {
    let house = House::new(&entry("a"));
    house.appcred("apply --yes").run();
    house.appcred("forget a").run();
    let forgotten = "the policy has that key under `forgotten`";
    says(house.appcred("import --yes"), forgotten);
    assert_eq!(house.text("credentials.yaml").trim(), NONE.trim());

    let add = house.appcred("add --domain spotify --name A --client-id a --secret-stdin");
    says(add.stdin("m4rk3d-new").status(1), "would manage that credential again");

    house.declare(&entry("a"));
    says(house.appcred("validate"), "`forgotten` has `a`, and so has an entry");
    house.appcred("validate --strict").status(1).run();
    says(house.appcred("rm a"), "What targets hold of it stays");
    house.appcred("apply --yes --allow-empty").run();
    assert_eq!(house.held().len(), 1);
}

#[test]
fn rm_does_not_promise_a_deletion_that_the_policy_forbids() {
    let house = with_policy("prune: none");
    says(house.appcred("rm a"), "since the policy says `prune: none`");
}
