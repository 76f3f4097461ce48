//! JSON that may not be as it should.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::model::{Domain, UnreadAccounts};
use crate::target::unreadable::name_of;
pub(super) use crate::target::unreadable::{Accounts, Lenient};

/// What can be read of any thing: the ids that HA gives, and the integration.
#[derive(Deserialize)]
struct Beginnings {
    id: Option<Value>,
    entry_id: Option<Value>,
    flow_id: Option<Value>,
    domain: Option<Value>,
}

/// An item that cannot be read.
pub(super) struct UnreadItem {
    name: String,
    domain: Option<Domain>,
}

impl From<UnreadItem> for String {
    fn from(item: UnreadItem) -> Self {
        item.name
    }
}

impl From<UnreadItem> for UnreadAccounts {
    fn from(UnreadItem { name, domain }: UnreadItem) -> Self {
        Self::One { name, domain }
    }
}

impl<'de, T: DeserializeOwned, U: From<UnreadItem>> Deserialize<'de> for Lenient<T, U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Vec::<&RawValue>::deserialize(deserializer)?;
        let mut list = Self { items: Vec::with_capacity(raw.len()), unreadable: Vec::new() };
        for (at, raw) in raw.into_iter().enumerate() {
            match serde_json::from_str(raw.get()) {
                Ok(item) => list.items.push(item),
                Err(_) => {
                    let read = serde_json::from_str::<Beginnings>(raw.get()).ok();
                    let read =
                        read.map(|item| ([item.id, item.entry_id, item.flow_id], item.domain));
                    let (ids, domain) = read.unwrap_or_default();
                    let id = ids.iter().flatten().find_map(Value::as_str);
                    let domain = domain.as_ref().and_then(Value::as_str).map(Domain::new);
                    list.unreadable.push(UnreadItem { name: name_of(id, at + 1), domain }.into());
                }
            }
        }
        Ok(list)
    }
}

/// A text; what is there instead of one says nothing.
pub(super) fn text_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SmolStr>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().map(SmolStr::from))
}

/// Whatever is there, to distinguish it from nothing.
pub(super) fn anything<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
