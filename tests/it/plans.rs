//! Plans as people and programs read them: one folder a case in `tests/cases/plan`.
//!
//! A case has `credentials.yaml`, what the house holds in `ha/.storage`, maybe `appcred.yaml` and
//! `arguments`, and the expected `plan.txt` and `plan.json`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Appcred, Project};
use crate::watch::Folder;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/plan");
const PROJECT: &str = "owner: house\nallow_plaintext: true\ntargets: {home: {config_dir: ha}}\n";

/// Home Assistant has run there.
const NO_ACCOUNTS: &str = r#"{"version": 1, "data": {"entries": []}}"#;

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> = fs::read_dir(CASES).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 10, "the cases were not found");
    cases
}

fn read(case: &Path, name: &str) -> Option<String> {
    fs::read_to_string(case.join(name)).ok()
}

fn planned(case: &Path, format: &str) -> String {
    let project = Project::new()
        .file("appcred.yaml", &read(case, "appcred.yaml").unwrap_or(PROJECT.to_owned()));
    for name in [
        "credentials.yaml",
        "ha/.storage/application_credentials",
        "ha/.storage/core.config_entries",
    ] {
        if let Some(text) = read(case, name) {
            project.write(name, &text);
        }
    }
    let is_new = read(case, "ha/.storage/application_credentials").is_none();
    if !is_new && read(case, "ha/.storage/core.config_entries").is_none() {
        project.write("ha/.storage/core.config_entries", NO_ACCOUNTS);
    }
    let arguments = read(case, "arguments").unwrap_or_default();
    let status = if read(case, "in-sync").is_some() { 0 } else { 2 };
    Appcred::new()
        .in_dir(project.path())
        .args(["plan", "--detailed-exitcode", "--format", format])
        .args(arguments.split_whitespace())
        .status(status)
        .stderr("")
        .run()
        .stdout
}

#[test]
fn every_plan_reads_as_expected() {
    #[expect(clippy::disallowed_methods, reason = "how a test is told to rewrite what it compares")]
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differing = Vec::new();
    for case in cases() {
        for (format, file) in [("text", "plan.txt"), ("json", "plan.json")] {
            let told = planned(&case, format);
            if update {
                fs::write(case.join(file), &told).unwrap();
            } else if read(&case, file).as_ref() != Some(&told) {
                differing.push(format!(
                    "{} (UPDATE_EXPECT=1 rewrites it):\n{told}",
                    case.join(file).display()
                ));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn the_same_plan_is_told_every_time() {
    let case = cases().pop().unwrap();
    let first = planned(&case, "json");
    for _ in 0..10 {
        assert_eq!(planned(&case, "json"), first);
    }
}

#[test]
fn an_unknown_integration_stops_only_its_own_entry() {
    let manifest = "application_credentials:
  - {domain: spotfy, name: mistyped, client_id: a, client_secret: s}
  - {domain: spotify, name: right, client_id: b, client_secret: s}
  - {domain: mine, name: custom, client_id: c, client_secret: s}
";
    let project = Project::new()
        .file("appcred.yaml", &format!("{PROJECT}custom_integrations: [mine]\n"))
        .file("credentials.yaml", manifest);
    let appcred =
        |verb: &[&str]| Appcred::new().in_dir(project.path()).args(verb).status(1).run().stdout;
    let plan = appcred(&["plan"]);
    for expected in [
        "not done: create spotfy \"mistyped\"",
        "credentials.yaml:2:14",
        "unknown integration `spotfy`: did you mean `spotify`?",
        "Plan: 2 to create, 0 to replace, 0 to delete. 1 not done.",
    ] {
        assert!(plan.contains(expected), "{expected}: {plan}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&appcred(&["plan", "--format", "json"])).unwrap();
    assert_eq!(json["targets"][0]["withheld"][0]["why"], "unknown_integration");
    let annotations = appcred(&["plan", "--format", "github"]);
    assert!(annotations.contains("::error file=credentials.yaml,line=2"), "{annotations}");
    let applied = appcred(&["apply", "--yes"]);
    assert!(applied.contains("2 created"), "{applied}");
    let again = appcred(&["apply", "--yes"]);
    assert!(again.contains("to delete. 2 in sync, 1 not done."), "{again}");
}

#[test]
fn an_unknown_integration_is_reported_beside_other_errors() {
    let manifest = "application_credentials:
  - {domain: spotfy, name: mistyped, client_id: a, client_secret: s}
  - {domain: spotify, name: broken, client_secret: s}
";
    let project = Project::new().file("appcred.yaml", PROJECT).file("credentials.yaml", manifest);
    for verb in ["validate", "plan", "apply"] {
        let said = Appcred::new().in_dir(project.path()).args([verb]).status(1).run().stderr;
        assert!(said.contains("unknown integration `spotfy`"), "{verb}: {said}");
        assert!(said.contains("client_id") && said.contains("2 errors"), "{verb}: {said}");
    }
}

#[test]
fn apply_reports_how_the_target_is_at_its_end() {
    let manifest = "application_credentials:
  - {domain: spotify, key: a, client_id: a, client_secret: s}
";
    let project = Project::new().file("appcred.yaml", PROJECT).file("credentials.yaml", manifest);
    let report = |verb: &[&str]| -> serde_json::Value {
        let ran = Appcred::new().in_dir(project.path()).args(verb).args(["--format", "json"]);
        serde_json::from_str(&ran.run().stdout).unwrap()
    };
    assert_eq!(report(&["plan"])["targets"][0]["in_sync"], false);
    assert_eq!(report(&["apply", "--yes"])["targets"][0]["in_sync"], true);
}

#[test]
fn what_a_claim_names_is_counted_once_and_listed_with_its_owner() {
    let case = Path::new(CASES).join("adopt-by-shadow");
    let manifest = "application_credentials:
  - {domain: spotify, key: family, client_id: family, client_secret: MARKED-SECRET-old}
";
    let project = Project::new().file("appcred.yaml", PROJECT).file("credentials.yaml", manifest);
    for name in ["core.config_entries", "application_credentials"] {
        let path = format!("ha/.storage/{name}");
        project.write(&path, &read(&case, &path).unwrap());
    }
    let appcred = |words: &str| Appcred::new().in_dir(project.path()).args(words.split(' ')).run();
    let plan = appcred("plan --adopt").stdout;
    let sum = "Plan: 0 to create, 0 to replace, 1 to claim, 0 to delete.\n";
    assert!(plan.ends_with(sum), "{plan}");
    appcred("apply --adopt --yes");
    let listed = appcred("list --owner house --format json").stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let listed = listed["targets"][0]["credentials"].as_array().unwrap();
    let listed: Vec<_> =
        listed.iter().map(|of| (of["owner"].as_str(), of["state"].as_str())).collect();
    let ours = Some("house");
    assert_eq!(listed, [(ours, Some("in_sync")), (ours, Some("claim"))]);
}

/// One that was saved before could be taken for it.
#[test]
fn a_plan_that_is_not_saved_says_so() {
    let scene = Folder::new();
    let plan =
        |status: i32| scene.appcred(&["plan", "--out", "a.plan"]).status(status).run().stderr;
    fs::create_dir_all(scene.storage().parent().unwrap()).unwrap();
    fs::write(scene.storage(), "no JSON").unwrap();
    let first = plan(1);
    assert!(first.contains("No plan was saved.\n"), "{first}");
    fs::remove_file(scene.storage()).unwrap();
    plan(0);
    fs::write(scene.storage(), "no JSON").unwrap();
    let second = plan(1);
    assert!(second.contains("No plan was saved: a.plan is an earlier one.\n"), "{second}");
}

#[test]
fn a_saved_plan_keeps_what_its_arguments_held_back_and_asks_for_those_that_allow_more() {
    let scene = Folder::new();
    scene.appcred(&["apply", "--yes"]).run();
    scene.declare(&["b"]);
    scene.appcred(&["plan", "--prune=none", "--out", "b.plan"]).run();
    scene.appcred(&["apply", "b.plan"]).run();
    let held = || fs::read_to_string(scene.storage()).unwrap();
    assert!(held().contains("MARKED-a") && held().contains("MARKED-b"), "nothing was deleted");

    scene.declare(&[]);
    scene.appcred(&["plan", "--allow-empty", "--out", "b.plan"]).run();
    let ran = scene.appcred(&["apply", "b.plan"]).status(1).run();
    let expected = "the saved plan was made with --allow-empty: give that to `apply` as well";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    assert!(held().contains("MARKED-a"), "{}", held());
    scene.appcred(&["apply", "b.plan", "--allow-empty"]).run();
    assert!(!held().contains("MARKED-a") && !held().contains("MARKED-b"), "{}", held());

    scene.declare(&["a"]);
    scene.appcred(&["plan", "--out", "b.plan"]).run();
    scene.declare(&["a"]);
    let ran = scene.appcred(&["apply", "b.plan"]).status(1).run();
    let encrypted_again =
        "was planned: lab: create spotify \"a\" (with the secret whose ciphertext has the digest ";
    assert!(ran.stderr.contains(encrypted_again), "{}", ran.stderr);
}

#[test]
fn a_plan_that_cannot_be_saved_names_every_secret_that_is_not_encrypted() {
    let manifest = "application_credentials:
  - {domain: spotify, key: one, client_id: a, client_secret: !env_var S}
  - {domain: spotify, key: two, client_id: b, client_secret: s}
";
    let project = Project::new().file("appcred.yaml", PROJECT).file("credentials.yaml", manifest);
    let plan = Appcred::new().in_dir(project.path()).args(["plan", "--out", "x"]).status(1);
    let ran = plan.env("S", "first-value").run();
    assert!(ran.stderr.contains("This affects `one`, `two`"), "{}", ran.stderr);
}
