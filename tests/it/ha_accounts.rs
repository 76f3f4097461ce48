//! Several accounts through one credential: each linked by its own consent and known again.

use std::collections::{BTreeMap, BTreeSet};

use appcred::model::{AccountName, ConfigEntry, Domain, Mark, Owner};
use appcred::target::Refusal;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::forms::check_own;
use crate::ha_faults::open;
use crate::linking::Linking;
use crate::listener::Listener;
use crate::real::{HomeAssistant, Release, each_release, free_port, visit};
use crate::tripwire::Tripwire;
use crate::watch::eventually;

const DOMAIN: &str = "linked_account_several";
const APPLY: &[&str] = &["apply", "--yes"];

impl Linking {
    /// The one entry, with these accounts.
    fn names(&self, accounts: &[&str]) {
        self.names_and(accounts, "");
    }

    fn names_and(&self, accounts: &[&str], more: &str) {
        let entry = self.entry(DOMAIN, "Family", "family", "first");
        let accounts = accounts.join(", ");
        self.house.declare(&[format!("{entry}    accounts: [{accounts}]\n{more}")]);
    }

    /// The links that `apply` waits at, by account.
    fn links(&self) -> BTreeMap<String, String> {
        links(&self.json(APPLY))
    }

    /// The ids of the linked accounts, by the user at the provider.
    fn linked(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let stored = self.accounts(DOMAIN).into_iter();
        stored.map(|account| (text(&account["title"]), text(&account["entry_id"]))).collect()
    }

    fn entitle(&self, account: &str, title: &str) {
        let update = json!({"type": "config_entries/update", "entry_id": account, "title": title});
        self.ha.call(update).unwrap();
    }

    /// How far each account is, as `list` reports it.
    fn states(&self) -> BTreeMap<String, String> {
        let listed = self.json(&["list"]);
        check_own("list.schema.json", &json!({"format_version": 1, "targets": [listed]}));
        let all = listed["credentials"].as_array().unwrap();
        assert_eq!(all.len(), 1, "{listed:#}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let accounts = all[0]["accounts"].as_array().unwrap().iter();
        accounts.map(|account| (text(&account["name"]), text(&account["state"]))).collect()
    }

    #[track_caller]
    fn is_in_sync(&self) {
        self.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
    }
}

fn links(applied: &Value) -> BTreeMap<String, String> {
    let steps = applied["steps"].as_array().unwrap().iter();
    let waiting = steps.filter(|step| step["outcome"] == "waiting");
    let link = |step: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{step:#}")).to_owned();
        (text(&step["account"]), text(&step["waits_for"]["link"]))
    };
    waiting.map(link).collect()
}

/// Ann and Bob, linked by two consents.
fn ann_and_bob(release: Release) -> Linking {
    let linking = Linking::new(release);
    linking.names(&["Ann", "Bob"]);
    let links = linking.links();
    assert_eq!(links.keys().collect::<Vec<_>>(), ["Ann", "Bob"]);
    assert_ne!(links["Ann"], links["Bob"]);
    // Whoever consents first does not matter.
    linking.consent_as(&links["Bob"], "bob");
    linking.consent_as(&links["Ann"], "ann");
    linking.apply();
    linking.is_in_sync();
    linking
}

each_release!(ha_account_is_linked_by_what_a_renamed_entry_has);
fn ha_account_is_linked_by_what_a_renamed_entry_has(release: Release) {
    let linking = ann_and_bob(release);
    linking.names_and(&["Ann", "Bob", "Cleo"], "    key: other\n    formerly: [family]\n");
    linking.apply();
    let links = linking.links();
    assert_eq!(links.keys().collect::<Vec<_>>(), ["Cleo"]);
    linking.consent_as(&links["Cleo"], "cleo");
    linking.apply();
    linking.is_in_sync();
    assert_eq!(linking.linked().len(), 3);
}

each_release!(ha_accounts_of_one_credential_are_each_linked_by_their_own_consent);
fn ha_accounts_of_one_credential_are_each_linked_by_their_own_consent(release: Release) {
    let linking = Linking::new(release);
    linking.names(&["Ann", "Bob"]);
    linking.apply();
    let plan = linking.appcred(&["plan"]).run().stdout;
    assert!(plan.contains("set up linked_account_several \"Family\" for Ann"), "{plan}");
    assert!(plan.contains("this account is not linked yet"), "{plan}");
    let links = linking.links();
    let said = linking.appcred(&["apply", "--yes", "--show-links"]).run().stdout;
    assert!(
        said.contains("log in at the provider as Bob") && said.contains(&links["Bob"]),
        "{said}"
    );
    assert!(said.contains("`appcred authorize family/Bob`"), "{said}");

    linking.consent_as(&links["Ann"], "ann");
    linking.apply();
    let states = json!({"Ann": "loaded", "Bob": "in_progress"});
    assert_eq!(json!(linking.states()), states);
    linking.consent_as(&links["Bob"], "bob");
    let said = linking.apply().stdout;
    let is_bob = format!("\"bob@provider.example\", {}", linking.linked()["bob@provider.example"]);
    assert!(said.contains(&format!("\"Family\" for Bob: linked: {is_bob}\n")), "{said}");
    linking.is_in_sync();
    assert_eq!(json!(linking.states()), json!({"Ann": "loaded", "Bob": "loaded"}));
    assert_eq!(
        linking.linked().keys().collect::<Vec<_>>(),
        ["ann@provider.example", "bob@provider.example"]
    );
    assert_eq!(linking.ha.credentials().len(), 1);
    let list = linking.appcred(&["list"]).run().stdout;
    assert!(list.contains("Ann linked, Bob linked"), "{list}");
    assert!(list.contains(&format!("family/Bob is the linked account {is_bob}\n")), "{list}");
    let said = linking.appcred(&["authorize", "family/bob"]).run().stdout;
    assert_eq!(said, format!("home: family/Bob is linked already: {is_bob}\n"));

    // Titles that were exchanged mislead nobody.
    let linked = linking.linked();
    linking.entitle(&linked["ann@provider.example"], "Bob");
    linking.entitle(&linked["bob@provider.example"], "Ann");
    linking.is_in_sync();
}

each_release!(ha_account_is_added_and_taken_away_without_touching_the_others);
fn ha_account_is_added_and_taken_away_without_touching_the_others(release: Release) {
    let linking = ann_and_bob(release);
    let before = linking.linked();
    let credential = linking.ha.credentials()[0]["id"].clone();

    linking.names(&["Ann", "Bob", "Carl"]);
    let links = linking.links();
    assert_eq!(links.keys().collect::<Vec<_>>(), ["Carl"]);
    // Somebody who is linked already is not Carl.
    linking.consent_as(&links["Carl"], "bob");
    let ran = linking.appcred(APPLY).status(1).run();
    let why = "this account is linked already (already_configured), so it is not Carl's; the linked accounts are \"ann@provider.example\" (Ann), \"bob@provider.example\" (Bob); try again, and log in at the provider as Carl";
    assert!(ran.stdout.contains(why), "{}", ran.stdout);
    assert_eq!(linking.linked(), before);
    linking.consent_as(&linking.links()["Carl"], "carl");
    linking.apply();
    linking.is_in_sync();
    assert_eq!(
        json!(linking.states()),
        json!({"Ann": "loaded", "Bob": "loaded", "Carl": "loaded"})
    );

    linking.names(&["Ann", "Carl"]);
    let plan = linking.json(&["plan"]);
    let left = &plan["undeclared_accounts"][0];
    assert_eq!((&left["name"], &left["title"]), (&json!("Bob"), &json!("bob@provider.example")));
    let said = linking.apply().stdout;
    let id = &before["bob@provider.example"];
    let was = format!("the linked account \"bob@provider.example\", {id} was Bob");
    assert!(said.contains(&was), "{said}");
    assert_eq!(linking.linked().len(), 3, "nobody has asked for more");
    let removing = ["plan", "--remove-integrations", "--fail-on", "delete"];
    let ran = linking.appcred(&removing).status(1).run();
    assert!(ran.stderr.contains("--fail-on delete: 1 linked account to delete"));
    linking.appcred(&["apply", "--yes", "--remove-integrations"]).run();
    let mut after = linking.linked();
    assert!(after.remove("carl@provider.example").is_some());
    assert_eq!(Some(&after["ann@provider.example"]), before.get("ann@provider.example"));
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(linking.ha.credentials()[0]["id"], credential);
    linking.is_in_sync();
    assert_eq!(json!(linking.states()), json!({"Ann": "loaded", "Carl": "loaded"}));
}

each_release!(ha_account_that_was_linked_before_is_known_by_its_title_and_never_guessed);
fn ha_account_that_was_linked_before_is_known_by_its_title_and_never_guessed(release: Release) {
    let linking = Linking::new(release);
    let entry = linking.house.entry(DOMAIN, "Family", "family", "first");
    linking.house.declare(std::slice::from_ref(&entry));
    linking.apply();
    let [first, second] =
        [(); 2].map(|()| linking.ha.link_by_hand(DOMAIN, "appcred:default:family"));
    linking.names(&["'Linked by hand'"]);
    let withheld = linking.json(&["plan"])["withheld"].clone();
    assert_eq!(withheld[0]["why"], "several_accounts", "{withheld:#}");
    for account in [&first, &second] {
        assert!(withheld[0]["message"].as_str().unwrap().contains(account), "{withheld:#}");
    }
    let said = linking.appcred(&["authorize"]).run().stdout;
    assert!(said.contains("family/Linked by hand is not linked: it may be any of"), "{said}");

    linking.entitle(&first, "Ann");
    linking.names(&["Ann", "Linked by hand"]);
    linking.apply();
    linking.is_in_sync();
    linking.entitle(&first, "Linked by hand");
    linking.is_in_sync();
    linking.names_and(&["Ann"], "    integration: {on_delete: remove_integration}\n");
    linking.apply();
    let left: Vec<_> = linking.accounts(DOMAIN);
    assert_eq!((left.len(), &left[0]["entry_id"]), (1, &json!(first)));
}

each_release!(ha_account_is_removed_by_a_note_of_its_owner_alone);
#[tokio::main(flavor = "current_thread")]
async fn ha_account_is_removed_by_a_note_of_its_owner_alone(release: Release) {
    let ha = HomeAssistant::start(release);
    let (cabin, family) = ("appcred:cabin:family", "appcred:default:family");
    for auth_domain in [family, cabin] {
        ha.create_credential(json!({
            "domain": DOMAIN, "client_id": "c", "client_secret": "s", "auth_domain": auth_domain,
        }));
    }
    let client = open(&ha.url(), ha.token()).await.ok().unwrap();
    let (mark, ann) = (Mark::parse(family).unwrap(), AccountName::new("Ann").unwrap());
    let account = async |auth_domain| {
        let id = ha.link_by_hand(DOMAIN, auth_domain);
        let mut all = client.accounts(&Domain::new(DOMAIN)).await.unwrap();
        all.remove(all.iter().position(|one| one.id.as_str() == id).unwrap())
    };
    let noted = |notes: &[(&str, &str)], account: &ConfigEntry| {
        for (mark, name) in notes {
            let (key, value) = (format!("{mark}#account.{name}"), json!(account.id.as_str()));
            let note = json!({"type": "frontend/set_user_data", "key": key, "value": value});
            ha.call(note).unwrap();
        }
    };
    let cabin_before = BTreeSet::from([Owner::new("cabin").unwrap()]);
    for (notes, previous, is_removed) in [
        (&[(cabin, "Ann")][..], &BTreeSet::new(), false),
        (&[(family, "Bob")], &BTreeSet::new(), false),
        (&[(cabin, "Ann")], &cabin_before, true),
        (&[(family, "Ann"), (cabin, "Bob")], &BTreeSet::new(), true),
        (&[(family, "Ann"), (cabin, "Bob")], &cabin_before, true),
    ] {
        let account = account(family).await;
        noted(notes, &account);
        let removed = client.remove_named_account((&mark, previous), &ann, &account).await;
        let expected = if is_removed { Ok(()) } else { Err(Refusal::Changed) };
        assert_eq!(removed, expected, "{notes:?} {previous:?}");
        let is_there = ha.config_entries().iter().any(|one| one["entry_id"] == account.id.as_str());
        assert_eq!(is_there, !is_removed, "{notes:?} {previous:?}");
    }
    // It was linked by another credential meanwhile.
    let now = account(cabin).await;
    noted(&[(family, "Ann")], &now);
    let planned = ConfigEntry { implementation: Some(family.into()), ..now };
    let of = (&mark, &BTreeSet::new());
    let removed = client.remove_named_account(of, &ann, &planned).await;
    assert_eq!(removed, Err(Refusal::Changed));
}

each_release!(ha_account_that_nobody_names_and_that_does_not_run_fails_no_apply);
fn ha_account_that_nobody_names_and_that_does_not_run_fails_no_apply(release: Release) {
    let linking = ann_and_bob(release);
    let stranger = linking.ha.link_by_hand(DOMAIN, "appcred:default:family");
    linking.ha.expire_token(&stranger);
    let stop_asking = || {
        let flows = linking.ha.call(json!({"type": "config_entries/flow/progress"})).unwrap();
        for flow in flows.as_array().unwrap() {
            let id = flow["flow_id"].as_str().unwrap();
            linking.ha.rest("DELETE", &format!("/api/config/config_entries/flow/{id}"), None);
        }
    };
    assert_eq!(linking.ha.reload(&stranger), "setup_error");
    stop_asking();
    let said = linking.apply().stdout;
    assert!(said.contains("\"Linked by hand\" does not run (setup_error)"), "{said}");
    assert!(!said.contains("1 failed"), "{said}");

    // One that is named is another matter.
    let ann = linking.linked()["ann@provider.example"].clone();
    linking.ha.expire_token(&ann);
    linking.provider.client("family", "another");
    assert_eq!(linking.ha.reload(&ann), "setup_error");
    stop_asking();
    let ran = linking.appcred(APPLY).status(1).run();
    assert!(ran.stdout.contains("1 failed"), "{}", ran.stdout);
    stop_asking();
    let ran = linking.appcred(&["authorize", "family/Ann", "--no-browser"]).status(1).run();
    let is_down =
        format!("family/Ann is linked (\"ann@provider.example\", {ann}) and does not run: ");
    assert!(ran.stdout.contains(&is_down), "{}", ran.stdout);
}

each_release!(ha_account_whose_link_a_killed_run_did_not_note_is_known);
fn ha_account_whose_link_a_killed_run_did_not_note_is_known(release: Release) {
    let linking = Linking::new(release);
    linking.names(&["Ann", "Bob"]);
    let links = linking.links();
    linking.consent_as(&links["Bob"], "bob");
    linking.apply();
    linking.consent_as(&links["Ann"], "ann");

    let line = Tripwire::start(&linking.ha.url(), "\"create_entry\"");
    let running = linking.appcred(APPLY).env("HASS_SERVER", line.url()).spawn();
    line.kill(&running);
    assert_eq!(running.finish().status, None, "it was killed");
    let linked = linking.linked();
    assert_eq!(linked.keys().collect::<Vec<_>>(), ["ann@provider.example", "bob@provider.example"]);

    assert_eq!(linking.links(), BTreeMap::new(), "nobody need consent again");
    linking.is_in_sync();
    assert_eq!(json!(linking.states()), json!({"Ann": "loaded", "Bob": "loaded"}));
    assert_eq!(linking.linked(), linked);
    let list = linking.appcred(&["list"]).run().stdout;
    let is_ann = format!(
        "family/Ann is the linked account \"ann@provider.example\", {}",
        linked["ann@provider.example"]
    );
    assert!(list.contains(&is_ann), "{list}");
}

each_release!(ha_account_that_two_runs_link_at_once_is_linked_and_noted_once);
fn ha_account_that_two_runs_link_at_once_is_linked_and_noted_once(release: Release) {
    let linking = Linking::new(release);
    linking.names(&["Ann", "Bob"]);
    let watch = ["watch", "--resync", "1", "--listen=off"];
    // Each has a home of its own, so none waits for the lock of the other.
    let (watching, applying) = (linking.appcred(&watch).spawn(), linking.appcred(APPLY).spawn());
    assert_eq!(applying.finish().status, Some(0));
    // Where the other one has begun both before it looks, it finds them.
    eventually("the watcher waits as well", || {
        let logged = watching.stderr();
        ["waiting for consent", "not linked yet"].iter().any(|line| logged.contains(line))
    });
    let links = linking.links();
    assert_eq!(links.keys().collect::<Vec<_>>(), ["Ann", "Bob"]);
    eventually("one set-up is open for each", || linking.open_flows().len() == 2);

    let applying = linking.appcred(APPLY);
    linking.consent_as(&links["Ann"], "ann");
    linking.consent_as(&links["Bob"], "bob");
    let ran = applying.spawn().finish();
    assert_eq!(ran.status, Some(0), "{} {}", ran.stdout, ran.stderr);
    let both = json!({"Ann": "loaded", "Bob": "loaded"});
    eventually("both are linked", || json!(linking.states()) == both);
    watching.signal(Signal::TERM);
    let ran = watching.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    assert_eq!(linking.codes_taken(), [("family".to_owned(), 200), ("family".to_owned(), 200)]);
    assert!(linking.open_flows().is_empty());
    linking.is_in_sync();
    let list = linking.appcred(&["list"]).run().stdout;
    for (name, title) in [("Ann", "ann@provider.example"), ("Bob", "bob@provider.example")] {
        let id = &linking.linked()[title];
        let is_it = format!("family/{name} is the linked account \"{title}\", {id}\n");
        assert!(list.contains(&is_it), "{list}");
    }
}

each_release!(ha_authorize_links_the_account_that_is_asked_for);
fn ha_authorize_links_the_account_that_is_asked_for(release: Release) {
    let linking = Linking::new(release);
    linking.names(&["Ann", "Bob"]);
    linking.appcred(&["apply", "--yes", "--no-setup"]).run();
    let port = free_port().to_string();
    let authorize = |account: &str| {
        let args = ["authorize", account, "--no-browser", "--show-links", "--port", &port];
        linking.appcred(&args)
    };
    let wrong = authorize("family/Carl").status(1).run();
    assert!(wrong.stderr.contains("does not name the account `Carl`"), "{}", wrong.stderr);
    let mut running = authorize("family/bob").spawn();
    running.line_with("log in at the provider as Bob");
    let link = running.line_with("/authorize?");
    visit(&linking.provider.consent_as(link.trim(), "bob").location.unwrap());
    running.line_with("for Bob: linked: \"bob@provider.example\", ");
    assert_eq!(running.finish().status, Some(0));
    assert_eq!(linking.linked().keys().collect::<Vec<_>>(), ["bob@provider.example"]);
    assert_eq!(json!(linking.states()), json!({"Ann": "not_set_up", "Bob": "loaded"}));
}

each_release!(ha_watch_links_adds_and_removes_accounts);
fn ha_watch_links_adds_and_removes_accounts(release: Release) {
    let linking = Linking::new(release);
    let listener = Listener::start(200);
    let project =
        format!("owner: default\nnotify:\n  - home_assistant\n  - webhook: {:?}\n", listener.url());
    linking.house.project.write("appcred.yaml", &project);
    let removing = "    integration: {on_delete: remove_integration}\n";
    linking.names_and(&["Ann", "Bob"], removing);
    let running = linking.appcred(&["watch", "--resync", "3600"]).spawn();
    let pending = listener.next_of("consent_pending");
    check_own("notice.schema.json", &pending);
    let links = |notice: &Value| -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let consents = notice["pending_consents"].as_array().unwrap().iter();
        consents.map(|consent| (text(&consent["account"]), text(&consent["link"]))).collect()
    };
    let both = links(&pending);
    assert_eq!(both.keys().collect::<Vec<_>>(), ["Ann", "Bob"]);
    let displayed = || {
        let all = linking.ha.call(json!({"type": "persistent_notification/get"})).unwrap();
        all.to_string()
    };
    eventually("Home Assistant names both", || {
        displayed().contains("Family \\\\(Ann\\\\)") && displayed().contains("Family \\\\(Bob\\\\)")
    });
    linking.consent_as(&both["Bob"], "bob");
    let settled = listener.next_of("consent_settled");
    assert!(settled["message"].as_str().unwrap().starts_with("family/Bob"), "{settled:#}");
    assert_eq!(links(&settled).keys().collect::<Vec<_>>(), ["Ann"]);
    linking.consent_as(&both["Ann"], "ann");
    listener.next_of("consent_settled");
    let before = linking.linked();
    assert_eq!(before.keys().collect::<Vec<_>>(), ["ann@provider.example", "bob@provider.example"]);

    linking.names_and(&["Ann", "Bob", "Carl"], removing);
    let third = links(&listener.next_of("consent_pending"));
    assert_eq!(third.keys().collect::<Vec<_>>(), ["Carl"]);
    linking.consent_as(&third["Carl"], "carl");
    listener.next_of("consent_settled");

    linking.names_and(&["Ann", "Carl"], removing);
    eventually("Bob's account is removed", || {
        !linking.linked().contains_key("bob@provider.example")
    });
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let after = linking.linked();
    assert_eq!(after.keys().collect::<Vec<_>>(), ["ann@provider.example", "carl@provider.example"]);
    assert_eq!(after["ann@provider.example"], before["ann@provider.example"]);
    linking.is_in_sync();
}
