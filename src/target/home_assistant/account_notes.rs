//! What is noted in HA of linked accounts, in what it keeps for the user whose token we have: which of them
//! is the one that an entry names.

use std::collections::BTreeSet;

use serde_json::Value;

use super::flow_notes::{UserDataFields, kept, notes};
use super::messages::Command;
use super::{CommandError, HomeAssistant};
use crate::model::{AccountName, ConfigEntry, EntryId, FlowId, Mark, NotedAccount, Owner};
use crate::target::Refusal;

/// Between the mark and the name in the key of a note.
const ACCOUNT: &str = "#account.";

/// All notes of accounts. One that was taken back has no account.
pub(super) fn account_notes(kept: &UserDataFields) -> impl Iterator<Item = NotedAccount> {
    kept.iter().filter_map(|(key, value)| {
        let (mark, name) = key.split_once(ACCOUNT)?;
        let (mark, name) = (Mark::parse(mark)?, AccountName::new(name)?);
        Some(NotedAccount { mark, name, account: EntryId::new(value.as_str()?) })
    })
}

fn key(mark: &Mark, name: &AccountName) -> String {
    format!("{mark}{ACCOUNT}{}", name.as_str())
}

impl HomeAssistant {
    /// Notes which account an entry's name is for. It had no other name then: notes of such are taken back.
    ///
    /// # Errors
    /// Where HA cannot keep it.
    pub async fn note_account(
        &self,
        mark: &Mark,
        name: &AccountName,
        account: &EntryId,
    ) -> Result<(), Refusal> {
        self.write_account(mark, name, Some(account)).await?;
        for other in account_notes(&kept(&self.connection).await?) {
            let is_of_owner = other.mark.owner == mark.owner && other.account == *account;
            if is_of_owner && (&other.mark, &other.name) != (mark, name) {
                self.write_account(&other.mark, &other.name, None).await?;
            }
        }
        Ok(())
    }

    /// The accounts that are noted for an entry's names.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn noted_accounts(&self, mark: &Mark) -> Result<Vec<NotedAccount>, Refusal> {
        let kept = kept(&self.connection).await?;
        Ok(account_notes(&kept).filter(|note| note.mark == *mark).collect())
    }

    /// The accounts of the integration that there were when a flow was started that links one of an entry's
    /// names; none where that is not known, or where other flows of the entry may have linked accounts since.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn accounts_before(
        &self,
        mark: &Mark,
        flow: &FlowId,
    ) -> Result<Option<BTreeSet<EntryId>>, Refusal> {
        let mut notes = notes(&kept(&self.connection).await?);
        notes.retain(|(_, purpose, _)| purpose.mark() == Some(mark));
        let [(_, _, note)] = notes.as_slice() else { return Ok(None) };
        let before = note.accounts_before.as_ref().filter(|_| note.flow_id == flow.as_str());
        Ok(before.map(|ids| ids.iter().map(EntryId::new).collect()))
    }

    /// Removes a linked account that the owner has still noted as the one with this name, and that still uses
    /// the credential that it used when that was planned; and takes the notes back.
    ///
    /// # Errors
    /// Where HA does not answer, or one of both has changed.
    pub async fn remove_named_account(
        &self,
        (mark, previous_owners): (&Mark, &BTreeSet<Owner>),
        name: &AccountName,
        account: &ConfigEntry,
    ) -> Result<(), Refusal> {
        let kept = kept(&self.connection).await?;
        let ours = |note: &NotedAccount| note.is_of(&mark.owner, previous_owners);
        let notes: Vec<NotedAccount> = account_notes(&kept).filter(ours).collect();
        if NotedAccount::name_of(&notes, &account.id, mark) != Some(name) {
            return Err(Refusal::Changed);
        }
        self.remove_account(account).await?;
        for note in notes.iter().filter(|note| note.account == account.id) {
            self.write_account(&note.mark, &note.name, None).await?;
        }
        Ok(())
    }

    async fn write_account(
        &self,
        mark: &Mark,
        name: &AccountName,
        account: Option<&EntryId>,
    ) -> Result<(), CommandError> {
        let value = account.map_or(Value::Null, |account| account.as_str().into());
        self.connection.ask(Command::WriteUserData { key: key(mark, name), value }).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{account_notes, key};
    use crate::model::{AccountName, EntryId, Mark, NotedAccount};

    #[test]
    fn a_note_is_found_again_among_what_others_keep() {
        let mark = Mark::parse("appcred:house:a").unwrap();
        let name = AccountName::new("Ann#flow. & #account.Bob").unwrap();
        let kept = json!({
            key(&mark, &name): "e", "appcred:house:a#account.gone": null, "appcred:house:a#account.": "e",
            "other#account.Ann": "e", "appcred:house:a#flow.1": {"flow_id": "1", "domain": "spotify"},
        });
        let kept = serde_json::from_value(kept).unwrap();
        let expected = NotedAccount { mark, name, account: EntryId::new("e") };
        assert_eq!(account_notes(&kept).collect::<Vec<_>>(), [expected]);
        assert_eq!(super::super::flow_notes::notes(&kept).len(), 1);
    }
}
