//! Home Assistants of a simulated cluster, in this process, with Home Assistant's rules for credentials.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::shelf::Shelf;
use super::simulated_api::ApiServer;
use crate::model::{Desired, HandOverError, NotifyAction, Observed};
use crate::plan::Plan;
use crate::reconcile::{PlanTarget, Proven, StepOutcome, Verdicts};
use crate::target::{
    ConnectError, Done, Execute, Fence, Observe, Operation, Refusal, Stop, TargetError,
};
use crate::watch::{Connect, TargetEvent, TargetSpec, WatchedTarget};

/// One of them.
#[derive(Clone)]
pub(super) struct SimulatedHome(Arc<Mutex<HomeState>>);

pub(super) struct HomeState {
    pub(super) shelf: Shelf,
    pub(super) is_down: bool,
    /// It refuses every operation.
    pub(super) refuses: bool,
    /// Half of the time before each operation takes effect, and after it.
    pub(super) slow: Duration,
    pub(super) looks: usize,
    events: watch::Sender<u64>,
    connection: watch::Sender<u64>,
}

impl Default for SimulatedHome {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(HomeState {
            shelf: Shelf::new(Vec::new(), Vec::new()),
            is_down: false,
            refuses: false,
            slow: Duration::ZERO,
            looks: 0,
            events: watch::Sender::new(0),
            connection: watch::Sender::new(0),
        })))
    }
}

impl SimulatedHome {
    pub(super) fn state(&self) -> MutexGuard<'_, HomeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn disconnect(&self) {
        self.state().connection.send_modify(|number| *number += 1);
    }

    pub(super) fn report(&self) {
        self.state().events.send_modify(|number| *number += 1);
    }
}

/// All of them, by address, as one replica reaches them.
#[derive(Clone)]
pub(super) struct HomeConnector {
    pub(super) homes: BTreeMap<String, SimulatedHome>,
    pub(super) server: ApiServer,
    pub(super) replica: usize,
}

impl Connect for HomeConnector {
    type Target = ConnectedHome;

    async fn connect(&self, spec: &TargetSpec) -> Result<ConnectedHome, ConnectError> {
        let home = self.homes[&spec.endpoint.address()].clone();
        tracing::trace!(self.replica, "connects to {}", spec.endpoint.address());
        let state = home.state();
        if state.is_down {
            return Err(unreachable().into());
        }
        let (events, connection) = (state.events.subscribe(), state.connection.subscribe());
        let number = *connection.borrow();
        drop(state);
        let fence = spec.writing.fence.clone().expect("there are several replicas");
        let (server, replica) = (self.server.clone(), self.replica);
        let name = spec.endpoint.address().replace("http://", "").replace(":8123", "");
        let object = server.get("homeassistants", &name).unwrap_or_default();
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        Ok(ConnectedHome { home, server, replica, uid, fence, events, connection, number })
    }
}

fn unreachable() -> TargetError {
    let (address, why) = ("http://home".to_owned(), "simulated".to_owned());
    TargetError::Unreachable { address, why }
}

/// A connection to one of them.
pub(super) struct ConnectedHome {
    home: SimulatedHome,
    server: ApiServer,
    replica: usize,
    /// That of its HomeAssistant.
    uid: String,
    fence: Fence,
    events: watch::Receiver<u64>,
    connection: watch::Receiver<u64>,
    number: u64,
}

impl Observe for ConnectedHome {
    async fn observe(&mut self) -> Result<Observed, TargetError> {
        if *self.connection.borrow() != self.number {
            return Err(unreachable());
        }
        let mut state = self.home.state();
        state.looks += 1;
        tracing::trace!(self.replica, self.uid, "looks");
        Ok(state.shelf.observed())
    }
}

impl Execute for ConnectedHome {
    async fn execute(
        &mut self,
        operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        for (at, operation) in operations.into_iter().enumerate() {
            if stop.is_cancelled() || !self.fence.is_open() {
                done(at, Err(Refusal::Stopped));
                continue;
            }
            tracing::trace!(self.replica, self.uid, "{operation:?}");
            self.server.state().check(self.replica, "changes a Home Assistant", &self.uid);
            let (slow, refuses) = {
                let state = self.home.state();
                (state.slow, state.refuses)
            };
            sleep(slow).await;
            if refuses || *self.connection.borrow() != self.number {
                let why = "simulated".to_owned();
                done(at, Err(if refuses { Refusal::Failed(why) } else { Refusal::Lost(why) }));
                continue;
            }
            let mut shelf = self.home.state().shelf.clone();
            shelf.execute(vec![operation], &Stop::new(), &mut |_, ended| done(at, ended)).await;
            self.home.state().shelf = shelf;
            self.home.report();
            sleep(slow).await;
        }
    }
}

impl PlanTarget for ConnectedHome {
    async fn prove(&self, plan: &Plan, _: &Desired, _: &Observed, _: &mut Verdicts) -> Proven {
        Proven::whole(plan)
    }

    async fn set_up(&self, _: (&Plan, &Desired, &Observed), _: &Stop, _: &mut Vec<StepOutcome>) {}
}

impl WatchedTarget for ConnectedHome {
    type PlanTarget = Self;

    fn reports_changes(&self) -> bool {
        true
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

    async fn hand_over(&self, _: &str) -> Result<(), HandOverError> {
        Ok(())
    }

    async fn display(&self, _: &str, _: &str, _: Option<&str>) -> Result<(), Refusal> {
        Ok(())
    }

    async fn call_action(&self, _: &NotifyAction, _: &str, _: &str) -> Result<(), Refusal> {
        Ok(())
    }
}
