use std::collections::BTreeSet;

use jiff::Timestamp;

use super::format::{SnapshotError, read};
use super::{SnapshotLocation, SnapshotTarget, write};
use crate::model::{
    ClientId, ConfigEntry, Credential, CredentialId, Domain, EntryId, EntryState, KnownDomains,
    KnownSecret, Observed, Seal, Seals, Secret, TargetName, UnreadAccounts,
};

fn observed() -> Observed {
    let credential = |id: &str, secret: &str| Credential {
        id: CredentialId::new(id),
        domain: Domain::new("spotify"),
        client_id: ClientId::new(id),
        client_secret: Secret::new(secret).into(),
        name: None,
        auth_domain: Some(smol_str::format_smolstr!("appcred:house:{id}")),
    };
    let entry = |id: &str, implementation: Option<&str>| ConfigEntry {
        id: EntryId::new(id),
        domain: Domain::new("spotify"),
        title: "Anna".into(),
        state: EntryState::SetupRetry,
        implementation: implementation.map(Into::into),
        reason: None,
    };
    Observed {
        version: Some("2026.11.0".to_owned()),
        is_new: false,
        domains: KnownDomains::Listed(BTreeSet::from([Domain::new("spotify")])),
        credentials: vec![credential("a", "MARKED-1"), credential("b", "MARKED-2")],
        config_entries: vec![entry("1", Some("appcred:house:a")), entry("2", None)],
        unread_accounts: vec![
            UnreadAccounts::One { name: "3".to_owned(), domain: Some(Domain::new("spotify")) },
            UnreadAccounts::One { name: "number 4".to_owned(), domain: None },
            UnreadAccounts::All,
        ],
        live: None,
    }
}

fn written() -> String {
    let seals = Seals {
        client_id: Some(Seal::of_ciphertext("id")),
        client_secret: Some(Seal::of_ciphertext("secret")),
    };
    let (name, observed) = (TargetName::new("home"), observed());
    let target = SnapshotTarget::of(&name, &observed, &[seals, Seals::default()]);
    write(Timestamp::from_second(1_800_000_000).unwrap(), [&target].into_iter()).unwrap()
}

#[test]
fn what_is_written_is_read_but_for_secrets() {
    let text = written();
    assert!(!text.contains("MARKED"), "{text}");
    let mut snapshot = read(&text).unwrap();
    assert_eq!(snapshot.taken_at.as_second(), 1_800_000_000);
    let recorded = snapshot.take(&TargetName::new("home")).unwrap();
    let mut expected = observed();
    expected.credentials[0].client_secret = KnownSecret::Sealed(Seal::of_ciphertext("secret"));
    expected.credentials[1].client_secret = KnownSecret::Unknown;
    expected.config_entries.pop();
    let read = recorded.observed;
    assert_eq!(read.credentials, expected.credentials);
    assert_eq!(read.config_entries, expected.config_entries);
    assert_eq!(read.unread_accounts, expected.unread_accounts);
    assert_eq!((read.version, read.domains), (expected.version, expected.domains));
    let key = (Domain::new("spotify"), Seal::of_ciphertext("id"));
    assert_eq!(recorded.clients.get(&key), Some(&ClientId::new("a")));
}

#[test]
fn what_is_no_snapshot_is_told_without_its_values() {
    let text = written();
    let check = |text: &str, damage: SnapshotError| assert_eq!(read(text).unwrap_err(), damage);
    check("{", SnapshotError::Syntax { line: 1, column: 1 });
    check(r#"{"data": {"client_secret": "MARKED"}}"#, SnapshotError::Kind);
    check(
        &text.replace("\"format_version\": 1", "\"format_version\": 2"),
        SnapshotError::Version(2),
    );
    check(&text.replace("2027-01-15", "yesterday "), SnapshotError::Time);
    let digest = Seal::of_ciphertext("secret");
    check(&text.replace(&digest.to_string(), "MARKED"), SnapshotError::Digest);
    let shape = read(&text.replace("\"title\": \"Anna\"", "\"title\": 90210")).unwrap_err();
    assert!(matches!(shape, SnapshotError::Shape { .. }) && !shape.to_string().contains("90210"));
}

#[test]
fn an_address_is_shown_without_what_may_be_secret() {
    let shown = |text: &str| SnapshotLocation::parse(text).unwrap().to_string();
    assert_eq!(
        shown("https://me:MARKED@ha.example:8123/s.json?t=MARKED"),
        "https://ha.example:8123/s.json"
    );
    assert_eq!(shown("snapshots/home.json"), "snapshots/home.json");
}
