//! Providers' answers, and messages in Home Assistant.

use appcred::model::{HandOverError, Lifetime, Owner};
use appcred::watch::{Notices, TargetSpec};
use jiff::civil::date;

use super::house::SetUp;
use super::{Engine, HOME, House, RESYNC, one, spec, spec_at};

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
    displaying.notices =
        Notices { home_assistant: true, actions: Vec::new(), webhooks: Vec::new() };
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

#[tokio::test(start_paused = true)]
async fn home_assistant_displays_which_clients_expire() {
    let mut displaying = spec(vec![one()]);
    displaying.notices =
        Notices { home_assistant: true, actions: Vec::new(), webhooks: Vec::new() };
    let day = date(2027, 3, 1);
    let expired = Lifetime { expires: Some(day), ..Lifetime::default() }.on(day, 0);
    displaying.lifetimes = [(displaying.desired.credentials[0].key.clone(), expired)].into();
    let engine = Engine::start(&[(HOME, displaying)]).await;
    let displayed = engine.home().state().displayed.clone();
    let [Some(text)] = displayed.as_slice() else { panic!("{displayed:?}") };
    assert!(text.contains("the client expired on 2027-03-01"), "{text}");
    engine.end().await;
}

/// A watcher that displays messages, and its spec.
async fn displaying(set_up: SetUp) -> (Engine, TargetSpec) {
    let mut displaying = spec(vec![one()]);
    displaying.notices =
        Notices { home_assistant: true, actions: Vec::new(), webhooks: Vec::new() };
    let prepare = |house: &House| house.state().set_up = set_up;
    (Engine::start_with(&[(HOME, displaying.clone())], prepare).await, displaying)
}

#[tokio::test(start_paused = true)]
async fn home_assistant_displays_why_the_last_try_failed() {
    let (engine, _) = displaying(SetUp::Waits).await;
    engine.home().state().refused = Some("the provider refused the client".to_owned());
    engine.home().report();
    engine.pass(1).await;
    let displayed = engine.home().state().displayed.clone();
    let Some(Some(text)) = displayed.last() else { panic!("{displayed:?}") };
    assert!(text.contains("https://provider/consent"), "{text}");
    assert!(text.contains("The last attempt failed: the provider refused the client"), "{text}");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn home_assistant_displays_where_an_entry_must_answer() {
    let (engine, _) = displaying(SetUp::Asks).await;
    let displayed = engine.home().state().displayed.clone();
    let [Some(text)] = displayed.as_slice() else { panic!("{displayed:?}") };
    assert!(text.contains("m.yaml line 1"), "{text}");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_displayed_again_after_a_restart_which_forgets_it() {
    let (engine, _) = displaying(SetUp::Waits).await;
    engine.home().disconnect();
    engine.pass(30).await;
    let displayed = engine.home().state().displayed.clone();
    assert_eq!(displayed.len(), 2, "{displayed:?}");
    assert_eq!(displayed[0], displayed[1]);
    engine.pass(3 * RESYNC).await;
    assert_eq!(engine.home().state().displayed.len(), 2, "and not at every round");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_displayed_at_another_target_of_the_same_name() {
    let (engine, mut spec) = displaying(SetUp::Waits).await;
    let there = engine.houses.at("there");
    there.state().set_up = SetUp::Waits;
    spec.endpoint = spec_at("there", Vec::new()).endpoint;
    engine.declare(&[(HOME, spec)]).await;
    assert_eq!(there.state().displayed.len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_removed_when_messages_are_switched_off_or_the_owner_changes() {
    let (engine, mut spec) = displaying(SetUp::Waits).await;
    let house = std::mem::replace(&mut spec.desired.owner, Owner::new("cabin").unwrap());
    spec.desired.previous_owners.insert(house);
    engine.declare(&[(HOME, spec.clone())]).await;
    assert_eq!(engine.home().state().messages["appcred_house"], None);
    assert!(engine.home().state().messages["appcred_cabin"].is_some());
    spec.notices.home_assistant = false;
    engine.declare(&[(HOME, spec)]).await;
    assert_eq!(engine.home().state().messages["appcred_cabin"], None);
    engine.end().await;
}
