//! A document with its key: every value decrypted, and the MAC found right.

use secrecy::zeroize::Zeroizing;

use super::SopsProblem;
use super::cipher::{COMMENT, DataKey, EncryptedValue};
use super::decrypted::{DecryptedDocument, VerifiedValue};
use super::document::{LeafContent, content};
use super::mac::Mac;
use super::metadata::{Said, recipients};
use super::plain::{Plain, Plains};
use super::selection::KeyRule;
use super::shares::joined;
use crate::model::FieldName;
use crate::model::sops::{Metadata, Path, SopsRecipient, Tree};
use crate::secret::{Identities, SecretResolver, Unreadable, age};

/// A document that was opened with its key, so that it can be written as well.
pub(super) struct UnlockedDocument {
    pub(super) document: DecryptedDocument,
    pub(super) selection: KeyRule,
    pub(super) key: DataKey,
}

impl UnlockedDocument {
    /// Opens a document by an age identity.
    pub(super) fn new(tree: Tree<'_>, resolver: &SecretResolver) -> Result<Self, Unreadable> {
        let said = Said::read(tree, &resolver.patterns)?;
        let key = data_key(said.metadata, tree.text, &resolver.identities)?;
        Self::with_key(tree, said, key).map_err(Unreadable::from)
    }

    /// Decrypts the values and checks them.
    pub(super) fn with_key(
        tree: Tree<'_>,
        said: Said<'_>,
        key: DataKey,
    ) -> Result<Self, SopsProblem> {
        let Said { metadata, selection } = said;
        let leaves = &tree.parts.leaves;
        let selected = selection.of(tree);
        let mut places = Places::new(tree);
        let mut mac = Mac::new(metadata.mac_only_encrypted);
        let mut known = Vec::with_capacity(leaves.len());
        let mut plains = Plains::with_room(leaves.len(), tree.text.len());
        for (at, leaf) in leaves.iter().enumerate() {
            let Some(content) = content(leaf, tree.text) else { continue };
            // What a comment chose shows by its ciphertext; that none was exchanged, by the MAC.
            let encrypted = match selection.is_by_comment() {
                true => is_sealed(&content),
                false => selected.has(leaf.path),
            };
            if !encrypted {
                plains.push_clear(&content);
            } else if !decrypt(&content, leaf.path, &mut places, &key, &mut plains)? {
                continue;
            }
            let plain = plains.last().map(|plain| plain.bytes).unwrap_or_default();
            mac.add(plain, encrypted);
            known.push(VerifiedValue { leaf: at, encrypted });
        }
        let sealed =
            EncryptedValue::parse(metadata.mac.of(tree.text)).filter(|mac| mac.kind == "str");
        let sealed = sealed.ok_or(SopsProblem::MacItself)?;
        let mut written = Zeroizing::new(Vec::with_capacity(sealed.room()));
        key.open(&sealed, metadata.lastmodified.of(tree.text).as_bytes(), &mut written)
            .ok_or(SopsProblem::MacItself)?;
        if *written != mac.text().into_bytes() {
            return Err(SopsProblem::Mac);
        }
        Ok(Self { document: DecryptedDocument { known, plains }, selection, key })
    }

    /// Its values with what they are.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = (VerifiedValue, Plain<'_>)> {
        self.document.values()
    }
}

pub(super) fn is_sealed(content: &LeafContent<'_>) -> bool {
    matches!(content, LeafContent::Text(text) if EncryptedValue::parse(text).is_some())
}

/// Adds what a value was; `false` where it is a comment that is an item of a list.
fn decrypt(
    content: &LeafContent<'_>,
    path: Path,
    places: &mut Places<'_>,
    key: &DataKey,
    into: &mut Plains,
) -> Result<bool, SopsProblem> {
    let clear = || SopsProblem::Clear(name(places.tree, path));
    let LeafContent::Text(text) = content else { return Err(clear()) };
    // SOPS leaves an empty text as it is.
    if text.is_empty() {
        into.push_clear(content);
        return Ok(true);
    }
    let sealed = EncryptedValue::parse(text).ok_or_else(clear)?;
    if sealed.kind == COMMENT {
        return Ok(false);
    }
    let opened = into.push_sealed(&sealed, places.of(path), key);
    opened.map(|()| true).ok_or_else(|| SopsProblem::Value(name(places.tree, path)))
}

fn data_key(
    metadata: &Metadata,
    document: &str,
    identities: &Identities,
) -> Result<DataKey, Unreadable> {
    let opened = |recipients: &[SopsRecipient]| opened(recipients, document, identities);
    let key = match metadata.groups.as_slice() {
        [] | [_] => opened(recipients(metadata)?)?,
        groups => shared_key(groups, metadata.threshold, opened)?,
    };
    DataKey::new(key).ok_or(SopsProblem::Metadata("has a key of the wrong length").into())
}

/// The key that the parts make of as many groups as are needed.
fn shared_key(
    groups: &[Vec<SopsRecipient>],
    threshold: usize,
    opened: impl Fn(&[SopsRecipient]) -> Result<Zeroizing<Vec<u8>>, Unreadable>,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let needed = if threshold == 0 { groups.len() } else { threshold };
    if needed > groups.len() {
        return Err(SopsProblem::Metadata("needs more key groups than it has").into());
    }
    let mut parts = Vec::with_capacity(needed);
    for group in groups.iter().filter(|group| !group.is_empty()) {
        match opened(group) {
            Ok(part) => parts.push(part),
            Err(Unreadable::NoIdentity { .. } | Unreadable::NotForUs { .. }) => {}
            Err(why) => return Err(why),
        }
        if parts.len() == needed {
            let wrong = SopsProblem::Metadata("has parts of a key that do not fit");
            return joined(&parts).ok_or(wrong.into());
        }
    }
    Err(SopsProblem::Shares { groups: groups.len(), needed, opened: parts.len() }.into())
}

/// What was encrypted to each of these recipients.
fn opened(
    recipients: &[SopsRecipient],
    document: &str,
    identities: &Identities,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let (mut broken, mut missing) = (None, None);
    for recipient in recipients {
        match age::decrypt(recipient.enc.of(document).as_bytes(), identities) {
            Ok(key) => return Ok(key),
            // A recipient whose identity is not here is no reason to stop.
            Err(Unreadable::NoIdentity { .. }) => {
                missing = Some(Unreadable::NoIdentity { recipients: recipients.len() });
            }
            Err(Unreadable::NotForUs { identities, .. }) => {
                missing = Some(Unreadable::NotForUs { recipients: recipients.len(), identities });
            }
            Err(Unreadable::Damaged(_)) => {
                let why = SopsProblem::Metadata(
                    "has an `enc` that is damaged: it is cut short or was changed",
                );
                broken = broken.or(Some(why.into()));
            }
            Err(why) => broken = broken.or(Some(why)),
        }
    }
    let none = || SopsProblem::NoAge("it has none").into();
    Err(broken.or(missing).unwrap_or_else(none))
}

/// The places of values, as the values are bound to them.
pub(super) struct Places<'d> {
    tree: Tree<'d>,
    /// The last one that was asked for: in a list it is often the next as well.
    last: Option<(Path, String)>,
}

impl<'d> Places<'d> {
    pub(super) fn new(tree: Tree<'d>) -> Self {
        Self { tree, last: None }
    }

    /// The keys that lead there, each with a colon.
    pub(super) fn of(&mut self, path: Path) -> &str {
        let last = self.last.take().filter(|(last, _)| *last == path);
        let (_, place) = self.last.insert(last.unwrap_or_else(|| (path, place(self.tree, path))));
        place
    }
}

fn place(tree: Tree<'_>, path: Path) -> String {
    let mut keys: Vec<_> = tree.backwards(path).collect();
    // What is in no mapping is bound to a bare colon.
    if keys.is_empty() {
        return ":".to_owned();
    }
    keys.reverse();
    keys.iter().flat_map(|key| [key, ":"]).collect()
}

/// The last key of a path, as far as it can be shown.
pub(super) fn name(tree: Tree<'_>, path: Path) -> String {
    tree.backwards(path)
        .next()
        .map_or_else(|| "the document".to_owned(), |key| FieldName(key).to_string())
}
