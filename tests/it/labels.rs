//! Targets are chosen by their labels, by entries and on the command line.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::shell::{Appcred, Project};
use crate::watch::eventually;

const HOUSES: &str = "owner: house
allow_plaintext: true
targets:
  cabin-1: {config_dir: cabin-1, labels: {site: cabin, ring: canary}}
  cabin-2: {config_dir: cabin-2, labels: {site: cabin, ring: stable}}
  home: {config_dir: home, labels: {site: town, ring: stable}}
";
const ENTRIES: &str = "application_credentials:
  - {domain: spotify, name: all, client_id: a, client_secret: xyzzy-a}
  - {domain: spotify, name: cabins, client_id: b, client_secret: xyzzy-b, targets: [cabin-*]}
  - {domain: spotify, name: stable, client_id: c, client_secret: xyzzy-c, targets: {match: {ring: stable}}}
  - {domain: spotify, name: both, client_id: d, client_secret: xyzzy-d, targets: {match: {ring: [canary, stable], site: town}}}
";

fn houses() -> Project {
    Project::new().file("appcred.yaml", HOUSES).file("credentials.yaml", ENTRIES)
}

fn appcred(project: &Project, arguments: &[&str]) -> Appcred {
    Appcred::new().in_dir(project.path()).args(arguments)
}

/// The names of what a house holds.
fn held(project: &Project, house: &str) -> Vec<String> {
    let path = project.join(&format!("{house}/.storage/application_credentials"));
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let stored: Value = serde_json::from_str(&text).unwrap();
    let items = stored["data"]["items"].as_array().unwrap().iter();
    let mut names: Vec<_> = items.map(|item| item["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The targets that a verb is about.
fn listed(project: &Project, arguments: &[&str]) -> Value {
    let ran = appcred(project, &["list", "--format=json"]).args(arguments).run();
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    list["targets"].as_array().unwrap().iter().map(|target| target["name"].clone()).collect()
}

#[test]
fn entries_choose_targets_by_patterns_and_labels() {
    let project = houses();
    appcred(&project, &["apply", "--yes"]).run();
    assert_eq!(held(&project, "cabin-1"), ["all", "cabins"]);
    assert_eq!(held(&project, "cabin-2"), ["all", "cabins", "stable"]);
    assert_eq!(held(&project, "home"), ["all", "both", "stable"]);
}

#[test]
fn what_no_longer_chooses_a_target_is_deleted_there_and_nowhere_else() {
    let project = houses();
    appcred(&project, &["apply", "--yes"]).run();
    project.write("appcred.yaml", &HOUSES.replacen("ring: stable", "ring: canary", 1));
    appcred(&project, &["apply", "--yes"]).run();
    assert_eq!(held(&project, "cabin-2"), ["all", "cabins"]);
    assert_eq!(held(&project, "home"), ["all", "both", "stable"]);
}

#[test]
fn a_label_that_is_mistyped_deletes_nothing() {
    let project = houses();
    appcred(&project, &["apply", "--yes"]).run();
    let entries = |from: &str, to: &str| (HOUSES.to_owned(), ENTRIES.replacen(from, to, 1));
    let houses = |from: &str, to: &str| (HOUSES.replacen(from, to, 1), ENTRIES.to_owned());
    for ((houses, entries), error) in [
        (entries("cabin-*", "cabn-*"), "there is no target `cabn-*`: did you mean `cabin-*`?"),
        (
            entries("match: {ring: ", "match: {rign: "),
            "no target has the label `rign`: did you mean `ring`?",
        ),
        (
            entries("[canary, stable]", "[canary, stabel]"),
            "no target has the label `ring` with the value `stabel`: did you mean `stable`?",
        ),
        (
            houses("ring: stable", "rign: stable"),
            "the target `cabin-2` alone has the label `rign`, for which no entry asks: did you mean `ring`?",
        ),
        (
            houses("ring: stable", "ring: stabel"),
            "the target `cabin-2` alone has the label `ring: stabel`, for which no entry asks: did you mean `stable`?",
        ),
        (
            houses("site: town", "site: cabin"),
            "no target has the label `site` with the value `town`",
        ),
    ] {
        project.write("appcred.yaml", &houses);
        project.write("credentials.yaml", &entries);
        let ran = appcred(&project, &["apply", "--yes"]).status(1).run();
        assert!(ran.stderr.contains(error), "{error}: {}", ran.stderr);
        assert_eq!(held(&project, "cabin-2"), ["all", "cabins", "stable"]);
        assert_eq!(held(&project, "home"), ["all", "both", "stable"]);
    }
}

#[test]
fn the_command_line_selects_targets_by_labels_as_kubectl_does() {
    let project = houses();
    for (arguments, targets) in [
        (&["--selector=ring=stable"][..], json!(["cabin-2", "home"])),
        (&["--selector", "ring!=stable"], json!(["cabin-1"])),
        (&["--selector=ring in (stable,canary),site=cabin"], json!(["cabin-1", "cabin-2"])),
        (&["--target=*-2,home", "--selector=site=cabin"], json!(["cabin-2"])),
    ] {
        assert_eq!(listed(&project, arguments), targets, "{arguments:?}");
    }
    for (arguments, status, error) in [
        (
            &["--selector=rign=stable"][..],
            1,
            "there is no target with the label `rign`: did you mean `ring`?",
        ),
        (
            &["--target=home", "--selector=ring=canary"],
            1,
            "no target has all of --target=home --selector='ring=canary'",
        ),
        (&["--selector=ring>1"], 1, "it is no label selector: write it as in `ring=1`"),
    ] {
        let ran = appcred(&project, &["plan"]).args(arguments).status(status).run();
        assert!(ran.stderr.contains(error), "{error}: {}", ran.stderr);
    }
    let ran = appcred(&project, &["list", "--format=json", "--target=home"]).run();
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(list["targets"][0]["labels"], json!({"ring": "stable", "site": "town"}));
}

#[test]
fn an_entry_that_is_written_once_for_each_site_is_not_changed_by_half() {
    let written = "application_credentials:
  - {domain: spotify, key: s, client_id: a, client_secret: xyzzy-a, targets: [cabin-*]}
  - {domain: spotify, key: s, client_id: b, client_secret: xyzzy-b, targets: [home]}
";
    let project = Project::new().file("appcred.yaml", HOUSES).file("credentials.yaml", written);
    appcred(&project, &["apply", "--yes"]).run();
    assert_eq!(held(&project, "cabin-1").len() + held(&project, "home").len(), 2);
    for arguments in [&["rotate", "s", "--secret-stdin"][..], &["rename", "s", "t"], &["rm", "s"]] {
        let ran = appcred(&project, arguments).stdin("xyzzy-c").status(1).run();
        let error =
            "several entries have the key `s` (credentials.yaml:2:6 and credentials.yaml:3:6)";
        assert!(ran.stderr.contains(error), "{}", ran.stderr);
        assert_eq!(std::fs::read_to_string(project.join("credentials.yaml")).unwrap(), written);
    }
}

/// What one house needs is read there, although the others' secrets are encrypted for others.
#[test]
fn a_watcher_and_verify_of_one_house_read_nothing_for_another() {
    let entries = "application_credentials:
  - {domain: spotify, key: s, client_id: a, client_secret: xyzzy-a, targets: [cabin-1]}
  - {domain: spotify, key: s, client_id: !env_var NOWHERE, client_secret: !env_var NOWHERE, targets: [home]}
";
    let project = Project::new().file("appcred.yaml", HOUSES).file("credentials.yaml", entries);
    let verified = appcred(&project, &["verify", "--target", "cabin-1"]).run();
    assert!(!verified.stdout.contains("home"), "{}", verified.stdout);
    let watched = appcred(&project, &["watch", "--selector", "site=cabin,ring=canary"]).spawn();
    eventually("it is held", || held(&project, "cabin-1").len() == 1);
    watched.signal(Signal::TERM);
    let ran = watched.finish();
    assert!(!ran.stderr.contains("NOWHERE"), "{}", ran.stderr);
}

#[test]
fn a_target_that_leaves_the_selection_of_a_watcher_is_logged() {
    let entries = "application_credentials:
  - {domain: spotify, key: s, client_id: a, client_secret: xyzzy-a}
";
    let project = Project::new().file("appcred.yaml", HOUSES).file("credentials.yaml", entries);
    let watched = appcred(&project, &["watch", "--selector", "site=cabin"]).spawn();
    eventually("it is held", || held(&project, "cabin-1").len() == 1);
    project.write("appcred.yaml", &HOUSES.replacen("site: cabin", "site: barn", 1));
    eventually("it is logged", || watched.stderr().contains("no longer watched"));
    watched.signal(Signal::TERM);
    let ran = watched.finish();
    let lines = ran.stderr.lines().filter(|line| line.contains("no longer watched"));
    let lines: Vec<&str> = lines.collect();
    assert!(matches!(lines[..], [line] if line.contains("cabin-1")), "{lines:?}");
}
