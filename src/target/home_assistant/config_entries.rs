//! Linked accounts: which credential each uses, and setting them up afresh.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::IgnoredAny;
use serde_json::Value;
use smol_str::SmolStr;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{CommandError, Connection};
use super::flow_notes::UserDataFields;
use super::flows::reauth_flows;
use super::json::Accounts;
use super::messages::{
    Command, ConfigEntryMessage, CredentialOfEntry, NO_SUCH_ENTRY, REFUSED_BY_INTEGRATION,
    SingleEntry,
};
use super::named_by_id;
use super::rest::Rest;
use super::services::ReloadService;
use crate::integrations::Release;
use crate::model::{
    ConfigEntry, Credential, Domain, EntryId, EntryState, FlowId, UnreadAccounts, Visible,
};
use crate::target::collapsed::Collapsed;

/// Questions that are open at once.
const OPEN_QUESTIONS: usize = 256;
/// A reload waits until the integration is set up, some of which ask their cloud first.
const RELOAD_TIMEOUT_SECONDS: u64 = 120;
/// How long an entry may stay in set-up after a reload.
const STATE_TIMEOUT_SECONDS: u64 = 60;
/// How often it is looked at.
const STATE_CHECK_MILLISECONDS: u64 = 250;

/// All entries as HA lists them.
pub(super) async fn list(
    connection: &Connection,
) -> Result<Accounts<ConfigEntryMessage>, CommandError> {
    connection.ask(Command::ListConfigEntries).await
}

/// One entry as it is now.
pub(super) async fn read(
    connection: &Connection,
    entry: &EntryId,
) -> Result<ConfigEntryMessage, CommandError> {
    let read = Command::ReadConfigEntry { entry_id: entry.clone() };
    let SingleEntry { config_entry } = connection.ask(read).await?;
    Ok(config_entry)
}

/// An account, or what is known of one that cannot be read.
enum Found {
    Account {
        account: ConfigEntry,
        /// HA names no credential of it, as its integration looks at no `auth_domain`.
        may_be_cloud: bool,
    },
    Unread(UnreadAccounts),
    Gone,
}

/// Finds out which credential each entry uses. Only integrations that hold credentials are asked.
/// Answers beside the entries which of them may use HA Cloud as well: HA names no credential of
/// those, as their integration looks at no `auth_domain`.
pub(super) async fn linked(
    connection: &Connection,
    Accounts { items: entries, mut unreadable }: Accounts<ConfigEntryMessage>,
    credentials: &[Credential],
    kept: &UserDataFields,
    release: Option<Release>,
) -> Result<(Accounts<ConfigEntry>, BTreeSet<EntryId>), CommandError> {
    let domains: BTreeSet<&Domain> = credentials.iter().map(|held| &held.domain).collect();
    let implementations: BTreeMap<&str, &str> =
        credentials.iter().map(|held| (held.id.as_str(), held.implementation())).collect();
    let collapsed = Collapsed::of(credentials, release);
    let found: Vec<Found> = stream::iter(entries)
        .map(|entry| {
            let (domains, implementations, collapsed) = (&domains, &implementations, &collapsed);
            async move {
                let state = entry.state();
                let domain = Domain::new(entry.domain);
                let id = EntryId::new(entry.entry_id);
                let (mut implementation, mut may_be_cloud) = (None, false);
                if domains.contains(&domain) {
                    let Some(used) = credential_of(connection, &id).await? else {
                        return Ok(Found::Gone);
                    };
                    let used = match used.application_credentials_id {
                        None => None,
                        Some(Value::String(used)) => implementations.get(used.as_str()).copied(),
                        Some(_) => {
                            let name = id.as_str().visible().into_owned();
                            let unread = UnreadAccounts::One { name, domain: Some(domain) };
                            return Ok(Found::Unread(unread));
                        }
                    };
                    let in_force = collapsed.in_force(&domain, used);
                    may_be_cloud = used.is_none() && in_force.is_some();
                    implementation = in_force.or(used).map(SmolStr::from);
                }
                let title = entry.title.unwrap_or_default();
                let reason = entry.reason.map(String::from);
                let account = ConfigEntry { id, domain, title, state, reason, implementation };
                Ok(Found::Account { account, may_be_cloud })
            }
        })
        .buffered(OPEN_QUESTIONS)
        .try_collect()
        .await?;
    let (mut accounts, mut cloud_or_own) = (Vec::new(), BTreeSet::new());
    for found in found {
        match found {
            Found::Account { account, may_be_cloud } => {
                cloud_or_own.extend(may_be_cloud.then(|| account.id.clone()));
                accounts.push(account);
            }
            Found::Unread(unread) => unreadable.push(unread),
            Found::Gone => {}
        }
    }
    named_by_id::resolve(&mut accounts, credentials, kept);
    Ok((Accounts { items: accounts, unreadable }, cloud_or_own))
}

/// `None` where the entry has gone meanwhile.
async fn credential_of(
    connection: &Connection,
    entry: &EntryId,
) -> Result<Option<CredentialOfEntry>, CommandError> {
    let command = Command::CredentialOfEntry { config_entry_id: entry.clone() };
    match connection.ask(command).await {
        Ok(used) => Ok(Some(used)),
        Err(CommandError::Refused { code, .. }) if code == NO_SUCH_ENTRY => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether HA has an entry.
pub(super) async fn is_there(
    connection: &Connection,
    entry: &EntryId,
) -> Result<bool, CommandError> {
    Ok(credential_of(connection, entry).await?.is_some())
}

/// Sets an entry up afresh and waits for the state that it arrives at.
///
/// If HA asks for consent again for it, that is taken back before: with a credential that works
/// nobody needs it, and with one that does not HA asks anew, with what is in force then.
pub(super) async fn reload(
    connection: &Connection,
    rest: &Rest,
    entry: &EntryId,
) -> Result<EntryState, CommandError> {
    for (_, flow) in reauth_flows(connection).await?.iter().filter(|(of, _)| of == entry) {
        rest.abort_flow(&FlowId::new(flow.flow_id.clone())).await?;
    }
    let reload =
        connection.ask::<IgnoredAny>(Command::ReloadConfigEntry(ReloadService::new(entry)));
    match timeout(Duration::from_secs(RELOAD_TIMEOUT_SECONDS), reload).await {
        // HA goes on with it: the state says more than the time that it takes.
        Ok(Ok(_)) | Err(_) => {}
        Ok(Err(CommandError::Refused { code, message })) if code == REFUSED_BY_INTEGRATION => {
            read(connection, entry).await?;
            let message = format!("the account cannot be reloaded in its present state: {message}");
            return Err(CommandError::Refused { code, message });
        }
        Ok(Err(fault)) => return Err(fault),
    }
    let is_on_its_way =
        |state: &_| matches!(state, EntryState::SetupInProgress | EntryState::UnloadInProgress);
    wait_for_state(connection, entry, |state| !is_on_its_way(state)).await
}

/// Waits until an entry is in a state that is asked for, or for as long as is sensible; answers
/// the state that it is in then.
pub(super) async fn wait_for_state(
    connection: &Connection,
    entry: &EntryId,
    is_meant: impl Fn(&EntryState) -> bool,
) -> Result<EntryState, CommandError> {
    let begun = Instant::now();
    let timeout = Duration::from_secs(STATE_TIMEOUT_SECONDS);
    loop {
        let state = read(connection, entry).await?.state();
        if is_meant(&state) || begun.elapsed() > timeout {
            return Ok(state);
        }
        sleep(Duration::from_millis(STATE_CHECK_MILLISECONDS)).await;
    }
}
