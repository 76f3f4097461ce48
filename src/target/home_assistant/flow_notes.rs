//! What is noted in HA of the flows of ours, in what it keeps for the user whose token we have.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::sleep;

use super::connection::{CommandError, Connection};
use super::messages::{Command, UNKNOWN_COMMAND, UserData};
use super::turns::{HESITATION, TurnOf};
use super::{HomeAssistant, config_entries};
use crate::model::{AccountName, Domain, EntryId, FlowId, Mark, Purpose};
use crate::target::Refusal;

/// Behind the mark in the key of a note of a flow.
const FLOW: &str = "#flow";
/// Behind the mark in the key of a note that accounts go with the entry.
const REMOVED_WITH_ENTRY: &str = "#tied";
/// What is noted of a flow.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) flow_id: String,
    pub(super) domain: String,
    /// Which of the accounts that the entry names it links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// The accounts of the integration that there were when it was started to link a named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) accounts_before: Option<BTreeSet<String>>,
    /// When the account that is linked again was changed last before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account_modified_at: Option<String>,
}

/// What HA keeps for its user, whatever that is.
pub(super) type UserDataFields = BTreeMap<String, Value>;

/// All that HA keeps for its user. One without its frontend keeps nothing, so that nothing is noted there; of one
/// that cannot read it, it is not known what is.
pub(super) async fn kept(connection: &Connection) -> Result<UserDataFields, CommandError> {
    read(connection, None).await
}

/// The same of one key: null where nothing is kept.
pub(super) async fn kept_under(connection: &Connection, key: &str) -> Result<Value, CommandError> {
    read(connection, Some(key.to_owned())).await
}

async fn read<T: DeserializeOwned + Default>(
    connection: &Connection,
    key: Option<String>,
) -> Result<T, CommandError> {
    match connection.ask(Command::ReadUserData { key }).await {
        Ok(UserData { value }) => Ok(value),
        Err(CommandError::Refused { code, .. }) if code == UNKNOWN_COMMAND => Ok(T::default()),
        Err(CommandError::Refused { code, message }) => {
            let message = format!(
                "Home Assistant cannot read what it keeps for the user of the token, in .storage/frontend.user_data_*: {message}"
            );
            Err(CommandError::Refused { code, message })
        }
        Err(fault) => Err(fault),
    }
}

/// What is noted of flows, by key.
pub(super) fn notes(kept: &UserDataFields) -> Vec<(String, Purpose, Note)> {
    let note = |(key, value): (&String, &Value)| {
        let purpose = purpose(key)?;
        let note = serde_json::from_value::<Note>(value.clone()).ok()?;
        let purpose = match (purpose, note.name.as_deref()) {
            (Purpose::Entry(mark), Some(name)) => Purpose::Account(mark, AccountName::new(name)?),
            (purpose, _) => purpose,
        };
        Some((key.clone(), purpose, note))
    };
    kept.iter().filter_map(note).collect()
}

/// The entry that a note says accounts go with.
pub(super) fn removed_with_entry((key, value): (&String, &Value)) -> Option<Mark> {
    let mark = Mark::parse(key.strip_suffix(REMOVED_WITH_ENTRY)?)?;
    (*value == true).then_some(mark)
}

/// The key of a note of the same kind that was forgotten. HA deletes no key.
fn free_key(kept: &UserDataFields, mark: &Mark, account: Option<&EntryId>) -> Option<String> {
    let begin = format!("{mark}{FLOW}.");
    let mut of_mark = kept.range(begin.clone()..).take_while(|(key, _)| key.starts_with(&begin));
    let is_free = |(key, value): &(&String, &Value)| {
        value.is_null()
            && key.split_once(FLOW).and_then(|(_, rest)| rest.split_once(':')).map(|(_, id)| id)
                == account.map(EntryId::as_str)
    };
    of_mark.find(is_free).map(|(key, _)| key.clone())
}

/// Each flow that goes on has a key of its own. Set-ups of several accounts of an entry would otherwise
/// overwrite each other's note, and a flow without a note is never ended.
fn note_key(mark: &Mark, account: Option<&EntryId>, flow: &FlowId) -> String {
    let account = account.map(|account| format!(":{account}")).unwrap_or_default();
    format!("{mark}{FLOW}.{flow}{account}")
}

pub(super) fn purpose(key: &str) -> Option<Purpose> {
    let (mark, rest) = key.split_once(FLOW)?;
    let mark = Mark::parse(mark)?;
    // Earlier versions wrote no flow.
    let (flow, account) =
        rest.split_once(':').map_or((rest, None), |(flow, account)| (flow, Some(account)));
    (flow.is_empty() || flow.starts_with('.'))
        .then(|| account.map_or(Purpose::Entry(mark), |id| Purpose::Again(EntryId::new(id))))
}

impl HomeAssistant {
    /// The flow that is noted for a set-up; none where none is.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn noted_flow(
        &self,
        TurnOf { of, account }: TurnOf<'_>,
        domain: &Domain,
    ) -> Result<Option<FlowId>, Refusal> {
        let is_of_it = |purpose: &Purpose| match account {
            Some(account) => *purpose == Purpose::Again(account.clone()),
            None => purpose.is_of(of),
        };
        let mut notes = notes(&kept(&self.connection).await?).into_iter();
        let noted = notes.find(|(_, of, note)| is_of_it(of) && note.domain == domain.as_str());
        Ok(noted.map(|(_, _, note)| FlowId::new(note.flow_id)))
    }

    /// Notes in HA that a flow is ours.
    ///
    /// # Errors
    /// Where HA cannot keep it.
    pub async fn note_flow(
        &self,
        TurnOf { of, account }: TurnOf<'_>,
        domain: &Domain,
        flow: &FlowId,
    ) -> Result<(), Refusal> {
        let own_key = note_key(of.mark, account, flow);
        let account_modified_at = match account {
            Some(account) => config_entries::read(&self.connection, account).await?.modified_at(),
            None => None,
        };
        let name = of.account.filter(|_| account.is_none()).map(|name| name.as_str().to_owned());
        let accounts_before = match &name {
            Some(_) => {
                let mut entries = config_entries::list(&self.connection).await?.items;
                entries.retain(|entry| entry.domain == domain.as_str());
                Some(entries.into_iter().map(|entry| entry.entry_id.to_string()).collect())
            }
            None => None,
        };
        let value = serde_json::json!(Note {
            flow_id: flow.to_string(),
            domain: domain.to_string(),
            name,
            accounts_before,
            account_modified_at,
        });
        let Some(free) = free_key(&kept(&self.connection).await?, of.mark, account) else {
            return Ok(self.write_note(&own_key, &value).await?);
        };
        self.write_note(&free, &value).await?;
        // A set-up of another account of the entry may have taken the same key.
        sleep(HESITATION).await;
        let is_own = |(_, _, note): &(_, _, Note)| note.flow_id == flow.as_str();
        match notes(&kept(&self.connection).await?).iter().any(is_own) {
            true => Ok(()),
            false => Ok(self.write_note(&own_key, &value).await?),
        }
    }

    /// Whether an account was changed since a flow was started that links it again; none where that is
    /// not known.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn is_changed_since(
        &self,
        account: &EntryId,
        flow: &FlowId,
    ) -> Result<Option<bool>, Refusal> {
        let notes = notes(&kept(&self.connection).await?).into_iter();
        let mut noted = notes.filter(|(_, _, note)| note.flow_id == flow.as_str());
        let Some(before) = noted.find_map(|(_, _, note)| note.account_modified_at) else {
            return Ok(None);
        };
        let now = config_entries::read(&self.connection, account).await?.modified_at();
        Ok(now.map(|now| now != before))
    }

    /// Forgets what is noted in HA of a flow.
    ///
    /// # Errors
    /// Where HA cannot keep that.
    pub async fn forget_flow(&self, flow: &FlowId) -> Result<(), Refusal> {
        for (key, _, note) in notes(&kept(&self.connection).await?) {
            if note.flow_id == flow.as_str() {
                self.write_note(&key, &Value::Null).await?;
            }
        }
        Ok(())
    }

    async fn write_note(&self, key: &str, value: &Value) -> Result<(), CommandError> {
        let command = Command::WriteUserData { key: key.to_owned(), value: value.clone() };
        self.connection.ask(command).await
    }

    /// Notes in HA whether the linked accounts of an entry go with it.
    ///
    /// # Errors
    /// Where HA cannot keep it.
    pub async fn remember_delete_policy(&self, mark: &Mark, removes: bool) -> Result<(), Refusal> {
        let key = format!("{mark}{REMOVED_WITH_ENTRY}");
        let command = Command::WriteUserData { key, value: Value::Bool(removes) };
        Ok(self.connection.ask(command).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{free_key, note_key, notes, purpose};
    use crate::model::{AccountName, EntryId, FlowId, Mark, Purpose};

    #[test]
    fn notes_are_recognised_among_what_others_keep() {
        assert!(matches!(purpose("appcred:house:a#flow"), Some(Purpose::Entry(_))));
        let again = Some(Purpose::Again(EntryId::new("e")));
        assert_eq!(purpose("appcred:house:a#flow:e"), again);
        assert_eq!(purpose("appcred:house:a#flow.3:e"), again);
        assert!(matches!(purpose("appcred:house:a#flow.3"), Some(Purpose::Entry(_))));
        for other in ["appcred:house:a", "core", "x#flow", "appcred:house:a#flowers"] {
            assert_eq!(purpose(other), None, "{other}");
        }
    }

    #[test]
    fn a_note_says_which_account_a_flow_links() {
        let note = |name: serde_json::Value| json!({"flow_id": "1", "domain": "d", "name": name});
        let kept = json!({
            "appcred:house:a#flow.1": note(json!("Ann")), "appcred:house:a#flow.2": note(json!(null)),
            "appcred:house:a#flow.3": note(json!(" ")),
        });
        let found: Vec<Purpose> =
            notes(&serde_json::from_value(kept).unwrap()).into_iter().map(|note| note.1).collect();
        let mark = Mark::parse("appcred:house:a").unwrap();
        let ann = AccountName::new("Ann").unwrap();
        assert_eq!(found, [Purpose::Account(mark.clone(), ann), Purpose::Entry(mark)]);
    }

    #[test]
    fn the_key_of_a_forgotten_note_is_used_again_for_the_same() {
        let free = |account: Option<&str>, kept: serde_json::Value| {
            let kept = serde_json::from_value(kept).unwrap();
            let mark = Mark::parse("appcred:house:a").unwrap();
            free_key(&kept, &mark, account.map(EntryId::new).as_ref())
        };
        let note = json!({"flow_id": "1", "domain": "spotify"});
        let kept = json!({
            "appcred:house:a#flow.1": note, "appcred:house:a#flow.2": null,
            "appcred:house:a#flow.3:e": null, "appcred:house:a#turn": null,
            "appcred:house:a": null, "appcred:house:ab#flow.4": null,
        });
        let found = free(None, kept.clone());
        assert_eq!(found.as_deref(), Some("appcred:house:a#flow.2"));
        let found = free(Some("e"), kept.clone());
        assert_eq!(found.as_deref(), Some("appcred:house:a#flow.3:e"));
        assert_eq!(free(Some("f"), kept), None);
        assert_eq!(free(None, json!({"appcred:house:a#flow.1": note})), None);
    }

    #[test]
    fn no_two_flows_share_a_note() {
        let mark = Mark::parse("appcred:house:a").unwrap();
        let account = EntryId::new("e");
        let flows = ["01M8B3D9N62GBZ03KPYME0DM8W", "01M8B3D9NCHHDHR6V7DVWY6PBW"].map(FlowId::new);
        for (account, of) in [
            (None, Purpose::Entry(mark.clone())),
            (Some(&account), Purpose::Again(account.clone())),
        ] {
            let [first, second] = flows.each_ref().map(|flow| note_key(&mark, account, flow));
            assert_ne!(first, second);
            assert_eq!([purpose(&first), purpose(&second)], [Some(of.clone()), Some(of)]);
        }
    }
}
