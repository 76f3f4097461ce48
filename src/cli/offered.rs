//! The integrations that targets know, as far as they can be read without asking a person.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::integrations;
use crate::manifest::{Loaded, Project};
use crate::model::Domain;
use crate::secret::SecretResolver;
use crate::suggest;
use crate::target::home_assistant::SessionStore;
use crate::target::{ConnectError, Endpoint, LiveTarget};
use crate::workspace::select;

use super::gather::silent_vault;
use super::{Global, console, environment};

/// Nobody waits longer for a list.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the targets of these names, else all, take credentials for; nothing where none can be read.
pub(super) async fn told(global: &Global, loaded: &Loaded, targets: &[String]) -> BTreeSet<Domain> {
    let environment = environment::read();
    let Ok(endpoints) = select(&loaded.project, &environment, targets) else {
        return BTreeSet::new();
    };
    let (resolver, sessions) = (silent_vault(global, &loaded.project).0, environment.sessions());
    let asked = endpoints.values().filter(|endpoint| !endpoint.may_ask());
    let asked = asked
        .map(|endpoint| timeout(PATIENCE, integrations(endpoint, &resolver, sessions.as_ref())));
    join_all(asked).await.into_iter().flatten().flatten().flatten().collect()
}

async fn integrations(
    endpoint: &Endpoint,
    resolver: &SecretResolver,
    sessions: Option<&SessionStore>,
) -> Result<BTreeSet<Domain>, ConnectError> {
    let target = endpoint.connect(resolver, sessions).await?;
    match target.home_assistant() {
        Some(ha) => Ok(ha.domains().await?),
        None => Ok(BTreeSet::new()),
    }
}

/// Says which integrations only the target knows: the project has to name them.
pub(super) fn warn_of_custom<'d>(domains: impl Iterator<Item = &'d Domain>, project: &Project) {
    let custom = &project.policy.custom_integrations;
    let is_named =
        |domain: &Domain| integrations::known().contains(domain) || custom.contains(domain);
    let unknown: BTreeSet<&str> =
        domains.filter(|domain| !is_named(domain)).map(Domain::as_str).collect();
    if unknown.is_empty() {
        return;
    }
    let names: Vec<&str> = unknown.into_iter().collect();
    console::warning(format_args!(
        "only the target has {}: add `custom_integrations: [{}]` to appcred.yaml, or `validate` refuses these entries",
        suggest::listed(names.iter().copied()),
        names.join(", ")
    ));
}
