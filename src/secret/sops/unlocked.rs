//! A document with its key: every value decrypted, and the MAC found right.

use secrecy::zeroize::Zeroizing;

use super::SopsProblem;
use super::cipher::{COMMENT, DataKey, Sealed};
use super::document::{Content, Document, Leaf};
use super::layout::Layout;
use super::mac::Mac;
use super::metadata::Metadata;
use super::scalar;
use crate::diagnostic::shown;
use crate::model::Secret;
use crate::secret::{Identities, Unreadable, Vault, age};

/// A document that was opened.
pub(super) struct Unlocked<'t> {
    /// Its values in order, but for comments that stand in lists as items.
    pub(super) values: Vec<Known<'t>>,
    pub(super) layout: Layout,
    pub(super) metadata: Metadata,
    pub(super) key: DataKey,
}

/// A value and what it was before it was encrypted.
pub(super) struct Known<'t> {
    pub(super) leaf: Leaf<'t>,
    pub(super) plain: Plain,
    /// Whether it is encrypted.
    pub(super) encrypted: bool,
}

/// A plain value.
#[derive(PartialEq, Eq)]
pub(super) struct Plain {
    /// As SOPS hashes it.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// What SOPS calls its type.
    pub(super) kind: &'static str,
}

impl<'t> Unlocked<'t> {
    /// Opens a document by whoever can.
    pub(super) fn new(document: Document<'t>, vault: &Vault) -> Result<Self, Unreadable> {
        let metadata = Metadata::read(&document, &vault.patterns)?;
        let key = data_key(&metadata, &vault.identities)?;
        Self::with_key(document, metadata, key).map_err(Unreadable::from)
    }

    /// Decrypts the values and checks them.
    pub(super) fn with_key(
        document: Document<'t>,
        metadata: Metadata,
        key: DataKey,
    ) -> Result<Self, SopsProblem> {
        let mut mac = Mac::new(metadata.mac_only_encrypted);
        let mut values = Vec::with_capacity(document.leaves.len());
        for leaf in document.leaves {
            let encrypted = metadata.selection.encrypts(&leaf.path);
            let plain = if encrypted {
                let Some(plain) = decrypt(&leaf, &key)? else { continue };
                plain
            } else {
                Plain::in_clear(&leaf)
            };
            mac.add(&plain.bytes, encrypted);
            values.push(Known { leaf, plain, encrypted });
        }
        let written = Sealed::parse(&metadata.mac)
            .filter(|mac| mac.kind == "str")
            .and_then(|mac| key.open(&mac, metadata.lastmodified.as_bytes()))
            .ok_or(SopsProblem::MacItself)?;
        if *written != mac.text().into_bytes() {
            return Err(SopsProblem::Mac);
        }
        Ok(Self { values, layout: document.layout, metadata, key })
    }
}

impl Plain {
    /// What stands there, as it stands there.
    pub(super) fn in_clear(leaf: &Leaf<'_>) -> Self {
        let (text, kind) = match &leaf.content {
            Content::Text(text) => (&**text, "str"),
            Content::Other(other) => (other.hashed.as_str(), other.kind),
        };
        Self { bytes: Zeroizing::new(text.as_bytes().to_vec()), kind }
    }

    pub(super) fn text(&self) -> Result<Secret, Unreadable> {
        if !matches!(self.kind, "str" | "bytes") {
            return Err(Unreadable::NotAText);
        }
        std::str::from_utf8(&self.bytes).map(Secret::new).map_err(|_| Unreadable::NotText)
    }
}

/// Decrypts a leaf's value; `None` where it is a comment that stands in a list as an item.
fn decrypt(leaf: &Leaf<'_>, key: &DataKey) -> Result<Option<Plain>, SopsProblem> {
    let Content::Text(text) = &leaf.content else {
        return Err(SopsProblem::Clear(leaf.name()));
    };
    // SOPS leaves an empty text as it is.
    if text.is_empty() {
        return Ok(Some(Plain::in_clear(leaf)));
    }
    let sealed = Sealed::parse(text).ok_or_else(|| SopsProblem::Clear(leaf.name()))?;
    if sealed.kind == COMMENT {
        return Ok(None);
    }
    open(&sealed, leaf, key).map(Some).ok_or_else(|| SopsProblem::Value(leaf.name()))
}

/// Decrypts a leaf's value; `None` where it is not what it was, or was elsewhere.
pub(super) fn open(sealed: &Sealed<'_>, leaf: &Leaf<'_>, key: &DataKey) -> Option<Plain> {
    let bytes = key.open(sealed, leaf.place().as_bytes())?;
    let kinds = ["str", "bytes", "time", "int", "float", "bool"];
    let kind = kinds.into_iter().find(|kind| *kind == sealed.kind)?;
    let bytes = match kind {
        "str" | "bytes" | "time" => bytes,
        kind => scalar::canonical(kind, &bytes)?,
    };
    Some(Plain { bytes, kind })
}

fn data_key(metadata: &Metadata, identities: &Identities) -> Result<DataKey, Unreadable> {
    let recipients = metadata.recipients()?;
    let (mut broken, mut missing) = (None, None);
    for recipient in &recipients {
        match age::decrypt(recipient.enc.as_bytes(), identities) {
            Ok(key) => {
                let key = DataKey::new(key);
                return key.ok_or(SopsProblem::Metadata("holds a key of a wrong length").into());
            }
            // A recipient whose identity is not here is no reason to stop.
            Err(Unreadable::NoIdentity { .. }) => {
                missing = Some(Unreadable::NoIdentity { recipients: recipients.len() });
            }
            Err(Unreadable::NotForUs { identities, .. }) => {
                missing = Some(Unreadable::NotForUs { recipients: recipients.len(), identities });
            }
            Err(why) => broken = broken.or(Some(why)),
        }
    }
    let none = || SopsProblem::NoAge("it has none").into();
    Err(broken.or(missing).unwrap_or_else(none))
}

/// The keys that lead to a value, as it is bound to them.
pub(super) fn place(path: &[std::rc::Rc<str>]) -> String {
    // What stands in no mapping is bound to a bare colon.
    if path.is_empty() {
        return ":".to_owned();
    }
    path.iter().flat_map(|key| [&**key, ":"]).collect()
}

impl Leaf<'_> {
    fn place(&self) -> String {
        place(&self.path)
    }

    /// SOPS writes a comment that stands in a list as an item of it, and leaves it out of the MAC.
    pub(super) fn is_comment(&self) -> bool {
        match &self.content {
            Content::Text(text) => Sealed::parse(text).is_some_and(|sealed| sealed.kind == COMMENT),
            Content::Other(_) => false,
        }
    }

    /// Its key, as far as that can be shown.
    pub(super) fn name(&self) -> String {
        self.path.last().map_or_else(|| "the document".to_owned(), |key| shown::field(key))
    }
}
