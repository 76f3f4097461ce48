//! What a mapping is made of, as serde has it.

use serde::de::value::Error;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The name and the fields of a mapping.
type Described = (&'static str, &'static [&'static str]);

/// None where it is no mapping with fields.
pub fn described<'n, T: Deserialize<'n>>() -> Option<Described> {
    let mut described = None;
    // It ends as soon as both are known.
    drop(T::deserialize(Describe(&mut described)));
    described
}

struct Describe<'d>(&'d mut Option<Described>);

impl<'n> Deserializer<'n> for Describe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'n>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom(""))
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some((name, fields));
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        <W: Visitor<'n>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
