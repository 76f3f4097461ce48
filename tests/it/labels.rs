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

/// The entries are those of two houses of which one changes: what is deleted there, and why it is not.
#[test]
fn what_a_target_loses_by_a_slip_is_not_deleted_before_that_is_allowed() {
    let entries = "application_credentials:
  - {domain: spotify, name: all, client_id: a, client_secret: xyzzy-a}
  - {domain: spotify, name: ring, client_id: b, client_secret: xyzzy-b, targets: {match: {ring: \"1\", zone: hot}}}
  - {domain: spotify, name: oslo, client_id: c, client_secret: xyzzy-c, targets: [oslo-*]}
";
    let houses = |name: &str, labels: &str| {
        format!(
            "owner: house\nallow_plaintext: true\ntargets:\n  oslo-1: {{config_dir: one, labels: {{ring: \"1\", zone: hot}}}}\n  \
             {name}: {{config_dir: two, labels: {{{labels}}}}}\n"
        )
    };
    let same = "ring: \"1\", zone: hot";
    let project = Project::new()
        .file("appcred.yaml", &houses("oslo-2", same))
        .file("credentials.yaml", entries);
    let apply = |arguments: &[&str], status: i32| {
        appcred(&project, &["apply", "--yes"]).args(arguments).status(status).run()
    };
    apply(&[], 0);
    let all = ["all", "oslo", "ring"];
    for (name, labels, why) in [
        (
            "olso-2",
            same,
            "the entry `oslo` is for targets of names like `oslo-*`; `olso-2` is almost one, and no entry names it",
        ),
        (
            "oslo-2",
            "ring: \"10\", zone: hot",
            "the entry `ring` is for targets with the label `ring: 1`; this one has `ring: 10`, for which no entry asks",
        ),
        (
            "oslo-2",
            "rign: \"1\", zone: hot",
            "the entry `ring` is for targets with the label `ring`; this one has `rign`, for which no entry asks",
        ),
        (
            "oslo-2",
            "",
            "the entry `ring` is for targets with certain labels, and this one has no label",
        ),
    ] {
        project.write("appcred.yaml", &houses(name, labels));
        let ran = apply(&[], 1);
        assert!(ran.stdout.contains(why), "{why}: {}", ran.stdout);
        assert_eq!(held(&project, "two"), all, "{why}");
    }
    // A value that is meant, and one that is like another and meant.
    project.write("appcred.yaml", &houses("oslo-2", "ring: \"2\", zone: hot"));
    let ran = apply(&[], 0);
    assert!(ran.stdout.contains("# its entry is for other targets"), "{}", ran.stdout);
    assert!(ran.stdout.contains("at credentials.yaml:3:6"), "{}", ran.stdout);
    assert_eq!(held(&project, "two"), ["all", "oslo"]);
    project.write("appcred.yaml", &houses("oslo-2", same));
    apply(&[], 0);
    project.write("appcred.yaml", &houses("oslo-2", "ring: \"1\", zone: hut"));
    apply(&[], 1);
    assert_eq!(held(&project, "two"), all);
    apply(&["--allow-empty"], 0);
    assert_eq!(held(&project, "two"), ["all", "oslo"]);
}

/// All houses but one have the label: it was most likely left out when its labels were written anew.
#[test]
fn a_label_that_one_of_many_targets_has_lost_deletes_nothing() {
    let houses = |last: &str| {
        let of = |number: i32, labels: &str| {
            format!("  oslo-{number}: {{config_dir: h{number}, labels: {{{labels}}}}}\n")
        };
        let site = "site: oslo, ring: rest";
        let all = [of(1, site), of(2, site), of(3, last)].concat();
        format!("owner: house\nallow_plaintext: true\ntargets:\n{all}")
    };
    let entries = "application_credentials:
  - {domain: spotify, name: all, client_id: a, client_secret: xyzzy-a}
  - {domain: spotify, name: site, client_id: b, client_secret: xyzzy-b, targets: {match: {site: oslo}}}
";
    let project = Project::new().file("credentials.yaml", entries);
    project.write("appcred.yaml", &houses("site: oslo, ring: rest"));
    appcred(&project, &["apply", "--yes"]).run();
    project.write("appcred.yaml", &houses("ring: rest"));
    let ran = appcred(&project, &["apply", "--yes"]).status(1).run();
    let why = "the entry `site` is for targets with certain values of the label `site`, which all targets but this one have";
    assert!(ran.stdout.contains(why), "{}", ran.stdout);
    assert_eq!(held(&project, "h3"), ["all", "site"]);
    // Where another has not got it either, it is meant.
    let without = houses("ring: rest").replacen("site: oslo, ", "", 1);
    project.write("appcred.yaml", &without);
    appcred(&project, &["apply", "--yes"]).run();
    assert_eq!(
        (held(&project, "h1"), held(&project, "h3")),
        (vec!["all".into()], vec!["all".into()])
    );
    let only_site =
        appcred(&project, &["list", "--key", "site", "--state", "in_sync"]).run().stdout;
    let others = "\nNo such credentials in 2 targets (oslo-1, oslo-3)\n";
    assert!(only_site.starts_with("oslo-2 ") && only_site.ends_with(others), "{only_site}");
}

/// One key with another client at each site: the line for all of them says that it is more than one entry.
#[test]
fn a_short_plan_says_where_one_line_is_of_several_entries() {
    let of = |number: usize| {
        let site = if number < 10 { "oslo" } else { "bergen" };
        format!("  h{number}: {{config_dir: h{number}, labels: {{site: {site}}}}}\n")
    };
    let houses: String = (0..30).map(of).collect();
    let project = Project::new()
        .file("appcred.yaml", &format!("owner: house\nallow_plaintext: true\ntargets:\n{houses}"))
        .file(
            "credentials.yaml",
            "application_credentials:
  - {domain: spotify, name: A, key: all, client_id: a, client_secret: xyzzy-a}
  - {domain: fitbit, name: F, key: fit, client_id: b, client_secret: xyzzy-b, targets: {match: {site: oslo}}}
  - {domain: fitbit, name: F, key: fit, client_id: c, client_secret: xyzzy-c, targets: {match: {site: bergen}}}
",
        );
    let plan = appcred(&project, &["plan"]).run().stdout;
    let line =
        "  + create fitbit \"F\" (fit)  # 2 entries (credentials.yaml:3:6, credentials.yaml:4:6)\n";
    assert!(plan.contains(line), "{plan}");
    assert!(plan.contains("  + create spotify \"A\" (all)\n"), "{plan}");
}

/// Two entries of one key, each for a house.
#[test]
fn suspend_and_protect_hold_at_the_targets_of_their_entry_alone() {
    let entries = |kept: &str, secret: &str| {
        format!(
            "application_credentials:
  - {{domain: spotify, key: s, client_id: a, client_secret: xyzzy-{secret}, targets: [cabin-1], {kept}: true}}
  - {{domain: spotify, key: s, client_id: b, client_secret: xyzzy-{secret}, targets: [home]}}
"
        )
    };
    for kept in ["suspend", "protect"] {
        let plain = entries("adopt", "one");
        let project = Project::new().file("appcred.yaml", HOUSES).file("credentials.yaml", &plain);
        appcred(&project, &["apply", "--yes"]).run();
        project.write("credentials.yaml", &entries(kept, "two"));
        let status = i32::from(kept == "protect");
        appcred(&project, &["apply", "--yes"]).status(status).run();
        let secret = |house: &str| {
            let path = project.join(&format!("{house}/.storage/application_credentials"));
            let stored: Value =
                serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            stored["data"]["items"][0]["client_secret"].clone()
        };
        assert_eq!((secret("cabin-1"), secret("home")), (json!("xyzzy-one"), json!("xyzzy-two")));
        // Where no entry of the key is left, what was said of it holds still.
        let elsewhere = entries(kept, "two")
            .replace("[home]", "[cabin-2]")
            .replace("client_id: b", "client_id: c");
        project.write("credentials.yaml", &elsewhere);
        appcred(&project, &["apply", "--yes", "--allow-empty", "--target=home"])
            .status(status)
            .run();
        assert_eq!(secret("home"), "xyzzy-two", "{kept}");
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
