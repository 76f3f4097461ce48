//! Where a watcher sends notifications.

use std::cell::Cell;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde_json::Value as Json;

use super::decode::{Decoder, Site};
use super::deserialize::DecodeStop;
use super::entry::given;
use super::schema::{ActionInput, HomeAssistantNotify, WebhookInput};
use crate::diagnostic::{Diagnostic, Located, ProblemCode};
use crate::field::{Field, FieldRefusal, Raw};
use crate::model::{NOTICE_FIELDS, NotifyAction, Reference, WebhookMethod, fill_in, is_web};
use crate::target::{AddedHeaders, added_headers};
use crate::yaml::{self, Node, Pair, Value};

/// A longer part of a text is not repeated in messages.
const MOST_NAMED: usize = 20;

const NO_HEADER: &str = "leave it out: the type of the content follows from `body`";

/// Where a watcher sends notifications.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    /// Home Assistant's own notifications.
    pub home_assistant: bool,
    /// Actions of Home Assistant.
    pub actions: Vec<NotifyAction>,
    /// Web addresses.
    pub webhooks: Vec<WebhookSetting>,
}

impl Notify {
    /// Whether anything is sent.
    pub fn is_any(&self) -> bool {
        self.home_assistant || !self.actions.is_empty() || !self.webhooks.is_empty()
    }
}

/// A web address to which notices are posted.
#[derive(Clone, Debug)]
pub struct WebhookSetting {
    /// The address, which may be secret.
    pub address: Located<Reference>,
    /// The method of HTTP.
    pub method: WebhookMethod,
    /// What it is sent as well.
    pub headers: AddedHeaders,
    /// What is posted instead of the notice; its texts can be filled in.
    pub body: Option<Json>,
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
            Value::Mapping(pairs) if has(pairs, "action") && has(pairs, "webhook") => {
                let why = "has both `action` and `webhook`";
                let refusal = FieldRefusal::new(ProblemCode::BadNotify, why);
                self.refuse(site, refusal.help("make it two items of a list"));
            }
            Value::Mapping(pairs) if site.node.tag.is_none() && has(pairs, "action") => {
                let action = self.read(site).and_then(|input: ActionInput| self.text(input.action));
                notify.actions.extend(action.map(|action| action.value));
            }
            Value::Mapping(_) if site.node.tag.is_none() => {
                notify.webhooks.extend(self.read(site).and_then(|input| self.webhook(input)));
            }
            Value::Scalar(scalar) if site.node.tag.is_none() && is_home_assistant(&scalar.text) => {
                notify.home_assistant = true;
            }
            _ => self.refuse(
                site,
                FieldRefusal::new(ProblemCode::BadNotify, "is not a known recipient")
                    .help("write `home_assistant`, `{action: notify.NAME}` or `{webhook: URL}`, or a list of these"),
            ),
        }
    }
}

impl<'n> Decoder<'n> {
    fn webhook(&self, input: WebhookInput) -> Option<WebhookSetting> {
        let WebhookInput { webhook, method, headers, body } = input;
        let address = self.raw(&webhook).and_then(|site| self.web_address(site));
        let method = given(method, WebhookMethod::default());
        let headers = headers
            .map_or(Some(Vec::new()), |headers| added_headers(headers, (&[], NO_HEADER), self));
        let body = body.as_ref().map_or(Some(None), |body| self.body(body).map(Some));
        Some(WebhookSetting { address: address?, method: method?, headers: headers?, body: body? })
    }

    /// The address of a webhook, which may be a secret; one in plain text is read already.
    fn web_address(&self, site: Site<'n>) -> Option<Located<Reference>> {
        let address = self.reference(site)?;
        if let Reference::Plain(text) = &address.value
            && !is_web(text.expose())
        {
            let why = "does not begin with http:// or https://";
            let refusal = FieldRefusal::new(ProblemCode::BadUrl, why);
            self.refuse(
                site,
                refusal.help("write the whole address, as in `https://ntfy.sh/TOPIC`"),
            );
            return None;
        }
        Some(address)
    }

    fn body(&self, body: &Field<Raw<Json>>) -> Option<Json> {
        let site = self.raw(body)?;
        let read = yaml::to_json(site.node);
        let body = read.map_err(|fault| self.report(fault.into_diagnostic(self.file))).ok()?;
        match &body {
            Json::String(_) | Json::Object(_) => {}
            _ => {
                let why = "is neither a mapping nor a text";
                let refusal = FieldRefusal::new(ProblemCode::BadNotify, why);
                self.refuse(
                    site,
                    refusal.help("write `body: \"{message}\"`, or `body: {text: \"{message}\"}`"),
                );
                return None;
            }
        }
        if self.unfilled(site.node) > 0 {
            return None;
        }
        if !is_filled_in(&body) {
            let why =
                "this body has no field such as `{message}`, so all notices would be the same";
            let warning =
                Diagnostic::warning(ProblemCode::BadNotify, why).at(self.file, site.span());
            let help = "write `{message}` where what has happened is to be; two braces, as in `{{`, are a brace of the text";
            self.report(warning.help(help));
        }
        Some(body)
    }

    /// Reports each text with a part that nothing is filled in for; answers how many these are.
    fn unfilled(&self, node: &Node<'_>) -> usize {
        match &node.value {
            Value::Scalar(scalar) => {
                let value = |name: &str| NOTICE_FIELDS.contains(&name).then_some("");
                let Err(wrong) = fill_in(&scalar.text, value) else { return 0 };
                // JSON in a text may hold a secret behind its brace.
                let is_name = |sign: char| sign.is_ascii_lowercase() || "{}_ ".contains(sign);
                let why = match wrong.len() <= MOST_NAMED && wrong.chars().all(is_name) {
                    true => format!("`{wrong}` in the body of a webhook is not filled in"),
                    false => "a brace in the body of a webhook names nothing".to_owned(),
                };
                let names = NOTICE_FIELDS.map(|name| format!("`{{{name}}}`")).join(", ");
                let help = format!(
                    "filled in are {names}; write `{{{{` and `}}}}` for braces, and JSON as a mapping"
                );
                self.report(self.error(ProblemCode::BadNotify, node.span, why).help(help));
                1
            }
            Value::Sequence(items) => items.iter().map(|item| self.unfilled(item)).sum(),
            Value::Mapping(pairs) => {
                let keys = pairs.iter().filter(|pair| pair.key.text.contains('{'));
                let keys = keys.map(|pair| {
                    let why = "a key in the body of a webhook is not filled in";
                    let problem = self.error(ProblemCode::BadNotify, pair.key.span, why);
                    self.report(problem.help("write it as a value, as in `text: \"{message}\"`"));
                });
                keys.count() + pairs.iter().map(|pair| self.unfilled(&pair.value)).sum::<usize>()
            }
            _ => 0,
        }
    }
}

fn has(pairs: &[Pair<'_>], field: &str) -> bool {
    pairs.iter().any(|pair| pair.key.text == field)
}

/// Whether a field of the notice is in one of the texts.
fn is_filled_in(body: &Json) -> bool {
    match body {
        Json::String(text) => {
            let is_named = Cell::new(false);
            let filled = fill_in(text, |_| {
                is_named.set(true);
                Some("")
            });
            filled.is_ok() && is_named.get()
        }
        Json::Array(items) => items.iter().any(is_filled_in),
        Json::Object(fields) => fields.values().any(is_filled_in),
        _ => false,
    }
}

fn is_home_assistant(text: &str) -> bool {
    let word: StrDeserializer<'_, DecodeStop> = text.into_deserializer();
    HomeAssistantNotify::deserialize(word).is_ok()
}
