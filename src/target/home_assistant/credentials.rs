//! Credentials: what HA holds, creating and deleting them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex as StdMutex, PoisonError};

use tokio::sync::Mutex;

use super::connection::{CommandError, Connection};
use super::flows;
use super::json::Lenient;
use super::messages::{
    Command, Created, CredentialDomains, CredentialMessage, NOT_FOUND, NewItem,
    REFUSED_BY_INTEGRATION,
};
use super::present::Present;
use super::rest::{CANNOT_LOAD, Rest};
use crate::model::{Credential, CredentialId, Domain, Held, NewCredential};
use crate::target::unreadable::{NO_SECRET, cannot_be_read};
use crate::target::{Done, Refusal, Stop};

/// How HA says that an integration takes no credentials, and also that what it needs is not
/// installed yet.
const NO_PLATFORM: &str = "No application_credentials platform";
/// How HA says that a config entry names a credential.
const IN_USE: &str = "in use";

/// All credentials, in HA's order, and what is wrong with some.
pub(super) async fn list(connection: &Connection) -> Result<Lenient<Credential>, CommandError> {
    let Lenient { items, mut unreadable } =
        connection.ask::<Lenient<CredentialMessage>>(Command::ListCredentials).await?;
    unreadable.iter_mut().for_each(|id| *id = cannot_be_read("credential", id));
    let without_secret = items.iter().filter_map(CredentialMessage::without_secret);
    unreadable.extend(without_secret.map(|id| format!("the credential {id} {NO_SECRET}")));
    Ok(Lenient { items: items.into_iter().map(Credential::from).collect(), unreadable })
}

/// The integrations that take credentials, installed or not.
pub(super) async fn domains(connection: &Connection) -> Result<BTreeSet<Domain>, CommandError> {
    let known: CredentialDomains = connection.ask(Command::CredentialDomains).await?;
    Ok(known.into_set())
}

/// Creates a credential, unless exactly that is in force by now; if HA cannot load its integration, has that installed and tries again.
pub(super) async fn create(
    connection: &Connection,
    stop: &Stop,
    new: &NewCredential,
    present: &Present,
    installed: &Installed<'_>,
) -> Result<Done, Refusal> {
    if let Some(same) = present.same_in_force(new) {
        return Ok(Done::Created(same.id.clone()));
    }
    let first = create_once(connection, stop, new).await;
    if !first.as_ref().is_err_and(is_no_platform) {
        return Ok(first?);
    }
    let known = domains(connection).await.map_err(CommandError::before_anything_was_done)?;
    if !known.contains(&new.domain) {
        return Err(Refusal::UnknownDomain { domain: new.domain.clone() });
    }
    if stop.is_cancelled() {
        return Err(Refusal::Stopped);
    }
    let installation = installed.ensure(&new.domain).await;
    match create_once(connection, stop, new).await {
        Err(fault) if is_no_platform(&fault) => {
            let why = installation.err().map(|fault| fault.to_string());
            let why = why.unwrap_or_else(|| CANNOT_LOAD.to_owned());
            Err(Refusal::Failed(format!("{why}: see Home Assistant's log")))
        }
        second => Ok(second?),
    }
}

async fn create_once(
    connection: &Connection,
    stop: &Stop,
    new: &NewCredential,
) -> Result<Done, CommandError> {
    let command = Command::CreateCredential(NewItem::from(new));
    let created = connection.ask_unless::<Created>(stop, command).await?;
    Ok(Done::Created(CredentialId::new(created.id)))
}

fn is_no_platform(fault: &CommandError) -> bool {
    matches!(fault, CommandError::Refused { message, .. } if message.starts_with(NO_PLATFORM))
}

/// Deletes a credential; one that is gone is no error.
pub(super) async fn delete(
    connection: &Connection,
    stop: &Stop,
    held: &Held,
) -> Result<Done, Refusal> {
    let command = Command::DeleteCredential { application_credentials_id: held.id.clone() };
    match connection.ask_unless::<()>(stop, command).await {
        Ok(()) => Ok(Done::Deleted),
        Err(CommandError::Refused { code, .. }) if code == NOT_FOUND => Ok(Done::Deleted),
        Err(CommandError::Refused { code, message })
            if code == REFUSED_BY_INTEGRATION && message.contains(IN_USE) =>
        {
            Err(Refusal::InUse { domain: held.domain.clone() })
        }
        Err(fault) => Err(fault.into()),
    }
}

/// The integrations that HA was made to install, each once, and what came of it.
pub(super) struct Installed<'a> {
    rest: &'a Rest,
    /// Those of which that was logged: it is tried again at each round.
    logged: &'a StdMutex<BTreeSet<Domain>>,
    /// Held during an installation: HA installs one after another anyway.
    outcomes: Mutex<BTreeMap<Domain, Result<(), CommandError>>>,
}

impl<'a> Installed<'a> {
    /// Nothing so far.
    pub(super) fn new(rest: &'a Rest, logged: &'a StdMutex<BTreeSet<Domain>>) -> Self {
        Self { rest, logged, outcomes: Mutex::default() }
    }

    async fn ensure(&self, domain: &Domain) -> Result<(), CommandError> {
        let mut outcomes = self.outcomes.lock().await;
        if let Some(outcome) = outcomes.get(domain) {
            return outcome.clone();
        }
        if self.logged.lock().unwrap_or_else(PoisonError::into_inner).insert(domain.clone()) {
            tracing::info!(%domain, "Home Assistant is asked to install what the integration needs");
        }
        let outcome = flows::start_and_abort(self.rest, domain).await;
        outcomes.insert(domain.clone(), outcome.clone());
        outcome
    }
}

/// Deletes what another run has created as well, at the same moment.
pub(super) async fn withdraw_doubles(
    connection: &Connection,
    before: &Present,
    created: &BTreeSet<CredentialId>,
) -> Result<(), CommandError> {
    let now = list(connection).await?.items;
    for held in before.doubles(&now, created) {
        tracing::info!(id = %held.id, "another run created the same credential: this one is deleted again");
        let command = Command::DeleteCredential { application_credentials_id: held.id };
        connection.ask::<()>(command).await?;
    }
    Ok(())
}
