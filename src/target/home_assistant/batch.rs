//! Operations that go side by side, and the look at Home Assistant right before them.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::connection::CommandError;
use super::credentials::{self, Installed};
use super::flow_notes::UserDataFields;
use super::json::Accounts;
use super::present::Present;
use super::{HomeAssistant, config_entries, named_by_id};
use crate::model::{ConfigEntry, CredentialId, Domain, Held};
use crate::target::in_use::refuse_used;
use crate::target::{Done, Execute, Operation, Refusal, Stop};

/// Operations begun and not yet done: enough to keep the connection's frames full.
const OPEN_OPERATIONS: usize = 1024;
/// Config entries set up at once.
const OPEN_RELOADS: usize = 8;

impl Execute for HomeAssistant {
    async fn execute(
        &mut self,
        operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        let batch = Batch::begin(self, &operations, stop).await;
        let mut created = BTreeSet::new();
        let mut running = stream::iter(operations.into_iter().enumerate())
            .map(|(index, operation)| {
                let batch = &batch;
                async move { (index, batch.carry_out(operation).await) }
            })
            .buffer_unordered(OPEN_OPERATIONS);
        while let Some((index, outcome)) = running.next().await {
            if let Ok(Done::Created(id)) = &outcome {
                created.insert(id.clone());
            }
            done(index, outcome);
        }
        drop(running);
        batch.end(&created).await;
    }
}

/// What the operations that go side by side share.
struct Batch<'a> {
    ha: &'a HomeAssistant,
    stop: &'a Stop,
    /// What HA held just before, where something is created or deleted.
    present: Result<Present, CommandError>,
    /// The linked accounts that may use what is deleted.
    users: Result<Accounts<ConfigEntry>, CommandError>,
    installed: Installed<'a>,
    reloads: Semaphore,
}

impl<'a> Batch<'a> {
    async fn begin(ha: &'a HomeAssistant, operations: &[Operation], stop: &'a Stop) -> Self {
        let changes = |each: &Operation| {
            use Operation::{Create, Delete, TakeBack};
            matches!(each, Create(_) | Delete(_) | TakeBack(_))
        };
        let present = if operations.iter().any(changes) && !stop.is_cancelled() {
            credentials::list(&ha.connection).await.map(|list| Present::new(list.items))
        } else {
            Ok(Present::default())
        };
        let users = match &present {
            Ok(present) => users(ha, operations, present).await,
            Err(_) => Ok(no_accounts()),
        };
        Self {
            ha,
            stop,
            present: present.map_err(CommandError::before_anything_was_done),
            users: users.map_err(CommandError::before_anything_was_done),
            installed: Installed::new(&ha.rest, &ha.installing),
            reloads: Semaphore::new(OPEN_RELOADS),
        }
    }

    async fn carry_out(&self, operation: Operation) -> Result<Done, Refusal> {
        let connection = &self.ha.connection;
        if self.stop.is_cancelled() {
            return Err(Refusal::Stopped);
        }
        match operation {
            Operation::Create(new) => {
                let present = self.present.as_ref().map_err(CommandError::clone)?;
                credentials::create(connection, self.stop, &new, present, &self.installed).await
            }
            Operation::Delete(ref held) | Operation::TakeBack(ref held) => {
                self.delete(&operation, held).await
            }
            Operation::RemoveAccount(account) => self.ha.remove_account(&account).await,
            Operation::Reload(entry) => {
                let _turn = self.reloads.acquire().await;
                if self.stop.is_cancelled() {
                    return Err(Refusal::Stopped);
                }
                Ok(Done::Reloaded(self.ha.reload(&entry).await?))
            }
        }
    }

    /// Deletes a credential if its id still names the same one, and no account is linked by it now.
    async fn delete(&self, operation: &Operation, held: &Held) -> Result<Done, Refusal> {
        let present = self.present.as_ref().map_err(CommandError::clone)?;
        match present.get(&held.id) {
            None => return Ok(Done::Deleted),
            Some(now) if now.held() != *held => return Err(Refusal::Changed),
            Some(_) => {}
        }
        if present.by_name.is_taken_by(operation) {
            refuse_used(held, self.users.as_ref().map_err(CommandError::clone)?)?;
        }
        let connection = &self.ha.connection;
        let deleted = credentials::delete(connection, self.stop, held).await;
        if let Err(Refusal::InUse { .. }) = deleted {
            let accounts = self.ha.accounts(&held.domain).await?;
            let why = named_by_id::explain(connection, held, &accounts).await?;
            return why.map_or(deleted, Err);
        }
        deleted
    }

    /// What two runs have created at the same moment stays once. Where that fails, the next plan
    /// finds the double and deletes it.
    async fn end(self, created: &BTreeSet<CredentialId>) {
        let Ok(before) = &self.present else { return };
        if created.is_empty() {
            return;
        }
        let withdrawn = credentials::withdraw_doubles(&self.ha.connection, before, created).await;
        if let Err(why) = withdrawn {
            tracing::debug!(%why, "cannot check whether another run created the same credential");
        }
    }
}

/// The linked accounts of the integrations of which something goes that an account would find. Where another
/// credential has taken the place of each, as after a rotation, nothing is asked.
async fn users(
    ha: &HomeAssistant,
    operations: &[Operation],
    present: &Present,
) -> Result<Accounts<ConfigEntry>, CommandError> {
    let taken = operations.iter().filter(|operation| present.by_name.is_taken_by(operation));
    let domains: BTreeSet<&Domain> =
        taken.filter_map(Operation::deleted).map(|held| &held.domain).collect();
    if domains.is_empty() {
        return Ok(no_accounts());
    }
    let mut entries = config_entries::list(&ha.connection).await?;
    entries.items.retain(|entry| domains.iter().any(|domain| domain.as_str() == entry.domain));
    // Who names a credential by its id alone is known to Home Assistant, which does not delete it then.
    let notes = UserDataFields::new();
    let linked = config_entries::linked(&ha.connection, entries, &present.all, &notes, ha.release);
    Ok(linked.await?.0)
}

fn no_accounts() -> Accounts<ConfigEntry> {
    Accounts { items: Vec::new(), unreadable: Vec::new() }
}
