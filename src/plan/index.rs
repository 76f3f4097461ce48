//! What is observed, arranged for look-up.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::model::{
    ClientId, ConfigEntry, Credential, CredentialId, Desired, DesiredCredential, Domain,
    EntryState, Held, KnownDomains, Mark, Observed, is_alike,
};
use crate::suggest::nearest;

use super::ownership::{self, Claims, EntriesByClient, OwnedBy, Ownership};

pub(super) struct Index<'a> {
    observed: &'a Observed,
    entries: EntriesByClient<'a>,
    by_id: IndexMap<&'a CredentialId, usize>,
    by_implementation: IndexMap<(&'a Domain, &'a str), Vec<usize>>,
    by_client: IndexMap<(&'a Domain, &'a ClientId), Vec<usize>>,
    users: IndexMap<(&'a Domain, &'a str), Vec<&'a ConfigEntry>>,
    /// The accounts that find no credential, or whose integration is spelt as HA never spells one.
    unfound: Vec<&'a ConfigEntry>,
    owned_by: Vec<OwnedBy>,
    claims: Claims<'a>,
}

impl<'a> Index<'a> {
    pub(super) fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let held = observed.credentials.len();
        let by_client = |entry: &'a DesiredCredential| ((&entry.domain, &entry.client_id), entry);
        let entries: EntriesByClient<'a> = desired.credentials.iter().map(by_client).collect();
        let (owned_by, claims) = ownership::read(&observed.credentials, desired, &entries);
        let mut index = Self {
            observed,
            entries,
            by_id: IndexMap::with_capacity(held),
            by_implementation: IndexMap::with_capacity(held),
            by_client: IndexMap::with_capacity(held),
            users: IndexMap::new(),
            unfound: Vec::new(),
            owned_by,
            claims,
        };
        for (at, credential) in observed.credentials.iter().enumerate() {
            let domain = &credential.domain;
            index.by_id.insert(&credential.id, at);
            index.by_client.entry((domain, &credential.client_id)).or_default().push(at);
            let implementation = (domain, credential.implementation());
            index.by_implementation.entry(implementation).or_default().push(at);
        }
        for entry in &observed.config_entries {
            index.add_user(entry);
        }
        index.add_users_of_lost(desired);
        index
    }

    /// HA does not say what an account names that finds nothing. Where this owner has claimed what is lost, that
    /// was named by an account: by each that may be it, so that it is created again. One that does not find it then
    /// named something else, and it goes.
    fn add_users_of_lost(&mut self, desired: &Desired) {
        let may_have_lost = |account: &&ConfigEntry| {
            let is_down = matches!(account.state, EntryState::SetupError | EntryState::SetupRetry);
            account.implementation.is_none() && is_down
        };
        let accounts: Vec<&ConfigEntry> =
            self.observed.config_entries.iter().filter(may_have_lost).collect();
        if accounts.is_empty() {
            return;
        }
        for (at, credential) in self.all().iter().enumerate() {
            let (Some(text), Some(claim)) = (&credential.auth_domain, credential.claim()) else {
                continue;
            };
            let is_ours = |of: &Ownership| *desired.present_name(&of.mark.owner) == desired.owner;
            // A claim ends with what it claims.
            let claimed = &text[text.len() - claim.implementation.len()..];
            let name = (&credential.domain, claimed);
            let is_lost = !self.by_implementation.contains_key(&name);
            if !is_lost
                || self.users.contains_key(&name)
                || !self.ownership(at).is_some_and(is_ours)
            {
                continue;
            }
            let of_domain = accounts.iter().filter(|of| of.domain == credential.domain).copied();
            let users: Vec<_> = of_domain.collect();
            if !users.is_empty() {
                self.users.insert(name, users);
            }
        }
    }

    /// HA spells an integration in one way. Where a storage spells it otherwise, the account counts as one
    /// of the integration that has credentials.
    fn add_user(&mut self, account: &'a ConfigEntry) {
        let mut domain = &account.domain;
        let is_usual =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        let is_odd = !domain.as_str().chars().all(is_usual);
        if is_odd {
            let mut held = self.all().iter().map(|credential| &credential.domain);
            domain = held.find(|held| is_alike(held.as_str(), domain.as_str())).unwrap_or(domain);
        }
        let name = account.implementation.as_deref();
        if let Some(name) = name {
            self.users.entry((domain, name)).or_default().push(account);
        }
        if name.map_or(is_odd, |name| !self.by_implementation.contains_key(&(domain, name))) {
            self.unfound.push(account);
        }
    }

    pub(super) fn all(&self) -> &'a [Credential] {
        &self.observed.credentials
    }

    pub(super) fn get(&self, at: usize) -> &'a Credential {
        &self.observed.credentials[at]
    }

    /// Those that accounts find by this, in the target's order: the last is in force.
    pub(super) fn implementing<'s>(
        &'s self,
        domain: &'s Domain,
        implementation: &'s str,
    ) -> &'s [usize] {
        self.by_implementation.get(&(domain, implementation)).map_or(&[], Vec::as_slice)
    }

    /// What is written of whose a credential is.
    pub(super) fn owned_by(&self, at: usize) -> &OwnedBy {
        &self.owned_by[at]
    }

    /// The one owner of a credential.
    pub(super) fn ownership(&self, at: usize) -> Option<&Ownership> {
        match &self.owned_by[at] {
            OwnedBy::One(ownership) => Some(ownership),
            _ => None,
        }
    }

    pub(super) fn is_nobodys(&self, at: usize) -> bool {
        self.owned_by[at] == OwnedBy::Nobody
    }

    /// The claims of an implementation, for whichever client.
    pub(super) fn all_claims<'s>(
        &'s self,
        domain: &'s Domain,
        implementation: &str,
    ) -> &'s [usize] {
        self.claims.get(&(domain, implementation.into())).map_or(&[], Vec::as_slice)
    }

    /// The claims of an implementation for a client.
    pub(super) fn claims<'s>(
        &'s self,
        domain: &'s Domain,
        implementation: &str,
        client_id: &'s ClientId,
    ) -> impl Iterator<Item = usize> + Clone + 's {
        let claims = self.all_claims(domain, implementation).iter().copied();
        claims.filter(|at| self.get(*at).client_id == *client_id)
    }

    /// What is claimed, for whichever client.
    pub(super) fn claimed_names(&self) -> BTreeSet<(&'a Domain, &str)> {
        self.claims.keys().map(|(domain, name)| (*domain, name.as_str())).collect()
    }

    /// Whether an account finds it, or names it by its id.
    pub(super) fn is_in_use(&self, at: usize) -> bool {
        let credential = self.get(at);
        self.is_used(&credential.domain, credential.implementation())
            || self.is_referenced_by_id(credential)
    }

    /// The entry that wants a client.
    pub(super) fn entry_of_client<'s>(
        &'s self,
        domain: &'s Domain,
        client_id: &'s ClientId,
    ) -> Option<&'a DesiredCredential> {
        self.entries.get(&(domain, client_id)).copied()
    }

    /// The credential of an integration that has an id.
    pub(super) fn of_id(&self, domain: &Domain, id: &str) -> Option<usize> {
        let at = self.by_id.get(&CredentialId::new(id)).copied();
        at.filter(|at| self.get(*at).domain == *domain)
    }

    /// Where a credential is.
    pub(super) fn position(&self, held: &Held) -> Option<usize> {
        self.by_id.get(&held.id).copied()
    }

    /// Those of this client, in the target's order.
    pub(super) fn of_client<'s>(
        &'s self,
        domain: &'s Domain,
        client_id: &'s ClientId,
    ) -> &'s [usize] {
        self.by_client.get(&(domain, client_id)).map_or(&[], Vec::as_slice)
    }

    /// Those of an integration that are of this entry, as the target says.
    pub(super) fn of_mark<'s>(
        &'s self,
        domain: &'s Domain,
        mark: &'s Mark,
    ) -> impl Iterator<Item = usize> + 's {
        let is_of_mark = move |at: &usize| {
            self.get(*at).domain == *domain
                && self.ownership(*at).is_some_and(|of| of.mark == *mark)
        };
        (0..self.all().len()).filter(is_of_mark)
    }

    /// Whether the target knows the integration.
    pub(super) fn knows(&self, domain: &Domain) -> bool {
        self.observed.domains.all().contains(domain)
    }

    /// Whether credentials of the integration can be planned: the target lists it, or, where the
    /// target does not say so itself, the project does.
    pub(super) fn takes(&self, domain: &Domain, custom: &BTreeSet<Domain>) -> bool {
        self.knows(domain) || !self.lists_integrations() && custom.contains(domain)
    }

    /// Whether the target itself says which integrations it has.
    pub(super) fn lists_integrations(&self) -> bool {
        matches!(self.observed.domains, KnownDomains::Listed(_))
    }

    /// The integration that a mistyped one was most likely meant to be.
    pub(super) fn suggestion(&self, domain: &Domain) -> Option<Domain> {
        let known = self.observed.domains.all().iter();
        nearest(domain.as_str(), known.map(Domain::as_str)).map(Domain::new)
    }

    /// The linked accounts that find their credential by this.
    pub(super) fn users(&self, domain: &Domain, implementation: &str) -> Vec<ConfigEntry> {
        self.users
            .get(&(domain, implementation))
            .map(|entries| entries.iter().map(|entry| (*entry).clone()).collect())
            .unwrap_or_default()
    }

    /// The linked accounts that use no credential: those of HA Cloud.
    pub(super) fn users_of_none(&self, domain: &Domain) -> Vec<ConfigEntry> {
        let entries = self.observed.config_entries.iter();
        entries
            .filter(|entry| entry.domain == *domain && entry.implementation.is_none())
            .cloned()
            .collect()
    }

    /// The accounts that find a credential by what they name, would have found it, or may be meant to: a
    /// claim says whose the account is that names what it claims and finds nothing. `is_of_entry` says of what is
    /// lost whether it is an entry's.
    pub(super) fn may_use(
        &self,
        credential: &Credential,
        is_of_entry: impl Fn(&Domain, &str) -> bool,
    ) -> Vec<ConfigEntry> {
        let domain = &credential.domain;
        let claimed = credential.claim().map(|claim| claim.implementation);
        let lost = claimed
            .as_deref()
            .filter(|of| self.implementing(domain, of).is_empty() && !is_of_entry(domain, of));
        let names = [credential.implementation(), credential.id.as_str()].into_iter().chain(lost);
        let names: BTreeSet<&str> = names.collect();
        let is_meant = |account: &&ConfigEntry| {
            let named = account.implementation.as_deref();
            is_alike(account.domain.as_str(), domain.as_str())
                && named.is_none_or(|named| names.iter().any(|name| is_alike(name, named)))
        };
        let by_name = names.iter().flat_map(|name| self.users(domain, name));
        by_name.chain(self.unfound.iter().copied().filter(is_meant).cloned()).collect()
    }

    /// What linked accounts name and no credential has.
    pub(super) fn lost(&self) -> impl Iterator<Item = (&'a Domain, &'a str)> {
        let names = self.users.keys().copied();
        names.filter(|name| !self.by_implementation.contains_key(name))
    }

    pub(super) fn is_used(&self, domain: &Domain, implementation: &str) -> bool {
        self.users.contains_key(&(domain, implementation))
    }

    /// Whether HA refuses to delete it: a linked account names it by its own id. That happens to
    /// a shadow too, when its original is gone and HA gives the free id to the next shadow.
    pub(super) fn is_referenced_by_id(&self, credential: &Credential) -> bool {
        self.is_used(&credential.domain, credential.id.as_str())
    }

    /// Whether accounts find another client by the same text too: only one of them is in force, and
    /// what is done to one would be done to all.
    pub(super) fn shares_name(&self, credential: &Credential) -> bool {
        let name = credential.implementation();
        let of_other = |at: &usize| self.get(*at).client_id != credential.client_id;
        self.implementing(&credential.domain, name).iter().any(of_other)
    }
}
