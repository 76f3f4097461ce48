//! One secret of a file, replaced in the form that it is in.

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde_yaml::{Deserializer, Value};

use super::{EncryptedFileError, EncryptionContext, FileFormat, Opened};
use crate::model::Secret;
use crate::secret::{SecretResolver, StoredAt};
use crate::yaml_edit::{NewValue, Obstacle, YamlEditError, all_slots, place_of_name, put};

/// Which secret of a file is replaced.
pub enum SecretPlace<'p> {
    /// What a reference reads.
    Stored(&'p StoredAt<'p>),
    /// The one whose value begins where this finds it in the text in clear.
    At(&'p dyn Fn(&str) -> Option<usize>),
}

/// The file with another secret in this place; none where it has no such place. What is in plain text stays
/// so where `with` allows it.
///
/// # Errors
/// Where the file cannot be opened, or the secret not be replaced in place.
pub fn replaced(
    bytes: &[u8],
    place: &SecretPlace<'_>,
    secret: &Secret,
    with: EncryptionContext<'_>,
    resolver: &SecretResolver,
) -> Result<Option<Vec<u8>>, EncryptedFileError> {
    let mut opened = Opened::new(bytes, resolver)?;
    let slots = match place {
        SecretPlace::Stored(StoredAt { name: None, .. }) => Vec::new(),
        SecretPlace::Stored(_) | SecretPlace::At(_) => all_slots(opened.clear())?,
    };
    let found = match place {
        SecretPlace::Stored(at @ StoredAt { name: None, .. }) => {
            let line_break = if opened.clear().ends_with('\n') { "\n" } else { "" };
            let text = Zeroizing::new(format!("{}{line_break}", secret.expose()));
            if !matches!(opened.form, FileFormat::Sops(_)) {
                check_read(at, &text, secret, resolver)?;
            }
            return match opened.form {
                FileFormat::Age { .. } => opened.seal(&text, with).map(Some),
                FileFormat::Entries(_) => Ok(Some(text.as_bytes().to_vec())),
                FileFormat::Sops(_) => Err(YamlEditError::Sops.into()),
            };
        }
        SecretPlace::Stored(StoredAt { name: Some(name), .. }) => {
            let named = slots.iter().find(|slot| slot.field == *name && slot.of.is_empty());
            named.ok_or_else(|| place_of_name(opened.clear(), name))
        }
        SecretPlace::At(find) => {
            let start = find(opened.clear());
            slots.iter().find(|slot| Some(slot.span.start) == start).ok_or(start)
        }
    };
    let slot = match found {
        Ok(slot) => slot,
        Err(Some(start)) => return Err(YamlEditError::unfit(opened.clear(), start..start).into()),
        Err(None) => return Ok(None),
    };
    let text = Zeroizing::new(put(opened.clear(), &[(slot, NewValue::Plain(secret))])?);
    let count = changed_values(opened.clear(), &text);
    if !matches!(count, Some(0 | 1)) {
        let unfit = YamlEditError::unfit(opened.clear(), slot.span.start..slot.span.end);
        return Err(match unfit {
            YamlEditError::Line(line, _) if count.is_some() => {
                YamlEditError::Line(line, Obstacle::Anchor).into()
            }
            unfit => unfit.into(),
        });
    }
    if let SecretPlace::Stored(at) = place {
        check_read(at, &text, secret, resolver)?;
    }
    if let FileFormat::Entries(entries) = &mut opened.form {
        entries.stays_in_clear(slot, secret);
    }
    opened.seal(&text, with).map(Some)
}

/// Refuses a text from which another secret would be read than the one that was put into it.
fn check_read(
    at: &StoredAt<'_>,
    text: &str,
    secret: &Secret,
    resolver: &SecretResolver,
) -> Result<(), EncryptedFileError> {
    match at.read_in(text, resolver) {
        Ok(read) if read == *secret => Ok(()),
        Ok(_) => Err(EncryptedFileError::NotReadBack("something else".to_owned())),
        Err(why) => Err(EncryptedFileError::NotReadBack(why.to_string())),
    }
}

/// How many values differ, each place that an anchor is used counted; none where one of the texts is not YAML.
fn changed_values(before: &str, after: &str) -> Option<usize> {
    let values = |text| -> Option<Vec<Value>> {
        Deserializer::from_str(text).map(|of| Value::deserialize(of).ok()).collect()
    };
    Some(
        values(before)?
            .iter()
            .zip(&values(after)?)
            .map(|(one, other)| differences(one, other))
            .sum(),
    )
}

fn differences(one: &Value, other: &Value) -> usize {
    match (one, other) {
        (Value::Mapping(one), Value::Mapping(other)) => {
            one.iter().zip(other).map(|((_, one), (_, other))| differences(one, other)).sum()
        }
        (Value::Sequence(one), Value::Sequence(other)) => {
            one.iter().zip(other).map(|(one, other)| differences(one, other)).sum()
        }
        (Value::Tagged(one), Value::Tagged(other)) => differences(&one.value, &other.value),
        _ => usize::from(one != other),
    }
}
