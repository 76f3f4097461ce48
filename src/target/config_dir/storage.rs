//! HA's storage files: text in, nouns out, and text again. No file is touched here.
//!
//! Whatever is not ours is kept as it was read, to the byte of each value: unknown fields, numbers
//! beyond 64 bits, the order of everything. A value is taken apart only as far as it is needed.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use secrecy::zeroize::Zeroizing;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use smol_str::SmolStr;
use thiserror::Error;

use crate::model::{
    ClientId, ConfigEntry, Credential, CredentialId, Domain, EntryId, EntryState, Held,
    LowestNumbers, NewCredential, Secret, UnreadAccounts, generate_id, name_to_show,
};
use crate::target::Refusal;
use crate::target::unreadable::{Accounts, Lenient, NO_SECRET, name_of};
use crate::target::wiped_json::{secret_or_none, to_json_pretty};

/// A store without items, as HA writes it.
const EMPTY: &str = r#"{"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": []}}"#;

/// Why a storage file cannot be used. The text never repeats a value, which may be a secret.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum StorageError {
    #[error(
        "it is not JSON (line {line}, column {column}); Home Assistant would set it aside and start without what is in it: restore it from a backup, or delete it"
    )]
    Syntax { line: usize, column: usize },
    #[error(
        "{0}; that is not how Home Assistant writes it: correct it, or restore it from a backup"
    )]
    Shape(String),
    #[error(
        "it has a major version other than 1, the only one that is supported: a newer appcred may support it"
    )]
    Version,
}

/// The fields of a mapping, in their order, each value as it was written. No value is copied: it may be a
/// secret.
type RawFields<'a> = IndexMap<String, &'a RawValue>;

/// `.storage/application_credentials`.
pub(super) struct CredentialStorage<'a> {
    /// All fields; the value of `data` is in `data`.
    fields: RawFields<'a>,
    /// All fields of `data`; the value of `items` is in `items`.
    data: RawFields<'a>,
    items: BTreeMap<usize, Item<'a>>,
    places: BTreeMap<CredentialId, usize>,
    /// Where the credentials are that accounts find by one name: the last is in force.
    names: BTreeMap<(Domain, SmolStr), BTreeSet<usize>>,
    lowest: LowestNumbers,
    next_place: usize,
    changed: bool,
    /// What is wrong with some items.
    unreadable: Vec<String>,
}

/// An item, and how it goes into the file.
enum Item<'a> {
    /// As it was read; no credential where it could not be understood.
    Before(Option<Credential>, &'a RawValue),
    /// Anew, with this secret.
    Now(Credential, Secret),
}

impl Item<'_> {
    fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Before(credential, _) => credential.as_ref(),
            Self::Now(credential, _) => Some(credential),
        }
    }
}

impl<'a> CredentialStorage<'a> {
    /// Reads the file's text; no file is an empty store, and so is `{}`, as in HA.
    pub(super) fn parse(text: Option<&'a str>) -> Result<Self, StorageError> {
        let fields: RawFields<'_> = json(text.unwrap_or(EMPTY))?;
        if fields.is_empty() {
            return Self::parse(None);
        }
        let data: RawFields<'_> = json(data_of(&fields)?)?;
        let items = data.get("items").ok_or_else(|| shape("it has no `data.items`"))?;
        let items: Vec<&RawValue> = json(items.get())?;

        let mut store = Self {
            fields,
            data,
            items: BTreeMap::new(),
            places: BTreeMap::new(),
            names: BTreeMap::new(),
            lowest: LowestNumbers::new(),
            next_place: 0,
            changed: false,
            unreadable: Vec::new(),
        };
        for (index, text) in items.into_iter().enumerate() {
            store.read(index + 1, text);
        }
        Ok(store)
    }

    /// One item that cannot be understood keeps nobody from the others: it stays as it is.
    fn read(&mut self, number: usize, text: &'a RawValue) {
        let fields: RawFields<'_> = serde_json::from_str(text.get()).unwrap_or_default();
        let found = credential(&fields);
        let id = fields.get("id").and_then(|id| serde_json::from_str::<String>(id.get()).ok());
        let mut name = |what: &str| {
            self.unreadable
                .push(format!("the credential {} {what}", name_of(id.as_deref(), number)));
        };
        match &found {
            Err(what) => name(&format!("{what}: it is left alone")),
            Ok(_) if fields.get("client_secret").is_none_or(|secret| secret.get() == "null") => {
                name(NO_SECRET);
            }
            Ok(_) => {}
        }
        self.put(id.map(CredentialId::new), Item::Before(found.ok(), text));
    }

    /// The credentials, in HA's order, and what is wrong with some.
    pub(super) fn into_credentials(self) -> Lenient<Credential> {
        let credential = |item: Item<'_>| match item {
            Item::Before(credential, _) => credential,
            Item::Now(credential, _) => Some(credential),
        };
        let items = self.items.into_values().filter_map(credential).collect();
        Lenient { items, unreadable: self.unreadable }
    }

    /// Whether it differs from what was read.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Appends a credential. Where one is in force that is the same in all but its id, another run that
    /// planned at the same time was faster: it is not created twice.
    pub(super) fn create(&mut self, new: &NewCredential) -> CredentialId {
        let client_id = ClientId::new(new.client_id.as_str().trim());
        let is_same = |credential: &&Credential| {
            credential.client_id == client_id
                && credential.client_secret.clear() == Some(&new.client_secret)
                && credential.name == Some(new.name_to_show())
                && credential.auth_domain.as_ref() == Some(&new.auth_domain)
        };
        let in_force = self.names.get(&(new.domain.clone(), new.auth_domain.clone()));
        let in_force = in_force.and_then(|places| self.items.get(places.last()?)?.credential());
        if let Some(same) = in_force.filter(is_same) {
            return same.id.clone();
        }
        let places = &self.places;
        let taken = |id: &CredentialId| places.contains_key(id);
        let id = generate_id(&new.domain, &client_id, &mut self.lowest, taken);
        let credential = Credential {
            id: id.clone(),
            domain: new.domain.clone(),
            client_id,
            client_secret: new.client_secret.clone().into(),
            name: Some(new.name.clone()),
            auth_domain: Some(new.auth_domain.clone()),
        };
        self.put(Some(id.clone()), Item::Now(credential, new.client_secret.clone()));
        self.changed = true;
        id
    }

    /// The credentials, in HA's order.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.items.values().filter_map(Item::credential)
    }

    /// Takes a credential out, unless it changed or may not go; one that is gone is no error.
    pub(super) fn delete(
        &mut self,
        held: &Held,
        may_go: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let Some(place) = self.places.get(&held.id).copied() else { return Ok(()) };
        let there = self.items.get(&place).and_then(Item::credential);
        if there.is_none_or(|there| there.held() != *held) {
            return Err(Refusal::Changed);
        }
        may_go()?;
        self.places.remove(&held.id);
        self.take(place);
        self.lowest.clear();
        self.changed = true;
        Ok(())
    }

    /// The file's text.
    pub(super) fn to_text(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        to_json_pretty(self)
    }

    /// Of two items with one id HA keeps the later, in the place of the first.
    fn put(&mut self, id: Option<CredentialId>, item: Item<'a>) {
        self.next_place += 1;
        let place = match id {
            Some(id) => *self.places.entry(id).or_insert(self.next_place),
            None => self.next_place,
        };
        self.take(place);
        if let Some(credential) = item.credential() {
            self.names.entry(name_in(credential)).or_default().insert(place);
        }
        self.items.insert(place, item);
    }

    fn take(&mut self, place: usize) {
        let Some(item) = self.items.remove(&place) else { return };
        if let Some(credential) = item.credential()
            && let Some(places) = self.names.get_mut(&name_in(credential))
        {
            places.remove(&place);
        }
    }
}

/// By what linked accounts find it.
fn name_in(credential: &Credential) -> (Domain, SmolStr) {
    (credential.domain.clone(), credential.implementation().into())
}

impl Serialize for CredentialStorage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = With { fields: &self.data, name: "items", value: &Items(&self.items) };
        With { fields: &self.fields, name: "data", value: &data }.serialize(serializer)
    }
}

/// Fields, one of them with another value.
struct With<'a, T> {
    fields: &'a RawFields<'a>,
    name: &'static str,
    value: &'a T,
}

impl<T: Serialize> Serialize for With<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in self.fields {
            if name == self.name {
                map.serialize_entry(name, self.value)?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

struct Items<'a>(&'a BTreeMap<usize, Item<'a>>);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values())
    }
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (credential, secret) = match self {
            Self::Before(_, text) => return text.serialize(serializer),
            Self::Now(credential, secret) => (credential, secret),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &credential.id)?;
        map.serialize_entry("domain", &credential.domain)?;
        map.serialize_entry("client_id", &credential.client_id)?;
        map.serialize_entry("client_secret", secret.expose())?;
        map.serialize_entry("name", &credential.name)?;
        map.serialize_entry("auth_domain", &credential.auth_domain)?;
        map.end()
    }
}

/// The config entries of `.storage/core.config_entries`; no file, none that can be read.
pub(super) fn config_entries(text: Option<&str>) -> Result<Accounts<ConfigEntry>, StorageError> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        entries: Vec<&'a RawValue>,
    }
    let mut list = Accounts { items: Vec::new(), unreadable: Vec::new() };
    let Some(text) = text else {
        list.unreadable.push(UnreadAccounts::All);
        return Ok(list);
    };
    let fields: RawFields<'_> = json(text)?;
    let data: Data<'_> = json(data_of(&fields)?)?;
    for (index, text) in data.entries.into_iter().enumerate() {
        let fields: RawFields<'_> = serde_json::from_str(text.get()).unwrap_or_default();
        match config_entry(&fields) {
            Some(entry) => list.items.push(entry),
            None => list.unreadable.push(UnreadAccounts::One {
                name: name_of(text_of(&fields, "entry_id").as_deref(), index + 1),
                domain: text_of(&fields, "domain").map(Domain::new),
            }),
        }
    }
    Ok(list)
}

fn text_of(fields: &RawFields<'_>, name: &str) -> Option<SmolStr> {
    fields.get(name).and_then(|value| serde_json::from_str(value.get()).ok())
}

/// Reads one. What is not asked for, such as tokens, stays in the file's text, which is wiped. One that
/// does not say legibly what it uses may use anything.
fn config_entry(fields: &RawFields<'_>) -> Option<ConfigEntry> {
    let data: RawFields<'_> = serde_json::from_str(fields.get("data")?.get()).ok()?;
    let implementation = match data.contains_key("auth_implementation") {
        true => Some(text_of(&data, "auth_implementation")?),
        false => None,
    };
    Some(ConfigEntry {
        id: EntryId::new(text_of(fields, "entry_id")?),
        domain: Domain::new(text_of(fields, "domain")?),
        title: text_of(fields, "title").unwrap_or_default(),
        state: EntryState::AtRest,
        reason: None,
        implementation,
    })
}

/// The text of `data` of a storage file of version 1.
fn data_of<'a>(fields: &RawFields<'a>) -> Result<&'a str, StorageError> {
    let version = fields.get("version").ok_or_else(|| shape("it has no `version`"))?;
    if version.get() != "1" {
        return Err(StorageError::Version);
    }
    fields.get("data").map(|data| data.get()).ok_or_else(|| shape("it has no `data`"))
}

/// Reads one item; the error says what is wrong with it.
fn credential(fields: &RawFields<'_>) -> Result<Credential, String> {
    if fields.is_empty() {
        return Err("is not a mapping with fields".to_owned());
    }
    let text = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(value) => serde_json::from_str::<Option<SmolStr>>(value.get())
            .map_err(|_| format!("has a `{name}` that is not text")),
    };
    let secret = match fields.get("client_secret") {
        None => None,
        Some(value) => secret_or_none(&mut serde_json::Deserializer::from_str(value.get()))
            .map_err(|_| "has a `client_secret` that is not text".to_owned())?,
    };
    let required = |name: &str| text(name)?.ok_or_else(|| format!("has no `{name}`"));
    let client_secret = secret.unwrap_or_else(|| Secret::as_stored(""));
    Ok(Credential {
        id: CredentialId::new(required("id")?),
        domain: Domain::new(required("domain")?),
        client_id: ClientId::new(text("client_id")?.unwrap_or_default()),
        name: text("name")?.map(|name| name_to_show(name, &client_secret)),
        client_secret: client_secret.into(),
        auth_domain: text("auth_domain")?,
    })
}

/// Parses, and drops serde's own message, which repeats values.
fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StorageError> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => shape("it has a field of the wrong kind"),
        _ => StorageError::Syntax { line: error.line(), column: error.column() },
    })
}

fn shape(what: &str) -> StorageError {
    StorageError::Shape(what.to_owned())
}
