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
pub enum Likeness {
    /// They are one.
    Same,
    /// They are not.
    Different,
    /// Their ciphertexts are not one: one of them was encrypted anew, most likely for its change.
    EncryptedAnew,
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
    pub fn compare(&self, other: &Self) -> Likeness {
        match (self, other) {
            (Self::Clear(one), Self::Clear(other)) if one == other => Likeness::Same,
            (Self::Clear(_), Self::Clear(_)) => Likeness::Different,
            (Self::Sealed(one), Self::Sealed(other)) if one == other => Likeness::Same,
            (Self::Sealed(_), Self::Sealed(_)) => Likeness::EncryptedAnew,
            _ => Likeness::Unknown,
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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seal(String);

impl Seal {
    /// Of an encrypted text. Never call it with a secret in clear.
    pub fn of_ciphertext(ciphertext: &str) -> Self {
        let mut hash = Sha256::new_with_prefix(b"appcred ciphertext 1\0");
        // How lines end and whether the last one does is Git's and YAML's matter.
        for line in ciphertext.lines() {
            hash.update(line.trim());
            hash.update(b"\n");
        }
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
        Self(hash.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
    }

    /// Reads what [`Self::as_str`] gave; `None` where that cannot be.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// In hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Client ids by the ciphertexts that were found to hold them.
pub type SealedClients = BTreeMap<(Domain, Seal), ClientId>;

/// What stands for the client id and the secret of an entry where nobody decrypts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// Of the client id's ciphertext; none where it is not encrypted.
    pub client_id: Option<Seal>,
    /// Of the secret's ciphertext; none where it is kept in another way.
    pub client_secret: Option<Seal>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownSecret, Likeness, Seal};
    use crate::model::Secret;

    #[test]
    fn nothing_is_said_that_is_not_known() {
        let clear = |text: &str| KnownSecret::Clear(Secret::new(text));
        let sealed = |text: &str| KnownSecret::Sealed(Seal::of_ciphertext(text));
        let check = |one: KnownSecret, other: KnownSecret, likeness| {
            assert_eq!(one.compare(&other), likeness, "{one:?} {other:?}");
            assert_eq!(other.compare(&one), likeness, "{other:?} {one:?}");
        };
        check(clear("a"), clear("a"), Likeness::Same);
        check(clear("a"), clear("b"), Likeness::Different);
        check(sealed("a"), sealed("a"), Likeness::Same);
        check(sealed("a"), sealed("b"), Likeness::EncryptedAnew);
        check(clear("a"), sealed("a"), Likeness::Unknown);
        check(clear("a"), KnownSecret::Unknown, Likeness::Unknown);
        check(KnownSecret::Unknown, KnownSecret::Unknown, Likeness::Unknown);
    }

    #[test]
    fn a_seal_is_of_the_text_whatever_its_line_ends() {
        let seal = Seal::of_ciphertext("-----BEGIN-----\nabc\n");
        assert_eq!(seal, Seal::of_ciphertext("-----BEGIN-----\r\nabc"));
        assert_ne!(seal, Seal::of_ciphertext("-----BEGIN-----abc"));
        assert_eq!(Seal::parse(seal.as_str()), Some(seal));
        assert_eq!(Seal::parse("abc"), None);
    }
}
