//! One encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

use aes::Aes256;
use aes_gcm::aead::consts::U32;
use aes_gcm::aead::rand_core::RngCore;
use aes_gcm::aead::{AeadInPlace, KeyInit, OsRng};
use aes_gcm::{AesGcm, Key, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;

/// How every encrypted value begins.
pub(in crate::secret) const SEALED: &str = "ENC[AES256_GCM,";

/// The type of an encrypted comment.
pub(super) const COMMENT: &str = "comment";

/// An encrypted value, taken apart.
pub(super) struct EncryptedValue<'t> {
    /// The ciphertext, in Base64.
    data: &'t str,
    nonce: [u8; 32],
    tag: [u8; 16],
    /// What it was before: `str`, `int`, `float`, `bool`, `bytes`, `time` or `comment`.
    pub(super) kind: &'t str,
}

impl<'t> EncryptedValue<'t> {
    /// `None` where the text is no encrypted value.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let mut parts = text.strip_prefix(SEALED)?.strip_suffix(']')?.split(',');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix(':');
        let (data, nonce, tag, kind) = (part("data")?, part("iv")?, part("tag")?, part("type")?);
        let sealed = Self { data, nonce: bytes(nonce)?, tag: bytes(tag)?, kind };
        parts.next().is_none().then_some(sealed)
    }

    /// More than as many bytes as it was before.
    pub(super) fn room(&self) -> usize {
        self.data.len() + 3
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let count = STANDARD.decode_slice(text, &mut bytes).ok()?;
    (count == N).then_some(bytes)
}

/// The key of a document.
#[derive(Clone)]
pub(super) struct DataKey {
    cipher: AesGcm<Aes256, U32>,
    /// The key itself, to be encrypted to others.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl DataKey {
    /// `None` where it is not 32 bytes long.
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let fits = bytes.len() == 32;
        fits.then(|| Self { cipher: AesGcm::new(Key::<Aes256>::from_slice(&bytes)), bytes })
    }

    /// Decrypts a value to the end of `into`, which must have the room for it, so that nothing is
    /// moved and left behind. `None` where the value, its place or its tag is not what it was.
    pub(super) fn open(
        &self,
        sealed: &EncryptedValue<'_>,
        place: &[u8],
        into: &mut Zeroizing<Vec<u8>>,
    ) -> Option<()> {
        let start = into.len();
        STANDARD.decode_vec(sealed.data, into).ok()?;
        let nonce = Nonce::<U32>::from_slice(&sealed.nonce);
        let tag = Tag::from_slice(&sealed.tag);
        self.cipher.decrypt_in_place_detached(nonce, place, &mut into[start..], tag).ok()
    }

    /// Encrypts a value for a place; `kind` is its type.
    ///
    /// SOPS has nonces of 32 bytes, which may be drawn at random without a count.
    pub(super) fn seal(
        &self,
        plain: &[u8],
        kind: &str,
        place: &[u8],
    ) -> Result<String, CipherError> {
        let mut nonce = [0; 32];
        OsRng.try_fill_bytes(&mut nonce).map_err(|_| CipherError)?;
        let mut data = Zeroizing::new(plain.to_vec());
        let sealing = Nonce::<U32>::from_slice(&nonce);
        let tag = self
            .cipher
            .encrypt_in_place_detached(sealing, place, &mut data)
            .map_err(|_| CipherError)?;
        let text = |bytes: &[u8]| STANDARD.encode(bytes);
        Ok(format!(
            "{SEALED}data:{},iv:{},tag:{},type:{kind}]",
            text(&data),
            text(&nonce),
            text(&tag)
        ))
    }
}

/// The system gave no random numbers, or the value is larger than any can be.
#[derive(Debug)]
pub(super) struct CipherError;
