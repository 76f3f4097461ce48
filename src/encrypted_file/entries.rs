//! A text of YAML in which single values are age files.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::zeroize::Zeroizing;

use super::{EncryptedFileError, EncryptionContext};
use crate::model::{PlainText, Secret, ValueFault};
use crate::secret::seal::seal;
use crate::secret::{SecretResolver, Unreadable};
use crate::yaml_edit::{
    NewValue, OldLayout, Slot, SlotValue, YamlEditError, all_slots, check_none_in_clear, put,
};

/// The values of such a text, opened.
pub(super) struct Entries {
    opened: Vec<OpenedValue>,
    /// What was in plain text.
    plain: Vec<PlainValue>,
    /// Where what could not be opened is in plain text in the text.
    pub(super) closed: Vec<(u32, Unreadable)>,
}

/// A value in plain text, and its place.
struct PlainValue {
    field: String,
    of: String,
    plain: Secret,
}

/// A value that was opened.
struct OpenedValue {
    field: String,
    of: String,
    plain: Secret,
    old: OldLayout,
}

impl Entries {
    /// Decrypts what can be decrypted, and returns the text with it.
    pub(super) fn open(
        text: &str,
        resolver: &SecretResolver,
    ) -> Result<(Self, Zeroizing<String>), EncryptedFileError> {
        // What is no YAML, or not now, has nothing that could be opened.
        let Ok(slots) = all_slots(text) else {
            let nothing = Self { opened: Vec::new(), plain: Vec::new(), closed: Vec::new() };
            return Ok((nothing, Zeroizing::new(text.to_owned())));
        };
        let (mut opened, mut shut, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut in_clear = Vec::new();
        for slot in &slots {
            let (field, of) = (slot.field.clone(), slot.of.clone());
            if let Some(plain) = slot.plain().cloned() {
                in_clear.push(PlainValue { field, of, plain });
                continue;
            }
            let (SlotValue::Age(armored), Some(old)) = (&slot.held, slot.old(text)) else {
                continue;
            };
            match plain(armored, resolver) {
                Ok(plain) => {
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
            let there = all_slots(&clear).unwrap_or_default();
            let same =
                |slot: &&Slot| matches!(&slot.held, SlotValue::Age(other) if other == armored);
            there.iter().find(same).map_or(0, |slot| slot.span.line)
        };
        let closed = shut.into_iter().map(|(armored, why)| (line_of(armored), why)).collect();
        let entries = Self { opened, plain: in_clear, closed };
        // Nothing may be lost in the round trip.
        let nothing_new = EncryptionContext { recipients: &[], now: "", keep_plain: true };
        if entries.seal(text, &clear, nothing_new)? != text {
            return Err(YamlEditError::unfit(text, 0..0).into());
        }
        Ok((entries, clear))
    }

    /// Takes what replaces a value that was in plain text for such a value too.
    pub(super) fn stays_in_clear(&mut self, slot: &Slot, new: &Secret) {
        let was_plain = |old: &&PlainValue| is_here(slot, &old.field, &old.of);
        if self.plain.iter().any(|old| was_plain(&old)) {
            let (field, of) = (slot.field.clone(), slot.of.clone());
            self.plain.push(PlainValue { field, of, plain: new.clone() });
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
        let known = KnownValues::of(self);
        let mut left: BTreeMap<(&str, &str), Vec<&OpenedValue>> = BTreeMap::new();
        for old in &self.opened {
            left.entry((&old.field, old.plain.expose())).or_default().push(old);
        }
        let mut new: Vec<(&Slot, Replacement<'_>)> = Vec::new();
        let mut replaced: BTreeSet<(usize, usize)> = BTreeSet::new();
        for of_same_entry in [true, false] {
            for slot in &slots {
                let Some(secret) = slot.plain() else { continue };
                let span = (slot.span.start, slot.span.end);
                if replaced.contains(&span) {
                    continue;
                }
                // Each once, so that two values never show that they are the same.
                let same = left.get_mut(&(slot.field.as_str(), secret.expose()));
                let same = same.and_then(|same| {
                    let at = same.iter().position(|old| old.of == slot.of || !of_same_entry)?;
                    Some(same.remove(at))
                });
                if let Some(same) = same {
                    new.push((slot, Replacement::As(&same.old)));
                } else if !of_same_entry
                    && (known.is_encrypted(slot, secret, with.keep_plain)
                        || self.is_renamed(slot, &slots, &known))
                {
                    let armored = seal(secret.expose().as_bytes(), with.recipients)?;
                    new.push((slot, Replacement::Anew(armored)));
                } else {
                    continue;
                }
                replaced.insert(span);
            }
        }
        let changes: Vec<_> = new.iter().map(|(slot, sealed)| (*slot, sealed.as_new())).collect();
        let sealed = put(text, &changes)?;
        let encrypted = new.iter().filter_map(|(slot, _)| slot.plain());
        let secrets = encrypted.chain(self.opened.iter().map(|old| &old.plain)).map(Secret::expose);
        check_none_in_clear(secrets, before, text, &sealed)?;
        Ok(sealed)
    }

    /// Whether a place is new while one of its kind is gone in which a value was encrypted.
    fn is_renamed(&self, slot: &Slot, slots: &[Slot], known: &KnownValues<'_>) -> bool {
        let is_kind = |old: &&OpenedValue| match slot.of.as_str() {
            "" => old.of.is_empty(),
            _ => old.field == slot.field,
        };
        let is_gone = |old: &&OpenedValue| {
            !slots.iter().any(|slot| {
                is_here(slot, &old.field, &old.of)
                    || slot.field == old.field && slot.plain() == Some(&old.plain)
            })
        };
        let place = (slot.field.as_str(), slot.of.as_str());
        let was_here = known.plain_places.contains(&place) || known.opened_places.contains(&place);
        !was_here && self.opened.iter().filter(is_kind).any(|old| is_gone(&old))
    }
}

/// The values that a text had, by what they are looked for: there may be thousands.
struct KnownValues<'e> {
    /// The places of those in plain text, by the value.
    plain: BTreeMap<&'e str, BTreeSet<(&'e str, &'e str)>>,
    /// The places of those, as field and entry.
    plain_places: BTreeSet<(&'e str, &'e str)>,
    /// The places of those that were opened.
    opened_places: BTreeSet<(&'e str, &'e str)>,
}

impl<'e> KnownValues<'e> {
    fn of(entries: &'e Entries) -> Self {
        let mut plain: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for old in &entries.plain {
            let place = (old.field.as_str(), old.of.as_str());
            plain.entry(old.plain.expose()).or_default().insert(place);
        }
        let plain_places = plain.values().flatten().copied().collect();
        let opened = entries.opened.iter().map(|old| (old.field.as_str(), old.of.as_str()));
        Self { plain, plain_places, opened_places: opened.collect() }
    }

    /// Whether a value in plain text is to be encrypted: what was encrypted in this place always is, and what was in
    /// plain text there is where the project wants all encrypted.
    fn is_encrypted(&self, slot: &Slot, secret: &Secret, keep_plain: bool) -> bool {
        let is_refused = slot.plain_text == PlainText::Refused;
        let place = (slot.field.as_str(), slot.of.as_str());
        let same = self.plain.get(secret.expose());
        if same.is_some_and(|places| places.contains(&place)) {
            return is_refused && !keep_plain;
        }
        self.opened_places.contains(&place) || is_refused && !(keep_plain && same.is_some())
    }
}

fn is_here(slot: &Slot, field: &str, of: &str) -> bool {
    slot.field == field && slot.of == of
}

/// What is put in the place of a value in plain text.
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
    // In plain text this would be no secret, or another one.
    match text.trim() {
        "" => Err(Unreadable::Unfit(ValueFault::Empty)),
        text if crate::yaml_edit::is_sealed(text) => Err(Unreadable::WrongKind),
        text => Ok(Secret::new(text)),
    }
}
