//! What happens when what is wanted changes, field by field.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use appcred::http::HeaderMap;
use appcred::lock::TargetLock;
use appcred::model::{Due, Key, Lifetime, Owner, Policy, Prune, Secret, WebhookMethod};
use appcred::status::Mode;
use appcred::watch::{Notices, TargetSpec, Webhook};
use tokio::time::sleep;

use super::{Engine, HOME, RESYNC, by_name, entry, one, spec, spec_at};

/// Changes one field of the spec, and answers how often the target was looked at and connected to then.
async fn effect(change: impl FnOnce(&mut TargetSpec)) -> (usize, usize) {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let before = {
        let house = engine.home();
        let state = house.state();
        (state.looks, state.connects)
    };
    let mut changed = spec(vec![one()]);
    change(&mut changed);
    engine.declare(&[(HOME, changed)]).await;
    let house = engine.home();
    let (looks, connects) = {
        let state = house.state();
        (state.looks - before.0, state.connects - before.1)
    };
    engine.end().await;
    (looks, connects)
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_where_nothing_changes() {
    assert_eq!(effect(|_| {}).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn changed_entries_are_a_round_over_the_same_connection() {
    let (looks, connects) =
        effect(|spec| spec.desired.credentials.push(entry("b", "other", "s"))).await;
    assert!(looks > 0);
    assert_eq!(connects, 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_policy_is_a_round() {
    let policy = Policy { prune: Prune::Nothing, ..Policy::default() };
    let (looks, connects) = effect(|spec| spec.policy = policy).await;
    assert!(looks > 0);
    assert_eq!(connects, 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_mode_is_a_round() {
    let (looks, connects) = effect(|spec| spec.mode = Mode::Report).await;
    assert!(looks > 0);
    assert_eq!(connects, 0);
}

#[tokio::test(start_paused = true)]
async fn changed_notices_are_a_round() {
    let webhook = Webhook {
        address: Secret::new("http://127.0.0.1:1/"),
        body: None,
        method: WebhookMethod::Post,
        headers: HeaderMap::new(),
    };
    let notices = Notices { home_assistant: false, actions: Vec::new(), webhooks: vec![webhook] };
    let (looks, connects) = effect(|spec| spec.notices = notices).await;
    assert!(looks > 0);
    assert_eq!(connects, 0);
}

#[tokio::test(start_paused = true)]
async fn what_has_become_due_is_a_round() {
    let due = Lifetime { due: Some(Due::Expired), ..Lifetime::default() };
    let key = Key::new("a").unwrap();
    let (looks, connects) = effect(|spec| spec.lifetimes = [(key, due)].into()).await;
    assert!(looks > 0);
    assert_eq!(connects, 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_input_is_another_connection() {
    let input = (PathBuf::from("/run/token"), None);
    let (_, connects) = effect(|spec| spec.inputs.extend([input])).await;
    assert_eq!(connects, 1);
}

#[tokio::test(start_paused = true)]
async fn another_owner_is_another_target() {
    let (_, connects) = effect(|spec| spec.desired.owner = Owner::new("cabin").unwrap()).await;
    assert_eq!(connects, 1);
}

#[tokio::test(start_paused = true)]
async fn another_folder_is_provisioned_and_no_drift() {
    for mode in [Mode::Repair, Mode::ReportDrift] {
        let at = |address: &str| {
            let mut spec = spec_at(address, vec![one()]);
            spec.mode = mode;
            spec
        };
        let engine = Engine::start(&[(HOME, at("first"))]).await;
        // What was just done might be thought lost with the connection.
        engine.pass(RESYNC).await;
        engine.declare(&[(HOME, at("second"))]).await;
        assert_eq!(engine.houses.at("second").secrets().len(), 1, "{mode:?}");
        let target = engine.target(HOME);
        assert_eq!((target.totals.drifts, target.address.as_str()), (0, "second"));
        engine.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_lock_of_the_old_folder_is_let_go() {
    let engine = Engine::start(&[]).await;
    let lock = |name: &str| TargetLock {
        file: Some(engine.folder.path().join(name)),
        holder: "test".to_owned(),
    };
    let at = |address: &str| {
        let mut spec = spec_at(address, vec![one()]);
        spec.lock = lock(address);
        spec
    };
    engine.declare(&[(HOME, at("first"))]).await;
    assert!(lock("first").take().await.is_err());
    engine.declare(&[(HOME, at("second"))]).await;
    assert!(lock("first").take().await.is_ok());
    assert!(lock("second").take().await.is_err());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_target_is_let_go_with_its_lock_and_status() {
    let engine = Engine::start(&[]).await;
    let lock = TargetLock { file: Some(engine.lock_file()), holder: "test".to_owned() };
    let mut locked = spec(vec![one()]);
    locked.lock = lock.clone();
    engine.declare(&[(HOME, locked)]).await;
    engine.declare(&[]).await;
    assert!(engine.status().targets.is_empty());
    assert!(lock.take().await.is_ok());
    let looks = engine.home().state().looks;
    engine.pass(3 * RESYNC).await;
    assert_eq!(engine.home().state().looks, looks);
    assert_eq!(engine.home().secrets().len(), 1, "nobody said to delete anything");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_target_is_taken_over() {
    let engine = Engine::start(&[]).await;
    let mut locked = spec(vec![one()]);
    locked.lock = TargetLock { file: Some(engine.lock_file()), holder: "test".to_owned() };
    engine.declare(&[(HOME, locked.clone())]).await;
    engine.declare(&[("house", locked)]).await;
    // On a busy machine the old target may have the lock still when the new one asks first.
    engine.pass(60).await;
    assert!(engine.target("house").is_in_sync());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_added_is_watched() {
    let engine = Engine::start(&[]).await;
    engine.declare(&[(HOME, spec(vec![one()]))]).await;
    assert_eq!(engine.home().secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_good_state_stays_in_force_while_a_manifest_is_in_error() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.break_manifests().await;
    assert!(!engine.status().manifests.are_in_force());
    engine.home().empty();
    engine.pass(1).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    assert!(engine.status().manifests.are_in_force());
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "second".to_owned())]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_ahead_of_a_change_is_used_for_it() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let looks = engine.home().state().looks;
    engine.declare(&[(HOME, spec(vec![one(), entry("b", "other", "s")]))]).await;
    // Ahead of the round, and after what it created; an event of its own may make it one more.
    let more = engine.home().state().looks - looks;
    assert!((2..=3).contains(&more), "{more}");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_looks_at_every_target() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let looks = engine.home().state().looks;
    engine.reload().await;
    assert_eq!(engine.home().state().looks, looks + 1);
    engine.end().await;
}

/// What was seen ahead may be old when nobody else changes the target any more.
#[tokio::test(start_paused = true)]
async fn what_another_run_does_at_a_target_without_events_is_not_done_twice() {
    let wanted = || spec(vec![one(), entry("b", "other", "s")]);
    let other = Engine::start(&[(HOME, wanted())]).await;
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.home().state().is_silent = true;
    let creates = |engine: &Engine| engine.home().state().creates;
    let (readings, before) = (engine.project.readings.load(Ordering::Relaxed), creates(&engine));
    *engine.project.specs.lock().unwrap() = Some(by_name(&[(HOME, wanted())]));
    engine.touch();
    // It is read at once, and acted on after a while of quiet.
    while engine.project.readings.load(Ordering::Relaxed) == readings {
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_millis(50)).await;
    engine.home().state().shelf = other.home().state().shelf.clone();
    engine.pass(5).await;
    assert_eq!(engine.home().secrets().len(), 2);
    assert_eq!(creates(&engine), before);
    engine.end().await;
    other.end().await;
}
