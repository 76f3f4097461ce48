//! What the values of a file are read into: the types that describe manifests, the project file and the
//! targets in it. Each value has its place, and a wrong one does not hide the others.

mod described;
mod meaning;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};

pub use described::described;
pub use meaning::{
    BaseUrl, Days, IdentityPath, Interval, NAME_HELP, Recipient, Seconds, TimeOfDay, TokenUrl,
};

use crate::diagnostic::{ProblemCode, Span};
use crate::model::UNFILLED;

/// What is wrong with a text that is a template, as the end of a sentence, and what to do.
pub const TEMPLATE: (&str, &str) =
    (UNFILLED, "write the text itself: variables, templates and tags are not read here");

/// The name by which a [`Field`] asks for its place.
pub const FIELD: &str = "$field";

/// A value that was read. A wrong one is reported while it is read, and is `None` here: serde goes on
/// with what is behind it.
pub struct Field<T> {
    /// The value.
    pub value: Option<T>,
    /// Its place, by its number in what reads the file.
    pub site: usize,
}

/// A text that means something.
pub trait Meaning: Sized {
    /// A regular expression for editors. What reads the text may refuse more.
    const PATTERN: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// Where it cannot be this.
    fn of(text: &str) -> Result<Self, FieldRefusal>;
}

/// Why a value cannot be what it should.
#[derive(Debug)]
pub struct FieldRefusal {
    /// The kind of problem.
    pub code: ProblemCode,
    /// What is refused, where that is not the field.
    pub what: Option<&'static str>,
    /// What is wrong, to be put behind the name of what is refused.
    pub why: Cow<'static, str>,
    /// What to do.
    pub help: Option<Cow<'static, str>>,
    /// The place, where that is not the value.
    pub span: Option<Span>,
}

impl FieldRefusal {
    /// With the end of the sentence that begins with the name of what is refused.
    pub fn new(code: ProblemCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, what: None, why: why.into(), help: None, span: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(self, help: impl Into<Cow<'static, str>>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Says what is refused.
    #[must_use]
    pub fn of(self, what: &'static str) -> Self {
        Self { what: Some(what), ..self }
    }

    /// Says where.
    #[must_use]
    pub fn at(self, span: Span) -> Self {
        Self { span: Some(span), ..self }
    }
}

/// A text in a file, with what it means, or why it is refused.
pub struct Text<T>(pub Result<T, FieldRefusal>);

/// A list of texts.
pub type Texts<T> = Field<Vec<Field<Text<T>>>>;

/// A value that is secret, or may be.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct SecretText(#[schemars(regex(pattern = r"^\S([\s\S]*\S)?\n*$"))] String);

/// The name by which [`Pairs`] are asked for.
pub const PAIRS: &str = "$pairs";

/// The values of a mapping with keys of people's own. Their places have the keys.
#[derive(Deserialize)]
#[serde(rename = "$pairs")]
pub struct Pairs<T>(pub Vec<Field<T>>);

/// A value that is read from its node: it depends on more than itself. `S` is its schema.
pub struct Raw<S>(PhantomData<S>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let site = parts.next_element()?.unwrap_or_default();
        Ok(Field { site, value: parts.next_element()? })
    }
}

impl<'de, T: Meaning> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Meaning> Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(T::of(text)))
    }

    /// What is no text without quotes: it is refused for that only where quotes would help.
    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        match T::of(&text) {
            Ok(_) => Err(E::custom("quote it")),
            Err(refusal) => Ok(Text(Err(refusal))),
        }
    }
}

impl<'de, S> Deserialize<'de> for Raw<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|IgnoredAny| Self(PhantomData))
    }
}

/// In the schema it is what is behind it.
macro_rules! schema_of {
    ($wrapper:ident<$inner:ident> is $shown:ty) => {
        impl<$inner: JsonSchema> JsonSchema for $wrapper<$inner> {
            fn inline_schema() -> bool {
                <$shown>::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                <$shown>::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                <$shown>::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$shown>::json_schema(generator)
            }
        }
    };
}

schema_of!(Field<T> is T);
schema_of!(Raw<S> is S);
schema_of!(Pairs<T> is BTreeMap<String, T>);

impl<T: Meaning> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": T::PATTERN })
    }
}
