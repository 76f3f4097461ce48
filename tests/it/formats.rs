//! What an earlier version of appcred wrote is read by this one, with the same meaning. Each folder of
//! `tests/cases/formats` is made by the version that it names, and is not changed later:
//! - `house` was applied to, and holds marks, a shadow and its claim,
//! - `project` is a manifest with age, a secrets file of SOPS that `rotate` wrote to, a snapshot of the
//!   house, and a saved plan that rotates one entry and deletes another.

use std::fs;

use serde_json::Value;

use crate::documents::root;
use crate::real::copy_folder;
use crate::shell::{Appcred, Project};

/// What all of them are encrypted to: in parts, since a repository holds no identity.
const IDENTITY: [&str; 2] =
    ["AGE-SECRET-", "KEY-1HUZR0XMNL5LE3G49MZWHVAE3P28P49GKWQVUUMFM2QTZR8C7UZSQ5VUVRK"];

/// Each version and a copy of what it wrote.
fn each_version() -> impl Iterator<Item = (String, Project)> {
    let versions = fs::read_dir(root().join("tests/cases/formats")).unwrap();
    versions.map(|version| {
        let version = version.unwrap();
        let written = Project::new();
        copy_folder(&version.path(), written.path());
        written.write("identity.txt", &IDENTITY.concat());
        (version.file_name().into_string().unwrap(), written)
    })
}

fn appcred(written: &Project, arguments: &str) -> Appcred {
    Appcred::new().in_dir(&written.join("project")).args(arguments.split(' '))
}

/// By `auth_domain`, or the id where it has none, in HA's order.
fn held(written: &Project) -> Vec<(String, String)> {
    let text = fs::read_to_string(written.join("house/.storage/application_credentials")).unwrap();
    let held: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = held["data"]["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let name = item.get("auth_domain").unwrap_or(&item["id"]);
            (text(name), text(&item["client_secret"]))
        })
        .collect()
}

/// The action of each step of a plan in JSON, and of whose credential it is.
fn actions(plan: &str) -> Vec<(String, String)> {
    let plan: Value = serde_json::from_str(plan).unwrap();
    let steps = plan["targets"][0]["steps"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    steps.map(|step| (text(&step["action"]), text(&step["ids"][0]))).collect()
}

fn equal(version: &str, what: &[(String, String)], expected: &[(&str, &str)]) {
    let what: Vec<_> = what.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(what, expected, "{version}");
}

/// What the saved plan does.
const ACTIONS: [(&str, &str); 2] =
    [("replace", "google_rotated_client"), ("delete", "twitch_leaving_client")];

#[test]
fn the_first_version_is_kept() {
    assert!(each_version().any(|(version, _)| version == "0.1.0"));
}

#[test]
fn what_an_earlier_version_put_into_a_house_is_known_as_its_owners() {
    for (version, written) in each_version() {
        let listed = appcred(&written, "list --format json").run().stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let credentials = listed["targets"][0]["credentials"].as_array().unwrap().iter();
        let listed: Vec<_> = credentials
            .map(|credential| {
                let text = |name: &str| credential[name].as_str().unwrap_or("-");
                [text("id"), text("owner"), text("key"), text("state")]
            })
            .collect();
        let expected = [
            ["spotify_mine", "-", "-", "foreign"],
            ["dropbox_adopted", "first", "adopted", "shadowed"],
            ["twitch_leaving_client", "first", "leaves", "undeclared"],
            ["google_rotated_client", "first", "rotated", "differs"],
            ["spotify_stays_client", "first", "stays", "in_sync"],
            ["dropbox_adopted_client_2", "first", "adopted", "in_sync"],
            ["dropbox_adopted_client_3", "first", "adopted", "claim"],
        ];
        assert_eq!(listed, expected, "{version}");
    }
}

#[test]
fn manifests_and_secrets_of_an_earlier_version_mean_the_same() {
    for (version, written) in each_version() {
        let plan = appcred(&written, "plan --format json").run().stdout;
        equal(&version, &actions(&plan), &ACTIONS);
    }
}

#[test]
fn a_snapshot_of_an_earlier_version_is_planned_against() {
    for (version, written) in each_version() {
        let plan = appcred(&written, "plan --against snapshot.json --format json").run().stdout;
        equal(&version, &actions(&plan), &ACTIONS);
        let snapshot = fs::read_to_string(written.join("project/snapshot.json")).unwrap();
        let piped = appcred(&written, "plan --against - --format json").stdin(&snapshot).run();
        assert_eq!(actions(&piped.stdout), actions(&plan), "{version}");
    }
}

#[test]
fn a_saved_plan_of_an_earlier_version_is_applied() {
    for (version, written) in each_version() {
        appcred(&written, "apply saved.plan").run();
        let expected = [
            ("spotify_mine", "FOREIGN"),
            ("dropbox_adopted", "adopted-secret"),
            ("appcred:first:stays", "stays-secret"),
            ("dropbox_adopted", "taken-from-sops"),
            ("appcred:first:adopted:dropbox_adopted", "taken-from-sops"),
            ("appcred:first:rotated", "after-rotation"),
        ];
        equal(&version, &held(&written), &expected);
        let planned = appcred(&written, "plan --detailed-exitcode").run().stdout;
        assert!(planned.contains("No changes."), "{version}: {planned}");
    }
}
