//! The verbs of a day, at a running Home Assistant.

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release};

each_release!(ha_holds_what_rotate_rename_and_rm_make_of_one_entry_alone);
fn ha_holds_what_rotate_rename_and_rm_make_of_one_entry_alone(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    house.project.write("appcred.yaml", &house.project_file());
    house.declare(&[
        house.entry("linked_account", "Anna", "anna", "first"),
        house.entry("spotify", "Other", "other", "first"),
    ]);
    house.appcred(&ha).args(["apply", "--yes", "--key", "anna"]).run();
    let held = || {
        let mut held: Vec<String> = ha
            .credentials()
            .iter()
            .map(|one| {
                let text = |name: &str| one[name].as_str().unwrap().to_owned();
                format!("{} {}", text("auth_domain"), text("client_secret"))
            })
            .collect();
        held.sort();
        held
    };
    assert_eq!(held(), ["appcred:default:anna first"]);
    let account = ha.link_by_hand("linked_account", "appcred:default:anna");
    house.appcred(&ha).args(["apply", "--yes"]).run();

    let rotate = ["rotate", "Anna", "--secret-stdin", "--apply", "--yes"];
    house.appcred(&ha).args(rotate).stdin("second").run();
    assert_eq!(held(), ["appcred:default:anna second", "appcred:default:other first"]);
    assert_eq!(ha.state_of(&account), "loaded");

    house.appcred(&ha).args(["rename", "anna", "family", "--apply", "--yes"]).run();
    assert_eq!(ha.state_of(&account), "loaded");
    assert!(held().contains(&"appcred:default:other first".to_owned()), "{:?}", held());
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).run();

    let listed = house.appcred(&ha).args(["list", "--key", "family"]).run().stdout;
    assert!(listed.contains("in sync") && !listed.contains("other"), "{listed}");
    house.appcred(&ha).args(["rm", "other", "--apply", "--yes"]).run();
    assert!(!held().iter().any(|one| one.contains(":other")), "{:?}", held());
    assert_eq!(ha.state_of(&account), "loaded");
    // A linked account keeps what is removed.
    house.declare(&[
        house.entry("spotify", "New", "new", "first"),
        house
            .entry("linked_account", "Anna", "anna", "second")
            .replace("name: Anna", "name: Anna\n    key: family\n    formerly: [anna]"),
    ]);
    let ran = house.appcred(&ha).args(["rm", "family", "--apply", "--yes"]).run();
    assert!(ran.stdout.contains("not done: delete linked_account"), "{}", ran.stdout);
    assert_eq!(ha.state_of(&account), "loaded");
    house.appcred(&ha).args(["list", "--key", "new", "--state", "missing"]).run();
}
