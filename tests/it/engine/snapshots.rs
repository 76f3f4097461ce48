//! The snapshot that the watcher keeps up to date.

use std::collections::BTreeMap;
use std::sync::Arc;

use appcred::model::{Key, Seal, Seals};
use appcred::target::Stop;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use super::{Engine, HOME, House, entry, one, spec, spec_at};

/// The texts of the snapshot, as they are published.
fn published(engine: &Engine, stop: &Stop) -> watch::Receiver<Option<Arc<str>>> {
    let (texts, published) = watch::channel(None);
    let publishing =
        engine.snapshots.clone().publish(|| Timestamp::UNIX_EPOCH, texts, stop.clone());
    tokio::spawn(publishing);
    published
}

/// The newest one.
fn newest(published: &watch::Receiver<Option<Arc<str>>>) -> Option<Value> {
    published.borrow().as_deref().map(|text| serde_json::from_str(text).unwrap())
}

fn names(snapshot: &Value) -> Vec<&str> {
    let targets = snapshot["targets"].as_array().unwrap();
    targets.iter().map(|target| target["name"].as_str().unwrap()).collect()
}

fn two() -> [(&'static str, super::TargetSpec); 2] {
    [(HOME, spec(vec![one()])), ("there", spec_at("there", vec![entry("b", "other", "s")]))]
}

#[tokio::test(start_paused = true)]
async fn all_targets_are_in_it() {
    let engine = Engine::start(&two()).await;
    let published = published(&engine, &engine.stop);
    engine.pass(1).await;
    assert_eq!(names(&newest(&published).unwrap()), [HOME, "there"]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_never_reached_is_not_in_it() {
    let engine = Engine::start_with(&two(), House::go_down).await;
    let published = published(&engine, &engine.stop);
    engine.pass(60).await;
    assert_eq!(names(&newest(&published).unwrap()), ["there"]);
    engine.home().come_up();
    engine.pass(120).await;
    assert_eq!(names(&newest(&published).unwrap()), [HOME, "there"]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn there_is_none_of_nothing() {
    let engine = Engine::start_with(&two()[..1], House::go_down).await;
    let published = published(&engine, &engine.stop);
    engine.pass(60).await;
    assert_eq!(newest(&published), None);
    engine.end().await;
}

/// What was there before is not what is there now, and its time says so, whatever else the snapshot was taken anew for.
#[tokio::test(start_paused = true)]
async fn a_target_that_went_down_has_the_time_of_that() {
    let engine = Engine::start(&two()).await;
    let published = published(&engine, &engine.stop);
    engine.pass(1).await;
    let since = |at: usize| newest(&published).unwrap()["targets"][at]["unreachable_since"].clone();
    assert_eq!((since(0), since(1)), (Value::Null, Value::Null));
    engine.houses.at("there").go_down();
    engine.pass(120).await;
    let went_down = since(1);
    assert!(went_down.is_string() && since(0).is_null(), "{went_down}");
    engine.pass(600).await;
    assert_eq!(since(1), went_down);
    engine.houses.at("there").come_up();
    engine.pass(900).await;
    assert_eq!(since(1), Value::Null);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_target_leaves_it_at_once() {
    let engine = Engine::start(&two()).await;
    let published = published(&engine, &engine.stop);
    engine.declare(&two()[..1]).await;
    assert_eq!(names(&newest(&published).unwrap()), [HOME]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn another_target_of_the_same_name_is_not_taken_for_the_old_one() {
    let engine = Engine::start(&two()).await;
    let published = published(&engine, &engine.stop);
    engine.pass(1).await;
    engine.houses.at("elsewhere").go_down();
    let moved = [two()[0].clone(), ("there", spec_at("elsewhere", Vec::new()))];
    engine.declare(&moved).await;
    assert_eq!(names(&newest(&published).unwrap()), [HOME]);
    engine.houses.at("elsewhere").come_up();
    engine.pass(120).await;
    let clients = newest(&published).unwrap()["targets"][1]["credentials"].clone();
    assert_eq!(clients.as_array().unwrap().len(), 0);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn values_that_were_encrypted_anew_are_in_it_at_once() {
    let sealed = |ciphertext: &str| {
        let mut sealed = spec(vec![one()]);
        let seal = Some(Seal::of_ciphertext(ciphertext));
        let seals = Seals { client_id: None, client_secret: seal };
        sealed.seals = BTreeMap::from([(Key::new("a").unwrap(), seals)]);
        sealed
    };
    let engine = Engine::start(&[(HOME, sealed("first"))]).await;
    let published = published(&engine, &engine.stop);
    engine.declare(&[(HOME, sealed("second"))]).await;
    let snapshot = newest(&published).unwrap();
    let digest = snapshot["targets"][0]["credentials"][0]["client_secret_ciphertext"].clone();
    assert_eq!(digest, Seal::of_ciphertext("second").to_string());
    engine.end().await;
}
