//! Notifying people of what happens: by a message in Home Assistant, and by webhooks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::codes::EventCode;
use crate::model::{
    FlowStep, HiddenLink, Key, Links, Owner, Secret, TargetName, Visible, to_json, web_page,
};
use crate::status::{EntryStatus, TargetStatus};
use crate::target::Stop;

use super::connection::LiveTarget;
use super::webhook::WebhookSender;

/// Who is notified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Whoever opens Home Assistant, of accounts that wait for consent.
    pub home_assistant: bool,
    /// These addresses, of all that happens.
    pub webhooks: Vec<Secret>,
}

/// What is posted to a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred notice")]
struct Notice<'a> {
    /// `appcred notice`.
    kind: &'static str,
    /// Changes when a field changes its meaning or goes; new fields may come at any time.
    format_version: u32,
    /// What has happened.
    event: EventCode,
    /// When.
    at: String,
    /// The target's name.
    target: &'a TargetName,
    /// The target's address or folder.
    address: &'a str,
    /// The same in a sentence.
    message: String,
    /// The accounts that wait for somebody's consent now.
    pending_consents: Vec<PendingNotice<'a>>,
}

/// An account that waits for consent.
#[derive(Serialize, JsonSchema)]
struct PendingNotice<'a> {
    /// The entry.
    key: &'a Key,
    /// The integration.
    domain: &'a str,
    /// As Home Assistant shows it.
    name: &'a str,
    /// Where to consent; null where the link would show the client secret.
    link: Option<&'a str>,
    /// What to enter there; null where nothing is.
    code: Option<&'a str>,
}

impl<'a> PendingNotice<'a> {
    fn of(entry: &'a EntryStatus) -> Self {
        let (link, code) = match &entry.waits_for {
            Some(FlowStep::Consent(link)) => (link.shown(Links::Shown).ok(), None),
            Some(FlowStep::Progress(Some(code))) => {
                let page = Some(code.url.as_str()).filter(|url| web_page(url).is_some());
                (page, Some(code.code.as_str()))
            }
            _ => (None, None),
        };
        Self { key: &entry.key, domain: entry.domain.as_str(), name: &entry.name, link, code }
    }
}

/// The JSON Schema of what is posted to webhooks.
pub fn schema() -> Schema {
    crate::schema::of_output::<Notice<'_>>()
}

/// A message for those who open Home Assistant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    id: String,
    /// None where the message is to be removed.
    text: Option<String>,
}

/// What was reported of one target.
pub(super) struct Notifier {
    name: TargetName,
    webhooks: WebhookSender,
    displayed: Option<Message>,
    /// The entries that waited for consent, each with what that waited for.
    pending: BTreeMap<Key, FlowStep>,
    error: Option<String>,
    drifts: u64,
}

impl Notifier {
    pub(super) fn new(name: TargetName, stop: Stop) -> Self {
        let (displayed, pending, error) = (None, BTreeMap::new(), None);
        Self { name, webhooks: WebhookSender::new(stop), displayed, pending, error, drifts: 0 }
    }

    /// Sends what is new to webhooks; answers what Home Assistant is to display, if that is new.
    pub(super) fn news(
        &mut self,
        notices: &Notices,
        owner: &Owner,
        target: &TargetStatus,
        now: Timestamp,
    ) -> Option<Message> {
        let waiting: Vec<&EntryStatus> = target.pending_consents().collect();
        let step = |entry: &&EntryStatus| Some((entry.key.clone(), entry.waits_for.clone()?));
        let pending: BTreeMap<Key, FlowStep> = waiting.iter().filter_map(step).collect();
        let events = self.events(target, &waiting, &pending);
        for (event, message) in events {
            let notice = Notice {
                kind: "appcred notice",
                format_version: 1,
                event,
                at: now.to_string(),
                target: &self.name,
                address: &target.address,
                message,
                pending_consents: waiting.iter().map(|entry| PendingNotice::of(entry)).collect(),
            };
            match to_json(&notice) {
                Ok(body) => self.webhooks.send(&notices.webhooks, body.as_bytes()),
                Err(why) => tracing::error!("a notice cannot be written: {why}"),
            }
        }
        self.pending = pending;
        self.error.clone_from(&target.error);
        self.drifts = target.totals.drifts;
        let text = (!waiting.is_empty()).then(|| message(&waiting));
        let message = Message { id: format!("appcred_{owner}"), text };
        (notices.home_assistant && self.displayed.as_ref() != Some(&message)).then_some(message)
    }

    /// Has Home Assistant display a message, or remove it.
    pub(super) async fn display<T: LiveTarget>(&mut self, message: &Message, target: &T) {
        let Message { id, text } = message;
        match target.display(id, "Accounts to be linked", text.as_deref()).await {
            Ok(()) => self.displayed = Some(message.clone()),
            Err(why) => {
                tracing::warn!(target = %self.name, "Home Assistant displays no message: {why}")
            }
        }
    }

    fn events(
        &self,
        target: &TargetStatus,
        waiting: &[&EntryStatus],
        pending: &BTreeMap<Key, FlowStep>,
    ) -> Vec<(EventCode, String)> {
        let mut events = Vec::new();
        // A link that has died with Home Assistant is followed by another one.
        let new =
            waiting.iter().filter(|entry| self.pending.get(&entry.key) != entry.waits_for.as_ref());
        let names: Vec<String> = new.map(|entry| entry.name.to_string()).collect();
        if !names.is_empty() {
            events.push((
                EventCode::ConsentPending,
                format!("{} waits for consent", names.join(", ")),
            ));
        }
        let gone = self.pending.keys().filter(|key| !pending.contains_key(*key));
        let settled: Vec<&str> = gone.map(Key::as_str).collect();
        if !settled.is_empty() {
            let message = format!("{} no longer waits for consent", settled.join(", "));
            events.push((EventCode::ConsentSettled, message));
        }
        if target.totals.drifts > self.drifts {
            let message = "the target was changed, and no manifest was".to_owned();
            events.push((EventCode::Drift, message));
        }
        match (&self.error, &target.error) {
            (None, Some(why)) => events.push((EventCode::Error, why.clone())),
            (Some(_), None) => {
                events.push((EventCode::Recovered, "the target is as wanted again".to_owned()))
            }
            _ => {}
        }
        events
    }
}

/// What people read in Home Assistant, in Markdown.
fn message(waiting: &[&EntryStatus]) -> String {
    let mut text = "appcred waits for your consent:\n".to_owned();
    for entry in waiting {
        let name = plain(&entry.name);
        let line = match &entry.waits_for {
            Some(FlowStep::Consent(link)) => match link.shown(Links::Shown) {
                Ok(url) => format!("[{name}]({})", destination(url)),
                Err(HiddenLink::Unsafe) => {
                    format!("{name}: its link is not an https address, so it is not shown")
                }
                Err(_) => format!("{name}: run `appcred authorize {}`", entry.key),
            },
            Some(FlowStep::Progress(Some(code))) => {
                let (page, code) = (&code.url, plain(&code.code));
                let page = match web_page(page) {
                    Some(_) => format!("[{}]({})", plain(page), destination(page)),
                    None => plain(page),
                };
                format!("{name}: open {page} and enter **{code}**")
            }
            _ => continue,
        };
        text.push_str(&format!("\n- {line}"));
    }
    text
}

/// An address that Markdown takes whole: a bracket would end it, and a second link could follow.
fn destination(url: &str) -> String {
    url.replace('(', "%28").replace(')', "%29").replace('<', "%3C").replace('>', "%3E")
}

/// A text in which Markdown sees no markup.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.visible().chars() {
        if character.is_ascii_punctuation() && !matches!(character, '.' | ',' | ':' | '/' | '-') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(plain("a [b](c) *d* <e>"), r"a \[b\]\(c\) \*d\* \<e\>");
        assert_eq!(plain("https://a.b/c-d"), "https://a.b/c-d");
        assert_eq!(plain("two\nlines"), r"two\\nlines");
    }
}
