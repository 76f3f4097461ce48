//! JSON that may hold secrets.

use std::fmt;
use std::io::{self, Write};

use secrecy::zeroize::Zeroizing;
use serde::de::Visitor;
use serde::{Deserializer, Serialize};

use crate::model::Secret;

/// On one line.
pub(super) fn to_json(value: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    in_one_piece(|out| serde_json::to_writer(out, value))
}

/// As Home Assistant writes its files.
pub(super) fn to_json_pretty(value: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    in_one_piece(|out| serde_json::to_writer_pretty(out, value))
}

/// Measured first, since a text that grows leaves copies of itself behind, and wiped when dropped.
fn in_one_piece(
    write: impl Fn(&mut dyn Write) -> serde_json::Result<()>,
) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut length = Length(0);
    write(&mut length)?;
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    write(&mut *json)?;
    Ok(json)
}

/// Into a secret at once, so that no other copy of it is made.
pub(super) fn secret_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    struct SecretVisitor;
    impl Visitor<'_> for SecretVisitor {
        type Value = Secret;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text")
        }

        fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
            Ok(Secret::as_stored(text))
        }
    }
    struct OptionalSecretVisitor;
    impl<'de> Visitor<'de> for OptionalSecretVisitor {
        type Value = Option<Secret>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text or null")
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, text: D) -> Result<Self::Value, D::Error> {
            text.deserialize_str(SecretVisitor).map(Some)
        }
    }
    deserializer.deserialize_option(OptionalSecretVisitor)
}

struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{to_json, to_json_pretty};

    #[test]
    fn nothing_is_moved_while_it_is_written() {
        let value = vec!["hush"; 100];
        for json in [to_json(&value).unwrap(), to_json_pretty(&value).unwrap()] {
            assert_eq!(json.capacity(), json.len());
        }
    }
}
