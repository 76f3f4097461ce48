//! Values in plain text, in a memory that is wiped as a whole.

use secrecy::zeroize::Zeroizing;

use super::cipher::{DataKey, EncryptedValue};
use super::document::LeafContent;
use super::scalar;
use crate::model::Secret;
use crate::secret::Unreadable;

/// Plain values, one behind the other.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Plains {
    bytes: Zeroizing<Vec<u8>>,
    /// Where each of them ends, and its type.
    ends: Vec<(usize, &'static str)>,
}

/// A plain value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain<'p> {
    /// As SOPS hashes it.
    pub(super) bytes: &'p [u8],
    /// What SOPS calls its type.
    pub(super) kind: &'static str,
}

impl Plains {
    /// With room for so many values, and so many bytes.
    pub(super) fn with_room(values: usize, bytes: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(bytes)), ends: Vec::with_capacity(values) }
    }

    /// Makes room for more bytes; what moves is wiped where it was.
    fn make_room(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() < more {
            let mut wider = Zeroizing::new(Vec::with_capacity(2 * (self.bytes.len() + more)));
            wider.extend_from_slice(&self.bytes);
            self.bytes = wider;
        }
    }

    fn push(&mut self, bytes: &[u8], kind: &'static str) {
        self.make_room(bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.ends.push((self.bytes.len(), kind));
    }

    /// Adds what is there, as it is written there.
    pub(super) fn push_clear(&mut self, content: &LeafContent<'_>) {
        match content {
            LeafContent::Text(text) => self.push(text.as_bytes(), "str"),
            LeafContent::Other(other) => self.push(other.hashed.as_bytes(), other.kind),
        }
    }

    /// Adds what was encrypted; `None` where it is not what it was, or was elsewhere.
    pub(super) fn push_sealed(
        &mut self,
        sealed: &EncryptedValue<'_>,
        place: &str,
        key: &DataKey,
    ) -> Option<()> {
        let kinds = ["str", "bytes", "time", "int", "float", "bool"];
        let kind = kinds.into_iter().find(|kind| *kind == sealed.kind)?;
        self.make_room(sealed.room());
        let start = self.bytes.len();
        key.open(sealed, place.as_bytes(), &mut self.bytes)?;
        if matches!(kind, "str" | "bytes" | "time") {
            self.ends.push((self.bytes.len(), kind));
        } else {
            let canonical = scalar::canonical(kind, &self.bytes[start..])?;
            self.bytes.truncate(start);
            self.push(&canonical, kind);
        }
        Some(())
    }

    /// The value of this number.
    pub(super) fn get(&self, at: usize) -> Option<Plain<'_>> {
        let (end, kind) = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].0);
        Some(Plain { bytes: &self.bytes[start..end], kind })
    }

    /// The last value.
    pub(super) fn last(&self) -> Option<Plain<'_>> {
        self.get(self.ends.len().checked_sub(1)?)
    }
}

impl Plain<'_> {
    /// As a secret, where it is text.
    pub(super) fn text(self) -> Result<Secret, Unreadable> {
        if !matches!(self.kind, "str" | "bytes") {
            return Err(Unreadable::WrongKind);
        }
        std::str::from_utf8(self.bytes).map(Secret::new).map_err(|_| Unreadable::NotUtf8)
    }
}
