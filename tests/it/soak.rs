//! A day in a minute: thousands of edits, drift and restarts, and everything is as it was.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release};
use crate::watch::{arrives, eventually};

const BURSTS: usize = 60;
const EDITS: usize = 40;
const FILES: u64 = 12;
/// Memory that an allocator holds on to, but no leak that grows with what happens.
const GROWTH: f64 = 1.4;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What is used of the machine.
#[derive(Debug)]
struct Usage {
    kibibytes: f64,
    files: usize,
    threads: usize,
}

fn usage(process: u32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    Usage {
        kibibytes: value("VmRSS:"),
        files: fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
        threads: value("Threads:") as usize,
    }
}

each_release!(ha_day_of_edits_drift_and_restarts_leaves_nothing_behind);
fn ha_day_of_edits_drift_and_restarts_leaves_nothing_behind(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let house = House::new();
    house.project.write("appcred.yaml", "allow_plaintext: true\npolicy: {allow_empty: true}\n");
    fs::create_dir(house.project.join("credentials")).unwrap();
    let running = house.appcred(&ha).args(["watch", "--resync", "1"]).spawn();
    let mut dice = Dice(20_261_124);
    let mut wanted: BTreeMap<u64, String> = BTreeMap::new();
    let mut early = None;
    for burst in 0..BURSTS {
        for _ in 0..EDITS {
            edit(&house, &mut dice, &mut wanted);
        }
        if burst % 4 == 1 {
            drift(&ha, &mut dice);
        }
        thread::sleep(Duration::from_millis(100 + dice.roll(500)));
        match burst {
            14 | 44 => ha.restart(),
            29 => ha.restart_after_kill(),
            _ => {}
        }
        if burst == BURSTS / 3 {
            is_as_wanted(&ha, &wanted);
            early = Some(usage(running.id()));
        }
    }
    is_as_wanted(&ha, &wanted);
    let early = early.unwrap();
    eventually("no more files are open than before", || usage(running.id()).files <= early.files);
    let late = usage(running.id());
    assert!(late.kibibytes < early.kibibytes * GROWTH, "{early:?} became {late:?}");
    assert!(late.threads <= early.threads + 2, "{early:?} became {late:?}");
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("fault of appcred"), "{}", ran.stderr);
}

fn edit(house: &House, dice: &mut Dice, wanted: &mut BTreeMap<u64, String>) {
    let file = dice.roll(FILES);
    let path = format!("credentials/{file}.yaml");
    match dice.roll(6) {
        0 => {
            if wanted.remove(&file).is_some() {
                fs::remove_file(house.project.join(&path)).unwrap();
            }
        }
        1 => {
            // Broken for a moment, and mended by the next edit of this file at the latest.
            house.project.write(&path, "application_credentials: [");
            let secret = wanted.entry(file).or_insert_with(|| "mended".to_owned()).clone();
            write(house, file, &secret);
        }
        2 => {
            let secret = format!("s{}", dice.roll(1_000_000));
            house.project.write(&format!("credentials/.{file}.new"), &manifest(file, &secret));
            let new = house.project.join(&format!("credentials/.{file}.new"));
            fs::rename(new, house.project.join(&path)).unwrap();
            wanted.insert(file, secret);
        }
        _ => {
            let secret = format!("s{}", dice.roll(1_000_000));
            write(house, file, &secret);
            wanted.insert(file, secret);
        }
    }
}

fn write(house: &House, file: u64, secret: &str) {
    house.project.write(&format!("credentials/{file}.yaml"), &manifest(file, secret));
}

fn manifest(file: u64, secret: &str) -> String {
    format!(
        "application_credentials:\n  - domain: spotify\n    name: N{file}\n    client_id: c{file:02}\n    client_secret: {secret}\n    integration: {{setup: false}}\n"
    )
}

/// Somebody deletes a credential by hand, or makes one that nobody declares.
fn drift(ha: &HomeAssistant, dice: &mut Dice) {
    let held = ha.credentials();
    if held.is_empty() {
        return;
    }
    let one = &held[dice.roll(held.len() as u64) as usize];
    let delete =
        json!({"type": "application_credentials/delete", "application_credentials_id": one["id"]});
    // The watcher may have been quicker.
    drop(ha.call(delete));
}

#[track_caller]
fn is_as_wanted(ha: &HomeAssistant, wanted: &BTreeMap<u64, String>) {
    let expected: Vec<(String, &str)> =
        wanted.iter().map(|(file, secret)| (format!("c{file:02}"), secret.as_str())).collect();
    let expected: Vec<(&str, &str)> =
        expected.iter().map(|(id, secret)| (id.as_str(), *secret)).collect();
    arrives(ha, &expected);
}
