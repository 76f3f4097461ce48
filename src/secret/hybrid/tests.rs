use std::io::ErrorKind;

use age::{EncryptError, Recipient};
use age_core::format::FileKey;
use age_core::primitives::bech32_encode;
use hpke::Serializable;

use super::{HybridIdentity, HybridRecipient, IDENTITY, RECIPIENT, prefix};
use crate::secret::key_text::{identity_fault, recipient_fault};

/// The identity in C2SP's age.md, in two parts: `validate` would report it in this file.
const EXAMPLE: &str =
    concat!("AGE-SECRET-KEY-PQ-1", "XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR");

#[test]
fn keys_are_written_as_they_were_read() {
    let identity: HybridIdentity = EXAMPLE.parse().unwrap();
    assert_eq!(*identity.to_text(), EXAMPLE);
    let recipient = identity.to_public().to_string();
    assert_eq!((recipient.len(), &recipient[..20]), (1959, "age1pq1x34nzsvr0rxjs"));
    assert_eq!(recipient.parse::<HybridRecipient>().unwrap().to_string(), recipient);
    assert!(*HybridIdentity::generate().to_text() != *HybridIdentity::generate().to_text());
}

#[test]
fn what_is_no_key_is_refused_with_its_reason() {
    let short = bech32_encode(prefix(IDENTITY), &[1; 31]).to_uppercase();
    let other = bech32_encode(bech32::Hrp::parse_unchecked("AGE-SECRET-KEY-X-"), &[1; 32]);
    let recipient = EXAMPLE.parse::<HybridIdentity>().unwrap().to_public().to_string();
    let checksum = "its checksum is wrong: it is not complete, or was changed";
    let kind = "its type is unknown, or its length is wrong";
    let public = "it is a recipient, which is public; an identity begins with `AGE-`";
    for (text, why) in [
        (EXAMPLE[..70].to_owned(), checksum),
        (EXAMPLE.replace("XX76", "XX67"), checksum),
        (EXAMPLE.replace("RALN", "raln"), "it mixes upper and lower case"),
        (EXAMPLE.to_lowercase(), "it must be in upper case"),
        (EXAMPLE.replace("XX76", "XXB6"), "it has a character that no key has, or no `1`"),
        (short, kind),
        (other.to_uppercase(), kind),
        (recipient.clone(), public),
    ] {
        assert!(text.parse::<HybridIdentity>().is_err(), "{text}");
        assert_eq!(identity_fault(&text), Some(why), "{text}");
    }
    for (text, why) in [
        (recipient[..1000].to_owned(), checksum),
        (recipient.replace("age1pq1x3", "age1pq1x5"), checksum),
        (recipient.to_uppercase(), "it must be in lower case"),
        (recipient.replacen("age1", "AGE1", 1), "it mixes upper and lower case"),
        (bech32_encode(prefix(RECIPIENT), &[1; 1215]), "its length is wrong"),
    ] {
        assert!(text.parse::<HybridRecipient>().is_err(), "{text}");
        assert!(!crate::secret::seal::is_recipient(&text), "{text}");
        assert_eq!(recipient_fault(&text), why, "{text}");
    }
}

#[test]
fn no_secret_is_encrypted_to_a_key_that_is_none() {
    let good = EXAMPLE.parse::<HybridIdentity>().unwrap().to_public().0.to_bytes();
    let with = |at: usize, part: &[u8]| {
        let mut bytes = good.to_vec();
        bytes[at..at + part.len()].copy_from_slice(part);
        bech32_encode(prefix(RECIPIENT), &bytes).parse::<HybridRecipient>()
    };
    assert!(with(0, &[]).is_ok());
    assert!(with(0, &[0xff, 0xff]).is_err(), "a coefficient that is too large");
    let key = FileKey::new(Box::new([7; 16]));
    let low_order = with(1184, &[0; 32]).unwrap().wrap_file_key(&key);
    assert!(
        matches!(low_order, Err(EncryptError::Io(why)) if why.kind() == ErrorKind::Other),
        "everybody knows what is agreed with it"
    );
}
