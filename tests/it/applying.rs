//! Carrying a plan out: in which order, and what follows from what fails.

use std::collections::VecDeque;
use std::path::Path;

use appcred::model::{
    Adopt, ClientId, Completeness, ConfigEntry, ConsentLink, CredentialId, Desired,
    DesiredCredential, Domain, EntryId, EntryState, FlowStep, Held, Integration, Key, Owner, Place,
    Secret,
};
use appcred::plan::{Action, Plan, Reason, Step, StepId, Wanted};
use appcred::reconcile::{Outcome, StepOutcome, apply, outcome_of};
use appcred::target::{Denial, Done, Execute, Operation, Refusal, Stop};

/// A target that does whatever it is asked for, but for reloads, which go as written.
#[derive(Default)]
struct Recorder {
    done: Vec<String>,
    reloads: VecDeque<Result<Done, Refusal>>,
    refuses: Option<&'static str>,
    /// Somebody stops the run while it does this.
    stops_at: Option<&'static str>,
}

impl Execute for Recorder {
    async fn execute(
        &mut self,
        operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        for (at, operation) in operations.into_iter().enumerate() {
            if stop.is_cancelled() {
                done(at, Err(Refusal::Stopped));
                continue;
            }
            let (what, result) = match operation {
                Operation::Create(new) => {
                    let id = CredentialId::new(format!("new-{}", new.auth_domain));
                    (format!("create {}", new.auth_domain), Ok(Done::Created(id)))
                }
                Operation::Delete(held) | Operation::TakeBack(held) => {
                    (format!("delete {}", held.id), Ok(Done::Deleted))
                }
                Operation::RemoveAccount(account) => {
                    (format!("remove {}", account.id), Ok(Done::Removed))
                }
                Operation::Reload(id) => {
                    let loaded = Ok(Done::Reloaded(EntryState::Loaded));
                    (format!("reload {id}"), self.reloads.pop_front().unwrap_or(loaded))
                }
            };
            let is_refused = self.refuses == Some(what.as_str());
            if self.stops_at == Some(what.as_str()) {
                stop.cancel();
            }
            self.done.push(what);
            done(at, if is_refused { Err(Refusal::Failed("no".to_owned())) } else { result });
        }
    }
}

fn held(id: &str) -> Held {
    let (domain, client_id) = (Domain::new("spotify"), ClientId::new("c"));
    Held { id: CredentialId::new(id), domain, client_id, name: None, auth_domain: None }
}

fn account(state: EntryState) -> ConfigEntry {
    ConfigEntry {
        id: EntryId::new("e"),
        domain: Domain::new("spotify"),
        title: "Anna".into(),
        state,
        reason: None,
        implementation: Some("a".into()),
    }
}

fn wanted(auth_domain: &str) -> Wanted {
    Wanted {
        key: Key::new("a").unwrap(),
        domain: Domain::new("spotify"),
        client_id: ClientId::new("c"),
        name: "n".into(),
        auth_domain: auth_domain.into(),
    }
}

fn create(auth_domain: &str) -> Action {
    Action::Create { wanted: wanted(auth_domain) }
}

fn delete(id: &str) -> Action {
    Action::Delete { old: held(id), remove: Vec::new() }
}

fn replace() -> Action {
    Action::Replace { wanted: wanted("a"), old: vec![held("old")] }
}

/// Steps in this order, each with the one that it follows.
fn steps(actions: Vec<(Action, Option<usize>)>) -> Vec<Step> {
    let step = |(at, (action, after)): (usize, (Action, Option<usize>))| Step {
        reasons: vec![Reason::SecretDiffers],
        after: after.map(StepId),
        ..Step::new(StepId(at), action)
    };
    actions.into_iter().enumerate().map(step).collect()
}

/// One step that reloads an account which was in this state.
fn reloading(action: Action, state: EntryState) -> Vec<Step> {
    let mut steps = steps(vec![(action, None)]);
    steps[0].reload = vec![account(state)];
    steps
}

fn desired() -> Desired {
    Desired {
        owner: Owner::new("house").unwrap(),
        previous_owners: Default::default(),
        credentials: vec![DesiredCredential {
            key: Key::new("a").unwrap(),
            names_key: true,
            formerly: Default::default(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            client_secret: Secret::new("hush").into(),
            name: "n".into(),
            adopt: Adopt::No,
            integration: Integration::default(),
            place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
        }],
        unidentified: Vec::new(),
        elsewhere: Default::default(),
        completeness: Completeness::Whole,
    }
}

async fn carried_out(steps: Vec<Step>, target: &mut Recorder) -> Vec<StepOutcome> {
    let plan = Plan { steps, ..Plan::default() };
    apply(&plan, &desired(), target, &Stop::new(), &mut |_, _| {}).await
}

async fn applied(steps: Vec<Step>, target: &mut Recorder) -> Vec<Outcome> {
    carried_out(steps, target).await.into_iter().map(|outcome| outcome.outcome).collect()
}

fn states(states: &[EntryState]) -> Recorder {
    let reloads = states.iter().map(|state| Ok(Done::Reloaded(state.clone()))).collect();
    Recorder { reloads, ..Recorder::default() }
}

#[tokio::test]
async fn a_step_is_begun_when_the_one_before_it_is_done() {
    let mut target = Recorder::default();
    let chain = vec![
        (delete("original"), Some(1)),
        (delete("shadow"), Some(2)),
        (create("claim"), None),
        (create("shadow"), Some(2)),
        (create("other"), None),
    ];
    let outcomes = applied(steps(chain), &mut target).await;
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
    let order =
        ["create claim", "create other", "create shadow", "delete shadow", "delete original"];
    assert_eq!(target.done, order);
}

#[tokio::test]
async fn what_depends_on_a_failed_step_is_not_begun_and_the_rest_goes_on() {
    let mut target = Recorder { refuses: Some("create claim"), ..Recorder::default() };
    let chain = vec![
        (create("claim"), None),
        (create("shadow"), Some(0)),
        (delete("original"), Some(1)),
        (delete("spare"), None),
    ];
    let outcomes = applied(steps(chain), &mut target).await;
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.code().as_str()).collect();
    assert_eq!(codes, ["failed", "not_begun", "not_begun", "done"]);
    assert_eq!(target.done, ["create claim", "delete spare"]);
}

#[tokio::test]
async fn steps_that_wait_for_each_other_end_the_run_all_the_same() {
    let mut target = Recorder::default();
    let circle = vec![(create("a"), Some(1)), (create("b"), Some(0))];
    let outcomes = applied(steps(circle), &mut target).await;
    assert!(outcomes.iter().all(|outcome| outcome.code().as_str() == "not_begun"), "{outcomes:?}");
}

#[tokio::test]
async fn in_force_again_is_said_only_where_that_was_seen() {
    let mut target = states(&[EntryState::SetupError, EntryState::Loaded]);
    let outcomes = applied(reloading(replace(), EntryState::Loaded), &mut target).await;
    assert_eq!(target.done, ["create a", "reload e", "delete new-a", "reload e"]);
    let Outcome::Failed(why) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(why.ends_with("the old credential is in force again"), "{why}");

    let mut target = states(&[EntryState::SetupError, EntryState::SetupError]);
    let outcomes = applied(reloading(replace(), EntryState::Loaded), &mut target).await;
    let Outcome::Unfinished(why) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(why.contains("does not run yet (setup_error)"), "{why}");
    assert!(!why.contains("in force again"), "{why}");

    let mut target =
        Recorder { refuses: Some("delete new-a"), ..states(&[EntryState::SetupError]) };
    let outcomes = applied(reloading(replace(), EntryState::Loaded), &mut target).await;
    let Outcome::Unfinished(why) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(why.contains("the new credential could not be removed: no"), "{why}");
}

#[tokio::test]
async fn the_old_credential_stays_until_an_account_was_seen_to_run() {
    let lost = || Err(Refusal::Lost("cut".to_owned()));
    let slow = || Ok(Done::Reloaded(EntryState::SetupInProgress));
    let down = || Ok(Done::Reloaded(EntryState::SetupError));
    let ends = || Ok(Done::Reloaded(EntryState::UnloadInProgress));
    let runs_on = || Ok(Done::Reloaded(EntryState::FailedUnload));
    for (before, result) in [
        (EntryState::Loaded, lost()),
        (EntryState::Loaded, slow()),
        (EntryState::Loaded, ends()),
        (EntryState::Loaded, runs_on()),
        (EntryState::SetupError, down()),
        (EntryState::Loaded, Err(Refusal::Stopped)),
    ] {
        let mut target = Recorder { reloads: VecDeque::from([result]), ..Recorder::default() };
        let outcomes = applied(reloading(replace(), before), &mut target).await;
        assert_eq!(outcomes[0].code().as_str(), "unfinished", "{outcomes:?}");
        assert_eq!(target.done, ["create a", "reload e"]);
    }
    // The next run finds the new credential right and the old one left over.
    for (state, is_deleted) in [
        (EntryState::SetupError, false),
        (EntryState::FailedUnload, false),
        (EntryState::Loaded, true),
    ] {
        let mut target = states(&[state]);
        let left_over = reloading(delete("old"), EntryState::SetupError);
        let outcomes = applied(left_over, &mut target).await;
        assert_eq!(target.done.contains(&"delete old".to_owned()), is_deleted, "{outcomes:?}");
        assert_eq!(outcomes[0].is_done(), is_deleted);
    }
}

#[tokio::test]
async fn an_account_that_a_stopped_run_left_down_is_put_back() {
    let down_and_up = states(&[EntryState::SetupError, EntryState::Loaded]);
    let mut target = Recorder { stops_at: Some("reload e"), ..down_and_up };
    let mut both = reloading(replace(), EntryState::Loaded);
    both.push(Step::new(StepId(1), delete("spare")));
    let outcomes = applied(both, &mut target).await;
    assert_eq!(target.done, ["create a", "reload e", "delete new-a", "reload e"]);
    let why = outcomes[0].why().unwrap();
    assert!(why.ends_with("the old credential is in force again"), "{why}");
    assert_eq!(outcomes[1], Outcome::NotBegun("not begun: interrupted".to_owned()));
}

#[tokio::test]
async fn an_account_that_was_down_keeps_no_other_from_being_put_back() {
    let down = EntryState::SetupError;
    let mut target = states(&[down.clone(), down.clone(), down.clone(), EntryState::Loaded]);
    let mut steps = reloading(replace(), down);
    let ben =
        ConfigEntry { id: EntryId::new("f"), title: "Ben".into(), ..account(EntryState::Loaded) };
    steps[0].reload.push(ben);
    let outcomes = applied(steps, &mut target).await;
    let Outcome::Failed(why) = &outcomes[0] else { panic!("{outcomes:?}") };
    for said in ["\"Anna\" does not run", "\"Ben\" does not run", "is in force again"] {
        assert!(why.contains(said), "{why}");
    }
    assert_eq!(target.done[3..], ["delete new-a", "reload e", "reload f"]);
}

#[tokio::test]
async fn an_account_that_cannot_be_reloaded_undoes_a_rotation_only_where_it_ran() {
    let refused = || Err(Refusal::Failed("not in this state".to_owned()));
    let migration_error = EntryState::Other("migration_error".to_owned());
    for (before, is_undone) in [(migration_error, false), (EntryState::Loaded, true)] {
        let reloads = VecDeque::from([refused()]);
        let mut target = Recorder { reloads, ..Recorder::default() };
        let outcomes = applied(reloading(replace(), before), &mut target).await;
        assert_eq!(target.done.contains(&"delete new-a".to_owned()), is_undone, "{outcomes:?}");
        assert!(outcomes[0].why().unwrap().contains("not in this state"), "{outcomes:?}");
    }
}

#[tokio::test]
async fn what_is_stopped_in_the_middle_is_not_reported_as_not_begun() {
    let with_account = || {
        let remove = vec![account(EntryState::Loaded)];
        steps(vec![(Action::Delete { old: held("old"), remove }, None)])
    };
    let with_claim = || {
        let mut steps = steps(vec![(replace(), None)]);
        steps[0].claim = Some(wanted("claim"));
        steps
    };
    for (steps, at) in [(with_account(), "remove e"), (with_claim(), "create claim")] {
        let mut target = Recorder { stops_at: Some(at), ..Recorder::default() };
        let outcomes = applied(steps, &mut target).await;
        assert_eq!(target.done, [at]);
        let why = "interrupted: a part of it is done, and the next run goes on";
        assert_eq!(outcomes, [Outcome::Unfinished(why.to_owned())]);
    }
}

#[tokio::test]
async fn an_account_goes_before_its_credential_and_the_others_are_reloaded_after_that() {
    let removing = |state: EntryState| {
        let remove = vec![account(state.clone())];
        reloading(Action::Delete { old: held("old"), remove }, state)
    };
    let mut target = Recorder::default();
    let outcomes = applied(removing(EntryState::Loaded), &mut target).await;
    assert_eq!(target.done, ["remove e", "delete old", "reload e"]);
    assert!(outcomes[0].is_done(), "{outcomes:?}");
    // What does not run afterwards is named, each of them.
    let down = EntryState::SetupError;
    let mut target = states(&[down.clone(), down]);
    let mut both = removing(EntryState::Loaded);
    both[0].reload.push(ConfigEntry { title: "Ben".into(), ..account(EntryState::Loaded) });
    let outcomes = applied(both, &mut target).await;
    let Outcome::Unfinished(why) = &outcomes[0] else { panic!("{outcomes:?}") };
    for said in
        ["\"Anna\" does not", "\"Ben\" does not run with the credential that is in force now"]
    {
        assert!(why.contains(said), "{why}");
    }
    // An account that is gone does not come back where another one stays.
    let ben = ConfigEntry { id: EntryId::new("f"), ..account(EntryState::Loaded) };
    let both = Action::Delete { old: held("old"), remove: vec![account(EntryState::Loaded), ben] };
    let mut target = Recorder { refuses: Some("remove f"), ..Recorder::default() };
    let outcomes = applied(steps(vec![(both, None)]), &mut target).await;
    let why = "a part of it is done, and the rest is not: no";
    assert_eq!(outcomes, [Outcome::Failed(why.to_owned())]);
    // Where it stays, so does the credential, and nothing else is done about it.
    let mut target = Recorder { refuses: Some("remove e"), ..Recorder::default() };
    let outcomes = applied(removing(EntryState::SetupError), &mut target).await;
    assert_eq!(target.done, ["remove e"]);
    assert_eq!(outcomes, [Outcome::Failed("no".to_owned())]);
}

#[tokio::test]
async fn what_is_denied_is_said_to_be_denied() {
    let denied = Err(Refusal::Denied(Denial::Right));
    let mut target = Recorder { reloads: VecDeque::from([denied]), ..Recorder::default() };
    let outcomes = applied(reloading(replace(), EntryState::Loaded), &mut target).await;
    assert!(matches!(outcomes[0], Outcome::Denied(_)), "{outcomes:?}");
}

#[tokio::test]
async fn a_step_that_came_half_way_has_changed_something_whatever_ended_it() {
    let denied = || VecDeque::from([Err(Refusal::Denied(Denial::Token))]);
    let created = Recorder { reloads: denied(), ..Recorder::default() };
    let refuses = |what| Recorder { refuses: Some(what), ..Recorder::default() };
    let replaces = || reloading(replace(), EntryState::Loaded);
    let ben = ConfigEntry { id: EntryId::new("f"), ..account(EntryState::Loaded) };
    let remove = vec![account(EntryState::Loaded), ben];
    let removes =
        || steps(vec![(Action::Delete { old: held("old"), remove: remove.clone() }, None)]);
    for (steps, mut target, code, is_changed) in [
        (replaces(), created, "failed", true),
        (replaces(), refuses("delete old"), "unfinished", true),
        (replaces(), refuses("create a"), "failed", false),
        (removes(), refuses("remove f"), "failed", true),
        (removes(), refuses("delete old"), "failed", true),
        (steps(vec![(delete("old"), None)]), refuses("delete old"), "failed", false),
    ] {
        let outcome = carried_out(steps, &mut target).await.remove(0);
        assert_eq!((outcome.outcome.code().as_str(), outcome.is_changed), (code, is_changed));
    }
}

#[test]
fn a_step_has_failed_where_it_was_asked_for_and_nobody_is_waited_for() {
    let mut both = steps(vec![(delete("a"), None), (delete("b"), None)]);
    both[1].reasons = vec![Reason::UnnamedAccountDown];
    let plan = Plan { steps: both, ..Plan::default() };
    let link = ConsentLink::new(Secret::new("http://provider/?state=s"), false);
    let why = || "why".to_owned();
    for (outcome, is_failure, expected) in [
        (Outcome::Done, false, None),
        (Outcome::Waits(FlowStep::Consent(link)), false, None),
        (Outcome::Waits(FlowStep::Progress(None)), false, None),
        (Outcome::Waits(FlowStep::Advancing), true, None),
        (Outcome::Unfinished(why()), true, Some("why")),
        (Outcome::Failed(why()), true, Some("why")),
        (Outcome::Denied(why()), true, Some("why")),
        (Outcome::NotBegun(why()), true, Some("why")),
    ] {
        assert_eq!(outcome.why(), expected);
        let all = [0, 1].map(|at| StepOutcome::new(StepId(at), outcome.clone()));
        let found = |at| outcome_of(&all, StepId(at)).unwrap();
        assert_eq!([0, 1].map(|at| found(at).step), [StepId(0), StepId(1)]);
        assert_eq!(outcome_of(&all, StepId(2)), None);
        let failures = [0, 1].map(|at| found(at).is_failure(&plan));
        assert_eq!(failures, [is_failure, false], "{outcome:?}");
    }
}
