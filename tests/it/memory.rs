//! What is left of secrets in the memory of a watcher.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use serde_json::json;

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Running};
use crate::watch::{arrives, eventually};

/// Secrets that are found nowhere else.
const BY_HAND: &str = "by-hand-4c1f0e7a92b6d835";
const FIRST: &str = "first-7b20c95e41d8fa63";
const SECOND: &str = "second-e5936a0d7c14b82f";

/// How often the memory of a process has each text. Only root may look.
#[track_caller]
fn copies<const N: usize>(running: &Running, texts: [&str; N]) -> [usize; N] {
    let process = format!("/proc/{}", running.id());
    let memory = File::open(format!("{process}/mem")).unwrap();
    let finders = texts.map(|text| regex::bytes::Regex::new(&regex::escape(text)).unwrap());
    let mut found = [0; N];
    for line in fs::read_to_string(format!("{process}/maps")).unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut part = vec![0; (to - from) as usize];
        // The kernel's own parts cannot be read, and others may be gone by now.
        if !rest.starts_with("rw") || memory.read_exact_at(&mut part, from).is_err() {
            continue;
        }
        for (found, finder) in found.iter_mut().zip(&finders) {
            *found += finder.find_iter(&part).count();
        }
    }
    found
}

each_release!(ha_watcher_keeps_only_the_secrets_that_are_in_force);
fn ha_watcher_keeps_only_the_secrets_that_are_in_force(release: Release) {
    let ha = HomeAssistant::start(release);
    ha.create_credential(
        json!({"domain": "twitch", "client_id": "by-hand", "client_secret": BY_HAND}),
    );
    let new_token =
        json!({"type": "auth/long_lived_access_token", "client_name": "new", "lifespan": 1});
    let new_token = ha.call(new_token).unwrap();
    let new_token = new_token.as_str().unwrap();
    let house = House::new();
    let target = format!("targets: {{home: {{url: '{}', token: !file token}}}}\n", ha.url());
    house.project.write("appcred.yaml", &format!("owner: default\n{target}"));
    house.project.write("token", ha.token());
    house.declare(&[house.entry("spotify", "A", "a", FIRST)]);
    let running =
        house.with_key(Appcred::new().in_dir(house.project.path())).args(["watch"]).spawn();
    arrives(&ha, &[("a", FIRST), ("by-hand", BY_HAND)]);
    assert_ne!(copies(&running, [FIRST, ha.token()]), [0; 2], "the search finds what is there");

    house.declare(&[house.entry("spotify", "A", "a", SECOND)]);
    arrives(&ha, &[("a", SECOND), ("by-hand", BY_HAND)]);
    house.project.write("token", new_token);
    eventually("what is not in force is gone", || copies(&running, [FIRST, ha.token()]) == [0; 2]);
    // What the project wants, HA's last answer where the connection has received it, and the token that
    // opens the next connection.
    eventually("no more is kept than is needed", || {
        let [desired, token, by_hand] = copies(&running, [SECOND, new_token, BY_HAND]);
        (1..=4).contains(&desired) && (1..=2).contains(&token) && by_hand <= 2
    });
}
