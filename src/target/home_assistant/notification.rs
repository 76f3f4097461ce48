//! Messages that HA shows to whoever opens it.

use super::HomeAssistant;
use super::messages::{Command, Notification};
use crate::target::Refusal;

const DOMAIN: &str = "persistent_notification";

impl HomeAssistant {
    /// Shows a message, in Markdown, instead of the one shown before under this id.
    ///
    /// # Errors
    /// Where HA does not take it.
    pub async fn notify(&self, id: &str, title: &str, message: &str) -> Result<(), Refusal> {
        self.call(
            "create",
            Notification {
                notification_id: id.to_owned(),
                title: Some(title.to_owned()),
                // Older releases take this for the beginning of a template.
                message: Some(message.replace("{{", "{ {").replace("{%", "{ %")),
            },
        )
        .await
    }

    /// Removes the message of this id.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn dismiss(&self, id: &str) -> Result<(), Refusal> {
        let nothing = Notification { notification_id: id.to_owned(), title: None, message: None };
        self.call("dismiss", nothing).await
    }

    async fn call(&self, service: &'static str, service_data: Notification) -> Result<(), Refusal> {
        let command = Command::CallService { domain: DOMAIN, service, service_data };
        self.connection.ask::<serde::de::IgnoredAny>(command).await?;
        Ok(())
    }
}
