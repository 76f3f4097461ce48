//! What HA says of itself.

use serde::Deserialize;
use smol_str::SmolStr;

/// What HA says of itself.
#[derive(Deserialize)]
pub(super) struct CoreState {
    state: String,
    #[serde(default)]
    components: Vec<SmolStr>,
    external_url: Option<String>,
    internal_url: Option<String>,
}

impl CoreState {
    /// Whether HA still sets up its integrations, which bring most of its commands.
    pub(super) fn is_setting_up(&self) -> bool {
        self.state == "NOT_RUNNING"
    }

    /// HA's own word for its state, as in `RUNNING`.
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    /// Where browsers reach HA, as somebody has set it.
    pub(super) fn set_address(&self) -> Option<&str> {
        let set = self.external_url.as_deref().or(self.internal_url.as_deref());
        set.map(|url| url.trim_end_matches('/'))
    }

    /// Whether HA has loaded an integration.
    pub(super) fn has(&self, integration: &str) -> bool {
        self.components.iter().any(|component| component == integration)
    }

    /// Whether HA has not finished starting.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state.as_str(), "NOT_RUNNING" | "STARTING")
    }
}
