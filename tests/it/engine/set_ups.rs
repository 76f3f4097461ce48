//! Accounts that are to be linked.

use appcred::codes::{ActionCode, OutcomeCode};
use appcred::model::{ConfigEntry, EntryId, EntryState};
use appcred::plan::{SetupState, Wanted};

use super::house::SetUp;
use super::{Engine, HOME, House, RESYNC, entry, one, spec};

/// The account that a set-up links.
pub(super) fn account(wanted: &Wanted) -> ConfigEntry {
    ConfigEntry {
        id: EntryId::new("account"),
        domain: wanted.domain.clone(),
        title: "Anna".into(),
        state: EntryState::Loaded,
        reason: None,
        implementation: Some(wanted.auth_domain.clone()),
    }
}

async fn start(set_up: SetUp) -> Engine {
    let prepare = |house: &House| house.state().set_up = set_up;
    Engine::start_with(&[(HOME, spec(vec![one()]))], prepare).await
}

#[tokio::test(start_paused = true)]
async fn an_account_is_linked_once_its_credential_is_there() {
    let engine = start(SetUp::Links).await;
    assert!(matches!(engine.target(HOME).entries[0].set_ups[0].state, SetupState::Linked(_)));
    assert_eq!(engine.home().state().set_ups, 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_waits_for_consent_is_pending_and_no_error() {
    let engine = start(SetUp::Waits).await;
    let target = engine.target(HOME);
    assert_eq!(target.pending_consents().count(), 1);
    assert!(target.is_in_sync());
    let status = engine.statuses.subscribe().borrow().clone();
    let newest = status.history.newest().next().unwrap();
    assert_eq!((newest.action, newest.outcome), (ActionCode::SetUp, OutcomeCode::Waiting));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_must_be_answered_waits_for_a_person_and_is_no_error() {
    let engine = start(SetUp::Asks).await;
    let target = engine.target(HOME);
    assert_eq!((target.waiting().count(), target.pending_consents().count()), (1, 0));
    assert!(target.is_in_sync());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_waits_is_not_begun_again() {
    let engine = start(SetUp::Waits).await;
    engine.pass(10 * RESYNC).await;
    assert_eq!(engine.home().state().set_ups, 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn consent_that_was_refused_is_reported_and_asked_for_again() {
    let engine = start(SetUp::Waits).await;
    engine.home().state().refused = Some("consent was refused at the provider".to_owned());
    engine.home().report();
    engine.pass(1).await;
    let target = engine.target(HOME);
    assert_eq!(engine.home().state().set_ups, 2);
    let why = target.entries[0].set_ups[0].error.as_deref().unwrap();
    assert!(why.contains("refused at the provider"), "{why}");
    assert_eq!(target.pending_consents().count(), 1);
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    assert_eq!(engine.target(HOME).entries[0].set_ups[0].error, None, "that was another secret");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_gets_further_is_not_said_to_have_failed_as_the_one_before_it() {
    let engine = start(SetUp::Waits).await;
    engine.home().state().refused = Some("consent was refused at the provider".to_owned());
    engine.home().report();
    engine.pass(1).await;
    let results = || {
        let target = engine.target(HOME);
        let [set_up] = target.entries[0].set_ups.as_slice() else { panic!("{target:?}") };
        (set_up.error.is_some(), set_up.result().map(|result| result.is_ok()))
    };
    assert_eq!(results(), (true, Some(false)), "the first attempt has failed");
    engine.pass(2 * RESYNC).await;
    assert_eq!(results(), (true, Some(false)), "the second one waits for the same");
    // Somebody has consented, and what HA asks then no entry answers.
    engine.home().state().set_up = SetUp::Asks;
    engine.home().report();
    engine.pass(1).await;
    assert_eq!(engine.home().state().set_ups, 2);
    assert_eq!(results(), (false, Some(true)));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_failed_rests_for_an_hour() {
    let engine = start(SetUp::Fails).await;
    engine.pass(3000).await;
    assert_eq!(engine.home().state().set_ups, 1);
    let target = engine.target(HOME);
    assert_eq!(target.entries[0].set_ups[0].error.as_deref(), Some("the provider says no"));
    engine.pass(1000).await;
    assert_eq!(engine.home().state().set_ups, 2);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_the_provider_would_refuse_is_reported_and_tried_again_by_the_next_round() {
    let engine = start(SetUp::Refused).await;
    let why = |engine: &Engine| engine.target(HOME).entries[0].set_ups[0].error.clone();
    assert_eq!(why(&engine).as_deref(), Some("register the redirect URI"));
    assert_eq!(engine.home().state().set_ups, 0);
    engine.home().state().set_up = SetUp::Waits;
    engine.pass(2 * RESYNC).await;
    assert_eq!((why(&engine), engine.home().state().set_ups), (None, 1));
    assert_eq!(engine.target(HOME).pending_consents().count(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_failed_is_begun_again_when_its_entry_changes() {
    let engine = start(SetUp::Fails).await;
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    assert_eq!(engine.home().state().set_ups, 2);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_failed_rests_also_when_its_line_changes() {
    let engine = start(SetUp::Fails).await;
    let mut moved = one();
    moved.place.line = 7;
    engine.declare(&[(HOME, spec(vec![moved]))]).await;
    assert_eq!(engine.home().state().set_ups, 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_up_is_not_begun_where_its_credential_could_not_be_created() {
    let prepare = |house: &House| {
        house.refuse();
        house.state().set_up = SetUp::Links;
    };
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], prepare).await;
    engine.home().state().refuses = None;
    engine.pass(120).await;
    assert_eq!(engine.home().secrets().len(), 1);
    assert!(matches!(engine.target(HOME).entries[0].set_ups[0].state, SetupState::Linked(_)));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_set_up_where_that_is_not_wanted() {
    let mut entry = one();
    entry.integration.setup = false;
    let prepare = |house: &House| house.state().set_up = SetUp::Links;
    let engine = Engine::start_with(&[(HOME, spec(vec![entry]))], prepare).await;
    assert_eq!(engine.home().state().set_ups, 0);
    assert!(engine.target(HOME).is_in_sync());
    engine.end().await;
}
