//! Who administers HA.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::connect::{ConnectionSettings, connect};
use super::json::Lenient;
use super::messages::Command;
use crate::target::TargetError;

/// HA's group of those who may do everything.
const ADMINISTRATORS: &str = "system-admin";

/// A user.
#[derive(Deserialize)]
struct UserMessage {
    id: String,
    is_owner: bool,
    is_active: bool,
    group_ids: Vec<String>,
}

impl UserMessage {
    /// Whether this user may do everything, as HA itself decides it.
    fn is_administrator(&self) -> bool {
        self.is_active
            && (self.is_owner || self.group_ids.iter().any(|group| group == ADMINISTRATORS))
    }
}

/// The ids of the users who may do everything in HA, by a connection of its own.
///
/// # Errors
/// Where HA does not say.
pub async fn administrators(settings: ConnectionSettings) -> Result<BTreeSet<String>, TargetError> {
    let ha = connect(settings).await?;
    let users = ha.connection.ask::<Lenient<UserMessage>>(Command::ListUsers).await;
    let users = users.map_err(|fault| ha.error(fault));
    ha.close().await;
    let administrators = users?.items.into_iter().filter(UserMessage::is_administrator);
    Ok(administrators.map(|user| user.id).collect())
}
