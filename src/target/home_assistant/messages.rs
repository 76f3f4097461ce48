//! The words of HA's WebSocket: what we send, what comes back.

use std::borrow::Cow;
use std::collections::BTreeSet;

use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::json::{Lenient, anything, text_or_none};
use super::services::{Notification, ReloadService};
use crate::model::{
    ClientId, Credential, CredentialId, Domain, EntryId, EntryState, NewCredential, Secret,
    Visible, name_to_show,
};
use crate::target::wiped_json::secret_or_none;

/// What HA says of a command that names nothing it has.
pub(super) const NOT_FOUND: &str = "not_found";
/// What HA says of a command that this release does not have.
pub(super) const UNKNOWN_COMMAND: &str = "unknown_command";
/// What HA says of a config entry that it has not.
pub(super) const NO_SUCH_ENTRY: &str = "invalid_config_entry_id";
/// Why HA could not set up a config entry, where it did not find the credential.
const UNKNOWN_IMPLEMENTATION: &str = "oauth2_unknown_implementation";
/// What HA says to users who are no administrators.
pub(super) const NOT_ADMIN: &str = "unauthorized";
/// What HA says when an integration itself refuses.
pub(super) const REFUSED_BY_INTEGRATION: &str = "home_assistant_error";

/// HA's own messages are cut here; more than this is no help to anybody.
const MAX_MESSAGE_CHARS: usize = 300;

/// The log-in.
#[derive(Serialize)]
#[serde(tag = "type", rename = "auth")]
pub(super) struct LogIn<'a> {
    /// Read by HA before any command.
    pub(super) access_token: &'a str,
}

/// What HA says before commands are allowed.
#[derive(Deserialize)]
#[serde(tag = "type")]
pub(super) enum Greeting {
    /// The first message of all.
    #[serde(rename = "auth_required")]
    TokenWanted {
        /// As in `2024.3.3`.
        ha_version: Option<String>,
    },
    /// The token is good.
    #[serde(rename = "auth_ok")]
    Welcome,
    /// The token is not.
    #[serde(rename = "auth_invalid")]
    Refused,
}

/// A command. HA's names for them are here and nowhere else.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum Command {
    #[serde(rename = "supported_features")]
    SupportedFeatures { features: Features },
    #[serde(rename = "auth/current_user")]
    CurrentUser,
    #[serde(rename = "config/auth/list")]
    ListUsers,
    #[serde(rename = "get_config")]
    Configuration,
    #[serde(rename = "application_credentials/config")]
    CredentialDomains,
    #[serde(rename = "application_credentials/list")]
    ListCredentials,
    #[serde(rename = "application_credentials/create")]
    CreateCredential(NewItem),
    #[serde(rename = "application_credentials/delete")]
    DeleteCredential { application_credentials_id: CredentialId },
    #[serde(rename = "application_credentials/config_entry")]
    CredentialOfEntry { config_entry_id: EntryId },
    #[serde(rename = "config_entries/get")]
    ListConfigEntries,
    #[serde(rename = "config_entries/get_single")]
    ReadConfigEntry { entry_id: EntryId },
    #[serde(rename = "config_entries/flow/progress")]
    ListFlows,
    #[serde(rename = "frontend/get_translations")]
    Translations { language: &'static str, category: &'static str, integration: Domain },
    #[serde(rename = "frontend/get_user_data")]
    ReadUserData {
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    #[serde(rename = "frontend/set_user_data")]
    WriteUserData { key: String, value: Value },
    #[serde(rename = "subscribe_events")]
    SubscribeEvents { event_type: &'static str },
    #[serde(rename = "application_credentials/subscribe")]
    SubscribeCredentials,
    #[serde(rename = "config_entries/subscribe")]
    SubscribeConfigEntries,
    #[serde(rename = "config_entries/flow/subscribe")]
    SubscribeFlows,
    #[serde(rename = "call_service")]
    CallService { domain: &'static str, service: String, service_data: Notification },
    #[serde(rename = "call_service")]
    ReloadConfigEntry(ReloadService),
}

impl Command {
    /// Whether HA may take its time for the answer, so that the caller sets the limit.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::ReloadConfigEntry(_))
    }

    /// The secret that it has HA keep.
    pub(super) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::CreateCredential(new) => Some(&new.client_secret),
            _ => None,
        }
    }
}

/// A command on its way.
#[derive(Serialize)]
pub(super) struct Numbered<'a> {
    /// Greater than any before on this connection, or HA answers `id_reuse`.
    pub(super) id: u64,
    /// The command.
    #[serde(flatten)]
    pub(super) command: &'a Command,
}

/// What we can do beyond the oldest protocol.
#[derive(Debug, Serialize)]
pub(super) struct Features {
    /// 1: HA may send many messages in one frame, as an array.
    pub(super) coalesce_messages: u8,
}

/// The fields of a credential to be created.
#[derive(Debug, Serialize)]
pub(super) struct NewItem {
    domain: Domain,
    client_id: ClientId,
    #[serde(serialize_with = "in_clear")]
    client_secret: Secret,
    name: SmolStr,
    auth_domain: SmolStr,
}

impl From<&NewCredential> for NewItem {
    fn from(new: &NewCredential) -> Self {
        Self {
            domain: new.domain.clone(),
            client_id: new.client_id.clone(),
            client_secret: new.client_secret.clone(),
            name: new.name.clone(),
            auth_domain: new.auth_domain.clone(),
        }
    }
}

fn in_clear<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// Any message after the log-in; those that are no results (events, pongs) have other fields.
#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<u64>,
    success: Option<bool>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    error: Option<CommandErrorBody>,
}

/// Why HA refused a command.
#[derive(Deserialize)]
struct CommandErrorBody {
    code: serde_json::Value,
    #[serde(default)]
    message: String,
}

/// The result of a command, as HA reports it.
#[derive(Debug)]
pub(super) enum CommandResult {
    /// Done, with the result as JSON, which may hold secrets.
    Success(Zeroizing<Box<str>>),
    /// Not done.
    Refused {
        /// HA's code for the kind of refusal.
        code: String,
        /// HA's words, whole: see [`shown`].
        message: String,
    },
}

impl Incoming<'_> {
    /// The messages of one frame; HA sends one, or several as an array. The error does not repeat
    /// what the frame holds.
    pub(super) fn of_frame(text: &str) -> Result<Vec<Incoming<'_>>, serde_json::Error> {
        if text.trim_start().starts_with('[') {
            serde_json::from_str(text)
        } else {
            Ok(vec![serde_json::from_str(text)?])
        }
    }

    /// The id of the command that subscribed to it, and what happened. `None` for other messages.
    pub(super) fn as_event(&self) -> Option<(u64, &RawValue)> {
        let id = self.id.filter(|_| self.kind == "event")?;
        Some((id, self.event?))
    }

    /// The id of the command that it answers, and the answer. `None` for other messages.
    pub(super) fn into_answer(self) -> Option<(u64, CommandResult)> {
        let id = self.id.filter(|_| self.kind == "result")?;
        let answer = match (self.success, self.error) {
            (Some(true), _) => CommandResult::Success(Zeroizing::new(
                self.result.unwrap_or(RawValue::NULL).get().into(),
            )),
            (_, Some(error)) => CommandResult::Refused {
                code: error.code.as_str().unwrap_or("unknown_error").to_owned(),
                message: error.message,
            },
            (_, None) => CommandResult::Refused {
                code: "unknown_error".to_owned(),
                message: "no reason given".to_owned(),
            },
        };
        Some((id, answer))
    }
}

/// HA's words. It ends errors about a value with the value itself, as in `expected str. Got ['a']`, and a custom
/// integration may quote the secret that it was sent: that is taken out first, since it is not found once it is cut.
pub(super) fn shown(message: &str, secret: Option<&Secret>) -> String {
    let secret = secret.map(Secret::expose).filter(|secret| !secret.is_empty());
    let hidden = secret.map(|secret| message.replace(secret, "(sensitive)"));
    let kept = hidden.as_deref().unwrap_or(message).split(". Got").next().unwrap_or_default();
    kept.visible().chars().take(MAX_MESSAGE_CHARS).collect()
}

/// The user whose token we have.
#[derive(Deserialize)]
pub(super) struct CurrentUser {
    pub(super) is_admin: bool,
}

/// The integrations that take credentials.
#[derive(Deserialize)]
pub(super) struct CredentialDomains {
    domains: Lenient<String>,
}

impl CredentialDomains {
    /// As a set.
    pub(super) fn into_set(self) -> BTreeSet<Domain> {
        self.domains.items.into_iter().map(Domain::new).collect()
    }
}

/// A credential.
#[derive(Deserialize)]
pub(super) struct CredentialMessage {
    id: SmolStr,
    domain: SmolStr,
    client_id: SmolStr,
    /// Missing or null where HA's storage was edited by hand.
    #[serde(default, deserialize_with = "secret_or_none")]
    client_secret: Option<Secret>,
    name: Option<SmolStr>,
    auth_domain: Option<SmolStr>,
}

impl From<CredentialMessage> for Credential {
    fn from(item: CredentialMessage) -> Self {
        let client_secret = item.client_secret.unwrap_or_else(|| Secret::new(""));
        Self {
            id: CredentialId::new(item.id),
            domain: Domain::new(item.domain),
            client_id: ClientId::new(item.client_id),
            name: item.name.map(|name| name_to_show(name, &client_secret)),
            client_secret: client_secret.into(),
            auth_domain: item.auth_domain,
        }
    }
}

impl CredentialMessage {
    /// Its id, where it holds no secret.
    pub(super) fn without_secret(&self) -> Option<&str> {
        self.client_secret.is_none().then_some(self.id.as_str())
    }
}

/// Of a new credential, what we did not know before.
#[derive(Deserialize)]
pub(super) struct Created {
    pub(super) id: String,
}

/// Which credential a config entry uses; none for `{}`. Anything but text cannot be read.
#[derive(Deserialize)]
pub(super) struct CredentialOfEntry {
    #[serde(default, deserialize_with = "anything")]
    pub(super) application_credentials_id: Option<Value>,
}

/// A config entry.
#[derive(Deserialize)]
pub(super) struct ConfigEntryMessage {
    pub(super) entry_id: SmolStr,
    pub(super) domain: SmolStr,
    #[serde(default, deserialize_with = "text_or_none")]
    pub(super) title: Option<SmolStr>,
    #[serde(default, deserialize_with = "text_or_none")]
    state: Option<SmolStr>,
    #[serde(default, deserialize_with = "text_or_none")]
    pub(super) reason: Option<SmolStr>,
    #[serde(default, deserialize_with = "text_or_none")]
    error_reason_translation_key: Option<SmolStr>,
    #[serde(default, deserialize_with = "text_or_none")]
    disabled_by: Option<SmolStr>,
    /// When its data were changed last, as HA writes it. Old releases do not say.
    #[serde(default)]
    modified_at: Option<Box<RawValue>>,
}

impl ConfigEntryMessage {
    /// Its state; HA has no word of its own for one that somebody disabled.
    pub(super) fn state(&self) -> EntryState {
        match self.disabled_by {
            Some(_) => EntryState::Disabled,
            None => EntryState::from_word(self.state.as_deref().unwrap_or_default()),
        }
    }

    /// When its data were changed last, to be compared.
    pub(super) fn modified_at(self) -> Option<String> {
        Some(self.modified_at?.get().to_owned())
    }

    /// Whether HA could not set it up, since it did not find its credential. Old releases do not say.
    pub(super) fn misses_its_credential(&self) -> bool {
        self.error_reason_translation_key.as_deref() == Some(UNKNOWN_IMPLEMENTATION)
    }
}

/// A config flow that HA started, and no person.
#[derive(Deserialize)]
pub(super) struct ListedFlow {
    pub(super) flow_id: String,
    pub(super) handler: String,
    pub(super) context: FlowContext,
}

/// What a flow is about.
#[derive(Deserialize)]
pub(super) struct FlowContext {
    #[serde(default)]
    pub(super) source: String,
    #[serde(default)]
    pub(super) entry_id: Option<String>,
}

/// What is kept for the user whose token we have, or what of one key.
#[derive(Deserialize)]
pub(super) struct UserData<T> {
    pub(super) value: T,
}

/// What happened to some flow.
#[derive(Deserialize)]
pub(super) struct FlowEvent {
    pub(super) data: FlowEventData,
}

/// Which flow it was.
#[derive(Deserialize)]
pub(super) struct FlowEventData {
    pub(super) flow_id: String,
}

/// A config entry on its own.
#[derive(Deserialize)]
pub(super) struct SingleEntry {
    pub(super) config_entry: ConfigEntryMessage,
}

#[cfg(test)]
mod tests {
    use super::{
        Command, CommandResult, ConfigEntryMessage, CredentialDomains, CredentialMessage,
        CredentialOfEntry, Incoming, Lenient, NewItem, Numbered, shown,
    };
    use crate::model::{ClientId, Domain, NewCredential, Secret, UnreadAccounts};
    use crate::target::unreadable::Accounts;

    #[test]
    fn a_command_is_flat() {
        let new = NewCredential {
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            client_secret: Secret::new("s"),
            name: "n".into(),
            auth_domain: "a".into(),
        };
        let command = Command::CreateCredential(NewItem::from(&new));
        assert_eq!(
            serde_json::to_string(&Numbered { id: 7, command: &command }).unwrap(),
            r#"{"id":7,"type":"application_credentials/create","domain":"spotify","client_id":"c","client_secret":"s","name":"n","auth_domain":"a"}"#
        );
        assert!(!format!("{command:?}").contains("\"s\""));
    }

    #[test]
    fn one_odd_item_keeps_nobody_from_the_others() {
        let items = r#"[{"id": "a", "domain": "d", "client_id": 5, "client_secret": "s"},
            {"id": "b", "domain": null, "client_id": "c"}, {"id": null, "domain": "d", "client_id": "c"},
            {"domain": "d", "client_id": "c"}, {"id": 7, "client_id": "c"}, null,
            {"id": "n", "domain": "d", "client_id": "c", "client_secret": null},
            {"id": "g", "domain": "d", "client_id": "c", "client_secret": "s"}]"#;
        let list: Lenient<CredentialMessage> = serde_json::from_str(items).unwrap();
        assert_eq!(list.unreadable, ["a", "b", "number 3", "number 4", "number 5", "number 6"]);
        assert_eq!(list.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["n", "g"]);
        assert_eq!(list.items[0].without_secret(), Some("n"));

        let entries = r#"[{"entry_id": "1", "domain": "d", "title": null, "state": 3, "reason": {}},
            {"entry_id": null, "domain": "d"}, {"entry_id": "2", "domain": 9}, null]"#;
        let list: Accounts<ConfigEntryMessage> = serde_json::from_str(entries).unwrap();
        let unread = |name: &str, domain: Option<&str>| UnreadAccounts::One {
            name: name.to_owned(),
            domain: domain.map(Domain::new),
        };
        let unread =
            vec![unread("number 2", Some("d")), unread("2", None), unread("number 4", None)];
        assert_eq!((list.items.len(), list.unreadable), (1, unread));

        let known: CredentialDomains =
            serde_json::from_str(r#"{"domains": ["a", 5, null]}"#).unwrap();
        assert_eq!(known.into_set(), [Domain::new("a")].into());
        let used = serde_json::from_str::<CredentialOfEntry>;
        assert_eq!(used("{}").unwrap().application_credentials_id, None);
        let odd = used(r#"{"application_credentials_id": null}"#).unwrap();
        assert_eq!(odd.application_credentials_id, Some(serde_json::Value::Null));
    }

    #[test]
    fn frames_hold_one_message_or_many() {
        let frame = r#" [{"id":1,"type":"result","success":true,"result":null},
            {"id":2,"type":"event","event":{}}, {"id":3,"type":"result","success":false,
            "error":{"code":"not_found","message":"no. Got 'x'"}}]"#;
        let answers: Vec<_> = Incoming::of_frame(frame)
            .unwrap()
            .into_iter()
            .filter_map(Incoming::into_answer)
            .map(|(id, answer)| match answer {
                CommandResult::Success(value) => format!("{id} {}", *value),
                CommandResult::Refused { code, message } => format!("{id} {code} {message}"),
            })
            .collect();
        assert_eq!(answers, ["1 null", "3 not_found no. Got 'x'"]);
        assert!(Incoming::of_frame("<html>").is_err());
    }

    #[test]
    fn quoted_values_go() {
        let said = "should be a string @ data['client_secret']. Got ['a']\nextra keys. Got 'b'";
        assert_eq!(shown(said, None), "should be a string @ data['client_secret']");
        assert_eq!(shown("a\u{1b}[1mb", None), r"a\u{1b}[1mb");
    }

    #[test]
    fn a_secret_goes_though_it_is_escaped_or_cut() {
        let secret = Secret::new("4f5c\u{1b}0a");
        assert_eq!(shown("no 4f5c\u{1b}0a", Some(&secret)), "no (sensitive)");
        let across = format!("{}{}", "x".repeat(298), secret.expose());
        assert_eq!(shown(&across, Some(&secret)), format!("{}(s", "x".repeat(298)));
        assert_eq!(shown("no", Some(&Secret::new(""))), "no");
    }
}
