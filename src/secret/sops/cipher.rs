//! One encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Key, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;

/// How every encrypted value begins.
pub(in crate::secret) const SEALED: &str = "ENC[AES256_GCM,";

/// An encrypted value, taken apart.
pub(super) struct Sealed<'t> {
    data: Vec<u8>,
    nonce: [u8; 32],
    tag: [u8; 16],
    /// What it was before: `str`, `int`, `float`, `bool`, `bytes`, `time` or `comment`.
    pub(super) kind: &'t str,
}

impl<'t> Sealed<'t> {
    /// `None` where the text is no encrypted value.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let mut parts = text.strip_prefix(SEALED)?.strip_suffix(']')?.split(',');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix(':');
        let (data, nonce, tag, kind) = (part("data")?, part("iv")?, part("tag")?, part("type")?);
        let bytes = |text: &str| STANDARD.decode(text).ok();
        let sealed = Self {
            data: bytes(data)?,
            nonce: bytes(nonce)?.try_into().ok()?,
            tag: bytes(tag)?.try_into().ok()?,
            kind,
        };
        parts.next().is_none().then_some(sealed)
    }
}

/// The key of a document.
pub(super) struct DataKey(AesGcm<Aes256, U32>);

impl DataKey {
    /// `None` where it is not 32 bytes long.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        (key.len() == 32).then(|| Self(AesGcm::new(Key::<Aes256>::from_slice(key))))
    }

    /// `None` where the value, its place or its tag is not what it was.
    pub(super) fn open(&self, sealed: &Sealed<'_>, place: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(sealed.data.clone());
        let nonce = Nonce::<U32>::from_slice(&sealed.nonce);
        let tag = Tag::from_slice(&sealed.tag);
        self.0.decrypt_in_place_detached(nonce, place, &mut bytes, tag).ok()?;
        Some(bytes)
    }
}
