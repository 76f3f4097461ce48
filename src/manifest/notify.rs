//! Where a watcher sends notifications.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

use super::decode::{Decoder, Site};
use super::deserialize::DecodeStop;
use super::schema::{HomeAssistantNotify, WebhookInput};
use crate::diagnostic::{Located, ProblemCode};
use crate::field::FieldRefusal;
use crate::model::Reference;
use crate::yaml::Value;

/// Where a watcher sends notifications.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    /// Home Assistant's own notifications.
    pub home_assistant: bool,
    /// Web addresses, which may be secret.
    pub webhooks: Vec<Located<Reference>>,
}

impl<'n> Decoder<'n> {
    /// One recipient, or a list of them.
    pub(super) fn notify(&self, site: Site<'n>) -> Notify {
        let mut notify = Notify::default();
        match site.items() {
            Some(items) => items.for_each(|item| self.recipient(item, &mut notify)),
            None => self.recipient(site, &mut notify),
        }
        notify
    }

    fn recipient(&self, site: Site<'n>, notify: &mut Notify) {
        match &site.node.value {
            Value::Mapping(_) if site.node.tag.is_none() => {
                let webhook = self.read::<WebhookInput>(site);
                notify
                    .webhooks
                    .extend(webhook.and_then(|to| self.reference(self.raw(&to.webhook)?)));
            }
            Value::Scalar(scalar) if site.node.tag.is_none() && is_home_assistant(&scalar.text) => {
                notify.home_assistant = true;
            }
            _ => self.refuse(
                site,
                FieldRefusal::new(ProblemCode::BadNotify, "is not a known recipient")
                    .help("write `home_assistant`, or `{webhook: URL}`, or a list of these"),
            ),
        }
    }
}

fn is_home_assistant(text: &str) -> bool {
    let word: StrDeserializer<'_, DecodeStop> = text.into_deserializer();
    HomeAssistantNotify::deserialize(word).is_ok()
}
