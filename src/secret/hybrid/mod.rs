//! age's post-quantum recipients and identities, `age1pq1…` and `AGE-SECRET-KEY-PQ-1…`, whose secret is
//! safe as long as either ML-KEM-768 or X25519 is (C2SP's age.md). The `age` crate has none of its own.

mod kem;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use aes_gcm::aead::OsRng;
use age::{DecryptError, EncryptError, Identity, Recipient};
use age_core::format::{FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode, bech32_encode_to_fmt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::Hrp;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use kem::{XWing, XWingCiphertext, XWingPrivateKey, XWingPublicKey};

/// How such a recipient begins.
pub(super) const RECIPIENT: &str = "age1pq1";
/// How such an identity begins.
pub(super) const IDENTITY: &str = "AGE-SECRET-KEY-PQ-1";
/// The kind of its stanzas.
pub(super) const TAG: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// age encrypts to no recipient without this label together with one that has it.
const LABEL: &str = "postquantum";
/// A file key of 16 bytes and the tag of its encryption.
const BODY: usize = 32;

/// A post-quantum recipient.
#[derive(Clone)]
pub struct HybridRecipient(XWingPublicKey);

/// A post-quantum identity.
#[derive(Clone)]
pub struct HybridIdentity(XWingPrivateKey);

/// The prefix without the `1` that separates it from the data.
fn prefix(start: &str) -> Hrp {
    Hrp::parse_unchecked(&start[..start.len() - 1])
}

/// The data of a key with this beginning, which is written in one case only.
fn data(text: &str, start: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !text.starts_with(start) {
        return None;
    }
    let bytes = |_, bytes: bech32::primitives::decode::ByteIter<'_>| {
        Ok(Zeroizing::new(bytes.collect::<Vec<u8>>()))
    };
    bech32_decode(text, drop, |found| if found == prefix(start) { Ok(()) } else { Err(()) }, bytes)
        .ok()
}

impl FromStr for HybridRecipient {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = data(text, RECIPIENT).ok_or(())?;
        XWingPublicKey::from_bytes(&bytes).map(Self).map_err(drop)
    }
}

impl fmt::Display for HybridRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32_encode_to_fmt(f, prefix(RECIPIENT), &self.0.to_bytes())
    }
}

impl FromStr for HybridIdentity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = data(text, IDENTITY).ok_or(())?;
        XWingPrivateKey::from_bytes(&bytes).map(Self).map_err(drop)
    }
}

impl HybridIdentity {
    /// A new one.
    pub fn generate() -> Self {
        Self(XWing::gen_keypair(&mut OsRng).0)
    }

    /// Who encrypts to it.
    pub fn to_public(&self) -> HybridRecipient {
        HybridRecipient(XWing::sk_to_pk(&self.0))
    }

    /// As it is kept in a file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(self.0.to_bytes());
        let text = Zeroizing::new(bech32_encode(prefix(IDENTITY), &seed[..]));
        Zeroizing::new(text.to_uppercase())
    }
}

impl Recipient for HybridRecipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (sent, body) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing, _>(
            &OpModeS::Base,
            &self.0,
            INFO,
            file_key.expose_secret(),
            &[],
            &mut OsRng,
        )
        .map_err(|error| EncryptError::Io(std::io::Error::other(error.to_string())))?;
        let args = vec![STANDARD_NO_PAD.encode(sent.to_bytes())];
        Ok((vec![Stanza { tag: TAG.to_owned(), args, body }], HashSet::from([LABEL.to_owned()])))
    }
}

impl Identity for HybridIdentity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != TAG {
            return None;
        }
        let sent = match stanza.args.as_slice() {
            [sent] => STANDARD_NO_PAD.decode(sent).ok(),
            _ => None,
        };
        let sent = sent.and_then(|sent| XWingCiphertext::from_bytes(&sent).ok());
        // Another length of the body could be for two identities at once.
        let Some(sent) = sent.filter(|_| stanza.body.len() == BODY) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.0,
            &sent,
            INFO,
            &stanza.body,
            &[],
        );
        match opened.map(Zeroizing::new) {
            Ok(plain) => Some(FileKey::try_init_with_mut(|key| {
                let plain = plain.as_slice().try_into();
                *key = plain.map_err(|_| DecryptError::InvalidHeader)?;
                Ok(())
            })),
            // It is for another identity.
            Err(HpkeError::OpenError) => None,
            Err(_) => Some(Err(DecryptError::InvalidHeader)),
        }
    }
}
