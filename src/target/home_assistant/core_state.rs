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
    #[serde(default)]
    recovery_mode: bool,
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

    /// Why HA lacks commands, and what to do, where it may have them later.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        if self.is_recovering() {
            return Some(
                "Home Assistant is in recovery mode, with few integrations, since its configuration has an error: correct it there and restart it",
            );
        }
        self.is_starting().then_some("Home Assistant has not started yet; wait until it has")
    }

    /// Whether HA has not finished starting.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state.as_str(), "NOT_RUNNING" | "STARTING")
    }

    /// Whether HA could not use its configuration.
    pub(super) fn is_recovering(&self) -> bool {
        self.recovery_mode
    }
}
