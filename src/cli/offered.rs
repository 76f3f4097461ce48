//! The integrations that targets know, as far as they can be read without asking a person.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::manifest::Loaded;
use crate::model::Domain;
use crate::secret::SecretResolver;
use crate::target::home_assistant::SessionStore;
use crate::target::{Endpoint, LiveTarget};
use crate::workspace::select;

use super::gather::silent_vault;
use super::{Global, environment};

/// Nobody waits longer for a target that may not be there. One that is there is waited for: the first look
/// at the integrations takes HA seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the targets of these names, else all, take credentials for; nothing where none can be read.
pub(super) async fn told(global: &Global, loaded: &Loaded, targets: &[String]) -> BTreeSet<Domain> {
    let environment = environment::read();
    let Ok(endpoints) = select(&loaded.project, &environment, targets) else {
        return BTreeSet::new();
    };
    let (resolver, sessions) = (silent_vault(global, &loaded.project).0, environment.sessions());
    let asked = endpoints.values().filter(|endpoint| !endpoint.may_ask());
    let asked = asked.map(|endpoint| integrations(endpoint, &resolver, sessions.as_ref()));
    join_all(asked).await.into_iter().flatten().flatten().collect()
}

async fn integrations(
    endpoint: &Endpoint,
    resolver: &SecretResolver,
    sessions: Option<&SessionStore>,
) -> Option<BTreeSet<Domain>> {
    let connecting = endpoint.connect(resolver, sessions);
    let target = timeout(PATIENCE, connecting).await.ok()?.ok()?;
    target.home_assistant()?.domains().await.ok()
}
