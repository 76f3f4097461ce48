//! Windows in which something may be changed, and targets and entries that are suspended.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use appcred::model::{Key, Policy, Rollout, TargetName, Window, Windows};
use appcred::plan::Why;
use appcred::status::{Holding, Link};
use appcred::watch::{StatusStore, TargetSpec};
use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Engine, HOME, Houses, SETTINGS, entry, one, project, spec, spec_at};

thread_local! {
    static BEGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// 00:00 UTC when the test began, and as late since as tokio's paused time.
fn clock() -> Timestamp {
    let begin = BEGIN.with(|begin| begin.get().unwrap_or_else(Instant::now));
    Timestamp::UNIX_EPOCH + SignedDuration::try_from(begin.elapsed()).unwrap()
}

/// Changes may be made from 02:00 to 03:00 UTC.
fn at_night(mut spec: TargetSpec) -> TargetSpec {
    let (from, to, zone) = (time(2, 0, 0, 0), time(3, 0, 0, 0), Some(TimeZone::UTC));
    spec.policy.windows = Windows(vec![Window { days: Vec::new(), from, to, zone }]);
    spec
}

async fn started(spec: TargetSpec) -> Engine {
    BEGIN.with(|begin| begin.set(Some(Instant::now())));
    let (folder, project) = project(&[(HOME, spec)]);
    let houses = Arc::new(Houses::default());
    let engine = Engine::run_with(folder, project, houses, StatusStore::new(clock), SETTINGS);
    engine.pass(5).await;
    engine
}

const HOUR: u64 = 3600;

#[tokio::test(start_paused = true)]
async fn changes_wait_for_the_next_window_and_are_made_when_it_begins() {
    let engine = started(at_night(spec(vec![one()]))).await;
    assert!(engine.home().secrets().is_empty());
    let target = engine.target(HOME);
    assert!(!target.is_in_sync() && target.error.is_none(), "{target:?}");
    let why = Why::OutsideWindows { next: "Thu 1970-01-01 02:00 UTC".into() };
    assert_eq!(target.differences[0].why.as_ref(), Some(&why));
    assert_eq!(target.entries[0].holding, Holding::Withheld(why));

    engine.pass(2 * HOUR - 20).await;
    assert!(engine.home().secrets().is_empty());
    engine.pass(20).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    assert!(engine.target(HOME).is_in_sync());

    // A change of a manifest is none that somebody made there, also when its window comes.
    engine.pass(HOUR).await;
    engine.declare(&[(HOME, at_night(spec(vec![entry("a", "client", "second")])))]).await;
    engine.pass(22 * HOUR).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    engine.pass(2 * HOUR).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "second".to_owned())]);
    assert_eq!(engine.target(HOME).totals.drifts, 0);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_waits_for_a_window_says_so() {
    BEGIN.with(|begin| begin.set(Some(Instant::now())));
    let specs = ["canary", "far"].map(|name| (name, at_night(spec_at(name, vec![one()]))));
    let (folder, project) = project(&specs);
    let wave = |name| [TargetName::new(name)].into();
    *project.rollout.lock().unwrap() =
        Rollout { waves: vec![wave("canary"), wave("far")], pause: SignedDuration::from_hours(2) };
    let houses = Arc::new(Houses::default());
    let engine = Engine::run_with(folder, project, houses, StatusStore::new(clock), SETTINGS);
    engine.pass(5).await;
    let rollout = || engine.status().rollout.clone();
    let said = || rollout().map(|rollout| rollout.to_string()).unwrap_or_default();
    let window = "wave 1 of 2 waits for the window that begins on Thu 1970-01-01 02:00 UTC: ";
    assert!(said().starts_with(window), "{}", said());
    // The window has begun, and it is being changed.
    engine.houses.at("canary").state().slow = Some(Duration::from_secs(60));
    engine.pass(2 * HOUR).await;
    assert!(said().starts_with("wave 1 of 2 is being changed: "), "{}", said());
    engine.pass(HOUR / 2).await;
    // The pause is over when no window is open.
    let window = "wave 2 of 2 waits for the window that begins on Fri 1970-01-02 02:00 UTC: ";
    assert!(said().starts_with(window), "{}", said());
    let begins = rollout().unwrap().begins.unwrap();
    assert_eq!(begins.to_string(), "1970-01-02T02:00:00Z");
    engine.houses.at("far").state().slow = Some(Duration::from_secs(60));
    engine.pass(23 * HOUR + HOUR / 2).await;
    assert!(said().starts_with("wave 2 of 2 is being changed: "), "{}", said());
    engine.pass(HOUR).await;
    assert_eq!(engine.houses.at("far").secrets().len(), 1);
    assert_eq!(said(), "");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn drift_outside_of_windows_is_seen_at_once_and_repaired_when_the_next_one_begins() {
    let engine = started(at_night(spec(vec![one()]))).await;
    engine.pass(5 * HOUR).await;
    assert!(engine.target(HOME).is_in_sync());
    engine.home().empty();
    engine.pass(5).await;
    let target = engine.target(HOME);
    assert_eq!(target.totals.drifts, 1);
    let [difference] = &target.differences[..] else { panic!("{target:?}") };
    assert!(difference.is_drift && matches!(difference.why, Some(Why::OutsideWindows { .. })));
    assert_eq!(difference.what, "create spotify \"a\"");
    assert!(engine.home().secrets().is_empty());

    engine.pass(21 * HOUR).await;
    let target = engine.target(HOME);
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    assert!(target.is_in_sync() && target.totals.drifts == 1, "{target:?}");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_seen_at_once_also_while_a_change_of_a_manifest_waits_for_a_window() {
    let engine = started(at_night(spec(vec![one()]))).await;
    engine.pass(5 * HOUR).await;
    engine.declare(&[(HOME, at_night(spec(vec![one(), entry("b", "other", "s")])))]).await;
    engine.home().empty();
    engine.pass(5).await;
    let target = engine.target(HOME);
    assert_eq!(target.totals.drifts, 1);
    let drifted = target.differences.iter().map(|of| (of.what.as_str(), of.is_drift));
    let drifted: Vec<_> = drifted.collect();
    assert_eq!(drifted, [("create spotify \"a\"", true), ("create spotify \"b\"", false)]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_target_is_not_connected_to_until_it_is_no_longer() {
    let suspended = |is_suspended| TargetSpec { is_suspended, ..spec(vec![one()]) };
    let engine = Engine::start(&[(HOME, suspended(true))]).await;
    assert_eq!(engine.home().state().connects, 0);
    let target = engine.target(HOME);
    assert_eq!((target.link, target.entries.len()), (Link::Suspended, 1));
    engine.declare(&[(HOME, suspended(false))]).await;
    assert!(engine.target(HOME).is_in_sync());

    engine.declare(&[(HOME, suspended(true))]).await;
    assert_eq!(engine.target(HOME).link, Link::Suspended);
    let looks = engine.home().state().looks;
    engine.pass(24 * HOUR).await;
    assert_eq!(engine.home().state().looks, looks);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_is_not_said_to_be_at_a_target_that_was_not_looked_at_since() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let of = |secret| spec(vec![entry("a", "client", secret)]);
    let suspended = |secret| TargetSpec { is_suspended: true, ..of(secret) };
    let holding = || engine.target(HOME).entries[0].holding.clone();
    engine.declare(&[(HOME, suspended("first"))]).await;
    assert_eq!(holding(), Holding::InSync);
    engine.declare(&[(HOME, suspended("second"))]).await;
    assert_eq!(holding(), Holding::Unknown);
    engine.declare(&[(HOME, of("second"))]).await;
    assert_eq!(holding(), Holding::InSync);

    engine.home().go_down();
    engine.pass(1).await;
    assert_eq!(holding(), Holding::InSync, "as it was found last");
    engine.declare(&[(HOME, of("third"))]).await;
    assert_eq!(holding(), Holding::Unknown);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_entry_is_in_sync_with_whatever_is_there() {
    let mut suspended = spec(vec![one(), entry("b", "other", "s")]);
    suspended.policy = Policy { suspended: [Key::new("b").unwrap()].into(), ..Policy::default() };
    let engine = Engine::start(&[(HOME, suspended)]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    let target = engine.target(HOME);
    assert!(target.is_in_sync() && target.differences.is_empty());
    assert_eq!(target.entries[1].holding, Holding::Suspended);
    engine.end().await;
}
