//! JSON that may not be as it should.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;

pub(super) use crate::target::unreadable::Lenient;
use crate::target::unreadable::name_of;

/// The ids that HA gives to things.
#[derive(Deserialize)]
struct Ids {
    id: Option<Value>,
    entry_id: Option<Value>,
    flow_id: Option<Value>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Vec::<&RawValue>::deserialize(deserializer)?;
        let mut list = Self { items: Vec::with_capacity(raw.len()), unreadable: Vec::new() };
        for (at, raw) in raw.into_iter().enumerate() {
            match serde_json::from_str(raw.get()) {
                Ok(item) => list.items.push(item),
                Err(_) => {
                    let ids = serde_json::from_str::<Ids>(raw.get()).ok();
                    let ids = ids.map(|ids| [ids.id, ids.entry_id, ids.flow_id]);
                    let id = ids.iter().flatten().flatten().find_map(Value::as_str);
                    list.unreadable.push(name_of(id, at + 1));
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
