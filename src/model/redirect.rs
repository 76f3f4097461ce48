//! Where a provider sends a browser after consent. It must be registered with the provider.

/// HA's own path, which it adds to whatever address it is given.
pub const CALLBACK_PATH: &str = "/auth/external/callback";
/// What HA names instead of its own address where its `my` integration is loaded, as by default.
pub const MY_REDIRECT_URI: &str = "https://my.home-assistant.io/redirect/oauth";
