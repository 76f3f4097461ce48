//! What targets offer a new entry, as far as they can be asked without asking a person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Workspace, select};
use crate::manifest::Project;
use crate::model::{ClientId, ConfigEntry, Domain, Observed, TargetName, TargetSelection};
use crate::secret::SecretResolver;
use crate::target::home_assistant::SessionStore;
use crate::target::{Endpoint, LiveTarget};

/// Nobody waits longer for a target that may not be there. One that is there is waited for: the first look
/// at the integrations takes HA seconds.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What targets offer a new entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// The redirect URI of each.
    pub redirect_uris: BTreeMap<TargetName, String>,
    /// The accounts that are linked there: each client, and the title of an account.
    pub linked: BTreeSet<(Domain, ClientId, String)>,
}

impl Workspace {
    /// What the selected targets offer, or all; nothing where none can be asked.
    pub async fn offered(&self, project: &Project, selection: &TargetSelection) -> Offered {
        let Ok(endpoints) = select(project, &self.environment, selection) else {
            return Offered::default();
        };
        let (resolver, sessions) =
            (Arc::new(self.non_interactive_resolver(project).0), self.environment.sessions());
        let sessions = sessions.as_ref();
        let asked = endpoints
            .iter()
            .filter(|(_, endpoint)| !endpoint.may_ask())
            .map(async |(name, endpoint)| (name, offer(endpoint, &resolver, sessions).await));
        let mut offered = Offered::default();
        for (name, answer) in join_all(asked).await {
            let Some((of_target, redirect_uri)) = answer else { continue };
            offered.linked.extend(of_target.linked);
            offered.redirect_uris.insert(name.clone(), redirect_uri);
        }
        offered
    }
}

/// What one target offers, and its redirect URI.
async fn offer(
    endpoint: &Endpoint,
    resolver: &Arc<SecretResolver>,
    sessions: Option<&SessionStore>,
) -> Option<(Offered, String)> {
    let connecting = endpoint.connect(resolver, sessions);
    let target = timeout(TIMEOUT, connecting).await.ok()?.ok()?;
    let ha = target.home_assistant()?;
    let Observed { credentials, config_entries, .. } = ha.observed().await.ok()?;
    let linked = credentials.iter().flat_map(|held| {
        let uses = |account: &&ConfigEntry| {
            account.domain == held.domain
                && account.implementation.as_deref() == Some(held.implementation())
        };
        let of = |account: &ConfigEntry| {
            (held.domain.clone(), held.client_id.clone(), account.title.to_string())
        };
        config_entries.iter().filter(uses).map(of).collect::<Vec<_>>()
    });
    let offered = Offered { linked: linked.collect(), ..Offered::default() };
    Some((offered, ha.redirect_uri()))
}
