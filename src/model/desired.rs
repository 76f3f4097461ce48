//! What Git wants of one target.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use smol_str::SmolStr;

use super::{
    ClientId, CredentialId, Domain, Integration, Key, KnownSecret, Mark, Owner, Place, Slip,
    name_to_show,
};

/// All entries for one target, with their secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Whose entries these are.
    pub owner: Owner,
    /// Earlier names of the owner. A credential of one of them that an entry declares moves to the
    /// owner without consent; the others are not deleted, since another project may declare them.
    pub previous_owners: BTreeSet<Owner>,
    /// The entries; keys are unique, and so are pairs of domain and client id.
    pub credentials: Vec<DesiredCredential>,
    /// Entries whose client is not known here: its id is encrypted, and nobody decrypts. Each may want any
    /// credential of its integration.
    pub unidentified: Vec<Unidentified>,
    /// The keys, present and earlier ones, that only entries for other targets have, or such in files that are not read, each
    /// with the slip by which this target most likely lost its entry, where there is one.
    pub elsewhere: BTreeMap<Key, Option<Slip>>,
    /// Whether these are all entries.
    pub completeness: Completeness,
}

/// An entry of which it is not known for which client it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unidentified {
    /// Its key.
    pub key: Key,
    /// The integration.
    pub domain: Domain,
    /// As HA shows it.
    pub name: SmolStr,
}

/// Whether all that Git holds is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Every manifest was read, every secret decrypted.
    Whole,
    /// The same, but these manifests and folders are empty or missing without saying so, as after an
    /// accident: what is not declared may still be wanted.
    Emptied(BTreeSet<PathBuf>),
    /// Something could not be read; what is missing here may still be wanted.
    Partial,
}

/// Whether an entry takes over a credential that was made by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Adopt {
    /// It does not.
    #[default]
    No,
    /// It takes the only one of its client, once.
    Only,
    /// It takes the one with this id.
    Id(CredentialId),
}

impl JsonSchema for Adopt {
    fn schema_name() -> Cow<'static, str> {
        "Adopt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "boolean", "description": "The only one of its client, or none."},
            {
                "type": "string",
                "pattern": "^[a-z0-9_]+_[a-z0-9_]+$",
                "description": "The one with this id.",
            },
        ]})
    }
}

/// One wanted credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredCredential {
    /// Stable and unique per owner.
    pub key: Key,
    /// Whether its manifest writes the key, so that it says nothing of the name.
    pub names_key: bool,
    /// Keys that it had before.
    pub formerly: BTreeSet<Key>,
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// The OAuth2 client secret.
    pub client_secret: KnownSecret,
    /// As HA shows it.
    pub name: SmolStr,
    /// Whether a credential that was made by hand for this client is taken over.
    pub adopt: Adopt,
    /// What becomes of the integration.
    pub integration: Integration,
    /// Where the entry is written.
    pub place: Place,
}

impl DesiredCredential {
    /// Its key, and those that it had before.
    pub fn keys(&self) -> impl Iterator<Item = &Key> + Clone {
        std::iter::once(&self.key).chain(&self.formerly)
    }

    /// Its name as a target shows it.
    pub fn name_to_show(&self) -> SmolStr {
        let secret = self.client_secret.clear();
        secret.map_or(self.name.clone(), |secret| name_to_show(self.name.clone(), secret))
    }

    /// Whether another version of the entry wants the same credential.
    pub fn wants_same_credential(&self, other: &Self) -> bool {
        let Self { key, formerly, domain, client_id, client_secret, name, adopt, .. } = self;
        (key, formerly, domain, client_id)
            == (&other.key, &other.formerly, &other.domain, &other.client_id)
            && (client_secret, name, adopt) == (&other.client_secret, &other.name, &other.adopt)
    }

    /// One for tests: what matters to each of them it says itself.
    #[cfg(test)]
    pub(crate) fn example(key: &str) -> Self {
        Self {
            key: Key::new(key).unwrap(),
            names_key: true,
            formerly: BTreeSet::new(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new(key),
            client_secret: super::Secret::new("s").into(),
            name: key.into(),
            adopt: Adopt::No,
            integration: Integration::default(),
            place: Place { file: std::path::Path::new("a.yaml").into(), line: 1, column: 1 },
        }
    }
}

impl Desired {
    /// One for tests, of the owner `house`.
    #[cfg(test)]
    pub(crate) fn example(credentials: Vec<DesiredCredential>) -> Self {
        Self {
            owner: Owner::new("house").unwrap(),
            previous_owners: BTreeSet::new(),
            credentials,
            unidentified: Vec::new(),
            elsewhere: BTreeMap::new(),
            completeness: Completeness::Whole,
        }
    }

    /// The entry with a key.
    pub fn credential(&self, key: &Key) -> Option<&DesiredCredential> {
        self.credentials.iter().find(|entry| entry.key == *key)
    }

    /// What an owner is called now.
    pub fn present_name<'a>(&'a self, owner: &'a Owner) -> &'a Owner {
        if self.previous_owners.contains(owner) { &self.owner } else { owner }
    }

    /// Whether an entry with this key is for other targets.
    pub fn is_elsewhere(&self, key: &Key) -> bool {
        let slip = self.elsewhere.get(key);
        slip.is_some_and(|slip| !matches!(slip, Some(Slip::NotRead { .. })))
    }

    /// The mark of one of its entries.
    pub fn mark(&self, key: &Key) -> Mark {
        Mark { owner: self.owner.clone(), key: key.clone() }
    }
}
