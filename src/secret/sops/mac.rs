//! The MAC over all values of a document.

use sha2::{Digest, Sha512};

/// What a MAC over the encrypted values alone begins with, so that it cannot be used as one over all.
const ENCRYPTED_ONLY: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A MAC in the making: values go in by their order in the document.
pub(super) struct Mac {
    hash: Sha512,
    only_encrypted: bool,
}

impl Mac {
    pub(super) fn new(only_encrypted: bool) -> Self {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(ENCRYPTED_ONLY);
        }
        Self { hash, only_encrypted }
    }

    /// Adds a value, unless it is in plain text and the MAC covers only encrypted values.
    pub(super) fn add(&mut self, plain: &[u8], is_encrypted: bool) {
        if is_encrypted || !self.only_encrypted {
            self.hash.update(plain);
        }
    }

    /// As SOPS writes it, before it is encrypted.
    pub(super) fn text(self) -> String {
        format!("{:X}", self.hash.finalize())
    }
}
