//! What crashes is noticed, and what is to end ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use appcred::model::TargetName;
use tokio::time::timeout;

use super::{Engine, HOME, House, RESYNC, entry, one, spec, spec_at};

#[tokio::test(start_paused = true)]
async fn a_task_that_crashes_is_reported_and_begins_anew() {
    let crashes = |house: &House| house.state().crashes = 5;
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], crashes).await;
    assert!(engine.error().unwrap().contains("internal error"));
    engine.pass(60).await;
    assert_eq!(engine.home().secrets().len(), 1);
    assert_eq!(engine.error(), None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_known_after_a_crash_is_no_look_at_what_is_declared_now() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    assert!(engine.target(HOME).is_connected());
    engine.home().state().crashes = usize::MAX;
    let mut changed = spec(vec![]);
    changed.revisions.target = "2".into();
    engine.declare(&[(HOME, changed)]).await;
    let target = engine.target(HOME);
    assert!(target.revisions.target == "2" && !target.is_connected(), "{:?}", target.link);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_always_crashes_is_not_begun_all_the_time() {
    let crashes = |house: &House| house.state().crashes = usize::MAX;
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], crashes).await;
    engine.pass(3600).await;
    let connects = engine.home().state().connects;
    assert!((10..=40).contains(&connects), "{connects} in an hour");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_crashes_disturbs_no_other() {
    let crashes = |house: &House| house.state().crashes = usize::MAX;
    let there = spec_at("there", vec![entry("b", "other", "s")]);
    let engine = Engine::start_with(&[(HOME, spec(vec![one()])), ("there", there)], crashes).await;
    assert!(engine.target("there").is_in_sync());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_crashed_still_ends() {
    let crashes = |house: &House| house.state().crashes = usize::MAX;
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], crashes).await;
    engine.declare(&[]).await;
    let connects = engine.home().state().connects;
    engine.pass(3600).await;
    assert_eq!(engine.home().state().connects, connects);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_crashes_is_reported_and_reads_anew() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.project.crashes.store(5, Ordering::Relaxed);
    engine.touch();
    engine.pass(4).await;
    let manifests = engine.status().manifests.clone();
    assert!(manifests.blocker.unwrap().contains("internal error"));
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    engine.pass(60).await;
    assert_eq!(engine.project.restarts.load(Ordering::Relaxed), 5, "with nothing from before");
    assert!(engine.status().manifests.are_in_force());
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "second".to_owned())]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_always_crashes_does_not_read_all_the_time() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.project.crashes.store(usize::MAX, Ordering::Relaxed);
    engine.touch();
    let before = engine.project.readings.load(Ordering::Relaxed);
    engine.pass(3600).await;
    let readings = engine.project.readings.load(Ordering::Relaxed) - before;
    assert!((10..=60).contains(&readings), "{readings} in an hour");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn targets_are_kept_while_the_reader_crashes() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.project.crashes.store(usize::MAX, Ordering::Relaxed);
    engine.touch();
    engine.pass(60).await;
    engine.home().empty();
    engine.pass(1).await;
    assert_eq!(engine.home().secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_lives_as_long_as_the_engine() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.pass(10 * RESYNC).await;
    assert!(engine.heartbeat.is_alive());
    let heartbeat = engine.heartbeat.clone();
    engine.task.abort();
    engine.pass(60).await;
    assert!(!heartbeat.is_alive());
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_goes_on_while_the_reader_crashes() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.project.crashes.store(usize::MAX, Ordering::Relaxed);
    engine.touch();
    engine.pass(3600).await;
    assert!(engine.heartbeat.is_alive());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_while_it_waits() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    assert!(timeout(Duration::from_millis(1), engine.end()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_while_a_target_is_down_or_its_token_is_refused() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], House::go_down).await;
    assert!(timeout(Duration::from_millis(1), engine.end()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn it_ends_while_connecting_takes_for_ever() {
    let hangs = |house: &House| house.state().hangs = true;
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], hangs).await;
    assert!(timeout(Duration::from_millis(1), engine.end()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_finished_before_it_ends() {
    let slow = |house: &House| house.state().slow = Some(Duration::from_secs(10));
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], slow).await;
    let house = engine.home();
    assert!(house.secrets().is_empty(), "it is being created");
    engine.end().await;
    assert_eq!(house.secrets().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_stop_ends_is_no_failure() {
    let hangs = |house: &House| house.state().hangs = true;
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], hangs).await;
    let statuses = engine.statuses.subscribe();
    engine.end().await;
    let target = statuses.borrow().targets[&TargetName::new(HOME)].clone();
    assert_eq!((target.error, target.totals.failed), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn crashes_that_are_far_apart_are_each_the_first_one() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    for _ in 0..12 {
        engine.pass(3600).await;
        engine.home().state().crashes = 1;
        engine.home().report();
        engine.pass(3).await;
        assert_eq!(engine.home().state().crashes, 0);
        assert_eq!(engine.error(), None, "it was started again within moments");
    }
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_while_its_round_runs_waits_for_that() {
    let wanted = [(HOME, spec(vec![one()]))];
    let slow = |house: &House| house.state().slow = Some(Duration::from_secs(60));
    let engine = Engine::start_with(&wanted, slow).await;
    engine.declare(&[]).await;
    engine.declare(&wanted).await;
    engine.pass(RESYNC).await;
    assert_eq!(engine.home().state().creates, 1, "the second round saw what the first one did");
    assert_eq!(engine.target(HOME).error, None);
    // One that is gone again before its turn does nothing.
    let other = [(HOME, spec(vec![entry("a", "client", "second")]))];
    engine.declare(&other).await;
    engine.declare(&[]).await;
    engine.declare(&wanted).await;
    engine.declare(&[]).await;
    engine.pass(RESYNC).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "second".to_owned())]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_while_looking_takes_for_ever() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.home().state().looks_hang = true;
    engine.home().report();
    engine.pass(1).await;
    assert!(timeout(Duration::from_millis(1), engine.end()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn it_ends_while_looking_ahead_of_a_change_takes_for_ever() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.home().state().looks_hang = true;
    engine.declare(&[(HOME, spec(vec![entry("k", "client", "second")]))]).await;
    assert!(timeout(Duration::from_millis(1), engine.end()).await.is_ok());
}
