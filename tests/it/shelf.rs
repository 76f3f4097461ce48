//! The simplest target there is: credentials in memory, with HA's rules for ids, for what is in
//! force and for what may be deleted.

use std::collections::BTreeSet;

use appcred::model::{
    ClientId, ConfigEntry, Credential, CredentialId, Domain, EntryId, EntryState, KnownDomains,
    NewCredential, Observed,
};
use appcred::target::{Done, Execute, Observe, Operation, Refusal, Stop, TargetError};
use smol_str::SmolStr;

#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    pub(crate) credentials: Vec<Credential>,
    pub(crate) config_entries: Vec<ConfigEntry>,
    /// It dies after so many operations.
    pub(crate) lives: usize,
    /// The secret with which accounts do not run.
    pub(crate) wrong: Option<&'static str>,
    /// Reloads take longer than anybody waits.
    pub(crate) is_slow: bool,
}

impl Shelf {
    pub(crate) fn new(credentials: Vec<Credential>, config_entries: Vec<ConfigEntry>) -> Self {
        Self { credentials, config_entries, lives: usize::MAX, wrong: None, is_slow: false }
    }

    pub(crate) fn observed(&self) -> Observed {
        Observed {
            version: None,
            is_new: false,
            domains: KnownDomains::Listed(BTreeSet::from([
                Domain::new("spotify"),
                Domain::new("twitch"),
                Domain::new("linked_account"),
            ])),
            credentials: self.credentials.clone(),
            config_entries: self.config_entries.clone(),
            unread_accounts: Vec::new(),
            live: None,
        }
    }

    /// The credential that a linked account gets from HA's look-up.
    pub(crate) fn in_force(&self, entry: &ConfigEntry) -> Option<&Credential> {
        self.credentials.iter().rfind(|credential| {
            credential.domain == entry.domain
                && entry.implementation.as_deref() == Some(credential.implementation())
        })
    }

    /// How many accounts find a credential, as far as its name goes.
    pub(crate) fn users(&self, credential: &Credential) -> usize {
        let names_it = |entry: &&ConfigEntry| {
            entry.domain == credential.domain
                && entry.implementation.as_deref() == Some(credential.implementation())
        };
        self.config_entries.iter().filter(names_it).count()
    }

    /// Links an account.
    pub(crate) fn link(&mut self, domain: &Domain, implementation: &str) {
        let numbers =
            self.config_entries.iter().filter_map(|of| of.id.as_str().parse::<u32>().ok());
        let next = numbers.max().map_or(0, |last| last + 1);
        self.config_entries.push(ConfigEntry {
            id: EntryId::new(next.to_string()),
            domain: domain.clone(),
            title: "Anna".into(),
            state: EntryState::NotLoaded,
            reason: None,
            implementation: Some(implementation.into()),
        });
    }

    /// The id that the next credential of a client gets.
    pub(crate) fn next_id(&self, domain: &Domain, client_id: &ClientId) -> CredentialId {
        let base = format!("{domain}_{client_id}");
        let taken =
            |id: &str| self.credentials.iter().any(|credential| credential.id.as_str() == id);
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let id = std::iter::once(base.clone()).chain(numbered).find(|id| !taken(id)).unwrap();
        CredentialId::new(id)
    }

    fn create(&mut self, new: NewCredential) -> CredentialId {
        let id = self.next_id(&new.domain, &new.client_id);
        self.credentials.push(Credential {
            id: id.clone(),
            domain: new.domain,
            client_id: new.client_id,
            client_secret: new.client_secret.into(),
            name: Some(new.name),
            auth_domain: Some(new.auth_domain),
        });
        id
    }

    /// The accounts that use a credential, where one of them would find none by its name without it; also where it
    /// would find another one, but if that is what is meant.
    fn who_loses(&self, at: usize, is_taken_back: bool) -> Option<Vec<SmolStr>> {
        let gone = &self.credentials[at];
        let is_same = |one: &&Credential| {
            one.domain == gone.domain && one.implementation() == gone.implementation()
        };
        let others = self.credentials.iter().filter(is_same).filter(|one| one.id != gone.id);
        let uses = |entry: &&ConfigEntry| self.in_force(entry).is_some_and(|one| one.id == gone.id);
        let by: Vec<_> =
            self.config_entries.iter().filter(uses).map(|of| of.title.clone()).collect();
        let is_left = is_taken_back && others.count() > 0;
        (!by.is_empty() && !is_left).then_some(by)
    }

    /// As Home Assistant deletes, which looks at nothing but who names the id.
    pub(crate) fn delete(&mut self, at: usize) -> Result<Done, Refusal> {
        let Credential { id, domain, .. } = &self.credentials[at];
        let names_it = |entry: &ConfigEntry| {
            entry.domain == *domain && entry.implementation.as_deref() == Some(id.as_str())
        };
        if self.config_entries.iter().any(names_it) {
            return Err(Refusal::InUse { domain: domain.clone() });
        }
        self.credentials.remove(at);
        Ok(Done::Deleted)
    }

    fn carry_out(&mut self, operation: Operation) -> Result<Done, Refusal> {
        match operation {
            Operation::Create(new) => Ok(Done::Created(self.create(new))),
            Operation::Delete(ref held) | Operation::TakeBack(ref held) => {
                let found = self.credentials.iter().position(|one| one.id == held.id);
                let Some(at) = found else { return Ok(Done::Deleted) };
                if self.credentials[at].held() != *held {
                    return Err(Refusal::Changed);
                }
                let is_taken_back = matches!(operation, Operation::TakeBack(_));
                if let Some(by) = self.who_loses(at, is_taken_back) {
                    return Err(Refusal::UsedByNow { by });
                }
                self.delete(at)
            }
            Operation::RemoveAccount(account) => {
                self.config_entries.retain(|entry| entry.id != account.id);
                Ok(Done::Removed)
            }
            Operation::Reload(id) => {
                let entry = self.config_entries.iter().find(|entry| entry.id == id).unwrap();
                let secret = self
                    .in_force(entry)
                    .map(|credential| credential.client_secret.clear().unwrap().expose());
                if self.is_slow {
                    return Ok(Done::Reloaded(EntryState::SetupInProgress));
                }
                let runs = secret.is_some() && secret != self.wrong;
                Ok(Done::Reloaded(if runs { EntryState::Loaded } else { EntryState::SetupError }))
            }
        }
    }
}

impl Observe for Shelf {
    async fn observe(&mut self) -> Result<Observed, TargetError> {
        Ok(self.observed())
    }
}

impl Execute for Shelf {
    async fn execute(
        &mut self,
        operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        for (at, operation) in operations.into_iter().enumerate() {
            let result = if stop.is_cancelled() {
                Err(Refusal::Stopped)
            } else if self.lives == 0 {
                Err(Refusal::Lost("dead".to_owned()))
            } else {
                self.lives -= 1;
                self.carry_out(operation)
            };
            done(at, result);
        }
    }
}
