//! How a webhook is sent what it is sent.

use schemars::JsonSchema;
use serde::Deserialize;

/// The method of HTTP by which a webhook is sent a notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum WebhookMethod {
    /// As most services take it.
    #[default]
    Post,
    /// As Matrix takes it, at an address that differs for each message.
    Put,
}
