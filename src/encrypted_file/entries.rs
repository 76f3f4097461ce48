//! A text of YAML in which single values are age files.

use secrecy::zeroize::Zeroizing;

use super::{EncryptedFileError, EncryptionContext};
use crate::model::{PlainText, Secret, ValueFault};
use crate::secret::seal::seal;
use crate::secret::{SecretResolver, Unreadable};
use crate::yaml_edit::{
    NewValue, OldLayout, Slot, SlotValue, YamlEditError, all_slots, check_none_in_clear, put, slots,
};

/// The values of such a text, opened.
pub(super) struct Entries {
    opened: Vec<OpenedValue>,
    /// What was in plain text.
    plain: Vec<Secret>,
    /// Where what could not be opened is in plain text in the text.
    pub(super) closed: Vec<(u32, Unreadable)>,
}

/// A value that was opened.
struct OpenedValue {
    field: String,
    of: String,
    plain: Secret,
    old: OldLayout,
}

impl Entries {
    /// Opens what can be opened, and gives the text with that in clear.
    pub(super) fn open(
        text: &str,
        resolver: &SecretResolver,
    ) -> Result<(Self, Zeroizing<String>), EncryptedFileError> {
        // What is no YAML, or not now, has nothing that could be opened.
        let Ok(slots) = slots(text) else {
            let nothing = Self { opened: Vec::new(), plain: Vec::new(), closed: Vec::new() };
            return Ok((nothing, Zeroizing::new(text.to_owned())));
        };
        let (mut opened, mut shut, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut in_clear = Vec::new();
        for slot in &slots {
            in_clear.extend(slot.plain().cloned());
            let (SlotValue::Age(armored), Some(old)) = (&slot.held, slot.old(text)) else {
                continue;
            };
            match plain(armored, resolver) {
                Ok(plain) => {
                    let (field, of) = (slot.field.clone(), slot.of.clone());
                    opened.push(OpenedValue { field, of, plain, old });
                    places.push(slot);
                }
                Err(why) => shut.push((armored, why)),
            }
        }
        let new: Vec<_> = places
            .into_iter()
            .zip(&opened)
            .map(|(slot, value)| (slot, NewValue::Plain(&value.plain)))
            .collect();
        let clear = Zeroizing::new(put(text, &new)?);
        let line_of = |armored: &String| {
            let there = self::slots(&clear).unwrap_or_default();
            let same =
                |slot: &&Slot| matches!(&slot.held, SlotValue::Age(other) if other == armored);
            there.iter().find(same).map_or(0, |slot| slot.span.line)
        };
        let closed = shut.into_iter().map(|(armored, why)| (line_of(armored), why)).collect();
        let entries = Self { opened, plain: in_clear, closed };
        // Nothing may be lost in the round trip.
        let nothing_new = EncryptionContext { recipients: &[], now: "", keep_plain: true };
        if entries.seal(text, &clear, nothing_new)? != text {
            return Err(YamlEditError::Line(1).into());
        }
        Ok((entries, clear))
    }

    /// Takes what replaces a value that was in plain text for such a value too.
    pub(super) fn stays_in_clear(&mut self, old: &Secret, new: &Secret) {
        if self.plain.contains(old) && !self.opened.iter().any(|value| value.plain == *old) {
            self.plain.push(new.clone());
        }
    }

    /// Encrypts what is in plain text, with the old ciphertext for what is as it was. `before` is the file.
    pub(super) fn seal(
        &self,
        before: &str,
        text: &str,
        with: EncryptionContext<'_>,
    ) -> Result<String, EncryptedFileError> {
        let slots = all_slots(text)?;
        let mut left: Vec<&OpenedValue> = self.opened.iter().collect();
        let mut new: Vec<(&Slot, Replacement<'_>)> = Vec::new();
        for of_same_entry in [true, false] {
            for slot in &slots {
                let Some(secret) = slot.plain() else { continue };
                if new.iter().any(|(known, _)| known.span == slot.span) {
                    continue;
                }
                // Each once, so that two values never show that they are the same.
                let same = left.iter().position(|old| {
                    old.field == slot.field
                        && old.plain == *secret
                        && (old.of == slot.of || !of_same_entry)
                });
                if let Some(same) = same {
                    new.push((slot, Replacement::As(&left.remove(same).old)));
                } else if !of_same_entry
                    && self.is_secret(slot, secret)
                    && !(with.keep_plain && self.plain.contains(secret))
                {
                    let armored = seal(secret.expose().as_bytes(), with.recipients)?;
                    new.push((slot, Replacement::Anew(armored)));
                }
            }
        }
        let changes: Vec<_> = new.iter().map(|(slot, sealed)| (*slot, sealed.as_new())).collect();
        let sealed = put(text, &changes)?;
        let encrypted = new.iter().filter_map(|(slot, _)| slot.plain());
        let secrets = encrypted.chain(self.opened.iter().map(|old| &old.plain)).map(Secret::expose);
        check_none_in_clear(secrets, before, text, &sealed)?;
        Ok(sealed)
    }

    /// What may be in plain text is a secret where it was one.
    fn is_secret(&self, slot: &Slot, secret: &Secret) -> bool {
        let was_encrypted = |old: &OpenedValue| old.field == slot.field && old.of == slot.of;
        match slot.plain_text {
            PlainText::Refused => true,
            PlainText::Accepted | PlainText::Usual => {
                !self.plain.contains(secret) && self.opened.iter().any(was_encrypted)
            }
        }
    }
}

/// What is put in the place of a value in clear.
enum Replacement<'o> {
    As(&'o OldLayout),
    Anew(String),
}

impl Replacement<'_> {
    fn as_new(&self) -> NewValue<'_> {
        match self {
            Self::As(old) => NewValue::Old(old),
            Self::Anew(armored) => NewValue::Age(armored),
        }
    }
}

fn plain(armored: &str, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let bytes = resolver.open(armored.as_bytes())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Unreadable::NotUtf8)?;
    // In clear this would be no secret at all any more, or another one.
    match text.trim() {
        "" => Err(Unreadable::Unfit(ValueFault::Empty)),
        text if crate::yaml_edit::is_sealed(text) => Err(Unreadable::WrongKind),
        text => Ok(Secret::new(text)),
    }
}
