//! Targets in files of their own.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::Value;

use crate::hygiene::git;
use crate::shell::{Appcred, Project, age_identity};
use crate::watch::eventually;

const ENTRIES: &str = "application_credentials:
  - {domain: spotify, key: a, client_id: a, client_secret: !secret spotify}
  - {domain: netatmo, key: b, client_id: b, client_secret: !secret spotify, targets: {match: {site: oslo}}}
";

fn houses() -> (Project, String) {
    let (identity, recipient) = age_identity();
    let project = Project::new()
        .file(
            "appcred.yaml",
            &format!("owner: house\ntargets: [targets]\nage: {{recipients: [{recipient}]}}\n"),
        )
        .file("targets/cabin.yaml", "targets:\n  cabin: {config_dir: cabin}\n")
        .file(
            "targets/oslo/1.yaml",
            "targets:\n  oslo-1: {config_dir: oslo-1, labels: {site: oslo}}\n",
        )
        .file("credentials.yaml", ENTRIES)
        .file("secrets.yaml", "spotify: xyzzy-first\n");
    (project, identity)
}

fn appcred((project, identity): &(Project, String), arguments: &[&str]) -> Appcred {
    let appcred = Appcred::new().in_dir(project.path()).args(arguments);
    appcred.env("APPCRED_AGE_IDENTITY", identity)
}

fn held(project: &Project, house: &str) -> Option<String> {
    let path = project.join(&format!("{house}/.storage/application_credentials"));
    fs::read_to_string(path).ok()
}

#[test]
fn targets_are_read_from_the_files_of_a_folder() {
    let houses = houses();
    appcred(&houses, &["validate"]).run();
    appcred(&houses, &["apply", "--yes"]).run();
    assert!(!held(&houses.0, "cabin").unwrap().contains("netatmo"));
    assert!(held(&houses.0, "oslo-1").unwrap().contains("netatmo"));
    // The folder is no manifest, also where manifests are looked for everywhere.
    let anywhere = fs::read_to_string(houses.0.join("appcred.yaml")).unwrap();
    houses.0.write("appcred.yaml", &format!("{anywhere}manifests: [.]\n"));
    appcred(&houses, &["plan", "--detailed-exitcode"]).status(0).run();
}

#[test]
fn secrets_of_targets_in_files_are_encrypted_found_and_encrypted_anew() {
    let houses = houses();
    let file = "targets/far.yaml";
    houses.0.write(
        file,
        "targets:\n  far: {url: 'http://127.0.0.1:9', token: m4rk3d-token, suspend: true}\n",
    );
    let ran = appcred(&houses, &["validate"]).status(1).run();
    assert!(ran.stderr.contains("targets/far.yaml:2:"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("m4rk3d-token"), "{}", ran.stderr);
    appcred(&houses, &["encrypt"]).run();
    let text = || fs::read_to_string(houses.0.join(file)).unwrap();
    let encrypted = text();
    assert!(encrypted.contains("BEGIN AGE") && !encrypted.contains("m4rk3d-token"));
    appcred(&houses, &["validate"]).run();
    let (_, recipient) = age_identity();
    let project = fs::read_to_string(houses.0.join("appcred.yaml")).unwrap();
    houses.0.write(
        "appcred.yaml",
        &project.replace("recipients: [", &format!("recipients: [{recipient}, ")),
    );
    appcred(&houses, &["rekey"]).run();
    assert_ne!(text(), encrypted);
    assert_eq!((recipients(&encrypted), recipients(&text())), (1, 2));
}

/// For how many recipients the one value is that is encrypted in a text.
fn recipients(text: &str) -> usize {
    // In a mapping on one line, its lines are one text in quotes.
    let text = text.replace("\\n", "\n").replace('\\', "");
    let lines = text.lines().map(str::trim);
    let armored = lines.skip_while(|line| !line.contains("BEGIN AGE")).skip(1);
    let armored: String = armored.take_while(|line| !line.contains("END AGE")).collect();
    let sealed = BASE64_STANDARD.decode(armored).unwrap();
    // Among the lines for recipients is one for nobody, of any length.
    let head = String::from_utf8_lossy(&sealed);
    head.lines().filter(|line| line.starts_with("-> ") && !line.contains("-grease")).count()
}

#[test]
fn a_watcher_sees_files_of_targets_come_change_and_go() {
    let houses = houses();
    let running = appcred(&houses, &["watch", "--listen", "off"]).spawn();
    eventually("all hold theirs", || held(&houses.0, "oslo-1").is_some());
    houses.0.write("targets/oslo/2.yaml", "targets:\n  oslo-2: {config_dir: oslo-2}\n");
    eventually("a new file is read", || held(&houses.0, "oslo-2").is_some());
    houses.0.write(
        "targets/oslo/2.yaml",
        "targets:\n  oslo-2: {config_dir: oslo-2, labels: {site: oslo}}\n",
    );
    eventually("a label is read", || {
        held(&houses.0, "oslo-2").is_some_and(|text| text.contains("netatmo"))
    });
    let before = held(&houses.0, "oslo-2");
    fs::remove_file(houses.0.join("targets/oslo/2.yaml")).unwrap();
    houses.0.write("secrets.yaml", "spotify: xyzzy-second\n");
    eventually("the others go on", || {
        held(&houses.0, "oslo-1").is_some_and(|text| text.contains("xyzzy-second"))
    });
    assert_eq!(held(&houses.0, "oslo-2"), before);
    running.signal(Signal::TERM);
    running.finish();
}

#[test]
fn a_file_of_targets_without_secrets_is_no_wrong_file_to_encrypt() {
    let houses = houses();
    let ran = appcred(&houses, &["encrypt", "targets/cabin.yaml"]).run();
    assert!(!ran.stderr.contains("application_credentials"), "{}", ran.stderr);
}

#[test]
fn a_thousand_files_are_read() {
    let houses = houses();
    for at in 0..1_000 {
        houses.0.write(
            &format!("targets/many/{at}.yaml"),
            &format!(
                "targets:\n  house-{at}: {{config_dir: many-{at}, labels: {{ring: \"{}\"}}}}\n",
                at % 10
            ),
        );
    }
    appcred(&houses, &["validate"]).run();
    let ran = appcred(&houses, &["list", "--format=json", "--selector=ring=3"]).run();
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed["targets"].as_array().unwrap().len(), 100);
}

#[test]
fn where_the_files_have_no_target_the_one_of_the_environment_is_left_aside() {
    let houses = houses();
    fs::remove_dir_all(houses.0.join("targets")).unwrap();
    fs::create_dir(houses.0.join("targets")).unwrap();
    houses.0.write("credentials.yaml", "application_credentials: []\n");
    let ran = appcred(&houses, &["apply", "--yes", "--allow-empty"])
        .env("HASS_SERVER", "http://127.0.0.1:1")
        .env("HASS_TOKEN", "xyzzy")
        .status(1)
        .run();
    assert!(ran.stderr.contains("none of them has one; HASS_SERVER is ignored"), "{}", ran.stderr);
}

#[test]
fn what_a_broken_file_of_targets_may_have_is_no_second_error() {
    let houses = houses();
    let project = fs::read_to_string(houses.0.join("appcred.yaml")).unwrap();
    let rollout = "policy: {rollout: {waves: [{match: {site: oslo}}, {max: 1}]}}\n";
    houses.0.write("appcred.yaml", &format!("{project}{rollout}"));
    appcred(&houses, &["validate"]).run();
    for (broken, error) in [
        ("targets: {oslo-1: {config_dir: oslo-1, labels: {site: oslo}}\n", "error"),
        (
            "target:\n  oslo-1: {config_dir: oslo-1, labels: {site: oslo}}\n",
            "unknown field `target`",
        ),
        ("targets:\n  oslo-1: {config_dir: oslo-1, labels: {site: 1}}\n", "must be text"),
        ("targets:\n  oslo-1: {config_dir: oslo-1, labels: [site]}\n", "must be a mapping"),
    ] {
        houses.0.write("targets/oslo/1.yaml", broken);
        let ran = appcred(&houses, &["validate"]).status(1).run();
        assert!(ran.stderr.contains(error), "{}", ran.stderr);
        assert!(!ran.stderr.contains("no target"), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn old_versions_of_files_of_targets_are_searched_for_tokens() {
    let houses = houses();
    let git = |arguments: &[&str]| git(houses.0.path(), arguments);
    let plain = "targets:\n  far: {url: 'https://far.example', token: xyzzy-token}\n";
    houses.0.write("targets/far.yaml", plain);
    houses.0.write("other/targets.yaml", plain);
    houses.0.write(".gitignore", "secrets.yaml\n");
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    fs::remove_file(houses.0.join("targets/far.yaml")).unwrap();
    git(&["add", "."]);
    git(&["commit", "-qm", "second"]);
    let ran = appcred(&houses, &["validate", "--history"]).run();
    assert!(ran.stderr.contains("`token` is in plain text in commit"), "{}", ran.stderr);
    assert!(ran.stderr.contains("targets/far.yaml:2"), "{}", ran.stderr);
    // What is no file of targets of this project may be anybody's.
    assert!(!ran.stderr.contains("other/targets.yaml"), "{}", ran.stderr);
}
