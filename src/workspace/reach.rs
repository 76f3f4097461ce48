//! How the targets of a run are reached, for as often as it opens a connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evaluate::{Comparison, Observation, TargetView};
use crate::model::{Observed, SealedClients, TargetName};
use crate::plan::{Plan, plan};
use crate::plan_file;
use crate::reconcile::{self, Verdicts};
use crate::secret::SecretResolver;
use crate::target::home_assistant::SessionStore;
use crate::target::{Endpoint, Observe as _};

/// How the targets of a run are reached; none where it looked at none.
#[derive(Default)]
pub struct Reach {
    pub(super) endpoints: BTreeMap<TargetName, Endpoint>,
    pub(super) resolver: Option<Arc<SecretResolver>>,
    pub(super) sessions: Option<SessionStore>,
}

/// What became of a target while there was no connection to it.
pub enum Reopened {
    /// It needs what was planned for it.
    AsPlanned,
    /// It needs something else: what was planned and what is needed now, a line each.
    Changed(Vec<String>),
    /// It cannot be reached, for this reason.
    Unreachable(String),
}

impl Reach {
    /// Connects to a target and looks at it.
    pub(super) async fn observe(&self, name: &TargetName) -> Option<Observation> {
        let (endpoint, resolver) = (self.endpoints.get(name)?, self.resolver.as_ref()?);
        let (target, observed) = match endpoint.connect(resolver, self.sessions.as_ref()).await {
            Ok(mut target) => {
                let observed = target.observe().await.map_err(|error| error.to_string());
                (Some(target), observed)
            }
            Err(error) => (None, Err(error.to_string())),
        };
        let (name, address, clients) = (name.clone(), endpoint.address(), SealedClients::new());
        Some(Observation { name, address, basis: None, target, observed, clients })
    }

    /// Connects to a target again, if it can be reached.
    pub async fn connect(&self, view: &mut TargetView) -> Option<Result<Observed, String>> {
        let Observation { target, observed, .. } = self.observe(&view.name).await?;
        view.target = target.filter(|_| observed.is_ok());
        Some(observed)
    }

    /// The same, and compares it with what it should hold once more. `part` is what the run does of a whole plan.
    pub async fn reopen(&self, view: &mut TargetView, part: impl FnOnce(Plan) -> Plan) -> Reopened {
        let observed = self.connect(view).await;
        let (Some(observed), Ok(comparison)) = (observed, &mut view.comparison) else {
            return Reopened::Changed(Vec::new());
        };
        let observed = match observed {
            Ok(observed) => observed,
            Err(why) => return Reopened::Unreachable(why),
        };
        let Comparison { desired, policy, .. } = &*comparison;
        let mut plan = part(plan(desired, &observed, policy));
        reconcile::ask_about_troubles(&mut plan, desired, &observed, &mut Verdicts::default())
            .await;
        if !plan.is_same_work(&comparison.plan) {
            return Reopened::Changed(plan_file::changed(&view.name, &comparison.plan, &plan));
        }
        // The same work, with the states that accounts are in now: what did not run before need not run after it.
        (comparison.observed, comparison.plan) = (observed, plan);
        Reopened::AsPlanned
    }
}
