//! One secret of a file, replaced in the form that it is in.

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde_yaml::{Deserializer, Value};

use super::{EncryptedFileError, EncryptionContext, FileFormat, Opened};
use crate::model::{Secret, ValueFault};
use crate::secret::{SecretResolver, StoredAt, Unreadable};
use crate::yaml_edit::{NewValue, Obstacle, YamlEditError, all_slots, place_of_name, put};

/// The byte order mark that editors of Windows write, and not every reader of YAML takes.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Which secret of a file is replaced.
pub enum SecretPlace<'p> {
    /// What a reference reads.
    Stored(&'p StoredAt<'p>),
    /// The one whose value begins where this finds it in the decrypted text.
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
    let is_whole = matches!(place, SecretPlace::Stored(StoredAt { name: None, .. }));
    if let Some(rest) = bytes.strip_prefix(MARK).filter(|_| !is_whole) {
        let after = replaced(rest, place, secret, with, resolver)?;
        return Ok(after.map(|after| [MARK, &after].concat()));
    }
    let mut opened = Opened::new(bytes, resolver)?;
    if let SecretPlace::Stored(at @ StoredAt { name: None, .. }) = place {
        return replaced_whole(opened, at, secret, with, resolver).map(Some);
    }
    let slots = all_slots(opened.clear())?;
    let found = match place {
        SecretPlace::Stored(at) => {
            let name = at.name.unwrap_or_default();
            let named = slots.iter().find(|slot| slot.field == name && slot.of.is_empty());
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

/// The file with another secret in the place of all that it holds.
fn replaced_whole(
    opened: Opened<'_>,
    at: &StoredAt<'_>,
    secret: &Secret,
    with: EncryptionContext<'_>,
    resolver: &SecretResolver,
) -> Result<Vec<u8>, EncryptedFileError> {
    if matches!(opened.form, FileFormat::Sops(_)) {
        return Err(YamlEditError::Sops.into());
    }
    let line_break = if opened.clear().ends_with('\n') { "\n" } else { "" };
    let text = Zeroizing::new(format!("{}{line_break}", secret.expose()));
    check_one_secret(at, opened.clear(), resolver)?;
    check_read(at, &text, secret, resolver)?;
    match opened.form {
        FileFormat::Age { .. } => opened.seal(&text, with),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

/// Refuses to replace the whole of a text that has more in it than one secret: a name was forgotten.
fn check_one_secret(
    at: &StoredAt<'_>,
    text: &str,
    resolver: &SecretResolver,
) -> Result<(), EncryptedFileError> {
    if text.trim().is_empty() {
        return Ok(());
    }
    match at.read_in(text, resolver) {
        Ok(_) | Err(Unreadable::Unfit(ValueFault::Placeholder(_))) => Ok(()),
        Err(why) => Err(EncryptedFileError::NotOneSecret(why.to_string())),
    }
}

/// Refuses a text from which another secret would be read than the one that was put into it.
fn check_read(
    at: &StoredAt<'_>,
    text: &str,
    secret: &Secret,
    resolver: &SecretResolver,
) -> Result<(), EncryptedFileError> {
    let why = match at.read_in(text, resolver) {
        Ok(read) if read == *secret => return Ok(()),
        Ok(_) => "something else".to_owned(),
        Err(why) => why.to_string(),
    };
    Err(EncryptedFileError::NotReadBack { why, has_name: at.name.is_some() })
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
    use crate::encrypted_file::{EncryptedFileError, EncryptionContext};
    use crate::model::{Reference, Secret, value_fault};
    use crate::secret::{AllowedPaths, Identities, SecretResolver, StoredAt, places_of, read};

    /// How a secret may be stored: what reads it, the file, and what this held before.
    const WAYS: &[(&str, &str, &str, &str)] = &[
        ("file", "one", "one", "old-1"),
        ("file", "one", "one", "old-1\n"),
        ("file", "m.yaml#k", "m.yaml", "# mine\nk: old-1 # it\nother: 'kept-2'\n"),
        ("file", "m.yaml#a/b", "m.yaml", "a:\n  b: |\n    old-1\nother: kept-2\n"),
        ("file", "m.json#a/b", "m.json", "{\"a\": {\"b\": \"old-1\"}, \"other\": \"kept-2\"}\n"),
        ("secret", "k", "secrets.yaml", "other: kept-2\nk: \"old-1\"\n"),
        ("secret", "a/b", "secrets.yaml", "a: {b: old-1, c: d}\nother: kept-2\n"),
        ("secret", "k", "secrets.yaml", "\u{feff}k: old-1\nother: kept-2\n"),
        ("secret", "k", "secrets.yaml", "\u{feff}other: kept-2\nk: old-1\n"),
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

    /// A file of the project that an entry reads as a whole, as it is after its secret was replaced.
    fn replaced_whole(before: &str, new: &str) -> Result<Vec<u8>, EncryptedFileError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.yaml");
        let allowed = AllowedPaths { project: folder.path().to_owned(), ..AllowedPaths::default() };
        let resolver = SecretResolver::new(Identities::default(), allowed);
        let with = EncryptionContext { recipients: &[], now: "", keep_plain: true };
        let place = StoredAt { file, name: None };
        let place = SecretPlace::Stored(&place);
        let after = replaced(before.as_bytes(), &place, &Secret::new(new), with, &resolver)?;
        Ok(after.unwrap())
    }

    #[test]
    fn a_file_that_holds_more_than_one_secret_is_not_replaced_as_a_whole() {
        for several in [
            "spotify: old-1\nother: kept-2\n",
            "spotify: old-1\n",
            "{\"installed\": {\"client_id\": \"i-1\", \"client_secret\": \"old-1\"}}",
            "{\"client_secret\": \"old-1\"}\n",
            "{\n  \"client_secret\": \"old-1\"\n}\n",
            "one-1\ntwo-2\n",
            "\u{feff}spotify: old-1\n",
            "# mine\nold-1\n",
        ] {
            let why = replaced_whole(several, "new-1").unwrap_err();
            assert!(matches!(why, EncryptedFileError::NotOneSecret(_)), "{several}: {why}");
            assert!(why.help().unwrap().contains("`!file PATH#NAME`"), "{several}");
        }
        for one in ["", "\n", "old-1", "old-1\n", "\u{feff}old-1\n", "a=b-1", "CHANGE_ME\n"] {
            let after = replaced_whole(one, "new-1").unwrap();
            assert_eq!(String::from_utf8(after).unwrap().trim(), "new-1", "{one}");
        }
    }

    #[test]
    fn a_name_is_advised_where_there_is_none() {
        for has_name in [false, true] {
            let why = EncryptedFileError::NotReadBack { why: String::new(), has_name };
            assert_eq!(why.help().unwrap().contains("#NAME"), !has_name);
        }
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
                let after = after.unwrap();
                if file.ends_with(".json") {
                    assert!(serde_json::from_slice::<serde_json::Value>(&after).is_ok(), "{value:?}");
                }
                std::fs::write(&path, after).unwrap();
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
