//! What one round does, by what it finds.

use std::collections::BTreeSet;

use appcred::codes::OutcomeCode;
use appcred::model::{DesiredCredential, MaxDeletes, NotifyAction, Policy, Prune, TargetName};
use appcred::plan::{Reason, Why};
use appcred::status::{Holding, Mode};
use appcred::watch::{Notices, TargetSpec, WakeRequest};

use super::{Engine, HOME, RESYNC, entry, one, spec, spec_at};

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_created() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    assert!(engine.target(HOME).is_in_sync());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_sync_is_left_alone_and_looked_at_by_resync() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    let looks = engine.home().state().looks;
    engine.pass(RESYNC).await;
    assert_eq!(engine.home().state().looks, looks + 1);
    assert_eq!(engine.home().state().connects, 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_round_that_somebody_asks_for_is_of_the_named_targets() {
    let engine =
        Engine::start(&[(HOME, spec(vec![one()])), ("cabin", spec_at("cabin", vec![one()]))]).await;
    let looks = |name: &str| engine.houses.at(name).state().looks;
    let before = (looks(HOME), looks("cabin"));
    let targets = BTreeSet::from([TargetName::new("cabin")]);
    engine.wakes.send(WakeRequest { targets }).await.unwrap();
    engine.pass(5).await;
    assert_eq!((looks(HOME), looks("cabin")), (before.0, before.1 + 1));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_secret_is_replaced() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.declare(&[(HOME, spec(vec![entry("a", "client", "second")]))]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "second".to_owned())]);
    assert_eq!(engine.target(HOME).totals.drifts, 0, "a manifest changed it");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_no_more_is_deleted() {
    let both = vec![one(), entry("b", "other", "s")];
    let engine = Engine::start(&[(HOME, spec(both))]).await;
    engine.declare(&[(HOME, spec(vec![one()]))]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_withheld_where_nothing_is_to_be_pruned() {
    let engine = Engine::start(&[(HOME, spec(vec![one(), entry("b", "other", "s")]))]).await;
    let mut only_one = spec(vec![one()]);
    only_one.policy = Policy { prune: Prune::Nothing, ..Policy::default() };
    engine.declare(&[(HOME, only_one)]).await;
    assert_eq!(engine.home().secrets().len(), 2);
    assert!(engine.target(HOME).differences.is_empty(), "that is what was asked for");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn too_many_deletes_stop_everything_and_are_reported() {
    let engine = Engine::start(&[(HOME, spec(vec![one(), entry("b", "other", "s")]))]).await;
    let mut none_left = spec(vec![entry("c", "third", "s")]);
    none_left.policy = Policy { max_deletes: Some(MaxDeletes::Count(1)), ..Policy::default() };
    engine.declare(&[(HOME, none_left)]).await;
    let held: Vec<String> = engine.home().secrets().into_iter().map(|(id, _)| id).collect();
    assert_eq!(held, ["client", "other"]);
    let target = engine.target(HOME);
    let is_stopped = |why: &Why| matches!(why, Why::TooManyDeletes { .. });
    assert!(target.differences.iter().filter_map(|one| one.why.as_ref()).any(is_stopped));
    assert!(!target.is_in_sync());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_made_is_adopted_where_that_is_asked_for() {
    let mut adopting = one();
    adopting.adopt = appcred::model::Adopt::Only;
    let by_hand = |house: &super::House| house.hold("client", "first");
    let engine = Engine::start_with(&[(HOME, spec(vec![adopting]))], by_hand).await;
    let held = engine.home().state().shelf.credentials.clone();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].mark().unwrap().to_string(), "appcred:house:a");
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_made_is_left_and_reported_otherwise() {
    let by_hand = |house: &super::House| house.hold("client", "first");
    let engine = Engine::start_with(&[(HOME, spec(vec![one()]))], by_hand).await;
    assert_eq!(engine.home().state().shelf.credentials[0].mark(), None);
    let target = engine.target(HOME);
    assert_eq!(target.foreign, 1);
    assert!(matches!(target.entries[0].holding, Holding::Withheld(Why::Foreign { .. })));
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_integration_holds_up_its_own_entry_alone() {
    let mut unknown = entry("b", "other", "s");
    unknown.domain = appcred::model::Domain::new("spotfy");
    let engine = Engine::start(&[(HOME, spec(vec![one(), unknown]))]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    let target = engine.target(HOME);
    assert!(matches!(
        &target.entries[1].holding,
        Holding::Withheld(Why::UnknownIntegration { .. })
    ));
    assert!(!target.is_in_sync());
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_as_soon_as_the_target_reports_it() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    engine.home().empty();
    engine.pass(1).await;
    assert_eq!(engine.home().secrets().len(), 1);
    assert_eq!(engine.target(HOME).totals.drifts, 1);
    let status = engine.statuses.subscribe().borrow().clone();
    let reasons: Vec<_> = status.history.newest().map(|step| step.reasons.clone()).collect();
    assert_eq!(reasons, [[Reason::DeletedThere], [Reason::NotObserved]]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn each_drift_is_counted() {
    let engine = Engine::start(&[(HOME, spec(vec![one()]))]).await;
    for drifts in 1..=3 {
        engine.home().empty();
        // Longer than what counts as a conflict.
        engine.pass(3600).await;
        assert_eq!(engine.target(HOME).totals.drifts, drifts);
    }
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn drift_that_lasts_is_counted_once() {
    let mut reporting = spec(vec![one()]);
    reporting.mode = Mode::ReportDrift;
    let engine = Engine::start(&[(HOME, reporting)]).await;
    engine.home().empty();
    engine.pass(3 * RESYNC).await;
    assert_eq!(engine.target(HOME).totals.drifts, 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_left_and_reported_where_that_is_asked_for() {
    let mut reporting = spec(vec![one()]);
    reporting.mode = Mode::ReportDrift;
    let engine = Engine::start(&[(HOME, reporting)]).await;
    engine.home().empty();
    engine.pass(1).await;
    assert!(engine.home().secrets().is_empty());
    let target = engine.target(HOME);
    assert!(target.differences.iter().all(|difference| difference.is_drift));
    assert_eq!(target.differences.len(), 1);
    engine.end().await;
}

fn reporting(entries: Vec<DesiredCredential>) -> TargetSpec {
    TargetSpec { mode: Mode::ReportDrift, ..spec(entries) }
}

#[tokio::test(start_paused = true)]
async fn drift_is_left_also_while_another_entry_fails() {
    let both = reporting(vec![one(), entry("b", "refused", "s")]);
    let refuse = |house: &super::House| house.state().refuses_client = Some("refused");
    let engine = Engine::start_with(&[(HOME, both)], refuse).await;
    engine.pass(RESYNC).await;
    assert_eq!(engine.home().secrets().len(), 1, "the other one fails");
    engine.home().empty();
    engine.pass(RESYNC).await;
    assert!(engine.home().secrets().is_empty());
    assert_eq!(engine.target(HOME).totals.drifts, 1);
    engine.end().await;
}

/// Notices are sent by an action of the target.
fn notifying(spec: TargetSpec) -> TargetSpec {
    let actions = vec![NotifyAction::new("notify.phone").unwrap()];
    TargetSpec { notices: Notices { actions, ..Notices::default() }, ..spec }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_beside_a_step_that_fails_shows_at_once_and_the_failure_is_recorded_once() {
    let both = notifying(spec(vec![one(), entry("b", "refused", "s")]));
    let refuse = |house: &super::House| house.state().refuses_client = Some("refused");
    let engine = Engine::start_with(&[(HOME, both)], refuse).await;
    let said = |of: &str| {
        engine.home().state().called.iter().filter(|said| said.contains(of)).cloned().collect()
    };
    engine.pass(RESYNC).await;
    engine.home().lose("client");
    for _ in 0..RESYNC {
        if !engine.home().secrets().is_empty() {
            break;
        }
        engine.pass(1).await;
    }
    let target = engine.target(HOME);
    let states: Vec<_> = target.entries.iter().map(|entry| entry.holding.clone()).collect();
    assert_eq!(states, [Holding::InSync, Holding::Missing], "{:?}", target.error);
    let drift: Vec<String> = said("not by a manifest");
    let repaired = "the target was changed, not by a manifest; repaired: create spotify \"a\"";
    assert_eq!(drift, [repaired]);
    engine.pass(RESYNC).await;
    let status = engine.status();
    let outcomes: Vec<_> = status.history.newest().map(|step| step.outcome).collect();
    assert_eq!(outcomes, [OutcomeCode::Done, OutcomeCode::Failed, OutcomeCode::Done]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_left_when_another_entry_changes() {
    let engine = Engine::start(&[(HOME, reporting(vec![one()]))]).await;
    engine.home().empty();
    engine.pass(1).await;
    engine.declare(&[(HOME, reporting(vec![one(), entry("b", "other", "s")]))]).await;
    assert_eq!(engine.home().secrets(), [("other".to_owned(), "s".to_owned())]);
    let target = engine.target(HOME);
    assert_eq!(target.totals.drifts, 1, "it is the same drift");
    assert!(target.differences.iter().all(|difference| difference.is_drift), "{target:?}");
    assert_eq!(target.differences.len(), 1);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_drift_is_reported_while_the_first_is_left() {
    let both = notifying(reporting(vec![one(), entry("b", "other", "s")]));
    let engine = Engine::start(&[(HOME, both)]).await;
    engine.home().lose("client");
    engine.pass(1).await;
    engine.home().lose("other");
    engine.pass(1).await;
    let target = engine.target(HOME);
    assert_eq!((target.totals.drifts, target.differences.len()), (2, 2));
    let was = "the target was changed, not by a manifest; to do: create spotify";
    let said = [format!("{was} \"a\""), format!("{was} \"b\"")];
    assert_eq!(engine.home().state().called, said);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_adds_is_left_also_when_an_entry_changes() {
    let all = |entries| TargetSpec {
        policy: Policy { prune: Prune::All, ..Policy::default() },
        ..reporting(entries)
    };
    let engine = Engine::start(&[(HOME, all(vec![one()]))]).await;
    engine.home().hold("by_hand", "strange");
    engine.home().report();
    engine.pass(1).await;
    assert_eq!(engine.target(HOME).totals.drifts, 1);
    engine.declare(&[(HOME, all(vec![one(), entry("b", "other", "s")]))]).await;
    engine.pass(RESYNC).await;
    let held: Vec<String> = engine.home().secrets().into_iter().map(|(id, _)| id).collect();
    assert_eq!(held, ["client", "by_hand", "other"]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_allows_at_last_is_no_drift() {
    let mut limited = reporting(vec![one(), entry("b", "other", "s")]);
    let engine = Engine::start(&[(HOME, limited.clone())]).await;
    limited.desired.credentials.pop();
    limited.policy = Policy { max_deletes: Some(MaxDeletes::Count(0)), ..Policy::default() };
    engine.declare(&[(HOME, limited.clone())]).await;
    assert_eq!(engine.home().secrets().len(), 2);
    limited.policy = Policy::default();
    engine.declare(&[(HOME, limited)]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "first".to_owned())]);
    assert_eq!(engine.target(HOME).totals.drifts, 0);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_manifest_is_applied_over_drift_that_is_left() {
    let mut reporting = spec(vec![one()]);
    reporting.mode = Mode::ReportDrift;
    let engine = Engine::start(&[(HOME, reporting)]).await;
    engine.home().empty();
    engine.pass(1).await;
    let mut changed = spec(vec![entry("a", "client", "second")]);
    changed.mode = Mode::ReportDrift;
    engine.declare(&[(HOME, changed)]).await;
    assert_eq!(engine.home().secrets(), [("client".to_owned(), "second".to_owned())]);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_reports_and_changes_nothing() {
    let mut dry = spec(vec![one()]);
    dry.mode = Mode::Report;
    let engine = Engine::start(&[(HOME, dry)]).await;
    engine.pass(RESYNC).await;
    assert!(engine.home().secrets().is_empty());
    let differences = engine.target(HOME).differences;
    assert_eq!(differences.len(), 1);
    assert!(!differences[0].is_drift);
    engine.end().await;
}

#[tokio::test(start_paused = true)]
async fn each_target_has_its_own_rounds() {
    let there = super::spec_at("there", vec![entry("b", "other", "s")]);
    let engine = Engine::start(&[(HOME, spec(vec![one()])), ("there", there)]).await;
    assert_eq!(engine.home().secrets().len(), 1);
    assert_eq!(engine.houses.at("there").secrets(), [("other".to_owned(), "s".to_owned())]);
    engine.end().await;
}
