//! The main job on a configuration folder, and a real Home Assistant that starts on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::forms::check_own;
use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Project};
use crate::watch::eventually;

fn appcred(house: &House) -> Appcred {
    Appcred::new().in_dir(house.project.path())
}

fn house() -> House {
    let house = House::new();
    house.project.write(
        "appcred.yaml",
        "owner: default\nallow_plaintext: true\ntargets: {lab: {config_dir: ha}}\n",
    );
    house
}

fn entry(name: &str, secret: &str) -> String {
    format!(
        "  - {{domain: spotify, name: {name}, client_id: id-{name}, client_secret: {secret}}}\n"
    )
}

/// A mistyped path makes no new house, and credentials are not written where nobody reads them.
#[test]
fn a_folder_that_cannot_be_one_of_home_assistant_is_refused() {
    let house = house();
    house.declare(&[entry("a", "first")]);
    house.project.write("config/configuration.yaml", "default_config:\n");
    house.project.write("docs/x.md", "hi");
    fs::create_dir(house.project.join("empty")).unwrap();
    house.project.write("other/.git/HEAD", "");
    house.project.write("custom/custom_components/own/manifest.json", "{}");
    let run = |folder: &str, arguments: &str, status: i32| {
        let targets =
            format!("allow_plaintext: true\ntargets: {{lab: {{config_dir: {folder}}}}}\n");
        house.project.write("appcred.yaml", &targets);
        let ran = appcred(&house).args(arguments.split(' ')).status(status).run();
        ran.stdout + &ran.stderr
    };
    for (folder, expected) in [
        ("typo/config", "there is no folder typo, so typo/config is not made"),
        (
            "confg",
            "there is no folder confg: did you mean config? To prepare a new Home Assistant there, make the folder first",
        ),
        ("/dev", "/dev is not the configuration folder of a Home Assistant"),
        ("config/.storage", "`config_dir` is the folder above, `config`"),
        ("config/.storage/application_credentials", "`config_dir` is the folder above, `config`"),
        ("docs/x.md", "`docs/x.md` is a file, or below one"),
        ("docs/x.md/y", "`docs/x.md/y` is a file, or below one"),
        ("docs", "docs is not the configuration folder of a Home Assistant"),
    ] {
        for arguments in ["plan", "apply --yes", "doctor"] {
            let said = run(folder, arguments, 1);
            assert!(said.contains(expected), "{folder}, {arguments}: {said}");
        }
    }
    assert!(
        ["typo", "confg", "docs/.storage"].iter().all(|path| !house.project.join(path).exists())
    );
    for folder in ["config", "empty", "other", "custom", "new", "config2"] {
        run(folder, "apply --yes", 0);
        assert!(house.project.join(folder).join(".storage").exists(), "{folder}");
    }
}

/// One storage by two paths that do not show it, as where a volume is mounted twice.
#[test]
fn two_targets_with_one_storage_are_refused() {
    let project = Project::new().file(
        "appcred.yaml",
        "owner: house\nallow_plaintext: true\ntargets: {one: {config_dir: a}, two: {config_dir: b}, three: {config_dir: c}}\n",
    );
    project.write(
        "credentials/all.yaml",
        "application_credentials:\n  - {domain: spotify, name: Two, client_id: a, client_secret: xyzzy-a, targets: [two]}\n",
    );
    project.write("a/configuration.yaml", "default_config:\n");
    project.write("b/configuration.yaml", "default_config:\n");
    fs::create_dir(project.join("a/.storage")).unwrap();
    symlink("../a/.storage", project.join("b/.storage")).unwrap();
    for verb in [&["plan"][..], &["apply", "--yes"]] {
        let appcred = Appcred::new().in_dir(project.path());
        let ran = appcred.args(verb).status(1).run();
        let said = "`one` (appcred.yaml:3:11) is the same Home Assistant as the target `two` (appcred.yaml:3:33)";
        assert!(
            ran.stderr.contains(said) || ran.stdout.contains(said),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
    }
    assert_eq!(fs::read_dir(project.join("a/.storage")).unwrap().count(), 0);
    let watch = Appcred::new().in_dir(project.path()).args(["watch"]).spawn();
    eventually("the one that is to be changed is refused", || {
        watch
            .stderr()
            .contains("the target `one` is the same Home Assistant, and each would delete")
    });
    watch.signal(Signal::TERM);
    watch.finish();
    assert_eq!(fs::read_dir(project.join("a/.storage")).unwrap().count(), 0);
}

each_release!(a_house_that_is_not_born_yet_starts_with_its_credentials);
fn a_house_that_is_not_born_yet_starts_with_its_credentials(release: Release) {
    let house = house();
    house.declare(&[entry("a", "first"), entry("b", "second")]);
    appcred(&house).args(["apply", "--yes"]).run();

    let mut ha = HomeAssistant::start_in(release, &house.project.join("ha"));
    let held = ha.credentials();
    let expected = |name: &str, secret: &str| {
        json!({"id": format!("spotify_id_{name}"), "domain": "spotify", "client_id": format!("id-{name}"),
            "client_secret": secret, "name": name, "auth_domain": format!("appcred:default:{name}")})
    };
    assert_eq!(held, [expected("a", "first"), expected("b", "second")]);

    house.declare(&[entry("a", "changed")]);
    let ran = appcred(&house).args(["apply", "--yes"]).status(1).run();
    assert!(ran.stdout.contains("Home Assistant"), "it runs there: {}", ran.stdout);
    for verb in ["plan", "list"] {
        let said = appcred(&house).args([verb]).run().stderr;
        assert!(said.contains("warning: lab: Home Assistant ("), "{verb}: {said}");
        assert!(said.contains("is running on ha, and would overwrite"), "{verb}: {said}");
    }
    assert_eq!(ha.credentials(), held);

    ha.create_credential(
        json!({"domain": "twitch", "client_id": "by-hand", "client_secret": "theirs"}),
    );
    ha.stop();
    // It has no accounts yet, and some releases write no list of them then.
    let accounts = house.project.join("ha/.storage/core.config_entries");
    if !accounts.exists() {
        fs::write(accounts, r#"{"version": 1, "data": {"entries": []}}"#).unwrap();
    }
    appcred(&house).args(["apply", "--yes"]).run();
    ha.start_again();

    let held = ha.credentials();
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!(held[0]["client_id"], "by-hand");
    assert_eq!(
        (&held[1]["client_id"], &held[1]["client_secret"]),
        (&json!("id-a"), &json!("changed"))
    );
}

each_release!(what_ha_wrote_is_read);
fn what_ha_wrote_is_read(release: Release) {
    let house = house();
    house.declare(&[entry("a", "first")]);
    std::fs::create_dir(house.project.join("ha")).unwrap();
    let mut ha = HomeAssistant::start_in(release, &house.project.join("ha"));
    let made = ha.create_credential(
        json!({"domain": "linked_account", "client_id": "anna", "client_secret": "theirs"}),
    );
    ha.link_by_hand("linked_account", made["id"].as_str().unwrap());
    ha.stop();

    let list = appcred(&house).args(["list", "--format", "json"]).run().stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    check_own("list.schema.json", &list);
    let [credential] = list["targets"][0]["credentials"].as_array().unwrap().as_slice() else {
        panic!("{list}")
    };
    assert_eq!((&credential["id"], &credential["state"]), (&made["id"], &json!("foreign")));
    assert_eq!(credential["used_by"].as_array().unwrap().len(), 1);
    assert!(list["targets"][0]["home_assistant_version"].is_string(), "{list}");
}

#[test]
fn a_killed_apply_is_finished_by_the_next() {
    let house = house();
    let entries: Vec<_> = (0..5_000).map(|number| entry(&format!("n{number}"), "hush")).collect();
    house.declare(&entries);
    for pause in [20, 40, 60, 80, 100, 120] {
        let running = appcred(&house).args(["apply", "--yes", "--format", "json"]).spawn();
        thread::sleep(Duration::from_millis(pause));
        running.signal(Signal::KILL);
        running.finish();
    }
    appcred(&house).args(["apply", "--yes"]).run();
    appcred(&house).args(["plan", "--detailed-exitcode"]).status(0).run();
    let storage = std::fs::read_dir(house.project.join("ha/.storage")).unwrap();
    let mut names: Vec<_> =
        storage.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [".appcred.lock", "application_credentials"]);
}
