//! Messages that HA shows to whoever opens it.

use super::HomeAssistant;
use super::messages::Command;
use super::services::Notification;
use crate::model::NotifyAction;
use crate::target::Refusal;

const DOMAIN: &str = "persistent_notification";

impl HomeAssistant {
    /// Shows a message, in Markdown, instead of the one shown before under this id.
    ///
    /// # Errors
    /// Where HA does not take it.
    pub async fn notify(&self, id: &str, title: &str, message: &str) -> Result<(), Refusal> {
        let data = Notification { notification_id: Some(id.to_owned()), ..said(title, message) };
        self.call(DOMAIN, "create", data).await
    }

    /// Removes the message of this id.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn dismiss(&self, id: &str) -> Result<(), Refusal> {
        let id = Some(id.to_owned());
        let nothing = Notification { notification_id: id, title: None, message: None };
        self.call(DOMAIN, "dismiss", nothing).await
    }

    /// Calls an action that notifies somebody.
    ///
    /// # Errors
    /// Where HA has no such action, or it fails.
    pub async fn call_notify(
        &self,
        action: &NotifyAction,
        title: &str,
        message: &str,
    ) -> Result<(), Refusal> {
        self.call("notify", action.name(), said(title, message)).await
    }

    async fn call(
        &self,
        domain: &'static str,
        service: &str,
        service_data: Notification,
    ) -> Result<(), Refusal> {
        let command = Command::CallService { domain, service: service.to_owned(), service_data };
        self.connection.ask::<serde::de::IgnoredAny>(command).await?;
        Ok(())
    }
}

fn said(title: &str, message: &str) -> Notification {
    Notification {
        notification_id: None,
        title: Some(no_template(title)),
        message: Some(no_template(message)),
    }
}

/// The text with a blank behind each brace that older releases would take for the beginning of a template.
fn no_template(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for sign in text.chars() {
        if plain.ends_with('{') && matches!(sign, '{' | '%' | '#') {
            plain.push(' ');
        }
        plain.push(sign);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn no_text_of_people_is_a_template() {
        for (text, plain) in [
            ("{{ 6*7 }}", "{ { 6*7 }}"),
            ("{{{ 6*7 }}}", "{ { { 6*7 }}}"),
            ("{# gone #}", "{ # gone #}"),
            ("{% if x %}{{{% raw %}", "{ % if x %}{ { { % raw %}"),
            ("{{#{%", "{ { #{ %"),
            ("{a} } {", "{a} } {"),
        ] {
            let notification = said(text, text);
            assert_eq!(notification.title.as_deref(), Some(plain));
            assert_eq!(notification.message.as_deref(), Some(plain));
        }
    }
}
