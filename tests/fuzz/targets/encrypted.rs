//! An encrypted file is opened, changed and sealed, or refused; it never panics.

#![no_main]

use std::sync::LazyLock;

use appcred::encrypted_file::{EncryptionContext, Opened};
use appcred::model::Secret;
use appcred::secret::env::IdentitySources;
use appcred::secret::{AllowedPaths, Identities, Nobody, SecretResolver};
use libfuzzer_sys::fuzz_target;

/// It opens what the corpus has, and nothing else. Whole it would be reported as an identity in a repository.
const IDENTITY: &str = concat!("AGE-SECRET-KEY-", include_str!("../identity_without_prefix.txt"));
const RECIPIENT: &str = include_str!("../recipient.txt");

static RESOLVER: LazyLock<SecretResolver> = LazyLock::new(|| {
    let texts = vec![("the corpus' identity", Secret::new(IDENTITY.trim()))];
    let sources = IdentitySources { texts, ..Default::default() };
    let (identities, problems) = Identities::gather(&[], &sources, Nobody);
    assert!(problems.is_empty());
    SecretResolver::new(identities, AllowedPaths::default())
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(opened) = Opened::new(bytes, &RESOLVER) else { return };
    let recipients = [RECIPIENT.trim().to_owned()];
    let with = EncryptionContext { recipients: &recipients, now: "2026-11-24T10:00:00Z", keep_plain: true };
    let same = opened.seal(opened.clear(), with).expect("what was not changed can be sealed");
    assert_eq!(same, bytes, "what was not changed stays byte for byte");
    let changed = format!("{}\n# changed\n", opened.clear());
    let Ok(sealed) = opened.seal(&changed, with) else { return };
    Opened::new(&sealed, &RESOLVER).expect("what was sealed can be opened");
});
