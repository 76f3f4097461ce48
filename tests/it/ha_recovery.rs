//! How soon a watcher is done once Home Assistant has started again. A measurement, run by
//! `tests/run --test it ha_recovery -- --ignored --nocapture`.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::ha_apply::House;
use crate::real::{CONFIGURATION, HomeAssistant, Release};
use crate::watch::arrives;

const RUNS: usize = 5;
/// Keeps Home Assistant from having started for so long.
const SLOW: &str = "\
import asyncio

async def async_setup(hass, config):
    await asyncio.sleep(25)
    return True
";

/// How Home Assistant goes.
type Ends = fn(&mut HomeAssistant);

const WAYS: [(&str, bool, Ends); 3] = [
    ("restart", false, HomeAssistant::stop),
    ("kill -9", false, HomeAssistant::kill),
    ("slow start", true, HomeAssistant::stop),
];

/// The seconds from where it has started until what changed meanwhile is there, of each run.
fn measure(release: Release, is_slow: bool, ends: Ends) -> Vec<Duration> {
    let folder = tempfile::tempdir().unwrap();
    let mut ha = HomeAssistant::start_in(release, folder.path());
    if is_slow {
        let slow = folder.path().join("custom_components/slow");
        fs::create_dir(&slow).unwrap();
        fs::write(slow.join("__init__.py"), SLOW).unwrap();
        let manifest = r#"{"domain": "slow", "name": "Slow", "version": "1.0.0"}"#;
        fs::write(slow.join("manifest.json"), manifest).unwrap();
        let configuration = format!("{CONFIGURATION}slow:\n");
        fs::write(folder.path().join("configuration.yaml"), configuration).unwrap();
    }
    let house = House::new();
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    let running = house.appcred(&ha).args(["watch", "--listen=off"]).spawn();
    arrives(&ha, &[("a", "first")]);
    let one = |run: usize| {
        ends(&mut ha);
        let secret = format!("new-{run}");
        house.declare(&[house.entry("spotify", "A", "a", &secret)]);
        ha.start_again();
        let ready = Instant::now();
        arrives(&ha, &[("a", &secret)]);
        ready.elapsed()
    };
    let measured = (0..RUNS).map(one).collect();
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
    measured
}

#[test]
#[ignore = "it measures, and takes minutes"]
#[expect(clippy::print_stdout, reason = "whoever measures shall see it")]
fn how_soon_it_is_in_sync_again() {
    for release in [Release::Ha2024_3, Release::Ha2026_11] {
        for (name, is_slow, ends) in WAYS {
            let seconds = measure(release, is_slow, ends);
            let seconds: Vec<_> = seconds.iter().map(|one| format!("{one:.1?}")).collect();
            println!("{} {name}: {}", release.name(), seconds.join(", "));
        }
    }
}
