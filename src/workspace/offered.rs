//! The integrations that targets have, as far as they can be read without asking a person.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Workspace, select};
use crate::manifest::Project;
use crate::model::Domain;
use crate::secret::SecretResolver;
use crate::target::home_assistant::SessionStore;
use crate::target::{Endpoint, LiveTarget};

/// Nobody waits longer for a target that may not be there. One that is there is waited for: the first look
/// at the integrations takes HA seconds.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Workspace {
    /// What the targets of these names, else all, take credentials for; nothing where none can be read.
    pub async fn offered(&self, project: &Project, targets: &[String]) -> BTreeSet<Domain> {
        let Ok(endpoints) = select(project, &self.environment, targets) else {
            return BTreeSet::new();
        };
        let (resolver, sessions) =
            (self.non_interactive_resolver(project).0, self.environment.sessions());
        let asked = endpoints
            .values()
            .filter(|endpoint| !endpoint.may_ask())
            .map(|endpoint| integrations(endpoint, &resolver, sessions.as_ref()));
        join_all(asked).await.into_iter().flatten().flatten().collect()
    }
}

async fn integrations(
    endpoint: &Endpoint,
    resolver: &SecretResolver,
    sessions: Option<&SessionStore>,
) -> Option<BTreeSet<Domain>> {
    let connecting = endpoint.connect(resolver, sessions);
    let target = timeout(TIMEOUT, connecting).await.ok()?.ok()?;
    target.home_assistant()?.domains().await.ok()
}
