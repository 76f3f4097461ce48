//! Headers of HTTP that a person has added: to what a target is sent, or a webhook.

use crate::diagnostic::{Located, ProblemCode};
use crate::field::{Field, FieldRefusal, Pairs, Raw, SecretText};
use crate::http::{BadHeader, HeaderName, header_name};
use crate::model::Reference;

/// Headers, before any secret of them is read.
pub type AddedHeaders = Vec<(HeaderName, Located<Reference>)>;

/// What the fields of headers need of the file that they are in. A problem is reported where it is found, and the
/// answer is `None`.
pub trait HeaderContext {
    /// A header of HTTP, which may be a secret.
    fn header(&self, field: &Field<Raw<SecretText>>) -> Option<Located<Reference>>;

    /// The key of the value at this place.
    fn key(&self, site: usize) -> &str;

    /// Reports why a field should not be there.
    fn refuse_field(&self, site: usize, why: FieldRefusal);
}

/// The headers; every problem of theirs is reported. `own` is what cannot be added beside what HTTP itself sets, and
/// `instead` what to do then.
pub fn added_headers<C: HeaderContext + ?Sized>(
    headers: Field<Pairs<Raw<SecretText>>>,
    (own, instead): (&[&str], &'static str),
    context: &C,
) -> Option<AddedHeaders> {
    let mut names: Vec<HeaderName> = Vec::new();
    let read = headers.value?.0.into_iter().map(|field| {
        let name = header_name(context.key(field.site), own);
        let refusal = match &name {
            Ok(name) if names.contains(name) => {
                let why =
                    "is given twice: names of headers are the same in capital and in small letters";
                Some(
                    FieldRefusal::new(ProblemCode::DuplicateKey, why).help("remove one of the two"),
                )
            }
            Ok(_) => None,
            Err(why @ BadHeader::Name) => Some(
                FieldRefusal::new(ProblemCode::BadName, why.to_string())
                    .help("write it as in `CF-Access-Client-Id`"),
            ),
            Err(why @ BadHeader::Own) => {
                Some(FieldRefusal::new(ProblemCode::UnfitField, why.to_string()).help(instead))
            }
        };
        let value = context.header(&field);
        if let Some(refusal) = refusal {
            context.refuse_field(field.site, refusal);
            return None;
        }
        let name = name.ok()?;
        names.push(name.clone());
        Some((name, value?))
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}
