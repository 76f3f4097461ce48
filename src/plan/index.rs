//! What is observed, arranged for look-up.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::model::{
    ClientId, ConfigEntry, Credential, CredentialId, Domain, KnownDomains, Observed,
};
use crate::suggest::nearest;

pub(super) struct Index<'a> {
    observed: &'a Observed,
    by_id: IndexMap<&'a CredentialId, usize>,
    by_auth_domain: IndexMap<(&'a Domain, &'a str), Vec<usize>>,
    by_client: IndexMap<(&'a Domain, &'a ClientId), Vec<usize>>,
    users: IndexMap<(&'a Domain, &'a str), Vec<&'a ConfigEntry>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(observed: &'a Observed) -> Self {
        let held = observed.credentials.len();
        let mut index = Self {
            observed,
            by_id: IndexMap::with_capacity(held),
            by_auth_domain: IndexMap::with_capacity(held),
            by_client: IndexMap::with_capacity(held),
            users: IndexMap::new(),
        };
        for (at, credential) in observed.credentials.iter().enumerate() {
            let domain = &credential.domain;
            index.by_id.insert(&credential.id, at);
            index.by_client.entry((domain, &credential.client_id)).or_default().push(at);
            if let Some(auth_domain) = &credential.auth_domain {
                index.by_auth_domain.entry((domain, auth_domain)).or_default().push(at);
            }
        }
        for entry in &observed.config_entries {
            if let Some(implementation) = &entry.implementation {
                index.users.entry((&entry.domain, implementation)).or_default().push(entry);
            }
        }
        index
    }

    pub(super) fn all(&self) -> &'a [Credential] {
        &self.observed.credentials
    }

    pub(super) fn get(&self, at: usize) -> &'a Credential {
        &self.observed.credentials[at]
    }

    /// Those that carry this `auth_domain`, in the target's order.
    pub(super) fn carrying<'s>(&'s self, domain: &'s Domain, auth_domain: &'s str) -> &'s [usize] {
        self.by_auth_domain.get(&(domain, auth_domain)).map_or(&[], Vec::as_slice)
    }

    /// Those of this client, in the target's order.
    pub(super) fn of_client<'s>(
        &'s self,
        domain: &'s Domain,
        client_id: &'s ClientId,
    ) -> &'s [usize] {
        self.by_client.get(&(domain, client_id)).map_or(&[], Vec::as_slice)
    }

    /// Whether the target knows the integration.
    pub(super) fn knows(&self, domain: &Domain) -> bool {
        self.observed.domains.all().contains(domain)
    }

    /// Whether credentials of the integration can be planned: the target lists it, or, where the
    /// target does not say so itself, the project does.
    pub(super) fn takes(&self, domain: &Domain, custom: &BTreeSet<Domain>) -> bool {
        let is_assumed = matches!(self.observed.domains, KnownDomains::Assumed(_));
        self.knows(domain) || is_assumed && custom.contains(domain)
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

    /// The linked accounts that go by no credential: through HA Cloud.
    pub(super) fn users_of_none(&self, domain: &Domain) -> Vec<ConfigEntry> {
        let entries = self.observed.config_entries.iter();
        entries
            .filter(|entry| entry.domain == *domain && entry.implementation.is_none())
            .cloned()
            .collect()
    }

    pub(super) fn is_used(&self, domain: &Domain, implementation: &str) -> bool {
        self.users.contains_key(&(domain, implementation))
    }

    /// Whether HA refuses to delete it: a linked account names it by its own id. That happens to
    /// a shadow too, when its original is gone and HA gives the free id to the next shadow.
    pub(super) fn is_referenced_by_id(&self, credential: &Credential) -> bool {
        self.is_used(&credential.domain, credential.id.as_str())
    }

    /// Whether nobody manages it: a person made it, or Home Assistant itself when it took a client
    /// over from YAML, under an `auth_domain` that is no mark.
    pub(super) fn is_by_hand(&self, credential: &Credential) -> bool {
        credential.mark().is_none() && !self.is_shadow(credential)
    }

    /// Whether its `auth_domain` is that of another client too: only one of them is in force, and
    /// what is done to one would be done to all.
    pub(super) fn shares_name(&self, credential: &Credential) -> bool {
        let Some(name) = &credential.auth_domain else { return false };
        let named = self.by_auth_domain.get(&(&credential.domain, name.as_str()));
        let of_other = |at: &usize| self.get(*at).client_id != credential.client_id;
        named.is_some_and(|named| named.iter().any(of_other))
    }

    /// Whether a credential stands in for another of its client: its `auth_domain` is the id of
    /// that one, or an id that HA would have given to it. Nobody but appcred writes such a thing.
    pub(super) fn is_shadow(&self, credential: &Credential) -> bool {
        let Some(auth_domain) = &credential.auth_domain else { return false };
        let named = self.by_id.get(&CredentialId::new(auth_domain.clone()));
        let names_another = named.is_some_and(|at| {
            let other = self.get(*at);
            let of_one_client =
                other.domain == credential.domain && other.client_id == credential.client_id;
            of_one_client && other.id != credential.id
        });
        names_another || is_id_of_same_client(auth_domain, credential.id.as_str())
    }
}

/// Whether two ids differ at most in the `_2`, `_3` … that HA adds when an id is taken.
fn is_id_of_same_client(one: &str, other: &str) -> bool {
    one == other || one == stem(other) || stem(one) == other || {
        let (a, b) = (stem(one), stem(other));
        a == b && a.len() < one.len() && b.len() < other.len()
    }
}

fn stem(id: &str) -> &str {
    match id.rsplit_once('_') {
        Some((stem, number)) if number.parse::<u32>().is_ok_and(|number| number >= 2) => stem,
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::is_id_of_same_client;

    #[test]
    fn ids_of_one_client_are_told_from_others() {
        assert!(is_id_of_same_client("spotify_a", "spotify_a_2"));
        assert!(is_id_of_same_client("spotify_a_3", "spotify_a"));
        assert!(is_id_of_same_client("spotify_a_3", "spotify_a_2"));
        assert!(!is_id_of_same_client("fitbit", "fitbit_a"));
        assert!(!is_id_of_same_client("spotify_a", "spotify_b"));
        assert!(!is_id_of_same_client("spotify_a_1", "spotify_a"));
    }
}
