//! What fails, and when it is tried again.

use std::time::Duration;

use appcred::lock::{TargetLock, WriteLock};
use appcred::model::Secret;
use appcred::status::{Holding, Link, Mode};
use appcred::target::home_assistant::{AuthMethod, HomeAssistantEndpoint};
use appcred::target::{Denial, Endpoint, Refusal, TargetError};
use appcred::watch::TargetSpec;

use super::{Engine, HOME, House, RESYNC, entry, one, spec};

fn refuses_the_token(house: &House) {
    house.state().unreachable =
        Some(TargetError::Unauthorized { address: "http://home".to_owned() });
}

fn is_down(house: &House) {
    house.go_down();
}

/// A spec that is reached with this token.
fn with_token(token: &str) -> TargetSpec {
    let mut spec = spec(vec![one()]);
    spec.endpoint = Endpoint::HomeAssistant(HomeAssistantEndpoint {
        url: HOME.to_owned(),
        network: Default::default(),
        auth: AuthMethod::Token { token: Secret::new(token), from: "the test".to_owned() },
    });
    spec
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_down_is_tried_again_later_and_later() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], is_down).await;
    engine.pass(60).await;
    let in_a_minute = engine.home().state().connects;
    assert!((6..=10).contains(&in_a_minute), "{in_a_minute}");
    engine.pass(1800).await;
    let more = engine.home().state().connects - in_a_minute;
    assert!((15..=32).contains(&more), "{more}");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_up_gets_what_is_wanted() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], is_down).await;
    assert!(matches!(engine.target(HOME).link, Link::Down { .. }));
    assert_eq!(engine.target(HOME).entries[0].holding, Holding::Unknown);
    engine.home().come_up();
    engine.pass(120).await;
    assert_eq!(engine.home().secrets().len(), 1);
    assert!(matches!(engine.target(HOME).link, Link::Up { .. }));
    assert_eq!(engine.error(), None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_down_holds_up_no_other() {
    let there = super::spec_at("there", vec![entry("b", "other", "s")]);
    let specs = [(HOME, spec(vec![one()])), ("there", there)];
    let engine = Engine::start_with(&specs, is_down).await;
    assert_eq!(engine.houses.at("there").secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_tried_again() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], refuses_the_token).await;
    engine.pass(2 * 3600).await;
    assert_eq!(engine.home().state().connects, 1);
    let target = engine.target(HOME);
    assert!(target.error.unwrap().contains("refused the access token"));
    assert!(matches!(target.link, Link::NoAccess { .. }), "{:?}", target.link);
    assert_eq!(target.next_reconcile, None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_of_which_a_part_was_denied_is_not_tried_again() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.home().state().refuses_deletes = Some(Refusal::Denied(Denial::Token));
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    assert_eq!(engine.home().secrets().len(), 2, "the old one is there still");
    let holding = engine.target(HOME).entries.remove(0).holding;
    assert_eq!(holding, Holding::InSync, "the new one was seen");
    engine.pass(2 * 3600).await;
    assert_eq!(engine.home().state().refusals, 1, "the delete is not tried again");
    assert_eq!(engine.target(HOME).next_reconcile, None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_of_no_administrator_is_not_tried_again() {
    let address = "http://home".to_owned();
    let no_admin = |house: &House| {
        house.state().unreachable = Some(TargetError::NotAdmin { address });
    };
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], no_admin).await;
    engine.pass(2 * 3600).await;
    assert_eq!(engine.home().state().connects, 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_refused_is_not_tried_again() {
    let (address, why) = ("http://home".to_owned(), "it answers 403".to_owned());
    let forbids = |house: &House| {
        house.state().unreachable = Some(TargetError::Forbidden { address, why });
    };
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], forbids).await;
    engine.pass(2 * 3600).await;
    assert_eq!(engine.home().state().connects, 1);
    engine.home().come_up();
    engine.reload().await;
    assert_eq!(engine.home().secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_denied_is_not_tried_again_before_something_is_changed() {
    for denial in [Denial::Token, Denial::Right, Denial::Machine] {
        let denies = |house: &House| house.state().refuses = Some(Refusal::Denied(denial));
        let engine = Engine::start_with(&[(HOME, with_token("one"))], denies).await;
        engine.pass(2 * 3600).await;
        engine.home().report();
        engine.pass(60).await;
        let target = engine.target(HOME);
        assert_eq!((target.totals.failed, target.next_reconcile), (1, None), "{denial}");
        assert!(target.error.unwrap().contains(&denial.to_string()));
        engine.home().state().refuses = None;
        engine.declare(&[(HOME, with_token("two"))]).await;
        assert_eq!(engine.home().secrets().len(), 1);
        engine.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_token_is_tried_at_once() {
    let engine = Engine::start_with(&[(HOME, with_token("one"))], refuses_the_token).await;
    engine.home().come_up();
    engine.declare(&[(HOME, with_token("two"))]).await;
    assert_eq!(engine.home().state().connects, 2);
    assert_eq!(engine.home().secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_manifest_tries_a_refused_token_once_more() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], refuses_the_token).await;
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    engine.pass(3600).await;
    assert_eq!(engine.home().state().connects, 2);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_written_without_a_change_does_not_try_a_refused_token() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], refuses_the_token).await;
    for _ in 0..5 {
        engine.touch();
        engine.pass(60).await;
    }
    assert_eq!(engine.home().state().connects, 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_tries_a_refused_token_once_more() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], refuses_the_token).await;
    engine.home().come_up();
    engine.reload().await;
    assert_eq!(engine.home().secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_later_is_not_tried_again_either() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    refuses_the_token(&engine.home());
    engine.home().disconnect();
    engine.pass(2 * 3600).await;
    assert_eq!(engine.home().state().connects, 2);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_is_made_again_soon() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.pass(RESYNC).await;
    engine.home().disconnect();
    engine.pass(2).await;
    assert_eq!(engine.home().state().connects, 2);
    assert_eq!(engine.error(), None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_drops_the_connection_after_each_look_is_backed_off_from() {
    let drops = |house: &House| house.state().drops = true;
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], drops).await;
    engine.pass(3600).await;
    let connects = engine.home().state().connects;
    assert!((30..=100).contains(&connects), "{connects} in an hour");
    assert!(engine.error().unwrap().contains("in a row"));
    assert!(matches!(engine.target(HOME).link, Link::Down { .. }));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_last_are_none_that_are_dropped_at_once() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    for connects in 2..12 {
        engine.pass(RESYNC).await;
        engine.home().disconnect();
        engine.pass(2).await;
        assert_eq!(engine.home().state().connects, connects);
    }
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_is_reported_and_tried_again_later_and_later() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], House::refuse).await;
    assert!(engine.error().unwrap().contains("refused, as the test wants"));
    engine.pass(3600).await;
    let failed = engine.target(HOME).totals.failed;
    assert!((30..=80).contains(&failed), "{failed} in an hour");
    engine.home().state().refuses = None;
    engine.pass(120).await;
    assert_eq!(engine.home().secrets().len(), 1);
    assert_eq!(engine.error(), None);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn events_do_not_make_a_failing_step_a_fast_loop() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], House::refuse).await;
    engine.pass(600).await;
    let before = engine.target(HOME).totals.failed;
    for _ in 0..600 {
        engine.home().report();
        engine.pass(1).await;
    }
    let failed = engine.target(HOME).totals.failed - before;
    assert!((10..=120).contains(&failed), "{failed} in ten minutes");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn another_watcher_of_the_target_is_named_and_waited_for() {
    let other = tempfile::tempdir().unwrap();
    let file = Some(other.path().join("home.lock"));
    let lock = |holder: &str| TargetLock { file: file.clone(), holder: holder.to_owned() };
    let held = lock("process 7 on this machine").take().await.unwrap();
    let mut locked = spec(vec![one()]);
    locked.lock = lock("test");
    let engine = Engine::start(&[(HOME, locked)]).await;
    let why = engine.error().unwrap();
    assert!(why.contains("another watcher has this target: process 7 on this machine"), "{why}");
    assert_eq!(engine.home().state().connects, 0);
    drop(held);
    engine.pass(60).await;
    assert_eq!(engine.home().secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn another_run_that_changes_the_target_is_named_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = Some(folder.path().join("home.lock"));
    let address = "http://home".to_owned();
    let writing = WriteLock { file, place: address.clone(), address, fence: None };
    let mut shared = spec(vec![one()]);
    shared.writing = writing.clone();
    let held = writing.take(Duration::ZERO, |_| ()).await.unwrap();
    let engine = Engine::start(&[(HOME, shared.clone())]).await;
    engine.pass(15).await;
    let why = engine.error().unwrap();
    let holder = format!("process {}", std::process::id());
    assert!(why.contains(&holder) && why.contains("is changing http://home"), "{why}");
    assert_eq!(engine.home().state().looks, 0, "a plan that is made now could be out of date");
    drop(held);
    engine.pass(60).await;
    assert_eq!(engine.home().secrets().len(), 1);

    let held = writing.take(Duration::ZERO, |_| ()).await.expect("only a round has it");
    shared.mode = Mode::Report;
    engine.declare(&[(HOME, shared)]).await;
    assert_eq!(engine.error(), None, "what only reads waits for nobody");
    drop(held);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn two_targets_at_one_place_accuse_no_other_watcher() {
    let mut twice = spec(vec![one()]);
    let engine = Engine::start(&[]).await;
    twice.lock = TargetLock { file: Some(engine.lock_file()), holder: "test".to_owned() };
    engine.declare(&[(HOME, twice.clone()), ("house", twice)]).await;
    assert_eq!(engine.error(), None);
    let why = engine.target("house").error.unwrap();
    assert!(why.contains("target `home` is the same"), "{why}");
    assert_eq!(engine.home().secrets().len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_provider_refuses_is_not_put_in_use_and_not_tried_all_the_time() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let why = "the provider refuses the new secret";
    engine.home().state().refuses_secrets = Some(why.to_owned());
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "wrong")]))]).await;
    let first = [("client".to_owned(), "first".to_owned())];
    assert_eq!(engine.home().secrets(), first);
    assert!(engine.error().unwrap().contains(why));
    engine.pass(3600).await;
    assert_eq!(engine.home().secrets(), first);
    let proofs = engine.home().state().proofs;
    assert!((2..=60).contains(&proofs), "{proofs} in an hour");

    engine.home().state().refuses_secrets = None;
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "right")]))]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "right".to_owned())]);
    assert_eq!(engine.error(), None);
    engine.end().await;
}

/// Nothing is tried again then, whatever the target reports.
#[tokio::test(start_paused = true)]
async fn a_target_that_refuses_the_right_is_seen_to_go_down() {
    let refuses = |house: &House| house.state().refuses = Some(Refusal::Denied(Denial::Right));
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], refuses).await;
    assert!(engine.error().is_some());
    engine.home().report();
    engine.pass(1).await;
    assert!(matches!(engine.target(HOME).link, Link::Up { .. }));
    engine.home().go_down();
    engine.pass(60).await;
    assert!(matches!(engine.target(HOME).link, Link::Down { .. }));
    engine.end().await;
}
