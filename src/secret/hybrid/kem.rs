//! MLKEM768-X25519, also called X-Wing (draft-connolly-cfrg-xwing-kem), as `hpke` wants a key
//! encapsulation.

use hpke::generic_array::GenericArray;
use hpke::generic_array::typenum::{Sum, U32, U96, U192, U1024};
use hpke::kem::SharedSecret;
use hpke::rand_core::{CryptoRng, RngCore};
use hpke::{Deserializable, HpkeError, Kem, Serializable};
use ml_kem::kem::{Decapsulate, Encapsulate};
use ml_kem::{B32, Ciphertext, EncodedSizeUser, KemCore, MlKem768};
use secrecy::zeroize::{Zeroize, Zeroizing};
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use subtle::ConstantTimeEq;
use x25519_dalek::{EphemeralSecret, PublicKey, StaticSecret};

/// What closes the text that is hashed to the shared secret.
const LABEL: &[u8] = br"\.//^\";
/// How long the ciphertext and the key of ML-KEM are; that of X25519 comes after them.
const ML_KEM_CIPHERTEXT: usize = 1088;
const ML_KEM_KEY: usize = 1184;
const X25519: usize = 32;

/// The key encapsulation.
pub(super) struct XWing;

/// Who decapsulates: a seed, and what is derived from it.
#[derive(Clone)]
pub(super) struct XWingPrivateKey {
    seed: Zeroizing<[u8; 32]>,
    ml_kem: <MlKem768 as KemCore>::DecapsulationKey,
    x25519: StaticSecret,
}

/// To whom is encapsulated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct XWingPublicKey {
    ml_kem: <MlKem768 as KemCore>::EncapsulationKey,
    x25519: PublicKey,
}

/// What is sent, so that the recipient finds the shared secret.
#[derive(Clone)]
pub(super) struct XWingCiphertext {
    ml_kem: Ciphertext<MlKem768>,
    x25519: PublicKey,
}

impl XWingPrivateKey {
    pub(super) fn new(seed: Zeroizing<[u8; 32]>) -> Self {
        let mut derived = Shake256::default().chain(*seed).finalize_xof();
        let (mut d, mut z, mut x25519) = (B32::default(), B32::default(), Zeroizing::new([0; 32]));
        derived.read(&mut d);
        derived.read(&mut z);
        derived.read(&mut *x25519);
        let (ml_kem, _) = MlKem768::generate_deterministic(&d, &z);
        d.zeroize();
        z.zeroize();
        Self { seed, ml_kem, x25519: StaticSecret::from(*x25519) }
    }
}

impl PartialEq for XWingPrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.seed.ct_eq(&*other.seed).into()
    }
}

impl Eq for XWingPrivateKey {}

impl Eq for XWingPublicKey {}

impl Serializable for XWingPrivateKey {
    type OutputSize = U32;

    fn write_exact(&self, to: &mut [u8]) {
        to.copy_from_slice(&*self.seed);
    }
}

impl Deserializable for XWingPrivateKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let seed = bytes.try_into().map_err(|_| wrong_length::<Self>(bytes))?;
        Ok(Self::new(Zeroizing::new(seed)))
    }
}

impl Serializable for XWingPublicKey {
    type OutputSize = Sum<U1024, U192>;

    fn write_exact(&self, to: &mut [u8]) {
        let (ml_kem, x25519) = to.split_at_mut(ML_KEM_KEY);
        ml_kem.copy_from_slice(&self.ml_kem.as_bytes());
        x25519.copy_from_slice(self.x25519.as_bytes());
    }
}

impl Deserializable for XWingPublicKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let (ml_kem, x25519) = parts::<Self>(bytes, ML_KEM_KEY)?;
        let encoded = ml_kem.try_into().map_err(|_| HpkeError::ValidationError)?;
        let key = <MlKem768 as KemCore>::EncapsulationKey::from_bytes(encoded);
        // What is too large for a coefficient would be reduced, and FIPS 203 refuses it.
        if key.as_bytes().as_slice() != ml_kem {
            return Err(HpkeError::ValidationError);
        }
        Ok(Self { ml_kem: key, x25519 })
    }
}

impl Serializable for XWingCiphertext {
    type OutputSize = Sum<U1024, U96>;

    fn write_exact(&self, to: &mut [u8]) {
        let (ml_kem, x25519) = to.split_at_mut(ML_KEM_CIPHERTEXT);
        ml_kem.copy_from_slice(&self.ml_kem);
        x25519.copy_from_slice(self.x25519.as_bytes());
    }
}

impl Deserializable for XWingCiphertext {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let (ml_kem, x25519) = parts::<Self>(bytes, ML_KEM_CIPHERTEXT)?;
        let ml_kem = ml_kem.try_into().map_err(|_| HpkeError::ValidationError)?;
        Ok(Self { ml_kem, x25519 })
    }
}

/// The part of ML-KEM, so long, and that of X25519.
fn parts<T: Serializable>(bytes: &[u8], ml_kem: usize) -> Result<(&[u8], PublicKey), HpkeError> {
    let parts = bytes.split_at_checked(ml_kem);
    let whole = parts.and_then(|(ml_kem, x25519)| {
        let x25519: [u8; X25519] = x25519.try_into().ok()?;
        Some((ml_kem, PublicKey::from(x25519)))
    });
    whole.ok_or_else(|| wrong_length::<T>(bytes))
}

fn wrong_length<T: Serializable>(bytes: &[u8]) -> HpkeError {
    HpkeError::IncorrectInputLength(T::size(), bytes.len())
}

impl Kem for XWing {
    type PublicKey = XWingPublicKey;
    type PrivateKey = XWingPrivateKey;
    type EncappedKey = XWingCiphertext;
    type NSecret = U32;
    const KEM_ID: u16 = 0x647a;

    fn sk_to_pk(key: &XWingPrivateKey) -> XWingPublicKey {
        let ml_kem = key.ml_kem.encapsulation_key().clone();
        XWingPublicKey { ml_kem, x25519: PublicKey::from(&key.x25519) }
    }

    fn derive_keypair(material: &[u8]) -> (XWingPrivateKey, XWingPublicKey) {
        let mut seed = Zeroizing::new([0; 32]);
        Shake256::default().chain(material).finalize_xof().read(&mut *seed);
        let key = XWingPrivateKey::new(seed);
        let public = Self::sk_to_pk(&key);
        (key, public)
    }

    fn encap<R: CryptoRng + RngCore>(
        to: &XWingPublicKey,
        sender: Option<(&XWingPrivateKey, &XWingPublicKey)>,
        random: &mut R,
    ) -> Result<(SharedSecret<Self>, XWingCiphertext), HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::EncapError);
        }
        let (ml_kem, shared) = to.ml_kem.encapsulate(random).map_err(|()| HpkeError::EncapError)?;
        let ephemeral = EphemeralSecret::random_from_rng(random);
        let x25519 = PublicKey::from(&ephemeral);
        let agreed = ephemeral.diffie_hellman(&to.x25519);
        let shared = combined(shared, &agreed, x25519, to.x25519).ok_or(HpkeError::EncapError)?;
        Ok((shared, XWingCiphertext { ml_kem, x25519 }))
    }

    fn decap(
        key: &XWingPrivateKey,
        sender: Option<&XWingPublicKey>,
        sent: &XWingCiphertext,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::DecapError);
        }
        let shared = key.ml_kem.decapsulate(&sent.ml_kem).map_err(|()| HpkeError::DecapError)?;
        let agreed = key.x25519.diffie_hellman(&sent.x25519);
        combined(shared, &agreed, sent.x25519, PublicKey::from(&key.x25519))
            .ok_or(HpkeError::DecapError)
    }
}

/// The shared secret; `None` where a point of low order was sent, whose secret everybody knows.
fn combined(
    mut ml_kem: B32,
    x25519: &x25519_dalek::SharedSecret,
    sent: PublicKey,
    recipient: PublicKey,
) -> Option<SharedSecret<XWing>> {
    let mut hash = Sha3_256::default();
    for part in [&ml_kem[..], x25519.as_bytes(), sent.as_bytes(), recipient.as_bytes(), LABEL] {
        Digest::update(&mut hash, part);
    }
    ml_kem.zeroize();
    let shared: GenericArray<u8, U32> = hash.finalize();
    x25519.was_contributory().then_some(SharedSecret(shared))
}
