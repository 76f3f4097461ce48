//! serde over the tree of a file. What is wrong with a field is reported at its place, in our words, and
//! serde goes on with the next one.

use std::fmt::Display;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::decode::{Decoder, Site, plain_text, wrong_kind};
use crate::diagnostic::ProblemCode;
use crate::field::{FIELD, FieldRefusal, PAIRS};
use crate::suggest::nearest;
use crate::target::TARGET;
use crate::yaml::{Kind, Node, Pair, Value};

/// Why serde stops.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeStop {
    /// A value is refused, in our words.
    #[error("refused")]
    Refused(FieldRefusal),
    /// A type did not take what it was given. Serde's words are not for users.
    #[error("unfit")]
    Unfit,
}

impl de::Error for DecodeStop {
    fn custom<T: Display>(_: T) -> Self {
        Self::Unfit
    }
}

impl From<FieldRefusal> for DecodeStop {
    fn from(refusal: FieldRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A value to be read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'d, 'n> {
    decoder: &'d Decoder<'n>,
    site: Site<'n>,
    /// The field, where the mapping at the place does not have it.
    missing: Option<MissingField>,
}

/// A field that a mapping does not have.
#[derive(Clone, Copy)]
struct MissingField {
    name: &'static str,
    /// What the mapping is, as in "an entry".
    of: &'static str,
}

impl<'d, 'n> Reader<'d, 'n> {
    pub(super) fn new(decoder: &'d Decoder<'n>, site: Site<'n>) -> Self {
        Self { decoder, site, missing: None }
    }

    /// Reads the value of a field. What is wrong with it is reported here, and nowhere else.
    fn value<T: DeserializeSeed<'n>>(self, seed: T) -> Option<T::Value> {
        if let Some(MissingField { name, of }) = self.missing {
            let message = format!("`{name}` is missing");
            let problem = self.decoder.error(ProblemCode::MissingField, self.site.start(), message);
            let noun = of.split_once(' ').map_or(of, |(_, noun)| noun);
            self.decoder.report(problem.label(format!("every {noun} needs it")));
            return None;
        }
        let refusal = match seed.deserialize(self) {
            Ok(value) => return Some(value),
            Err(DecodeStop::Refused(refusal)) => refusal,
            Err(DecodeStop::Unfit) => {
                FieldRefusal::new(ProblemCode::BadValue, "is not a valid value")
            }
        };
        self.decoder.refuse(self.site, refusal);
        None
    }
}

impl<'n> IntoDeserializer<'n, DecodeStop> for Reader<'_, 'n> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'n> Deserializer<'n> for Reader<'_, 'n> {
    type Error = DecodeStop;

    fn deserialize_any<V: Visitor<'n>>(self, _: V) -> Result<V::Value, DecodeStop> {
        Err(DecodeStop::Unfit)
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeStop> {
        visitor.visit_unit()
    }

    /// `true` or `false`, in any of HA's spellings.
    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeStop> {
        let is = match &self.site.node.value {
            Value::Scalar(scalar) if self.site.node.tag.is_none() => scalar.boolean(),
            _ => None,
        };
        visitor.visit_bool(is.ok_or_else(|| wrong_kind(self.site.node, "`true` or `false`"))?)
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeStop> {
        match plain_text(self.site.node) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(refusal) => match unquoted(self.site.node) {
                Some(text) => visitor.visit_string(text).map_err(|_: DecodeStop| refusal.into()),
                None => Err(refusal.into()),
            },
        }
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeStop> {
        if self.missing.is_some() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeStop> {
        match name {
            FIELD => {
                let site = Some(self.decoder.keep(self.site));
                visitor.visit_seq(FieldParts { reader: self, site })
            }
            PAIRS => {
                let sites = self.site.pairs()?.iter().map(Site::of_pair);
                let values = sites.map(|site| Self::new(self.decoder, site));
                visitor.visit_newtype_struct(SeqDeserializer::new(values))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, DecodeStop> {
        let sites = self.site.list()?;
        visitor.visit_seq(SeqDeserializer::new(sites.map(|site| Self::new(self.decoder, site))))
    }

    /// Hands on the fields that are missing as well, so that all of them are reported. Of a field that is
    /// given twice, which is reported already, the first counts. One that is misspelt is given, and its value unknown.
    fn deserialize_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeStop> {
        let pairs = self.site.pairs().map_err(|refusal| refusal.of(name))?;
        let mut misspelt = Vec::new();
        // The fields of a target were compared with those of all kinds.
        let is_unknown = |pair: &&Pair<'_>| name != TARGET && !fields.contains(&&*pair.key.text);
        for pair in pairs.iter().filter(is_unknown) {
            let near = self.decoder.unknown_field(&pair.key, name, fields.iter().copied());
            misspelt.extend(near.map(|near| (near, pair)));
        }
        let reader = |field: &&'static str| {
            let pair = pairs.iter().find(|pair| pair.key.text == *field).map(Site::of_pair);
            let lost = || misspelt.iter().find(|(near, _)| near == field);
            let site = pair.or_else(|| Some(Site::of_pair(lost()?.1).lost()));
            let missing = Some(MissingField { name: field, of: name });
            (*field, site.map_or(Self { missing, ..self }, |site| Self::new(self.decoder, site)))
        };
        visitor.visit_map(MapDeserializer::new(fields.iter().map(reader)))
    }

    /// One of a few words.
    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeStop> {
        let unquoted = unquoted(self.site.node);
        let text = match &unquoted {
            Some(text) => text,
            None => plain_text(self.site.node)?,
        };
        if let Some(word) = words.iter().find(|word| **word == text) {
            return visitor.visit_enum((*word).into_deserializer());
        }
        let mut why = "is not a valid value".to_owned();
        if let Some(near) = nearest(text, words.iter().copied()) {
            why = format!("{why}: did you mean `{near}`?");
        }
        let words = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        Err(FieldRefusal::new(ProblemCode::UnknownWord, why)
            .help(format!("write {words}, or leave it out"))
            .into())
    }

    forward_to_deserialize_any! {
        <W: Visitor<'n>>
        map i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf unit unit_struct
        tuple tuple_struct identifier
    }
}

/// A number, a truth value or a date, as it is written.
fn unquoted(node: &Node<'_>) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else { return None };
    let is_other = node.tag.is_none() && scalar.kind() != Kind::Text;
    is_other.then(|| scalar.text.to_string())
}

/// What a [`Field`](super::field::Field) is made of: the number of its place, and its value.
struct FieldParts<'d, 'n> {
    reader: Reader<'d, 'n>,
    site: Option<usize>,
}

impl<'n> SeqAccess<'n> for FieldParts<'_, 'n> {
    type Error = DecodeStop;

    fn next_element_seed<T: DeserializeSeed<'n>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeStop> {
        match self.site.take() {
            Some(site) => seed.deserialize(site.into_deserializer()).map(Some),
            None => Ok(self.reader.value(seed)),
        }
    }
}
