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

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::{SecretPlace, replaced};
    use crate::encrypted_file::EncryptionContext;
    use crate::model::{Reference, Secret, value_fault};
    use crate::secret::{AllowedPaths, Identities, SecretResolver, places_of, read};

    /// How a secret may be stored: what reads it, the file, and what this held before.
    const WAYS: &[(&str, &str, &str, &str)] = &[
        ("file", "one", "one", "old-1"),
        ("file", "one", "one", "old-1\n"),
        ("file", "m.yaml#k", "m.yaml", "# mine\nk: old-1 # it\nother: 'kept-2'\n"),
        ("file", "m.yaml#a/b", "m.yaml", "a:\n  b: |\n    old-1\nother: kept-2\n"),
        ("file", "m.json#a/b", "m.json", "{\"a\": {\"b\": \"old-1\"}, \"other\": \"kept-2\"}\n"),
        ("secret", "k", "secrets.yaml", "other: kept-2\nk: \"old-1\"\n"),
        ("secret", "a/b", "secrets.yaml", "a: {b: old-1, c: d}\nother: kept-2\n"),
    ];

    fn values() -> impl Strategy<Value = String> {
        let known = [
            "a: b-123",
            "a=b-1",
            "{\"a\": 1}",
            "- x1",
            "yes",
            "0x1F",
            "#x1",
            "k: |",
            "'x1",
            "*x1",
            "!x y",
        ];
        prop_oneof![
            any::<String>(),
            "[ -~]{1,24}",
            proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
            Just("x1\u{feff}".to_owned()),
        ]
    }

    proptest! {
        /// Whatever is written is what is read then, and nothing else changes; or it is refused.
        #[test]
        fn what_is_written_is_what_is_read(value in values()) {
            let folder = tempfile::tempdir().unwrap();
            let new = Secret::new(value.trim());
            for (tag, argument, file, before) in WAYS {
                let path = folder.path().join(file);
                std::fs::write(&path, before).unwrap();
                let allowed = AllowedPaths { project: folder.path().to_owned(), ..AllowedPaths::default() };
                let resolver = || SecretResolver::new(Identities::default(), allowed.clone());
                let reference = Reference::Tagged {
                    tag: (*tag).to_owned(),
                    argument: (*argument).to_owned(),
                    base: folder.path().join("credentials.yaml").into(),
                };
                let with = EncryptionContext { recipients: &[], now: "", keep_plain: true };
                let places = places_of(&reference, &resolver());
                let place = places.iter().find(|place| place.file.ends_with(file)).unwrap();
                let after = replaced(before.as_bytes(), &SecretPlace::Stored(place), &new, with, &resolver());
                let Ok(after) = after else {
                    // A name makes room for everything that can be a secret.
                    assert!(place.name.is_none() || value_fault(new.expose(), false).is_some(), "{argument} {value:?}");
                    continue;
                };
                std::fs::write(&path, after.unwrap()).unwrap();
                assert_eq!(read(&reference, &resolver()), Ok(new.clone()), "{argument}");
                if before.contains("kept-2") {
                    let other = Reference::Tagged {
                        tag: "file".to_owned(),
                        argument: format!("{file}#other"),
                        base: folder.path().join("credentials.yaml").into(),
                    };
                    assert_eq!(read(&other, &resolver()), Ok(Secret::new("kept-2")), "{argument}");
                }
            }
        }
    }
}
