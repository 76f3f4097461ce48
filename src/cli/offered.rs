//! The integrations that targets know, as far as they tell without anybody being asked for anything.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::manifest::Loaded;
use crate::model::Domain;
use crate::secret::SecretResolver;
use crate::target::Target;

use super::Global;
use super::access::{Way, chosen};
use super::gather::silent_vault;
use super::selection::Selection;

/// Nobody waits longer for a list.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the targets of these names, else all, take credentials for; nothing where none tells.
pub(super) async fn told(global: &Global, loaded: &Loaded, targets: &[String]) -> BTreeSet<Domain> {
    let selection = Selection { targets: targets.to_vec() };
    let Ok(ways) = chosen(&loaded.project, &selection) else { return BTreeSet::new() };
    let vault = silent_vault(global, &loaded.project);
    let asked = ways.into_iter().filter(|(_, way)| way.is_silent());
    let asked = asked.map(|(_, way)| timeout(PATIENCE, known(way, &vault)));
    join_all(asked).await.into_iter().flatten().flatten().flatten().collect()
}

async fn known(way: Way, vault: &SecretResolver) -> Result<BTreeSet<Domain>, String> {
    let Target::HomeAssistant(ha) = way.open(vault).await? else { return Ok(BTreeSet::new()) };
    let domains = ha.domains().await.map_err(|why| why.to_string());
    ha.close().await;
    domains
}
