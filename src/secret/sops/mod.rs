//! SOPS documents whose data key is encrypted with age: the document is opened whole, and nothing of
//! it is told before its MAC fits.

mod cipher;
mod document;
mod metadata;
mod scalar;
mod selection;
#[cfg(test)]
mod tests;

use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha512};
use thiserror::Error;

use super::{Identities, Unreadable, age};
use crate::diagnostic::shown;
use crate::model::Secret;

use cipher::{DataKey, Sealed};
use document::{Content, Leaf};

pub(super) use cipher::SEALED;
pub(super) use document::is_document;

use metadata::Metadata;

/// What a MAC over the encrypted values alone begins with, so that it cannot stand for one over all.
const ENCRYPTED_ONLY: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Why a SOPS document is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SopsProblem {
    /// It is neither YAML nor JSON.
    #[error("it is no whole YAML or JSON")]
    Syntax,
    /// What SOPS wrote about the document is not as SOPS writes it.
    #[error("its `sops` part {0}")]
    Metadata(&'static str),
    /// No age recipient among those who can open it.
    #[error("it needs an age recipient: {0}")]
    NoAge(&'static str),
    /// A value that was changed, or moved here from elsewhere.
    #[error("the value of {0} was changed or moved after it was encrypted")]
    Value(String),
    /// A value in clear where none may be.
    #[error("the value of {0} stands in clear, and should be encrypted")]
    Clear(String),
    /// Something was added, taken away, moved or changed.
    #[error("it was changed after it was encrypted: its MAC does not fit")]
    Mac,
    /// The MAC itself, or the time of the last change.
    #[error("its MAC, or the time of its last change, was changed after it was encrypted")]
    MacItself,
}

impl SopsProblem {
    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::NoAge(_) => "add one to .sops.yaml and run `sops updatekeys FILE`",
            Self::Syntax | Self::Metadata(_) => {
                "bring back the file as SOPS wrote it, or encrypt it again"
            }
            Self::Value(_) | Self::Clear(_) | Self::Mac | Self::MacItself => {
                "bring back the file as SOPS wrote it, and change it with `sops edit FILE` only"
            }
        }
    }
}

/// A document that was decrypted and whose MAC fits.
pub(super) struct Opened(Vec<Value>);

/// A value of it.
struct Value {
    at: usize,
    /// The key, of those that stand in the document itself and not deeper.
    key: Option<String>,
    text: Result<Secret, Unreadable>,
}

impl Opened {
    /// The value whose text begins at this byte of the document.
    pub(super) fn at(&self, at: usize) -> Option<&Result<Secret, Unreadable>> {
        let found = self.0.binary_search_by_key(&at, |value| value.at).ok()?;
        self.0.get(found).map(|value| &value.text)
    }

    /// The value of a key that stands in the document itself.
    pub(super) fn named(&self, name: &str) -> Option<&Result<Secret, Unreadable>> {
        self.0.iter().find(|value| value.key.as_deref() == Some(name)).map(|value| &value.text)
    }
}

/// Decrypts a document and checks it.
pub(super) fn open(text: &str, identities: &Identities) -> Result<Opened, Unreadable> {
    let document = document::parse(text)?;
    let metadata = Metadata::read(&document)?;
    let key = data_key(&metadata, identities)?;
    let mut hash = Sha512::new();
    if metadata.mac_only_encrypted {
        hash.update(ENCRYPTED_ONLY);
    }
    let mut values = Vec::with_capacity(document.leaves.len());
    for leaf in document.leaves {
        let encrypted = metadata.selection.encrypts(&leaf.path);
        if encrypted && leaf.is_comment() {
            continue;
        }
        let plain = if encrypted { decrypt(&leaf, &key)? } else { in_clear(&leaf) };
        if encrypted || !metadata.mac_only_encrypted {
            hash.update(&plain.bytes);
        }
        let key = match leaf.path.as_slice() {
            [key] => Some((**key).to_owned()),
            _ => None,
        };
        values.push(Value { at: leaf.at, key, text: plain.into_text() });
    }
    let mac = Sealed::parse(&metadata.mac)
        .filter(|mac| mac.kind == "str")
        .and_then(|mac| key.open(&mac, metadata.lastmodified.as_bytes()))
        .ok_or(SopsProblem::MacItself)?;
    if *mac != hex(&hash.finalize()).into_bytes() {
        return Err(SopsProblem::Mac.into());
    }
    values.sort_by_key(|value| value.at);
    Ok(Opened(values))
}

/// A leaf's plain value, as SOPS hashes it.
struct Plain {
    bytes: Zeroizing<Vec<u8>>,
    is_text: bool,
}

impl Plain {
    fn into_text(self) -> Result<Secret, Unreadable> {
        if !self.is_text {
            return Err(Unreadable::NotAText);
        }
        std::str::from_utf8(&self.bytes).map(Secret::new).map_err(|_| Unreadable::NotText)
    }
}

fn in_clear(leaf: &Leaf<'_>) -> Plain {
    let (text, is_text) = match &leaf.content {
        Content::Text(text) => (&**text, true),
        Content::Other(text) => (text.as_str(), false),
    };
    Plain { bytes: Zeroizing::new(text.as_bytes().to_vec()), is_text }
}

fn decrypt(leaf: &Leaf<'_>, key: &DataKey) -> Result<Plain, SopsProblem> {
    let Content::Text(text) = &leaf.content else {
        return Err(SopsProblem::Clear(leaf.name()));
    };
    // SOPS leaves an empty text as it is.
    if text.is_empty() {
        return Ok(Plain { bytes: Zeroizing::default(), is_text: true });
    }
    let sealed = Sealed::parse(text).ok_or_else(|| SopsProblem::Clear(leaf.name()))?;
    let mut place = String::new();
    for key in &leaf.path {
        place.push_str(key);
        place.push(':');
    }
    let bytes =
        key.open(&sealed, place.as_bytes()).ok_or_else(|| SopsProblem::Value(leaf.name()))?;
    let (bytes, is_text) = match sealed.kind {
        "str" | "bytes" => (Some(bytes), true),
        "time" => (Some(bytes), false),
        kind => (scalar::canonical(kind, &bytes), false),
    };
    let bytes = bytes.ok_or_else(|| SopsProblem::Value(leaf.name()))?;
    Ok(Plain { bytes, is_text })
}

fn data_key(metadata: &Metadata, identities: &Identities) -> Result<DataKey, Unreadable> {
    let recipients = metadata.recipients()?;
    let (mut broken, mut missing) = (None, None);
    for armored in &recipients {
        match age::decrypt(armored.as_bytes(), identities) {
            Ok(key) => {
                let key = DataKey::new(&key);
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

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl Leaf<'_> {
    /// SOPS writes a comment that stands in a list as an item of it, and leaves it out of the MAC.
    fn is_comment(&self) -> bool {
        match &self.content {
            Content::Text(text) => {
                Sealed::parse(text).is_some_and(|sealed| sealed.kind == "comment")
            }
            Content::Other(_) => false,
        }
    }

    /// Its key, as far as that can be shown.
    fn name(&self) -> String {
        self.path.last().map_or_else(|| "the document".to_owned(), |key| shown::field(key))
    }
}
