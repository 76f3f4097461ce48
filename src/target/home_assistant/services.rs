//! Services of HA that are called.

use serde::Serialize;

use crate::model::EntryId;

/// A message that HA shows to people.
#[derive(Debug, Serialize)]
pub(super) struct Notification {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notification_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// HA goes on with a reload that was asked for as a service, also when the caller is gone. It ends one that
/// was asked for by its REST API with the connection, and the account stays unloaded.
#[derive(Debug, Serialize)]
pub(super) struct ReloadService {
    domain: &'static str,
    service: &'static str,
    service_data: ReloadedEntry,
}

#[derive(Debug, Serialize)]
struct ReloadedEntry {
    entry_id: EntryId,
}

impl ReloadService {
    /// Sets a config entry up afresh. HA answers when that has ended.
    pub(super) fn new(entry: &EntryId) -> Self {
        Self {
            domain: "homeassistant",
            service: "reload_config_entry",
            service_data: ReloadedEntry { entry_id: entry.clone() },
        }
    }
}
