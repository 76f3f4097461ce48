//! The watcher through random faults, edits and drift, at several targets, in simulated hours. When all is well again,
//! everything is as wanted, whatever came before.
//!
//! Faults, their order and the pauses of the watcher come from a seed, as does all that is done then. `APPCRED_HISTORY=7`
//! runs the one of that seed, `APPCRED_HISTORIES=1000` so many.

use std::sync::atomic::Ordering;
use std::time::Duration;

use appcred::model::{ClientId, DesiredCredential, Domain, EntryState, Integration};
use appcred::target::{Denial, Refusal, TargetError};
use appcred::watch::{ChangeDetection, StatusStore, TargetSpec, WatchSettings};
use jiff::Timestamp;

use crate::histories::Random;
use crate::simulated::{come_from_their_seeds, simulate_histories};

use super::house::SetUp;
use super::{Engine, House, RESYNC, SETTINGS, entry, project, spec_at};

const PLACES: [&str; 3] = ["home", "cabin", "barn"];
const KEYS: [&str; 3] = ["a", "b", "c"];
/// What somebody made by hand at each target.
const BY_HAND: &str = "by-hand";

/// What is wanted at each target.
type Wanted = Vec<Vec<DesiredCredential>>;

fn wanted(random: &mut Random) -> Wanted {
    let at_one = |random: &mut Random| {
        let mut all = Vec::new();
        for key in KEYS {
            // The linked account's credential is always there.
            if key == "a" || random.below(3) > 0 {
                let client = if key == "a" { 0 } else { random.below(2) };
                let (client, secret) =
                    (format!("{key}-{client}"), format!("secret-{}", random.below(3)));
                let sets_up = key == "b";
                let integration = Integration { setup: sets_up, ..Integration::default() };
                all.push(DesiredCredential { integration, ..entry(key, &client, &secret) });
            }
        }
        all
    };
    PLACES.map(|_| at_one(random)).to_vec()
}

fn specs(wanted: &Wanted) -> Vec<(&'static str, TargetSpec)> {
    let each = PLACES.iter().zip(wanted);
    each.map(|(place, entries)| (*place, spec_at(place, entries.clone()))).collect()
}

fn begin(house: &House) {
    house.hold(BY_HAND, "theirs");
    let mut state = house.state();
    state.set_up = SetUp::Waits;
    state.shelf.link(&Domain::new("spotify"), "appcred:house:a");
}

/// One thing that goes wrong at a target, or right again. Gives its name.
fn strike(house: &House, random: &mut Random) -> &'static str {
    match random.below(12) {
        0 => {
            house.go_down();
            "goes down"
        }
        1 => {
            let address = "http://home".to_owned();
            house.state().unreachable = Some(TargetError::Unauthorized { address });
            house.disconnect();
            "refuses the token"
        }
        2..=3 => {
            house.come_up();
            "comes up"
        }
        4 => {
            house.disconnect();
            "ends its connections"
        }
        5 => {
            house.state().crashes = 1 + random.below(3);
            house.report();
            "lets looks crash"
        }
        6 => {
            house.refuse();
            "refuses everything"
        }
        7 => {
            house.state().refuses_deletes = Some(Refusal::Denied(Denial::Token));
            "denies deletes"
        }
        8 => {
            let mut state = house.state();
            (state.refuses, state.refuses_deletes, state.slow) = (None, None, None);
            "refuses no more"
        }
        9 => {
            let drops = random.is_true();
            house.state().drops = drops;
            if drops { "drops connections after each look" } else { "keeps connections" }
        }
        10 => {
            house.lose(&format!("{}-0", KEYS[1 + random.below(2)]));
            "loses a credential"
        }
        _ => {
            house.state().slow = Some(Duration::from_secs(random.next() % 90));
            (0..random.below(50)).for_each(|_| house.report());
            "is slow and reports many changes"
        }
    }
}

/// One thing that happens at a target or to the project.
async fn happen(engine: &Engine, random: &mut Random, now: &mut Wanted) -> String {
    match random.below(16) {
        0 => {
            engine.break_manifests().await;
            "manifests are in error".to_owned()
        }
        1 => {
            engine.project.crashes.store(1, Ordering::Relaxed);
            engine.touch();
            "reading crashes".to_owned()
        }
        2..=4 => {
            *now = wanted(random);
            engine.declare(&specs(now)).await;
            "manifests change".to_owned()
        }
        _ => {
            let place = PLACES[random.below(PLACES.len())];
            format!("{place} {}", strike(&engine.houses.at(place), random))
        }
    }
}

/// All is well from now on.
async fn heal(engine: &Engine, now: &Wanted) {
    for place in PLACES {
        let house = engine.houses.at(place);
        house.come_up();
        let mut state = house.state();
        (state.refuses, state.refuses_deletes, state.slow) = (None, None, None);
        (state.crashes, state.drops) = (0, false);
    }
    engine.declare(&specs(now)).await;
    engine.reload().await;
    engine.pass(4 * RESYNC).await;
}

#[track_caller]
fn is_lawful(house: &House, wanted: &[DesiredCredential], history: &str) {
    let state = house.state();
    let held: Vec<_> = state.shelf.credentials.iter().collect();
    let foreign: Vec<_> =
        held.iter().filter(|one| one.client_id == ClientId::new(BY_HAND)).collect();
    assert_eq!(foreign.len(), 1, "{history}: what was made by hand");
    assert!(foreign[0].auth_domain.is_none(), "{history}: {foreign:?}");
    let secret = |client: &ClientId| {
        let one = held.iter().rfind(|one| one.client_id == *client);
        one.map(|one| one.client_secret.clear().unwrap().expose().to_owned())
    };
    for wanted in wanted {
        let expected = wanted.client_secret.clear().unwrap().expose();
        assert_eq!(secret(&wanted.client_id).as_deref(), Some(expected), "{history}: {held:#?}");
    }
    assert_eq!(held.len(), wanted.len() + 1, "{history}: {held:#?}");
    for account in &state.shelf.config_entries {
        assert!(state.shelf.in_force(account).is_some(), "{history}: {account:?}");
        assert_ne!(account.state, EntryState::SetupError, "{history}: {account:?}");
    }
    assert_eq!(state.repeats, 0, "{history}: the same was displayed twice");
}

async fn simulate(seed: u64) {
    let mut random = Random::new(seed);
    let mut now = wanted(&mut random);
    let (folder, project) = project(&specs(&now));
    let houses = std::sync::Arc::<super::Houses>::default();
    for place in PLACES {
        begin(&houses.at(place));
    }
    // Each look at the files takes a thread: more of them would be most of what is done.
    let detection = ChangeDetection::Polling(Duration::from_secs(20));
    let settings = WatchSettings { detection, ..SETTINGS };
    let statuses = StatusStore::new(|| Timestamp::UNIX_EPOCH);
    let engine = Engine::run_with(folder, project, houses, statuses, settings);
    engine.pass(5).await;
    let began = tokio::time::Instant::now();
    let mut history = format!("history {seed}");
    for _ in 0..4 + random.below(16) {
        history += &format!(", {}", happen(&engine, &mut random, &mut now).await);
        tracing::info!("{history}");
        let pause = 1 << random.below(11);
        engine.pass(pause).await;
        history += &format!(", {pause} s");
        for place in PLACES {
            let house = engine.houses.at(place);
            let state = house.state();
            for account in &state.shelf.config_entries {
                let is_linked = state.shelf.in_force(account).is_some();
                // It may never have had one: then the first round has not come so far.
                let was_there = state.creates > 0 && state.refusals == 0;
                assert!(is_linked || !was_there, "{history}: {account:?}");
            }
        }
    }
    heal(&engine, &now).await;
    let minutes = usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    for (place, wanted) in PLACES.iter().zip(&now) {
        let house = engine.houses.at(place);
        is_lawful(&house, wanted, &format!("{history}: {place}"));
        let asked = {
            let state = house.state();
            state.connects + state.looks
        };
        let most = 60 + 3 * minutes;
        assert!(asked < most, "{history}: {place} was asked {asked} times in {minutes} minutes");
        assert_eq!(engine.target(place).error, None, "{history}: {place}");
    }
    engine.end().await;
}

#[test]
fn watch_arrives_whatever_came_before() {
    simulate_histories(40, simulate);
}

#[test]
#[cfg_attr(not(tokio_unstable), ignore = "without `--cfg tokio_unstable`, tokio takes no seed")]
fn what_a_watcher_does_comes_from_the_seed_alone() {
    come_from_their_seeds(12, "engine::simulation::watch_arrives_whatever_came_before");
}
