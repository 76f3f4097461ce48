//! The linked accounts of an entry's credential.

use std::collections::BTreeSet;

use crate::model::{AccountName, ConfigEntry, EntryId, FlowId, Implementation, NotedAccount};
use crate::target::Refusal;
use crate::target::home_assistant::HomeAssistant;

use super::drive::SetUpTask;

/// Those that are linked as the entry wants it.
pub(super) async fn of_credential(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let is_ours = |account: &ConfigEntry| match task.guide.choice {
        Implementation::Cloud => account.implementation.is_none(),
        Implementation::Credential | Implementation::Ask => {
            account.implementation.as_deref() == Some(task.guide.credential)
        }
    };
    let mut accounts = ha.accounts(task.domain).await?;
    accounts.retain(is_ours);
    Ok(accounts)
}

/// Notes the account that a flow has linked whose end no run has seen, since it was killed or the browser came
/// back twice: the only account of the credential that is new since the flow was started and has no note.
/// Where it may be another one, nobody guesses.
pub(super) async fn note_unseen(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
) -> Result<(), Refusal> {
    let Some(name) = task.of.account else { return Ok(()) };
    let Some(before) = ha.accounts_before(task.of.mark, flow).await? else { return Ok(()) };
    let notes = ha.noted_accounts(task.of.mark).await?;
    let accounts = of_credential(ha, task).await?;
    match unseen(name, &accounts, &before, &notes) {
        Some(account) => ha.note_account(task.of.mark, name, &account.id).await,
        None => Ok(()),
    }
}

/// Of the accounts of a credential the one that was linked for this name, of which there is no note yet.
fn unseen<'a>(
    name: &AccountName,
    accounts: &'a [ConfigEntry],
    before: &BTreeSet<EntryId>,
    notes: &[NotedAccount],
) -> Option<&'a ConfigEntry> {
    let note = |account: &ConfigEntry| notes.iter().find(|note| note.account == account.id);
    if accounts.iter().filter_map(note).any(|note| note.name == *name) {
        return None;
    }
    let is_new = |account: &&ConfigEntry| !before.contains(&account.id) && note(account).is_none();
    let mut new = accounts.iter().filter(is_new);
    new.next().filter(|_| new.next().is_none())
}

/// What a person reads who consented with an account that is linked already.
pub(super) async fn linked_already(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    name: &AccountName,
    why: &str,
) -> Result<String, Refusal> {
    let notes = ha.noted_accounts(task.of.mark).await?;
    let accounts = of_credential(ha, task).await?;
    let of = |account: &ConfigEntry| notes.iter().find(|note| note.account == account.id);
    let linked = accounts.iter().map(|account| (account.title.as_str(), of(account)));
    Ok(belongs_to_another(why, name, linked.map(|(title, note)| (title, note.map(|of| &of.name)))))
}

/// The same, where accounts with these titles are linked, which are known to be those of these names. Titles come after
/// `linked account`, by which they are found in texts.
pub fn belongs_to_another<'n>(
    why: &str,
    name: &AccountName,
    linked: impl IntoIterator<Item = (&'n str, Option<&'n AccountName>)>,
) -> String {
    // HA has them in the order of their links.
    let linked: BTreeSet<_> = linked.into_iter().collect();
    let described = |(title, name): &(&str, Option<&AccountName>)| match name {
        Some(name) => format!("\"{title}\" ({name})"),
        None => format!("\"{title}\""),
    };
    let all: Vec<String> = linked.iter().map(described).collect();
    let are = match all.as_slice() {
        [] => String::new(),
        [one] => format!("; the linked account is {one}"),
        all => format!("; the linked accounts are {}", all.join(", ")),
    };
    let other = match linked.iter().any(|(_, name)| name.is_none()) {
        true => {
            format!("; or, if one of these is {name}'s, give it the title {name} in Home Assistant")
        }
        false => String::new(),
    };
    format!(
        "{why}, so it is not {name}'s{are}; try again, and log in at the provider as {name}{other}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{belongs_to_another, unseen};
    use crate::model::{
        AccountName, ConfigEntry, Domain, EntryId, EntryState, Key, Mark, NotedAccount, Owner,
    };

    #[test]
    fn an_account_is_noted_only_where_it_can_be_no_other() {
        let account = |id: &str| ConfigEntry {
            id: EntryId::new(id),
            domain: Domain::new("spotify"),
            title: id.into(),
            state: EntryState::Loaded,
            reason: None,
            implementation: None,
        };
        let mark = Mark { owner: Owner::new("house").unwrap(), key: Key::new("a").unwrap() };
        let note = |(name, account): &(&str, &str)| NotedAccount {
            mark: mark.clone(),
            name: AccountName::new(name).unwrap(),
            account: EntryId::new(*account),
        };
        let found = |linked: &[&str], before: &[&str], notes: &[(&str, &str)]| {
            let linked: Vec<_> = linked.iter().map(|id| account(id)).collect();
            let before: BTreeSet<_> = before.iter().map(|id| EntryId::new(*id)).collect();
            let notes: Vec<_> = notes.iter().map(note).collect();
            let anna = AccountName::new("Anna").unwrap();
            unseen(&anna, &linked, &before, &notes).map(|account| account.id.to_string())
        };
        let one = |id: &str| Some(id.to_owned());
        assert_eq!(found(&["old", "new"], &["old"], &[]), one("new"));
        assert_eq!(found(&["old"], &["old"], &[]), None);
        assert_eq!(found(&["new", "other"], &[], &[]), None, "it may be either");
        assert_eq!(found(&["new", "bens"], &[], &[("Ben", "bens")]), one("new"));
        assert_eq!(found(&["bens"], &[], &[("Ben", "bens")]), None);
        assert_eq!(found(&["hers", "new"], &[], &[("Anna", "hers")]), None, "another run noted it");
        assert_eq!(found(&["hers", "new"], &["hers"], &[("Anna", "hers")]), None);
        assert_eq!(found(&["new"], &[], &[("Anna", "gone")]), one("new"), "hers was removed");
    }

    #[test]
    fn an_account_is_to_be_given_a_name_only_where_one_has_none() {
        let [anna, ben] = ["Anna", "Ben"].map(|name| AccountName::new(name).unwrap());
        let said = |linked: &[(&'static str, Option<&AccountName>)]| {
            belongs_to_another("it is linked already", &anna, linked.iter().copied())
        };
        let again = "; try again, and log in at the provider as Anna";
        assert_eq!(
            said(&[("ben@example", Some(&ben))]),
            format!(
                "it is linked already, so it is not Anna's; the linked account is \"ben@example\" (Ben){again}"
            )
        );
        assert_eq!(
            said(&[("ben@example", Some(&ben)), ("a@example", None)]),
            format!(
                "it is linked already, so it is not Anna's; the linked accounts are \"a@example\", \"ben@example\" (Ben){again}; or, if one of these is Anna's, give it the title Anna in Home Assistant"
            )
        );
    }
}
