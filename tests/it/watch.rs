//! `watch` on a running Home Assistant: whatever happens, it arrives.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::ha_apply::House;
use crate::real::HomeAssistant;

/// The longest that anything may take here before it counts as never.
const NEVER: Duration = Duration::from_secs(60);

/// Waits until Home Assistant holds these clients' secrets.
#[track_caller]
fn arrives(ha: &HomeAssistant, expected: &[(&str, &str)]) {
    let begin = Instant::now();
    loop {
        let credentials = ha.credentials();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let mut held: Vec<_> = credentials
            .iter()
            .map(|held| (text(&held["client_id"]), text(&held["client_secret"])))
            .collect();
        held.sort();
        if held
            .iter()
            .map(|(id, secret)| (id.as_str(), secret.as_str()))
            .eq(expected.iter().copied())
        {
            return;
        }
        assert!(begin.elapsed() < NEVER, "{held:?} is held, {expected:?} wanted");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn ha_follows_files_and_mends_what_is_changed_by_hand() {
    let mut ha = HomeAssistant::start();
    let house = House::new();
    let (a, b) =
        (house.entry("spotify", "A", "a", "first"), house.entry("twitch", "B", "b", "second"));
    house.declare(std::slice::from_ref(&a));
    let running = house.appcred(&ha).args(["watch", "--resync", "1"]).spawn();
    arrives(&ha, &[("a", "first")]);

    house.declare(&[a.clone(), b.clone()]);
    arrives(&ha, &[("a", "first"), ("b", "second")]);

    let project = &house.project;
    fs::rename(project.join("credentials"), project.join("elsewhere")).unwrap();
    thread::sleep(Duration::from_millis(600));
    fs::create_dir(project.join("credentials")).unwrap();
    let text = format!("application_credentials:\n{}", house.entry("spotify", "A", "a", "third"));
    fs::write(project.join("new"), text).unwrap();
    fs::rename(project.join("new"), project.join("credentials/all.yaml")).unwrap();
    arrives(&ha, &[("a", "third")]);

    project.write("credentials/broken.yaml", "application_credentials: [");
    house.declare(&[house.entry("spotify", "A", "a", "fourth")]);
    thread::sleep(Duration::from_secs(2));
    arrives(&ha, &[("a", "third")]);
    fs::remove_file(project.join("credentials/broken.yaml")).unwrap();
    arrives(&ha, &[("a", "fourth")]);

    let id = ha.credentials()[0]["id"].clone();
    ha.call(json!({"type": "application_credentials/delete", "application_credentials_id": id}))
        .unwrap();
    arrives(&ha, &[("a", "fourth")]);

    ha.restart_after_kill();
    arrives(&ha, &[("a", "fourth")]);

    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("credentials/broken.yaml:1:"), "{}", ran.stderr);
}

#[test]
fn ha_follows_a_swap_of_symlinks_as_kubernetes_does_it() {
    let ha = HomeAssistant::start();
    let house = House::new();
    let project = &house.project;
    let version = |name: &str, secret: &str| {
        let text =
            format!("application_credentials:\n{}", house.entry("spotify", "A", "a", secret));
        project.write(&format!("credentials/{name}/all.yaml"), &text);
    };
    version("..2026_1", "first");
    symlink("..2026_1", project.join("credentials/..data")).unwrap();
    symlink("..data/all.yaml", project.join("credentials/all.yaml")).unwrap();
    let running = house.appcred(&ha).args(["watch"]).spawn();
    arrives(&ha, &[("a", "first")]);

    version("..2026_2", "second");
    symlink("..2026_2", project.join("credentials/..data_tmp")).unwrap();
    fs::rename(project.join("credentials/..data_tmp"), project.join("credentials/..data")).unwrap();
    fs::remove_dir_all(project.join("credentials/..2026_1")).unwrap();
    arrives(&ha, &[("a", "second")]);

    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let ha = HomeAssistant::start();
    let house = House::new();
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    let running =
        house.appcred(&ha).args(["watch", "--dry-run", "--poll", "1", "--resync", "1"]).spawn();
    thread::sleep(Duration::from_secs(3));
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.stderr.matches("to do: create spotify \"A\"").count(), 1, "{}", ran.stderr);
    assert!(ha.credentials().is_empty());
}
