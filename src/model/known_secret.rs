//! A secret of which one side may know only the ciphertext, and how two sides compare.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use super::{ClientId, Domain, Secret};

/// A client secret, as far as one side knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownSecret {
    /// The secret itself.
    Clear(Secret),
    /// Only the ciphertext that holds it, or that was found to hold it.
    Sealed(Seal),
    /// Nothing.
    Unknown,
}

/// What can be said of two secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretComparison {
    /// They are one.
    Same,
    /// They are not.
    Different,
    /// Their ciphertexts differ: one was encrypted again, most likely because the secret changed.
    Reencrypted,
    /// Nothing.
    Unknown,
}

impl KnownSecret {
    /// The secret itself.
    pub fn clear(&self) -> Option<&Secret> {
        match self {
            Self::Clear(secret) => Some(secret),
            Self::Sealed(_) | Self::Unknown => None,
        }
    }

    /// Compares without a guess.
    pub fn compare(&self, other: &Self) -> SecretComparison {
        match (self, other) {
            (Self::Clear(one), Self::Clear(other)) if one == other => SecretComparison::Same,
            (Self::Clear(_), Self::Clear(_)) => SecretComparison::Different,
            (Self::Sealed(one), Self::Sealed(other)) if one == other => SecretComparison::Same,
            (Self::Sealed(_), Self::Sealed(_)) => SecretComparison::Reencrypted,
            _ => SecretComparison::Unknown,
        }
    }
}

impl From<Secret> for KnownSecret {
    fn from(secret: Secret) -> Self {
        Self::Clear(secret)
    }
}

/// A digest of a ciphertext's text. The text is public, in Git, and new randomness goes into it each
/// time it is made: whoever guesses the secret cannot make the same text, so nothing about the secret
/// can be confirmed by this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seal([u8; 32]);

impl Seal {
    /// Of an encrypted text. Never call it with a secret in plain text.
    pub fn of_ciphertext(ciphertext: &str) -> Self {
        let mut hash = Sha256::new_with_prefix(b"appcred ciphertext 1\0");
        // How lines end and whether the last one does is Git's and YAML's matter.
        for line in ciphertext.lines() {
            hash.update(line.trim());
            hash.update(b"\n");
        }
        Self(hash.finalize().into())
    }

    /// Reads what was written out; `None` where that cannot be.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut digest = [0; 32];
        if pairs.len() != digest.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = value(*high)? << 4 | value(*low)?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for Seal {
    /// In hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::hex(&self.0))
    }
}

/// Client ids by the ciphertexts that were found to hold them.
pub type SealedClients = BTreeMap<(Domain, Seal), ClientId>;

/// What represents the client id and the secret of an entry where nobody decrypts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// Of the client id's ciphertext; none where it is not encrypted.
    pub client_id: Option<Seal>,
    /// Of the secret's ciphertext; none where it is kept in another way.
    pub client_secret: Option<Seal>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownSecret, Seal, SecretComparison};
    use crate::model::Secret;

    #[test]
    fn nothing_is_said_that_is_not_known() {
        let clear = |text: &str| KnownSecret::Clear(Secret::new(text));
        let sealed = |text: &str| KnownSecret::Sealed(Seal::of_ciphertext(text));
        let check = |one: KnownSecret, other: KnownSecret, likeness| {
            assert_eq!(one.compare(&other), likeness, "{one:?} {other:?}");
            assert_eq!(other.compare(&one), likeness, "{other:?} {one:?}");
        };
        check(clear("a"), clear("a"), SecretComparison::Same);
        check(clear("a"), clear("b"), SecretComparison::Different);
        check(sealed("a"), sealed("a"), SecretComparison::Same);
        check(sealed("a"), sealed("b"), SecretComparison::Reencrypted);
        check(clear("a"), sealed("a"), SecretComparison::Unknown);
        check(clear("a"), KnownSecret::Unknown, SecretComparison::Unknown);
        check(KnownSecret::Unknown, KnownSecret::Unknown, SecretComparison::Unknown);
    }

    #[test]
    fn a_seal_is_of_the_text_whatever_its_line_ends() {
        let seal = Seal::of_ciphertext("-----BEGIN-----\nabc\n");
        assert_eq!(seal, Seal::of_ciphertext("-----BEGIN-----\r\nabc"));
        assert_ne!(seal, Seal::of_ciphertext("-----BEGIN-----abc"));
        assert_eq!(Seal::parse(&seal.to_string()), Some(seal));
        for wrong in ["abc", &"g".repeat(64), &"A".repeat(64), &"0".repeat(65)] {
            assert_eq!(Seal::parse(wrong), None, "{wrong}");
        }
    }
}
