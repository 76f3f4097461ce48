//! What is wrong with the text of an age key, as far as that can be seen. The text is never repeated.

use age_core::primitives::bech32_decode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bech32::primitives::decode::{CharError, CheckedHrpstringError, UncheckedHrpstringError};

use super::ssh_key::is_too_short;
use crate::model::conflict_marker;

/// How age's own identities begin.
const IDENTITY: &str = "AGE-SECRET-KEY-";

/// Whether a text begins like one of age's own identities, in whatever case.
fn begins_as_identity(text: &str) -> bool {
    text.get(..IDENTITY.len()).is_some_and(|start| start.eq_ignore_ascii_case(IDENTITY))
}

/// Why a text is no age identity.
pub(super) fn identity_fault(text: &str) -> Option<&'static str> {
    if conflict_marker(text).is_some() {
        return Some("Git could not merge the file and has left both versions in it");
    }
    if begins_as_identity(text) {
        let is_lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
        return Some(bech32_fault(text).unwrap_or(match is_lower {
            true => "it must be in upper case",
            false => "its type is unknown, or its length is wrong",
        }));
    }
    if text.to_ascii_uppercase().contains(IDENTITY) {
        return Some(
            "something is before the identity, as a quote or a name: write the identity alone",
        );
    }
    let decoded = BASE64_STANDARD.decode(text).unwrap_or_default();
    if String::from_utf8_lossy(&decoded).contains(IDENTITY) {
        return Some("it is an identity in base64: decode it with `base64 -d`");
    }
    let is_recipient = ["age1", "ssh-ed25519", "ssh-rsa"].iter().any(|one| text.starts_with(one));
    is_recipient.then_some("it is a recipient, which is public; an identity begins with `AGE-`")
}

/// Why a text that is no identity is no age recipient either.
pub fn recipient_fault(text: &str) -> &'static str {
    if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("age1")) {
        bech32_fault(text).unwrap_or(match text.starts_with("age1") {
            true => "its length is wrong",
            false => "it must be in lower case",
        })
    } else if is_too_short(text) {
        "it is an RSA key of fewer than 2048 bits, to which age does not encrypt"
    } else if ["ssh-ed25519 ", "ssh-rsa "].iter().any(|one| text.starts_with(one)) {
        "it is not complete, or was changed"
    } else {
        "a recipient begins with `age1`, `ssh-ed25519` or `ssh-rsa`"
    }
}

/// Why a text is no Bech32.
fn bech32_fault(text: &str) -> Option<&'static str> {
    let fault = |error| match error {
        CheckedHrpstringError::Parse(UncheckedHrpstringError::Char(CharError::MixedCase)) => {
            "it mixes upper and lower case"
        }
        CheckedHrpstringError::Checksum(_) => {
            "its checksum is wrong: it is not complete, or was changed"
        }
        _ => "it has a character that no key has, or no `1`",
    };
    bech32_decode(text, fault, |_| Ok(()), |_, _| Ok(())).err()
}

#[cfg(test)]
mod tests {
    use super::identity_fault;

    #[test]
    fn what_is_around_an_identity_is_named() {
        for text in
            ["SOPS_AGE_KEY=AGE-SECRET-KEY-1QQQ", "\"AGE-SECRET-KEY-1QQQ\"", "- age-secret-key-1qqq"]
        {
            assert!(identity_fault(text).unwrap().starts_with("something is before"), "{text}");
        }
        assert!(identity_fault("AGE-SECRET-KEY-1QQQ").unwrap().contains("not complete"));
        assert!(identity_fault("=======").unwrap().starts_with("Git could not merge"));
        // # x
        // AGE-SECRET-KEY-1QQQ
        let encoded = "IyB4CkFHRS1TRUNSRVQtS0VZLTFRUVEK";
        assert!(identity_fault(encoded).unwrap().contains("in base64"));
        assert_eq!(identity_fault("x"), None);
    }
}
