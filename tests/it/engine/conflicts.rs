//! Somebody else changes the same credentials.

use std::sync::Arc;

use appcred::codes::{ActionCode, OutcomeCode};

use super::{Engine, HOME, House, RESYNC, entry, one, spec};

fn undoes(house: &House) {
    house.state().undoes = true;
}

#[tokio::test(start_paused = true)]
async fn what_is_undone_again_and_again_is_reported_with_the_likely_cause() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], undoes).await;
    let why = engine.error().unwrap();
    for part in ["create spotify \"a\" was done 3 times", "another appcred", "owner `house`"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_backed_off_from() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], undoes).await;
    engine.pass(3600).await;
    let creates = creates(&engine);
    assert!((5..=12).contains(&creates), "{creates} creates in an hour");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn events_do_not_end_the_pause_of_a_conflict() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], undoes).await;
    let before = creates(&engine);
    for _ in 0..20 {
        engine.home().report();
        engine.pass(1).await;
    }
    assert_eq!(creates(&engine), before);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_over_one_entry_does_not_hold_up_another() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], undoes).await;
    engine.home().state().undoes = false;
    // The first entry is contested still when the second one is lost.
    engine.home().report();
    engine.declare(&[(HOME, spec(vec![one(), entry("b", "other", "s")]))]).await;
    assert_eq!(engine.home().secrets().len(), 2);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_manifest_ends_the_pause_of_a_conflict() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], undoes).await;
    engine.home().state().undoes = false;
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "second".to_owned())]);
    assert_eq!(engine.error(), None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_is_over_is_mended_after_the_pause() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], undoes).await;
    engine.home().state().undoes = false;
    engine.pass(60).await;
    assert_eq!(engine.home().secrets().len(), 1);
    assert_eq!(engine.error(), None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_deletes_now_and_then_is_no_conflict() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    for _ in 0..6 {
        engine.home().empty();
        engine.pass(1900).await;
        assert_eq!(engine.error(), None);
        assert_eq!(engine.home().secrets().len(), 1);
    }
    engine.end().await;
}

/// As two machines do, each with its own manifests and no lock that the other one sees.
#[tokio::test(start_paused = true)]
async fn two_watchers_of_one_owner_notice_each_other() {
    let first = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let second = beside(&first).await;
    first.pass(3600).await;
    let whys = [first.error(), second.error()];
    assert!(whys.iter().flatten().any(|why| why.contains("another appcred")), "{whys:?}");
    let changes = creates(&first) + creates(&second);
    assert!(changes <= 40, "{changes} creates in an hour");
    first.end().await;
    second.end().await;
}

#[tokio::test(start_paused = true)]
async fn two_watchers_that_want_the_same_do_not_disturb_each_other() {
    let first = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let second = beside(&first).await;
    second.declare(&[(HOME, spec(vec![one()]))]).await;
    first.pass(2 * RESYNC).await;
    for engine in [&first, &second] {
        assert!(engine.target(HOME).is_in_sync());
    }
    first.end().await;
    second.end().await;
}

/// Another engine at the same targets, which wants another entry at home.
async fn beside(first: &Engine) -> Engine {
    let specs = [(HOME, spec(vec![entry("b", "other", "s")]))];
    Engine::start_at(Arc::clone(&first.houses), &specs).await
}

fn creates(engine: &Engine) -> u64 {
    let steps = engine.target(HOME).totals.steps;
    steps.get(&(ActionCode::Create, OutcomeCode::Done)).copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn what_fails_beside_a_conflict_is_reported_with_it() {
    let both = spec(vec![one(), entry("b", "other", "s")]);
    let engine = Engine::start(&[(HOME, both)]).await;
    for _ in 0..2 {
        engine.home().state().shelf.credentials.retain(|held| held.client_id.as_str() == "other");
        engine.home().report();
        engine.pass(1).await;
    }
    engine.home().refuse();
    engine.home().empty();
    engine.pass(1).await;
    let why = engine.error().unwrap();
    for part in ["create spotify \"a\" was done 3 times", "\"b\": refused, as the test wants"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    engine.end().await;
}
