//! Targets that are changed in waves.

use std::sync::Arc;
use std::time::Duration;

use appcred::model::{Key, Rollout, TargetName, TargetProgress, WhyUndone};
use appcred::plan::Why;
use appcred::status::Holding;
use appcred::watch::TargetSpec;
use jiff::SignedDuration;

use super::house::SetUp;
use super::{Engine, Houses, entry, project, spec_at};

const PAUSE: u64 = 600;

fn rollout() -> Rollout {
    let wave = |names: &[&str]| names.iter().map(|name| TargetName::new(*name)).collect();
    Rollout {
        waves: vec![wave(&["canary-a", "canary-b"]), wave(&["near"]), wave(&["far"])],
        pause: SignedDuration::from_secs(600),
    }
}

/// What all four houses should hold.
fn all(secret: &str) -> Vec<(&'static str, TargetSpec)> {
    ["canary-a", "canary-b", "near", "far"]
        .map(|name| (name, spec_at(name, vec![entry("a", "client", secret)])))
        .into()
}

async fn started(houses: Arc<Houses>, secret: &str) -> Engine {
    let (folder, project) = project(&all(secret));
    *project.rollout.lock().unwrap() = rollout();
    let engine = Engine::run(folder, project, houses);
    engine.pass(5).await;
    engine
}

impl Engine {
    /// The houses that hold this secret.
    fn with(&self, secret: &str) -> Vec<&'static str> {
        let holds =
            |name: &&str| self.houses.at(name).secrets().iter().any(|(_, held)| held == secret);
        ["canary-a", "canary-b", "near", "far"].into_iter().filter(holds).collect()
    }

    fn stopped(&self) -> Option<String> {
        self.status().rollout.as_ref().map(ToString::to_string)
    }
}

#[tokio::test(start_paused = true)]
async fn a_wave_begins_when_those_before_it_are_done_and_the_pause_is_over() {
    let engine = started(Arc::default(), "first").await;
    assert_eq!(engine.with("first"), ["canary-a", "canary-b"]);
    let (near, far) = (engine.target("near"), engine.target("far"));
    for target in [near, far] {
        assert!(!target.is_in_sync() && target.error.is_none(), "{target:?}");
        assert_eq!(target.progress(), TargetProgress::Waits);
        assert!(
            matches!(target.entries[0].holding, Holding::Withheld(Why::EarlierWave { .. })),
            "{target:?}"
        );
    }
    assert_eq!(engine.status().rollout.as_ref().unwrap().undone.wave.number, 2);
    engine.pass(PAUSE - 20).await;
    assert_eq!(engine.with("first").len(), 2);
    engine.pass(20).await;
    assert_eq!(engine.with("first"), ["canary-a", "canary-b", "near"]);
    engine.pass(PAUSE + 5).await;
    assert_eq!(engine.with("first").len(), 4);
    assert_eq!(engine.stopped(), None);

    // What is changed next begins with the first wave again, although it was done.
    engine.declare(&all("second")).await;
    assert_eq!(engine.with("second"), ["canary-a", "canary-b"]);
    engine.pass(2 * PAUSE + 10).await;
    assert_eq!(engine.with("second").len(), 4);

    // A change of one house waits for no other.
    let mut specs = all("second");
    specs[3].1 = spec_at("far", vec![entry("a", "client", "third")]);
    engine.pass(PAUSE).await;
    engine.declare(&specs).await;
    assert_eq!(engine.with("third"), ["far"]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wave_is_being_changed_once_it_was_read() {
    let houses: Arc<Houses> = Arc::default();
    for name in ["canary-a", "canary-b"] {
        houses.at(name).state().looks_hang = true;
    }
    let engine = started(houses, "first").await;
    assert_eq!(engine.target("near").progress(), TargetProgress::Waits);
    assert_eq!(engine.stopped().unwrap(), "wave 1 of 3 was not read yet");
    engine.end().await;

    let houses: Arc<Houses> = Arc::default();
    for name in ["canary-a", "canary-b"] {
        houses.at(name).state().slow = Some(Duration::from_secs(30));
    }
    let engine = started(houses, "first").await;
    let changed = "wave 1 of 3 is being changed: 2 targets are not as wanted yet";
    assert_eq!(engine.stopped().unwrap(), changed);
    // It is read anew for what is wanted now.
    engine.declare(&written_elsewhere("first")).await;
    assert_eq!(engine.stopped().unwrap(), "wave 1 of 3 was not read yet");
    engine.end().await;
}

/// `all`, written elsewhere in the manifests, which have an entry more that is for another house.
fn written_elsewhere(secret: &str) -> Vec<(&'static str, TargetSpec)> {
    let mut specs = all(secret);
    for (_, spec) in &mut specs {
        spec.desired.credentials[0].place.line = 7;
        spec.desired.elsewhere.insert(Key::new("other").unwrap(), None);
    }
    specs
}

#[tokio::test(start_paused = true)]
async fn a_pause_goes_on_where_nothing_is_changed_in_the_waves_before_it() {
    let engine = started(Arc::default(), "first").await;
    engine.pass(PAUSE / 3).await;
    engine.declare(&written_elsewhere("first")).await;
    engine.pass(PAUSE / 3).await;
    // A target more in the last wave.
    let mut with_one_more = rollout();
    with_one_more.waves[2].insert(TargetName::new("new"));
    *engine.project.rollout.lock().unwrap() = with_one_more;
    engine.declare(&written_elsewhere("first")).await;
    assert_eq!(engine.with("first"), ["canary-a", "canary-b"]);
    engine.pass(PAUSE / 3 + 10).await;
    assert_eq!(engine.with("first"), ["canary-a", "canary-b", "near"]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_begins_anew_where_something_is_changed_in_the_waves_before_it() {
    let engine = started(Arc::default(), "first").await;
    engine.pass(PAUSE / 2).await;
    let mut specs = all("first");
    specs[0].1 = spec_at("canary-a", vec![entry("a", "client", "second")]);
    engine.declare(&specs).await;
    engine.pass(PAUSE / 2 + 10).await;
    assert_eq!((engine.with("second").len(), engine.with("first")), (1, vec!["canary-b"]));
    engine.pass(PAUSE / 2).await;
    assert_eq!(engine.with("first"), ["canary-b", "near"]);

    // So it does where a wave has a target more.
    let mut with_one_more = rollout();
    with_one_more.waves[1].insert(TargetName::new("far"));
    with_one_more.waves[2].clear();
    with_one_more.waves[0].insert(TargetName::new("near"));
    with_one_more.waves[1].remove(&TargetName::new("near"));
    engine.pass(PAUSE / 2).await;
    *engine.project.rollout.lock().unwrap() = with_one_more;
    engine.declare(&specs).await;
    engine.pass(PAUSE / 2 + 10).await;
    assert_eq!(engine.with("first"), ["canary-b", "near"]);
    engine.pass(PAUSE / 2).await;
    assert_eq!(engine.with("first"), ["canary-b", "near", "far"]);
    engine.end().await;
}

/// What is changed next at a canary and far away, where all four houses hold the first secret for long.
fn canary_and_far() -> Vec<(&'static str, TargetSpec)> {
    let mut specs = all("first");
    for at in [0, 3] {
        specs[at].1 = spec_at(specs[at].0, vec![entry("a", "client", "second")]);
    }
    specs
}

#[tokio::test(start_paused = true)]
async fn a_pause_begins_anew_where_a_house_that_is_to_be_changed_is_down_for_a_moment() {
    let houses = Arc::new(Houses::default());
    let engine = started(Arc::clone(&houses), "first").await;
    engine.pass(5 * PAUSE).await;
    assert_eq!(engine.with("first").len(), 4);
    houses.at("canary-a").go_down();
    engine.declare(&canary_and_far()).await;
    engine.pass(5).await;
    assert!(engine.with("second").is_empty(), "{:?}", engine.with("second"));
    houses.at("canary-a").come_up();
    engine.pass(PAUSE - 20).await;
    assert_eq!(engine.with("second"), ["canary-a"]);
    engine.pass(20).await;
    assert_eq!(engine.with("second"), ["canary-a", "far"]);

    // What is changed elsewhere begins none, although this house is down.
    engine.pass(PAUSE).await;
    houses.at("canary-a").go_down();
    engine.pass(5).await;
    let mut specs = canary_and_far();
    specs[3].1 = spec_at("far", vec![entry("a", "client", "third")]);
    engine.declare(&specs).await;
    engine.pass(5).await;
    assert_eq!(engine.with("third"), ["far"]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_begins_anew_where_a_crash_follows_a_change() {
    let houses = Arc::new(Houses::default());
    let engine = started(Arc::clone(&houses), "first").await;
    engine.pass(5 * PAUSE).await;
    houses.at("canary-a").state().crashes_once_created = true;
    engine.declare(&canary_and_far()).await;
    engine.pass(PAUSE / 2).await;
    assert!(!houses.at("canary-a").state().crashes_once_created);
    assert!(engine.target("canary-a").is_in_sync());
    assert_eq!(engine.with("second"), ["canary-a"]);
    engine.pass(PAUSE).await;
    assert_eq!(engine.with("second"), ["canary-a", "far"]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_stops_the_waves_after_it_until_it_is_corrected() {
    let houses = Arc::new(Houses::default());
    houses.at("canary-b").state().refuses_secrets = Some("the secret is wrong".to_owned());
    let engine = started(Arc::clone(&houses), "first").await;
    // A house that holds nothing yet replaces no secret, so nobody is asked for it.
    assert_eq!(engine.with("first"), ["canary-a", "canary-b"]);
    engine.pass(3 * PAUSE).await;
    engine.declare(&all("second")).await;
    engine.pass(10 * PAUSE).await;
    assert_eq!(engine.with("second"), ["canary-a"]);
    let rollout = engine.status().rollout.clone().unwrap();
    assert!(
        matches!(&rollout.undone.why, WhyUndone::Failed { target, .. } if target.as_str() == "canary-b"),
        "{rollout:?}"
    );
    let stopped = engine.stopped().unwrap();
    assert!(stopped.starts_with("wave 1 of 3 has stopped the rollout: `canary-b` has failed: "));
    assert!(stopped.contains("the secret is wrong"), "{stopped}");

    // What somebody changes meanwhile where nothing is to be done is repaired.
    engine.declare(&all("first")).await;
    engine.pass(3 * PAUSE).await;
    assert_eq!(engine.with("first").len(), 4);
    houses.at("canary-a").refuse();
    houses.at("canary-a").empty();
    houses.at("far").empty();
    engine.pass(5).await;
    assert_eq!(engine.with("first"), ["canary-b", "near", "far"]);

    houses.at("canary-a").state().refuses = None;
    houses.at("canary-b").state().refuses_secrets = None;
    engine.declare(&all("second")).await;
    engine.pass(3 * PAUSE).await;
    assert_eq!(engine.with("second").len(), 4);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_a_manifest_asks_for_waits_for_its_wave() {
    let houses = Arc::new(Houses::default());
    let names = ["canary-a", "canary-b", "near", "far"];
    for name in names {
        houses.at(name).state().set_up = SetUp::Waits;
    }
    let specs = |setup: bool| {
        let mut entry = entry("a", "client", "first");
        entry.integration.setup = setup;
        names.map(|name| (name, spec_at(name, vec![entry.clone()])))
    };
    let (folder, project) = project(&specs(false));
    *project.rollout.lock().unwrap() = rollout();
    let engine = Engine::run(folder, project, Arc::clone(&houses));
    engine.pass(3 * PAUSE).await;
    assert_eq!(engine.with("first").len(), 4);
    let begun = || names.map(|name| houses.at(name).state().set_ups);
    assert_eq!(begun(), [0; 4]);
    engine.declare(&specs(true)).await;
    engine.pass(5).await;
    let set_ups = begun();
    assert!(set_ups[0] > 0 && set_ups[1] > 0, "{set_ups:?}");
    assert_eq!(set_ups[2..], [0, 0]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn why_a_house_waits_is_said_anew_when_that_changes() {
    let houses = Arc::new(Houses::default());
    let engine = started(Arc::clone(&houses), "first").await;
    engine.pass(3 * PAUSE).await;
    houses.at("canary-b").state().refuses_secrets = Some("the secret is wrong".to_owned());
    engine.declare(&all("second")).await;
    engine.pass(5).await;
    let wait = || {
        let near = engine.target("near");
        let of_entry = match &near.entries[0].holding {
            Holding::Withheld(why) => why.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(near.differences[0].why.as_ref(), Some(&of_entry));
        of_entry.to_string()
    };
    assert!(wait().ends_with("wave 1 is not done: `canary-b` has failed"), "{}", wait());
    houses.at("canary-b").state().refuses_secrets = None;
    houses.at("canary-b").report();
    engine.pass(20).await;
    assert_eq!(engine.with("second"), ["canary-a", "canary-b"]);
    assert!(wait().ends_with("the pause after the waves before it is not over"), "{}", wait());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_to_be_changed_nothing_stops_a_rollout() {
    let houses = Arc::new(Houses::default());
    let engine = started(Arc::clone(&houses), "first").await;
    engine.pass(3 * PAUSE).await;
    houses.at("canary-a").go_down();
    houses.at("canary-b").go_down();
    engine.pass(PAUSE).await;
    assert!(!engine.target("canary-a").is_connected());
    assert_eq!(engine.stopped(), None);
    engine.declare(&all("second")).await;
    engine.pass(5).await;
    assert!(engine.stopped().unwrap().starts_with("wave 1 of 3 has stopped the rollout"));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_house_that_cannot_be_reached_holds_up_no_wave_unless_all_of_it_are_so() {
    let houses = Arc::new(Houses::default());
    houses.at("canary-a").go_down();
    let engine = started(Arc::clone(&houses), "first").await;
    engine.pass(3 * PAUSE).await;
    assert_eq!(engine.with("first"), ["canary-b", "near", "far"]);
    // Its wave has begun, so it is changed as soon as it is back.
    houses.at("canary-a").come_up();
    engine.pass(PAUSE / 2).await;
    assert_eq!(engine.with("first").len(), 4);

    houses.at("canary-a").go_down();
    houses.at("canary-b").go_down();
    engine.declare(&all("second")).await;
    engine.pass(3 * PAUSE).await;
    assert!(engine.with("second").is_empty());
    let stopped = engine.stopped().unwrap();
    assert!(stopped.ends_with("none of its targets can be reached"), "{stopped}");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_starts_again_goes_on_where_the_houses_are() {
    let houses: Arc<Houses> = Arc::default();
    let first = started(Arc::clone(&houses), "first").await;
    first.pass(PAUSE + 5).await;
    assert_eq!(first.with("first"), ["canary-a", "canary-b", "near"]);
    first.end().await;

    let creates = |name| houses.at(name).state().creates;
    let before = ["canary-a", "canary-b", "near"].map(creates);
    let again = started(Arc::clone(&houses), "first").await;
    assert_eq!(again.with("first").len(), 3, "the pause begins anew");
    again.pass(PAUSE + 5).await;
    assert_eq!(again.with("first").len(), 4);
    assert_eq!(["canary-a", "canary-b", "near"].map(creates), before);
    again.end().await;
}
