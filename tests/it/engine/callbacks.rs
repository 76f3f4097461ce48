//! Providers' answers, and messages in Home Assistant.

use appcred::model::HandOverError;

use appcred::watch::Notices;

use super::house::SetUp;
use super::{Engine, HOME, House, one, spec};

#[tokio::test(start_paused = true)]
async fn a_callback_is_delivered_and_the_target_looked_at() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let looks = engine.home().state().looks;
    assert_eq!(engine.call_back(HOME).await, Ok(()));
    engine.pass(1).await;
    assert_eq!(engine.home().state().callbacks, ["code=c&state=s"]);
    assert_eq!(engine.home().state().looks, looks + 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_for_a_target_that_is_down_is_answered_at_once() {
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], House::go_down).await;
    let answer = engine.call_back(HOME).await;
    let not_now = HandOverError::NotNow("it cannot be reached".to_owned());
    assert_eq!(answer, Err(not_now), "so that the browser brings it again");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_for_a_target_that_is_not_watched_is_answered_at_once() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    assert!(engine.call_back("elsewhere").await.is_err());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn callbacks_do_not_wait_for_a_manifest_in_error() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.break_manifests().await;
    assert_eq!(engine.call_back(HOME).await, Ok(()));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn home_assistant_displays_what_waits_for_consent_and_removes_it_again() {
    let mut displaying = spec(vec![one()]);
    displaying.notices = Notices { home_assistant: true, webhooks: Vec::new() };
    let prepare = |house: &House| house.state().set_up = SetUp::Waits;
    let engine = Engine::start_with(&[(HOME, displaying.clone())], prepare).await;
    let displayed = engine.home().state().displayed.clone();
    let [Some(text)] = displayed.as_slice() else { panic!("{displayed:?}") };
    assert!(text.contains("https://provider/consent"), "{text}");

    displaying.desired.credentials[0].integration.setup = false;
    engine.home().state().live.flows.clear();
    engine.declare(&[(HOME, displaying)]).await;
    assert_eq!(engine.home().state().displayed.last(), Some(&None));
    engine.end().await;
}
