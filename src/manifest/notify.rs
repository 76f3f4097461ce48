//! Where a watcher sends notifications.

use super::fields::{Decoder, Located};
use super::schema;
use crate::diagnostic::ProblemCode;
use crate::model::Reference;
use crate::yaml::{Node, Pair, Value};

/// The only recipient that is given by a word.
const HOME_ASSISTANT: &str = "home_assistant";

/// Where a watcher sends notifications.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    /// Home Assistant's own notifications.
    pub home_assistant: bool,
    /// Web addresses, which may be secret.
    pub webhooks: Vec<Located<Reference>>,
}

impl Decoder<'_> {
    /// One listener, or a list of them.
    pub(super) fn notify(&mut self, pair: &Pair<'_>) -> Notify {
        let mut notify = Notify::default();
        match &pair.value.value {
            Value::Sequence(items) if pair.value.tag.is_none() => {
                items.iter().for_each(|item| self.listener(item, &mut notify));
            }
            _ => self.listener(&pair.value, &mut notify),
        }
        notify
    }

    fn listener(&mut self, node: &Node<'_>, notify: &mut Notify) {
        match &node.value {
            Value::Scalar(scalar) if node.tag.is_none() && scalar.text == HOME_ASSISTANT => {
                notify.home_assistant = true;
            }
            Value::Mapping(_) if node.tag.is_none() => {
                let Some(fields) = self.fields::<schema::WebhookInput>(node, "a webhook") else {
                    return;
                };
                let Some(pair) = self.required(&fields, "webhook", "in a webhook") else { return };
                notify.webhooks.extend(self.reference(pair));
            }
            _ => self.refuse_with(
                ProblemCode::BadNotify,
                node.span,
                "unknown recipient in `notify`",
                "write `home_assistant`, or `{webhook: URL}`, or a list of these",
            ),
        }
    }
}
