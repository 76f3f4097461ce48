//! What is posted to webhooks.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::codes::EventCode;
use crate::files::fetched;
use crate::model::{AccountName, Commit, FlowStep, Key, Links, TargetName, to_json, web_page};
use crate::status::{TargetStatus, Waiting};

use super::webhook::{Post, Webhook, WebhookSender};

/// What is posted to a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred notice")]
pub(super) struct Notice<'a> {
    /// `appcred notice`.
    kind: &'static str,
    /// Changes when a field changes its meaning or goes; new fields may come at any time.
    format_version: u32,
    /// Differs for each notice, and stays for one that is posted again.
    id: String,
    /// What has happened.
    event: EventCode,
    /// When.
    at: String,
    /// The target's name; null where it is about the manifests or a client.
    target: Option<&'a TargetName>,
    /// The target's address or folder; null where it is about the manifests or a client.
    address: Option<&'a str>,
    /// The commit of the manifests; null outside of a repository.
    commit: Option<String>,
    /// The same in a sentence.
    message: String,
    /// The accounts that wait for somebody's consent now.
    pending_consents: Vec<PendingNotice<'a>>,
}

impl<'a> Notice<'a> {
    /// One about the manifests.
    pub(super) fn new(event: EventCode, message: String, at: Timestamp) -> Self {
        Self {
            kind: "appcred notice",
            format_version: 1,
            id: format!("{:032x}", fastrand::u128(..)),
            event,
            at: at.to_string(),
            target: None,
            address: None,
            commit: None,
            message: fetched::renamed(message),
            pending_consents: Vec::new(),
        }
    }

    /// The same while the manifests are of this commit.
    pub(super) fn at_commit(self, commit: Option<&Commit>) -> Self {
        Self { commit: commit.map(|commit| commit.id.to_string()), ..self }
    }

    /// The same about a target.
    pub(super) fn about(self, name: &'a TargetName, target: &'a TargetStatus) -> Self {
        let pending_consents = target.pending_consents().map(PendingNotice::of).collect();
        Self { target: Some(name), address: Some(&target.address), pending_consents, ..self }
    }
}

impl Notice<'_> {
    /// A field by its name, for bodies that are written in the project file; empty where it has none.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        match name {
            "message" => Some(&self.message),
            "event" => Some(self.event.as_str()),
            "target" => Some(self.target.map_or("", TargetName::as_str)),
            "address" => Some(self.address.unwrap_or_default()),
            "at" => Some(&self.at),
            "id" => Some(&self.id),
            _ => None,
        }
    }
}

/// Posts a notice to these webhooks.
pub(super) fn post(sender: &mut WebhookSender, webhooks: &[Webhook], notice: &Notice<'_>) {
    match to_json(notice) {
        Ok(json) => sender.send(webhooks, |to| Post {
            id: notice.id.clone(),
            body: to.body_of(&json, |name| notice.field(name)),
        }),
        Err(why) => tracing::error!("a notice cannot be written: {why}"),
    }
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
    /// Which of the entry's accounts; null where the entry names none.
    account: Option<&'a AccountName>,
    /// Where to consent; null where the link would show the client secret.
    link: Option<&'a str>,
    /// What to enter there; null where nothing is.
    code: Option<&'a str>,
    /// Why the last try to link it failed; null where none has.
    last_error: Option<&'a str>,
}

impl<'a> PendingNotice<'a> {
    fn of(Waiting { entry, set_up, step }: Waiting<'a>) -> Self {
        let (link, code) = match step {
            FlowStep::Consent(link) => (link.shown(Links::Shown).ok(), None),
            FlowStep::Progress(Some(code)) => {
                let page = Some(code.url.as_str()).filter(|url| web_page(url).is_some());
                (page, Some(code.code.as_str()))
            }
            _ => (None, None),
        };
        Self {
            key: &entry.key,
            domain: entry.domain.as_str(),
            name: &entry.name,
            account: set_up.account.as_ref(),
            link,
            code,
            last_error: set_up.error.as_deref(),
        }
    }
}

/// The JSON Schema of what is posted to webhooks.
pub fn schema() -> Schema {
    crate::schema::of_output::<Notice<'_>>()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Notice;
    use crate::codes::EventCode;
    use crate::model::NOTICE_FIELDS;

    #[test]
    fn a_body_may_name_each_field() {
        let notice = Notice::new(EventCode::Drift, "m".to_owned(), Timestamp::UNIX_EPOCH);
        assert!(NOTICE_FIELDS.iter().all(|name| notice.field(name).is_some()));
        assert_eq!(notice.field("kind"), None);
    }
}
