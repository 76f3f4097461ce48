//! What the watcher needs of a target, and how it gets there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use crate::callback::Delivery;
use crate::model::{HandOverError, NotifyAction, Observed, RunId};
use crate::reconcile::PlanTarget;
use crate::secret::SecretResolver;
use crate::target::home_assistant::SessionStore;
use crate::target::{
    ChangeEvents, ConnectError, LiveTarget as _, Observe, Refusal, Target, TargetError,
};

use super::TargetSpec;

/// Connects to targets.
pub trait Connect: Send + Sync + 'static {
    /// What is connected to.
    type Target: WatchedTarget;

    /// Connects to a target.
    ///
    /// # Errors
    /// Where there is no token, nobody answers, or the token is not accepted.
    fn connect(
        &self,
        spec: &TargetSpec,
    ) -> impl Future<Output = Result<Self::Target, ConnectError>> + Send;
}

/// A connected target.
pub trait WatchedTarget: Observe + Send + Sync + 'static {
    /// What plans are carried out on there.
    type PlanTarget: PlanTarget + Send;

    /// Whether it reports when something there has changed.
    fn reports_changes(&self) -> bool;

    /// The id of the Home Assistant, whatever its address; none where it has none.
    fn run_id(&self) -> impl Future<Output = Option<RunId>> + Send {
        std::future::ready(None)
    }

    /// Waits for the next event. It may be dropped at any time and loses nothing by that.
    fn next_event(&mut self) -> impl Future<Output = TargetEvent> + Send;

    /// The target, to carry a plan out.
    fn plan_target(&mut self) -> &mut Self::PlanTarget;

    /// Hands a provider's answer over.
    ///
    /// # Errors
    /// Where the target does not accept it.
    fn hand_over(&self, query: &str) -> impl Future<Output = Result<(), HandOverError>> + Send;

    /// Displays a message, in Markdown, in the place of the last one of this id; none removes that.
    ///
    /// # Errors
    /// Where the target does not accept it.
    fn display(
        &self,
        id: &str,
        title: &str,
        text: Option<&str>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Calls an action that notifies somebody.
    ///
    /// # Errors
    /// Where the target has no such action.
    fn call_action(
        &self,
        action: &NotifyAction,
        title: &str,
        text: &str,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// What a connected target reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetEvent {
    /// Something there may have changed.
    Changed,
    /// The connection has ended.
    Disconnected,
}

/// Connects as the project says.
pub struct Connector {
    /// What tokens are read with: that of the last reading.
    pub resolver: watch::Receiver<Arc<SecretResolver>>,
    /// The sessions of `appcred login`.
    pub sessions: Option<SessionStore>,
    /// Where a browser that has consented comes back to; to HA itself where there is none.
    pub consent_base: Option<String>,
    /// The targets that have answered: of those the port is right.
    pub reached: ReachedTargets,
}

/// The addresses of targets that have answered.
#[derive(Debug, Default)]
pub struct ReachedTargets(Mutex<BTreeSet<String>>);

impl ReachedTargets {
    fn addresses(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a target does not answer: one that did before has the right port.
    fn explain(&self, spec: &TargetSpec, error: ConnectError) -> ConnectError {
        match error {
            ConnectError::Target(TargetError::NotListening { address, .. })
                if self.addresses().contains(&spec.endpoint.address()) =>
            {
                let why = "nothing listens there any more: is Home Assistant running?".to_owned();
                TargetError::NotListening { address, why }.into()
            }
            other => other,
        }
    }
}

impl Connect for Connector {
    type Target = ConnectedTarget;

    async fn connect(&self, spec: &TargetSpec) -> Result<ConnectedTarget, ConnectError> {
        let resolver = Arc::clone(&self.resolver.borrow());
        let connecting = spec.endpoint.connect(&resolver, self.sessions.as_ref()).await;
        let mut target = connecting.map_err(|error| self.reached.explain(spec, error))?;
        self.reached.addresses().insert(spec.endpoint.address());
        if let Some(base) = &self.consent_base {
            target.come_back_to(base.clone());
        }
        if let (Some(ha), Some(fence)) = (target.home_assistant(), &spec.writing.fence) {
            ha.change_only_within(fence.clone());
        }
        let changes = target.changes().await?;
        Ok(ConnectedTarget { target, changes })
    }
}

/// A target of the project.
pub struct ConnectedTarget {
    target: Target,
    changes: Option<ChangeEvents>,
}

impl Observe for ConnectedTarget {
    async fn observe(&mut self) -> Result<Observed, TargetError> {
        self.target.observe().await
    }
}

impl WatchedTarget for ConnectedTarget {
    type PlanTarget = Target;

    fn reports_changes(&self) -> bool {
        self.changes.is_some()
    }

    async fn run_id(&self) -> Option<RunId> {
        self.target.run_id().await
    }

    async fn next_event(&mut self) -> TargetEvent {
        let changes = async {
            match &mut self.changes {
                Some(changes) => drop(changes.next().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changes => TargetEvent::Changed,
            () = self.target.ended() => TargetEvent::Disconnected,
        }
    }

    fn plan_target(&mut self) -> &mut Target {
        &mut self.target
    }

    async fn hand_over(&self, query: &str) -> Result<(), HandOverError> {
        match self.target.home_assistant() {
            Some(ha) => ha.hand_over(query).await,
            None => Err(HandOverError::Refused(Refusal::Unsupported.to_string())),
        }
    }

    async fn display(&self, id: &str, title: &str, text: Option<&str>) -> Result<(), Refusal> {
        match (self.target.home_assistant(), text) {
            (Some(ha), Some(text)) => ha.notify(id, title, text).await,
            (Some(ha), None) => ha.dismiss(id).await,
            (None, _) => Ok(()),
        }
    }

    async fn call_action(
        &self,
        action: &NotifyAction,
        title: &str,
        text: &str,
    ) -> Result<(), Refusal> {
        match self.target.home_assistant() {
            Some(ha) => ha.call_notify(action, title, text).await,
            None => Err(Refusal::Unsupported),
        }
    }
}

/// A target that is connected, and by what spec.
pub(super) struct LiveConnection<T> {
    pub(super) target: T,
    pub(super) spec: Arc<TargetSpec>,
    pub(super) since: tokio::time::Instant,
}

/// Passes a provider's answer on.
pub(super) async fn hand_over<T: WatchedTarget>(
    connection: Option<&LiveConnection<T>>,
    answer: Delivery,
) {
    let result = match connection {
        Some(connection) => connection.target.hand_over(&answer.query).await,
        None => Err(HandOverError::NotNow("it cannot be reached".to_owned())),
    };
    answer.taken(result);
}

impl<T: WatchedTarget> LiveConnection<T> {
    /// Takes the events that are waiting; answers whether there were any.
    pub(super) fn take_events(&mut self) -> bool {
        let mut has_changed = false;
        while let Some(event) = self.target.next_event().now_or_never() {
            has_changed = true;
            if event == TargetEvent::Disconnected {
                break;
            }
        }
        has_changed
    }
}
