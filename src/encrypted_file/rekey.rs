//! The same values for other recipients.

use super::EncryptedFileError;
use crate::secret::seal::{seal, seal_binary};
use crate::secret::{
    OpenedSopsDocument, RecipientComparison, SecretResolver, Unreadable, file_mismatch,
    is_age_file, is_armored_age_file, is_changed_by_sops_alone, is_sops_document,
};
use crate::yaml_edit::{NewValue, Slot, SlotValue, put, slots};

const ARMORED: &str = "BEGIN AGE ENCRYPTED FILE";

/// What became of a file's values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// The file's new content; none where it stays as it is.
    pub bytes: Option<Vec<u8>>,
    /// How many values were encrypted again.
    pub count: usize,
    /// How many secrets of a manifest are in plain text, and stay so.
    pub plain: usize,
}

/// Encrypts a file's values to these recipients, where they are encrypted to others or that is not
/// known; all of them where they are wanted `anew`. What is under a passphrase stays so.
///
/// # Errors
/// Where what must be encrypted again cannot be opened.
pub fn rekeyed(
    bytes: &[u8],
    recipients: &[String],
    anew: bool,
    resolver: &SecretResolver,
) -> Result<Rekeyed, EncryptedFileError> {
    if is_age_file(bytes) {
        if !is_due(bytes, recipients, anew, resolver)? {
            return Ok(Rekeyed::default());
        }
        let plain = resolver.open(bytes)?;
        let sealed = if is_armored_age_file(bytes) {
            seal(&plain, recipients)?.into_bytes()
        } else {
            seal_binary(&plain, recipients)?
        };
        return Ok(Rekeyed { bytes: Some(sealed), count: 1, plain: 0 });
    }
    let text = std::str::from_utf8(bytes)?;
    let is_right = || file_mismatch(bytes, recipients, resolver).is_none();
    if is_sops_document(text) && is_changed_by_sops_alone(text) && !anew && is_right() {
        return Ok(Rekeyed::default());
    }
    if let Some(document) = OpenedSopsDocument::open(text, resolver)? {
        let made = document.rekeyed(recipients, anew)?;
        let count = usize::from(made.is_some());
        return Ok(Rekeyed { bytes: made.map(String::into_bytes), count, plain: 0 });
    }
    let slots = match slots(text) {
        // A file of secrets in plain text need not even be YAML.
        Err(_) if !text.contains(ARMORED) => return Ok(Rekeyed::default()),
        slots => slots?,
    };
    let plain = plain(&slots);
    let mut new = Vec::new();
    for slot in &slots {
        let SlotValue::Age(armored) = &slot.held else { continue };
        let unread = |why| EncryptedFileError::Value { line: slot.span.line, why };
        if is_due(armored.as_bytes(), recipients, anew, resolver).map_err(unread)? {
            let opened = resolver.open(armored.as_bytes()).map_err(unread)?;
            new.push((slot, seal(&opened, recipients)?));
        }
    }
    if new.is_empty() {
        return Ok(Rekeyed { plain, ..Rekeyed::default() });
    }
    let changes: Vec<_> =
        new.iter().map(|(slot, armored)| (*slot, NewValue::Age(armored))).collect();
    Ok(Rekeyed { bytes: Some(put(text, &changes)?.into_bytes()), count: changes.len(), plain })
}

fn plain(slots: &[Slot]) -> usize {
    slots.iter().filter(|slot| !matches!(slot.held, SlotValue::Age(_))).count()
}

fn is_due(
    file: &[u8],
    recipients: &[String],
    anew: bool,
    resolver: &SecretResolver,
) -> Result<bool, Unreadable> {
    Ok(match resolver.sealed_to(file, recipients)? {
        RecipientComparison::Same => anew,
        RecipientComparison::Other => true,
        RecipientComparison::Passphrase => false,
    })
}
