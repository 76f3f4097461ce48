//! A target in memory, and what may be wrong with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use appcred::model::{
    ClientId, ConsentLink, Credential, CredentialId, Desired, Domain, FieldKind, FlowField,
    FlowForm, FlowId, FlowStep, HandOverError, Live, NotifyAction, Observed, OpenFlow, Purpose,
    Secret,
};
use appcred::plan::{Action, Plan, Step};
use appcred::reconcile::{Outcome, PlanTarget, Proven, StepOutcome, Verdicts};
use appcred::target::ConnectError;
use appcred::target::{Done, Execute, Observe, Operation, Refusal, Stop, TargetError};
use appcred::watch::{TargetEvent, WatchedTarget};
use tokio::sync::watch;

use crate::shelf::Shelf;

/// How a set-up goes that is begun there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SetUp {
    /// The target sets nothing up.
    #[default]
    None,
    /// Somebody must consent.
    Waits,
    /// The entry must answer.
    Asks,
    /// It fails.
    Fails,
    /// The provider would refuse it.
    Refused,
    /// The account is linked at once.
    Links,
}

/// A target, for the engine and the test.
#[derive(Clone)]
pub(crate) struct House(Arc<Mutex<State>>);

pub(crate) struct State {
    pub(crate) shelf: Shelf,
    pub(crate) set_up: SetUp,
    pub(crate) live: Live,
    /// How often it was connected to, looked at, and printed to begin a set-up.
    pub(crate) connects: usize,
    pub(crate) looks: usize,
    pub(crate) set_ups: usize,
    /// How many credentials it was asked to create, and how many operations it refused.
    pub(crate) creates: usize,
    pub(crate) refusals: usize,
    /// What connecting fails with.
    pub(crate) unreachable: Option<TargetError>,
    /// It ends its connections after each look.
    pub(crate) drops: bool,
    /// The next looks crash.
    pub(crate) crashes: usize,
    /// The look after something was created next crashes.
    pub(crate) crashes_once_created: bool,
    /// Connecting takes for ever.
    pub(crate) hangs: bool,
    /// Looking at it takes for ever.
    pub(crate) looks_hang: bool,
    /// Changing something takes so long.
    pub(crate) slow: Option<Duration>,
    /// It refuses every operation, or every delete.
    pub(crate) refuses: Option<Refusal>,
    pub(crate) refuses_deletes: Option<Refusal>,
    /// It refuses to create this client.
    pub(crate) refuses_client: Option<&'static str>,
    /// It reports no changes.
    pub(crate) is_silent: bool,
    /// Somebody deletes what is created, at once.
    pub(crate) undoes: bool,
    /// The provider refuses every new secret for this reason; counts how often it was asked.
    pub(crate) refuses_secrets: Option<String>,
    pub(crate) proofs: usize,
    /// What the next look at an open set-up finds it to have failed with.
    pub(crate) refused: Option<String>,
    pub(crate) callbacks: Vec<String>,
    pub(crate) displayed: Vec<Option<String>>,
    /// What was displayed last, by id.
    pub(crate) messages: BTreeMap<String, Option<String>>,
    /// The notices that its actions were called with.
    pub(crate) called: Vec<String>,
    /// How often a connection displayed what it had displayed last under the same id.
    pub(crate) repeats: usize,
    /// Counts what happens there; a connection reports each change of it.
    events: watch::Sender<u64>,
    /// How often it has ended all connections.
    connection: watch::Sender<u64>,
}

impl Default for House {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            shelf: Shelf::new(Vec::new(), Vec::new()),
            set_up: SetUp::None,
            live: Live::default(),
            connects: 0,
            looks: 0,
            set_ups: 0,
            creates: 0,
            refusals: 0,
            unreachable: None,
            drops: false,
            crashes: 0,
            crashes_once_created: false,
            hangs: false,
            looks_hang: false,
            slow: None,
            refuses: None,
            refuses_deletes: None,
            refuses_client: None,
            is_silent: false,
            undoes: false,
            refuses_secrets: None,
            proofs: 0,
            refused: None,
            callbacks: Vec::new(),
            displayed: Vec::new(),
            messages: BTreeMap::new(),
            called: Vec::new(),
            repeats: 0,
            events: watch::Sender::new(0),
            connection: watch::Sender::new(0),
        })))
    }
}

impl House {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) async fn connect(&self, address: String) -> Result<Connected, ConnectError> {
        tracing::trace!("{address}: connects");
        if self.state().hangs {
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        state.connects += 1;
        if let Some(error) = &state.unreachable {
            return Err(error.clone().into());
        }
        let (events, connection) = (state.events.subscribe(), state.connection.subscribe());
        let number = *connection.borrow();
        let (house, shown) = (self.clone(), Mutex::default());
        Ok(Connected { house, address, events, connection, number, shown })
    }

    /// The secrets that are held, by client id.
    pub(crate) fn secrets(&self) -> Vec<(String, String)> {
        let state = self.state();
        let held = state.shelf.credentials.iter().map(|held| {
            let secret = held.client_secret.clear().unwrap().expose().to_owned();
            (held.client_id.to_string(), secret)
        });
        held.collect()
    }

    /// Puts a credential there as a person does.
    pub(crate) fn hold(&self, client_id: &str, secret: &str) {
        self.state().shelf.credentials.push(Credential {
            id: CredentialId::new(format!("spotify_{client_id}")),
            domain: Domain::new("spotify"),
            client_id: appcred::model::ClientId::new(client_id),
            client_secret: Secret::new(secret).into(),
            name: None,
            auth_domain: None,
        });
    }

    /// Somebody deletes everything there, and the target reports it.
    pub(crate) fn empty(&self) {
        self.state().shelf.credentials.clear();
        self.report();
    }

    /// Somebody deletes one credential there, and the target reports it.
    pub(crate) fn lose(&self, client_id: &str) {
        self.state().shelf.credentials.retain(|held| held.client_id != ClientId::new(client_id));
        self.report();
    }

    /// It reports an event.
    pub(crate) fn report(&self) {
        self.state().events.send_modify(|events| *events += 1);
    }

    /// It ends its connections.
    pub(crate) fn disconnect(&self) {
        self.state().connection.send_modify(|number| *number += 1);
    }

    /// It is reached by nobody from now on, and those that are connected are cut off.
    pub(crate) fn go_down(&self) {
        let why = "connection refused".to_owned();
        let address = "http://home".to_owned();
        self.state().unreachable = Some(TargetError::Unreachable { address, why });
        self.disconnect();
    }

    /// It refuses every operation from now on.
    pub(crate) fn refuse(&self) {
        let why = "refused, as the test wants".to_owned();
        self.state().refuses = Some(Refusal::Failed(why));
    }

    pub(crate) fn come_up(&self) {
        self.state().unreachable = None;
    }
}

/// A connection to it.
pub(crate) struct Connected {
    house: House,
    address: String,
    events: watch::Receiver<u64>,
    connection: watch::Receiver<u64>,
    number: u64,
    /// What this connection displayed last, by id.
    shown: Mutex<BTreeMap<String, Option<String>>>,
}

impl Connected {
    fn is_over(&self) -> bool {
        *self.connection.borrow() != self.number
    }
}

impl Observe for Connected {
    async fn observe(&mut self) -> Result<Observed, TargetError> {
        if self.is_over() {
            let (address, why) = ("http://home".to_owned(), "the connection is lost".to_owned());
            return Err(TargetError::Unreachable { address, why });
        }
        let hangs = self.house.state().looks_hang;
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut state = self.house.state();
        state.looks += 1;
        tracing::trace!("{}: looks", self.address);
        if state.crashes > 0 {
            state.crashes -= 1;
            panic!("a look crashes, as the test wants");
        }
        if state.drops {
            state.connection.send_modify(|number| *number += 1);
        }
        let mut observed = state.shelf.observed();
        if state.set_up != SetUp::None {
            observed.live = Some(state.live.clone());
        }
        Ok(observed)
    }
}

impl Execute for Connected {
    async fn execute(
        &mut self,
        operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        tracing::trace!("{}: {operations:?}", self.address);
        // What was begun is finished.
        let begun = if stop.is_cancelled() { stop.clone() } else { Stop::new() };
        let slow = self.house.state().slow;
        if let Some(slow) = slow {
            tokio::time::sleep(slow).await;
        }
        let is_create = |one: &&Operation| matches!(one, Operation::Create(_));
        let creates = operations.iter().filter(is_create).count();
        let (mut shelf, refuses, refuses_client) = {
            let mut state = self.house.state();
            state.creates += creates;
            let is_delete = |one: &Operation| matches!(one, Operation::Delete(_));
            let mut refuses = state.refuses.clone();
            if operations.iter().all(is_delete) {
                refuses = refuses.or(state.refuses_deletes.clone());
            }
            (state.shelf.clone(), refuses, state.refuses_client)
        };
        if let Some(refusal) = refuses {
            self.house.state().refusals += operations.len();
            for at in 0..operations.len() {
                done(at, Err(refusal.clone()));
            }
            return;
        }
        let is_refused = |operation: &Operation| {
            matches!(operation, Operation::Create(new)
                if refuses_client.is_some_and(|refused| new.client_id == ClientId::new(refused)))
        };
        let (refused, rest): (Vec<_>, Vec<_>) =
            operations.into_iter().enumerate().partition(|(_, operation)| is_refused(operation));
        for (at, _) in refused {
            done(at, Err(Refusal::Failed("refused, as the test wants".to_owned())));
        }
        let (places, operations): (Vec<usize>, Vec<Operation>) = rest.into_iter().unzip();
        shelf.execute(operations, &begun, &mut |at, ended| done(places[at], ended)).await;
        let mut state = self.house.state();
        if state.undoes {
            shelf.credentials.clear();
        }
        state.shelf = shelf;
        state.events.send_modify(|events| *events += 1);
        if creates > 0 && std::mem::take(&mut state.crashes_once_created) {
            state.crashes += 1;
        }
    }
}

impl PlanTarget for Connected {
    async fn prove(&self, plan: &Plan, _: &Desired, _: &Observed, _: &mut Verdicts) -> Proven {
        let mut state = self.house.state();
        let mut proven = Proven::whole(plan);
        if let Some(why) = state.refuses_secrets.clone() {
            state.proofs += 1;
            let replaces = |step: &Step| matches!(step.action, Action::Replace { .. });
            for step in plan.steps.iter().filter(|step| replaces(step)) {
                let outcome = Outcome::NotBegun(why.clone());
                proven.refused.push(StepOutcome::new(step.id, outcome));
            }
            proven.plan.steps.retain(|step| !replaces(step));
        }
        if state.set_up == SetUp::Refused {
            for step in plan.steps.iter().filter(|step| step.action.is_set_up()) {
                let outcome = Outcome::NotBegun("register the redirect URI".to_owned());
                proven.refused.push(StepOutcome::new(step.id, outcome));
            }
            proven.plan.steps.retain(|step| !step.action.is_set_up());
        }
        proven
    }

    async fn set_up(
        &self,
        (plan, desired, _): (&Plan, &Desired, &Observed),
        _: &Stop,
        outcomes: &mut Vec<StepOutcome>,
    ) {
        let mut state = self.house.state();
        for step in &plan.steps {
            let Action::SetUp { wanted, open, .. } = &step.action else { continue };
            state.set_ups += usize::from(open.is_none());
            let refused = state.refused.take_if(|_| open.is_some());
            if let Some(why) = refused {
                state.live.flows.clear();
                outcomes.push(StepOutcome::of_set_up(step.id, Outcome::Failed(why)));
                continue;
            }
            let link = ConsentLink::new(Secret::new("https://provider/consent?state=s"), false);
            let consent = FlowStep::Consent(link);
            let waits_for = match state.set_up {
                SetUp::Asks => question(),
                _ => consent,
            };
            let outcome = match state.set_up {
                SetUp::Waits | SetUp::Asks => {
                    state.live.flows = vec![OpenFlow {
                        id: FlowId::new("flow"),
                        domain: wanted.domain.clone(),
                        purpose: Purpose::Entry(desired.mark(&wanted.key)),
                    }];
                    Outcome::Waits(waits_for)
                }
                SetUp::Fails | SetUp::Refused => Outcome::Failed("the provider says no".to_owned()),
                SetUp::None | SetUp::Links => {
                    state.shelf.config_entries.push(super::set_ups::account(wanted));
                    Outcome::Done
                }
            };
            outcomes.push(StepOutcome::of_set_up(step.id, outcome));
        }
    }
}

impl WatchedTarget for Connected {
    type PlanTarget = Self;

    fn reports_changes(&self) -> bool {
        !self.house.state().is_silent
    }

    async fn next_event(&mut self) -> TargetEvent {
        let number = self.number;
        tokio::select! {
            biased;
            _ = self.connection.wait_for(|ended| *ended != number) => TargetEvent::Disconnected,
            _ = self.events.changed() => TargetEvent::Changed,
        }
    }

    fn plan_target(&mut self) -> &mut Self {
        self
    }

    async fn hand_over(&self, query: &str) -> Result<(), HandOverError> {
        self.house.state().callbacks.push(query.to_owned());
        Ok(())
    }

    async fn display(&self, id: &str, _: &str, text: Option<&str>) -> Result<(), Refusal> {
        tracing::trace!("{}: displays {id} {text:?}", self.address);
        let text = text.map(str::to_owned);
        let mut state = self.house.state();
        state.repeats += usize::from(
            self.shown.lock().unwrap().insert(id.to_owned(), text.clone()) == Some(text.clone()),
        );
        state.messages.insert(id.to_owned(), text.clone());
        state.displayed.push(text);
        Ok(())
    }

    async fn call_action(&self, _: &NotifyAction, _: &str, text: &str) -> Result<(), Refusal> {
        self.house.state().called.push(text.to_owned());
        Ok(())
    }
}

/// A form that no entry answers.
fn question() -> FlowStep {
    let field = FlowField { name: "home".to_owned(), kind: FieldKind::Text, required: true };
    FlowStep::Form(FlowForm {
        step: "which".to_owned(),
        fields: vec![field],
        errors: Default::default(),
    })
}
