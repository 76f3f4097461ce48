//! Histories that each go wrong once, at a random place: a fault on the line, a kill of the run, a kill of Home
//! Assistant. Whatever it is, the next run arrives, a linked account runs, and what is not ours is as it was,
//! seen from Home Assistant's side.
//!
//! `APPCRED_HISTORIES=1000` runs so many of each kind; `APPCRED_HISTORY=7` runs the one of that seed alone.
//! `each_step` has the histories that are killed at each step instead of a random one.

mod each_step;
mod model;
mod proxy;
mod step_proxy;

use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Ran};

use proxy::{Disturbance, FaultProxy};

const LINKED: &str = "linked_account";
/// An entry's integration and the name that its key comes from.
const ENTRIES: [(&str, &str); 4] =
    [("spotify", "Anna"), ("spotify", "Ben"), ("twitch", "Cleo"), (LINKED, "Dora")];

/// Random numbers from a seed alone (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn is_true(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

/// Tells who runs a long round by hand.
#[allow(clippy::print_stdout, reason = "with --nocapture, a long round says what it did")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// A client id and a secret for each name.
type Declared = BTreeMap<&'static str, (String, String)>;

/// A state that somebody may want. The linked account's credential is always there, and its client stays.
fn any_state(random: &mut Random) -> Declared {
    let mut declared = Declared::new();
    for (domain, name) in ENTRIES {
        let is_linked = domain == LINKED;
        if is_linked || random.below(3) > 0 {
            let client = if is_linked { 0 } else { random.below(2) };
            let client = format!("{}-client-{client}", name.to_lowercase());
            declared.insert(name, (client, format!("top-secret-{}", random.below(3))));
        }
    }
    declared
}

/// A house whose Home Assistant holds a linked account, and what somebody made by hand.
struct World {
    ha: HomeAssistant,
    house: House,
    foreign: Value,
    account: String,
}

impl World {
    fn new(release: Release) -> Self {
        let ha = HomeAssistant::start(release);
        let foreign = ha.create_credential(json!({
            "domain": "spotify", "client_id": "by-hand", "client_secret": "theirs", "name": "Mine",
        }));
        let house = House::new();
        house.declare(&[house.entry(LINKED, "Dora", "dora-client-0", "top-secret-0")]);
        house.apply(&ha);
        let account = ha.link_by_hand(LINKED, "appcred:default:dora");
        Self { ha, house, foreign, account }
    }

    fn declare(&self, declared: &Declared) {
        let entries = ENTRIES.iter().filter_map(|(domain, name)| {
            let (client, secret) = declared.get(name)?;
            Some(self.house.entry(domain, name, client, secret))
        });
        self.house.declare(&entries.collect::<Vec<_>>());
    }

    fn apply_at(&self, url: &str) -> Appcred {
        let apply = self.house.appcred(&self.ha).env("HASS_SERVER", url);
        apply.args(["apply", "--yes", "--format", "json"])
    }

    /// What differs from what is declared, and what is not as it must be.
    fn faults(&self, declared: &Declared) -> Vec<String> {
        let held = self.ha.credentials();
        let mut faults = Vec::new();
        let (theirs, ours): (Vec<_>, Vec<_>) =
            held.iter().partition(|one| one["id"] == self.foreign["id"]);
        if theirs != [&self.foreign] {
            faults.push(format!("what somebody made by hand is {theirs:?}"));
        }
        let describe = |domain: &str, name: &str, client: &str, secret: &str| {
            let mark = format!("appcred:default:{}", name.to_lowercase());
            format!("{domain} {name} {client} {secret} {mark}")
        };
        let mut holds: Vec<_> = ours
            .iter()
            .map(|one| {
                let [domain, name, client, secret, mark] =
                    ["domain", "name", "client_id", "client_secret", "auth_domain"]
                        .map(|field| one[field].as_str().unwrap_or("-"));
                format!("{domain} {name} {client} {secret} {mark}")
            })
            .collect();
        let mut wanted: Vec<_> = ENTRIES
            .iter()
            .filter_map(|(domain, name)| {
                let (client, secret) = declared.get(name)?;
                Some(describe(domain, name, client, secret))
            })
            .collect();
        holds.sort();
        wanted.sort();
        if holds != wanted {
            faults.push(format!("holds {holds:#?}, wanted {wanted:#?}"));
        }
        let state = self.ha.state_of(&self.account);
        if state != "loaded" {
            faults.push(format!("the linked account is {state}"));
        }
        faults
    }

    /// The next run arrives, whatever was before.
    #[track_caller]
    fn arrives(&self, declared: &Declared, history: &str) {
        let ran = self.apply_at(&self.ha.url()).spawn().finish();
        assert_eq!(ran.status, Some(0), "{history}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(self.faults(declared), [""; 0], "{history}: {}{}", ran.stdout, ran.stderr);
        self.house.appcred(&self.ha).args(["plan", "--detailed-exitcode"]).status(0).run();
    }
}

/// The seeds of the histories to run.
pub(crate) fn seeds(usual: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    match number("APPCRED_HISTORY") {
        Some(seed) => seed..seed + 1,
        None => 0..number("APPCRED_HISTORIES").unwrap_or(usual),
    }
}

/// Ended by itself, in good order, and said nothing that is secret.
#[track_caller]
fn ended_well(ran: &Ran, history: &str) {
    assert!(matches!(ran.status, Some(0 | 1)), "{history}: {:?} {}", ran.status, ran.stderr);
    for text in ["panicked", "top-secret"] {
        assert!(
            !ran.stderr.contains(text) && !ran.stdout.contains(text),
            "{history}: {}",
            ran.stderr
        );
    }
}

/// Goes from one state to another where something goes wrong, and arrives all the same. `go_wrong` says what it was.
#[track_caller]
fn each_history(
    world: &mut World,
    usual: u64,
    mut go_wrong: impl FnMut(&mut World, &mut Random, &Declared, &str) -> String,
) {
    for seed in seeds(usual) {
        let mut random = Random(seed);
        let (before, after) = (any_state(&mut random), any_state(&mut random));
        let history = format!("history {seed}, from {before:?} to {after:?}");
        world.declare(&before);
        world.arrives(&before, &history);
        world.declare(&after);
        let wrong = go_wrong(world, &mut random, &after, &history);
        world.arrives(&after, &format!("{history}, {wrong}"));
    }
}

/// Some time in which a run is begun, or over.
fn any_pause(random: &mut Random) -> Duration {
    Duration::from_micros(u64::try_from(random.below(600_000)).unwrap())
}

each_release!(ha_faults_on_the_line_leave_nothing_wrong);
fn ha_faults_on_the_line_leave_nothing_wrong(release: Release) {
    let mut world = World::new(release);
    let mut struck = 0;
    each_history(&mut world, 25, |world, random, after, history| {
        let disturbance = Disturbance::random(random);
        let history = format!("{history}, {disturbance:?}");
        let proxy = FaultProxy::before(&world.ha.url(), disturbance);
        let ran = world.apply_at(&proxy.url()).spawn().finish();
        ended_well(&ran, &history);
        if ran.status == Some(0) {
            assert_eq!(world.faults(after), [""; 0], "{history}, exit 0: {}", ran.stdout);
        }
        struck += usize::from(proxy.has_struck());
        format!("{disturbance:?}")
    });
    assert!(struck > 0, "no fault came about");
}

each_release!(ha_kill_of_a_run_leaves_nothing_wrong);
fn ha_kill_of_a_run_leaves_nothing_wrong(release: Release) {
    let mut world = World::new(release);
    // The steps that matter are taken one by one in `each_step`.
    each_history(&mut world, 5, |world, random, _, _| {
        let pause = any_pause(random);
        let running = world.apply_at(&world.ha.url()).spawn();
        thread::sleep(pause);
        running.signal(Signal::KILL);
        running.finish();
        format!("killed after {pause:?}")
    });
}

each_release!(ha_kill_of_home_assistant_leaves_nothing_wrong);
fn ha_kill_of_home_assistant_leaves_nothing_wrong(release: Release) {
    let mut world = World::new(release);
    // It writes what it holds after some seconds only; what was there before must not go with a kill.
    world.ha.restart();
    each_history(&mut world, 3, |world, random, _, history| {
        let pause = any_pause(random);
        let running = world.apply_at(&world.ha.url()).spawn();
        thread::sleep(pause);
        world.ha.kill();
        ended_well(&running.finish(), &format!("{history}, HA killed after {pause:?}"));
        world.ha.start_again();
        format!("HA killed after {pause:?}")
    });
}
