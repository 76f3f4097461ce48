//! The linked accounts of an entry's credential.

use std::collections::BTreeSet;

use crate::model::{AccountName, ConfigEntry, FlowId, Implementation};
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
    let mut new = of_credential(ha, task).await?;
    let has_note = |account: &ConfigEntry| notes.iter().any(|note| note.account == account.id);
    if new.iter().any(|of| notes.iter().any(|note| note.account == of.id && note.name == *name)) {
        return Ok(());
    }
    new.retain(|account| !before.contains(&account.id) && !has_note(account));
    match new.as_slice() {
        [account] => ha.note_account(task.of.mark, name, &account.id).await,
        _ => Ok(()),
    }
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
