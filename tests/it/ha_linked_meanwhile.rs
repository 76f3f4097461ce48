//! Somebody links an account by a credential that a run is about to delete.

use appcred::model::Held;
use appcred::target::{Done, Execute, Observe, Operation, Refusal, Stop};
use serde_json::json;

use crate::ha_apply::House;
use crate::ha_faults::open;
use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::Terminal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_appcred");
const LINKED: &str = "linked_account";

/// Runs a command at a terminal, and has this happen once it asks; gives what it has shown.
#[track_caller]
fn asked(house: &House, ha: &HomeAssistant, words: &str, happens: impl FnOnce()) -> String {
    let line = format!("{PROGRAM} {words}; echo status=$?");
    let url = ha.url();
    let environment = [
        ("HASS_SERVER", url.as_str()),
        ("HASS_TOKEN", ha.token()),
        ("APPCRED_AGE_IDENTITY", &house.identity),
    ];
    let mut terminal = Terminal::run(&line, house.project.path(), environment);
    terminal.until("[y/N] ");
    happens();
    terminal.type_in("y\n");
    terminal.finish()
}

#[tokio::main(flavor = "current_thread")]
async fn held(ha: &HomeAssistant) -> Vec<Held> {
    let mut connected = open(&ha.url(), ha.token()).await.ok().unwrap();
    connected.observe().await.unwrap().credentials.iter().map(|one| one.held()).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn execute(ha: &HomeAssistant, operation: Operation) -> Result<Done, Refusal> {
    let mut connected = open(&ha.url(), ha.token()).await.ok().unwrap();
    let mut ended = None;
    connected.execute(vec![operation], &Stop::new(), &mut |_, result| ended = Some(result)).await;
    ended.unwrap()
}

each_release!(ha_credential_that_is_linked_while_apply_asks_stays);
fn ha_credential_that_is_linked_while_apply_asks_stays(release: Release) {
    let (ha, house) = (HomeAssistant::start(release), House::new());
    house.declare(&[house.entry(LINKED, "Old", "old", "first")]);
    house.apply(&ha);
    house.declare(&[house.entry(LINKED, "New", "new", "second")]);
    let held = ha.credentials();

    let mut account = String::new();
    let said = asked(&house, &ha, "apply", || {
        account = ha.link_by_hand(LINKED, "appcred:default:old");
    });

    for part in ["was planned: ", "delete linked_account \"Old\"", "status=1"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        said.contains("has changed since it was looked at, so nothing is done there"),
        "{said}"
    );
    assert_eq!(ha.credentials(), held);
    assert_eq!(ha.reload(&account), "loaded");
    let said = asked(&house, &ha, "apply", || {});
    assert!(said.contains("not done: delete linked_account \"Old\""), "{said}");
    assert_eq!(ha.credentials().len(), 2, "the new one came, and the old one is in use");
    assert_eq!(ha.reload(&account), "loaded");
}

each_release!(ha_what_changes_while_import_asks_is_not_imported_as_it_was);
fn ha_what_changes_while_import_asks_is_not_imported_as_it_was(release: Release) {
    let (ha, house) = (HomeAssistant::start(release), House::new());
    let known = format!("custom_integrations: [{LINKED}]\n");
    house.project.write("appcred.yaml", &(house.project_file() + &known));
    house.declare(&[]);
    let made = ha.create_credential(
        json!({"domain": LINKED, "client_id": "anna", "client_secret": "s", "name": "Anna"}),
    );
    let words = "import --output credentials/found.yaml";

    let said = asked(&house, &ha, words, || {
        ha.link_by_hand(LINKED, made["id"].as_str().unwrap());
    });

    assert!(said.contains("was planned: ") && said.contains("status=1"), "{said}");
    assert!(!house.project.join("credentials/found.yaml").exists(), "{said}");
    assert_eq!(ha.credentials(), std::slice::from_ref(&made));
    let said = asked(&house, &ha, words, || {});
    assert!(said.contains("status=0"), "{said}");
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).run();
}

each_release!(ha_credential_that_is_linked_right_before_it_is_deleted_stays);
fn ha_credential_that_is_linked_right_before_it_is_deleted_stays(release: Release) {
    let ha = HomeAssistant::start(release);
    let create = |auth_domain: &str| {
        ha.create_credential(json!({
            "domain": LINKED, "client_id": "c", "client_secret": "s", "auth_domain": auth_domain,
        }))
    };
    create("appcred:default:used");
    create("appcred:default:free");
    create("appcred:default:used");
    let planned = held(&ha);
    let account = ha.link_by_hand(LINKED, "appcred:default:used");
    let deleted = |at: usize| execute(&ha, Operation::Delete(planned[at].clone()));

    let title = ha.config_entries().into_iter().find(|one| one["entry_id"] == account.as_str());
    let title = title.unwrap()["title"].as_str().unwrap().to_owned();
    let used = Err(Refusal::UsedByNow { by: vec![title.as_str().into()] });
    assert_eq!(deleted(2), used, "it is in force");
    assert_eq!(deleted(1), Ok(Done::Deleted), "nobody uses it");
    let taken_back = |at: usize| execute(&ha, Operation::TakeBack(planned[at].clone()));
    assert_eq!(taken_back(2), Ok(Done::Deleted), "the account finds the first one");
    assert_eq!(deleted(0), used);
    assert_eq!(taken_back(0), used, "there is no other one");
    assert_eq!(ha.reload(&account), "loaded");
    ha.rest("DELETE", &format!("/api/config/config_entries/entry/{account}"), None);
    assert_eq!(deleted(0), Ok(Done::Deleted));
}
