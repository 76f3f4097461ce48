//! The integrations that targets know, as far as they tell without anybody being asked for anything.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::connect::{ConnectError, Endpoint};
use crate::manifest::Loaded;
use crate::model::Domain;
use crate::secret::SecretResolver;
use crate::session::Store;
use crate::target::Target;
use crate::workspace::select;

use super::gather::silent_vault;
use super::{Global, environment};

/// Nobody waits longer for a list.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the targets of these names, else all, take credentials for; nothing where none tells.
pub(super) async fn told(global: &Global, loaded: &Loaded, targets: &[String]) -> BTreeSet<Domain> {
    let environment = environment::read();
    let Ok(endpoints) = select(&loaded.project, &environment, targets) else {
        return BTreeSet::new();
    };
    let (vault, sessions) = (silent_vault(global, &loaded.project), environment.sessions());
    let asked = endpoints.values().filter(|endpoint| !endpoint.may_ask());
    let asked =
        asked.map(|endpoint| timeout(PATIENCE, integrations(endpoint, &vault, sessions.as_ref())));
    join_all(asked).await.into_iter().flatten().flatten().flatten().collect()
}

async fn integrations(
    endpoint: &Endpoint,
    vault: &SecretResolver,
    sessions: Option<&Store>,
) -> Result<BTreeSet<Domain>, ConnectError> {
    let Target::HomeAssistant(ha) = endpoint.connect(vault, sessions).await? else {
        return Ok(BTreeSet::new());
    };
    let domains = ha.domains().await;
    ha.close().await;
    Ok(domains?)
}
