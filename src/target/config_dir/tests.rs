//! The store against a simple model, and the guards.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::storage::{CredentialStorage, StorageError, config_entries};
use super::{ByName, STORAGE, There, apply, lock};
use crate::model::{
    ClientId, ConfigEntry, CredentialId, Domain, EntryId, EntryState, Held, NewCredential, Secret,
    UnreadAccounts,
};
use crate::target::{Done, Operation, Refusal, Stop};

fn store(text: &str) -> CredentialStorage<'_> {
    CredentialStorage::parse(Some(text)).unwrap()
}

fn written(store: &CredentialStorage) -> String {
    String::from_utf8(store.to_text().unwrap().to_vec()).unwrap()
}

fn new(domain: &str, client_id: &str) -> NewCredential {
    NewCredential {
        domain: Domain::new(domain),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new("s"),
        name: "N".into(),
        auth_domain: "appcred:o:k".into(),
    }
}

fn held(id: &str, domain: &str, client_id: &str) -> Held {
    Held {
        id: CredentialId::new(id),
        domain: Domain::new(domain),
        client_id: ClientId::new(client_id),
        name: None,
        auth_domain: None,
    }
}

const FOREIGN: &str = r#"{
  "minor_version": 7,
  "version": 1,
  "x": 123456789012345678901234567890,
  "data": {
    "y": 1.10,
    "items": [
      {
        "domain": "no_such",
        "id": "Weird ID!",
        "client_id": "q",
        "client_secret": " padded\t",
        "extra": {"z": 1e400, "a": [1.0]}
      }
    ],
    "z": null
  },
  "key": "application_credentials"
}"#;

#[test]
fn what_is_not_ours_stays_to_the_byte() {
    let mut store = store(FOREIGN);
    assert_eq!(written(&store), FOREIGN);
    store.create(&new("spotify", " a "));
    let expected = FOREIGN.replace(
        "\n      }\n    ],",
        r#"
      },
      {
        "id": "spotify_a",
        "domain": "spotify",
        "client_id": "a",
        "client_secret": "s",
        "name": "N",
        "auth_domain": "appcred:o:k"
      }
    ],"#,
    );
    assert_eq!(written(&store), expected);
}

#[test]
fn no_file_and_an_empty_mapping_are_an_empty_store() {
    for text in [None, Some("{}")] {
        let store = CredentialStorage::parse(text).unwrap();
        let written: Value = serde_json::from_str(&written(&store)).unwrap();
        let expected = json!({
            "version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": []}
        });
        assert_eq!(written, expected);
    }
    assert_eq!(config_entries(None).unwrap().items, []);
}

#[test]
fn of_one_id_the_later_item_stands_in_the_place_of_the_first() {
    let item =
        |id, client| json!({"id": id, "domain": "d", "client_id": client, "client_secret": ""});
    let items = [item("a", "1"), item("b", "2"), item("a", "3")];
    let text = json!({"version": 1, "data": {"items": items}}).to_string();
    let store = store(&text);
    let clients: Vec<_> = store.into_credentials().items.into_iter().map(|c| c.client_id).collect();
    assert_eq!(clients, ["3", "2"].map(ClientId::new));
}

#[test]
fn damage_is_told_without_values() {
    let message = |text: &str| CredentialStorage::parse(Some(text)).err().unwrap().to_string();
    assert!(message("").contains("not JSON (line 1, column 0)"));
    assert!(
        message(r#"{"version": 1, "data": {"items": [{"client_secret": "SECRET"#)
            .contains("not JSON")
    );
    assert_eq!(
        CredentialStorage::parse(Some(r#"{"version": 2, "data": 1}"#)).err(),
        Some(StorageError::Version)
    );
    for (text, what) in [
        (r#"["SECRET"]"#, "wrong kind"),
        (r#"{"data": {"items": []}}"#, "no `version`"),
        (r#"{"version": 1}"#, "no `data`"),
        (r#"{"version": 1, "data": "SECRET"}"#, "wrong kind"),
        (r#"{"version": 1, "data": {}}"#, "no `data.items`"),
        (r#"{"version": 1, "data": {"items": "SECRET"}}"#, "wrong kind"),
    ] {
        let message = message(text);
        assert!(message.contains(what), "{text}: {message}");
        assert!(!message.contains("SECRET"), "{message}");
    }
}

/// Items as nobody expects them, each with what is said of it.
const ODD: &[(&str, &str)] = &[
    (r#""SECRET""#, "the credential number 1 is not a mapping with fields: it is left alone"),
    ("null", "the credential number 2 is not a mapping with fields: it is left alone"),
    (
        r#"{"domain": "SECRET", "client_id": "a"}"#,
        "the credential number 3 has no `id`: it is left alone",
    ),
    (r#"{"id": null, "domain": "d"}"#, "the credential number 4 has no `id`: it is left alone"),
    (
        r#"{"id": 5, "domain": "d"}"#,
        "the credential number 5 has a `id` that is not text: it is left alone",
    ),
    (
        r#"{"id": "spotify_a", "domain": null}"#,
        "the credential spotify_a has no `domain`: it is left alone",
    ),
    (
        r#"{"id": "n", "domain": "d", "client_id": 90210, "client_secret": "s"}"#,
        "the credential n has a `client_id` that is not text: it is left alone",
    ),
    (
        r#"{"id": "o", "domain": "d", "client_id": "c", "client_secret": 90210}"#,
        "the credential o has a `client_secret` that is not text: it is left alone",
    ),
    (
        r#"{"id": "p", "domain": "d", "client_id": "c", "client_secret": null}"#,
        "the credential p has no secret: no account can use it",
    ),
];

#[test]
fn what_cannot_be_read_is_named_left_alone_and_written_back() {
    let odd: Vec<&str> = ODD.iter().map(|(item, _)| *item).collect();
    let good =
        r#"{"id": "spotify_b", "domain": "spotify", "client_id": "b", "client_secret": "s"}"#;
    let text = format!(r#"{{"version": 1, "data": {{"items": [{}, {good}]}}}}"#, odd.join(", "));
    let read = store(&text).into_credentials();
    let said: Vec<&str> = ODD.iter().map(|(_, said)| *said).collect();
    assert_eq!(read.unreadable, said);
    let ids: Vec<&str> = read.items.iter().map(|credential| credential.id.as_str()).collect();
    assert_eq!(ids, ["p", "spotify_b"]);

    let mut store = store(&text);
    // An id that an unreadable item has is not given out again, and that item is not deleted.
    assert_eq!(store.create(&new("spotify", "a")), CredentialId::new("spotify_a_2"));
    let unread = held("spotify_a", "spotify", "a");
    assert_eq!(store.delete(&unread, || Ok(())), Err(Refusal::Changed));
    assert_eq!(store.delete(&held("spotify_b", "spotify", "b"), || Ok(())), Ok(()));
    let written = written(&store);
    for item in odd {
        assert!(written.contains(item), "{item} is not in {written}");
    }
    assert!(!written.contains("spotify_b"));
}

#[test]
fn a_config_entry_that_cannot_be_read_keeps_nobody_from_the_others() {
    let text = r#"{"version": 1, "data": {"entries": [7, {"entry_id": null, "domain": "d"},
        {"entry_id": "1", "domain": "d", "title": null, "data": null},
        {"entry_id": "2", "domain": "d", "title": 5, "data": {"auth_implementation": "x"}},
        {"entry_id": "3", "domain": "d", "data": {}}, {"entry_id": "4", "domain": "d"},
        {"entry_id": "5", "domain": "d", "data": {"auth_implementation": ["x"]}},
        {"entry_id": "6", "domain": "d", "data": {"auth_implementation": null}},
        {"entry_id": "7", "data": {"auth_implementation": "x"}}, null, {}]}}"#;
    let list = config_entries(Some(text)).unwrap();
    let unread = |(name, domain): (&str, Option<&str>)| UnreadAccounts::One {
        name: name.to_owned(),
        domain: domain.map(Domain::new),
    };
    let d = Some("d");
    let expected = [
        ("number 1", None),
        ("number 2", d),
        ("1", d),
        ("4", d),
        ("5", d),
        ("6", d),
        ("7", None),
        ("number 10", None),
        ("number 11", None),
    ];
    assert_eq!(list.unreadable, expected.map(unread));
    let uses: Vec<_> = list.items.iter().map(|entry| entry.implementation.as_deref()).collect();
    assert_eq!(uses, [Some("x"), None]);
    assert_eq!(config_entries(None).unwrap().unreadable, [UnreadAccounts::All]);
    assert!(matches!(config_entries(Some("{}")), Err(StorageError::Shape(_))));
}

#[test]
fn config_entries_name_their_implementation() {
    let text = json!({"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": [
        {"entry_id": "1", "domain": "spotify", "title": "T", "data": {"auth_implementation": "x", "token": {"a": 1}}},
        {"entry_id": "2", "domain": "hue", "title": "H", "data": {"x": 7}},
    ]}});
    let entry = |id: &str, domain: &str, title: &str, implementation: Option<&str>| ConfigEntry {
        id: EntryId::new(id),
        domain: Domain::new(domain),
        title: title.into(),
        state: EntryState::AtRest,
        reason: None,
        implementation: implementation.map(Into::into),
    };
    assert_eq!(
        config_entries(Some(&text.to_string())).unwrap().items,
        [entry("1", "spotify", "T", Some("x")), entry("2", "hue", "H", None)]
    );
    assert_eq!(config_entries(Some(r#"{"version": 2}"#)), Err(StorageError::Version));
}

#[test]
fn what_is_not_in_force_stands_for_no_new_credential() {
    let item = |id: &str, secret: &str| {
        json!({"id": id, "domain": "spotify", "client_id": "a", "client_secret": secret,
            "name": "N", "auth_domain": "appcred:o:k"})
    };
    let items = [item("right", "s"), item("wrong", "other")];
    let text = json!({"version": 1, "data": {"items": items}}).to_string();
    let mut store = store(&text);
    let created = store.create(&new("spotify", "a"));
    assert_eq!(created, CredentialId::new("spotify_a"));
    assert_eq!(store.create(&new("spotify", "a")), created, "it is in force now");
}

#[test]
fn a_credential_goes_only_if_it_is_the_same_and_free() {
    let item =
        json!({"id": "spotify_a", "domain": "spotify", "client_id": "a", "client_secret": "s"});
    let text = json!({"version": 1, "data": {"items": [item]}}).to_string();
    let mut store = store(&text);
    let in_use = || Refusal::InUse { domain: Domain::new("spotify") };
    let a = held("spotify_a", "spotify", "a");
    let other = held("spotify_a", "spotify", "b");
    assert_eq!(store.delete(&other, || Ok(())), Err(Refusal::Changed));
    assert_eq!(store.delete(&a, || Err(in_use())), Err(in_use()));
    assert!(!store.is_changed());
    assert_eq!(store.delete(&a, || Ok(())), Ok(()));
    assert_eq!(store.delete(&a, || Err(in_use())), Ok(()), "it is gone already");
    assert!(store.is_changed());
}

#[test]
fn one_waits_for_another_only_so_long() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(STORAGE)).unwrap();
    let stop = Stop::new();
    let first = lock::acquire(folder.path(), Duration::ZERO, &stop).unwrap();
    let Err(Refusal::Failed(message)) = lock::acquire(folder.path(), Duration::ZERO, &stop) else {
        panic!("two held one lock");
    };
    assert!(message.contains(&format!("(process {})", std::process::id())), "{message}");
    stop.cancel();
    assert_eq!(lock::acquire(folder.path(), Duration::ZERO, &stop).unwrap_err(), Refusal::Stopped);
    drop(first);
    let lock = folder.path().join(".ha_run.lock");
    fs::write(&lock, r#"{"pid": 77, "version": 1, "ha_version": "2026.11.0", "start_ts": 1.5}"#)
        .unwrap();
    let _guard = lock::acquire(folder.path(), Duration::from_secs(5), &Stop::new()).unwrap();
    assert!(File::open(&lock).unwrap().try_lock().is_err(), "Home Assistant could start now");
}

/// An item of the model: the JSON that the file shall hold.
type Model = Vec<Value>;

#[derive(Clone, Debug)]
enum Change {
    Create(&'static str),
    /// The item at this place, counted round.
    Delete(usize),
    DeleteAbsent,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        prop::sample::select(vec!["a", "A", "a.2", "b", "ü"]).prop_map(Change::Create),
        (0..20_usize).prop_map(Change::Delete),
        Just(Change::DeleteAbsent),
    ];
    prop::collection::vec(change, 0..25)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\é]{1,4}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn id_in(model: &Model, base: &str) -> String {
    let taken = |id: &str| model.iter().any(|item| item["id"] == id);
    let mut id = base.to_owned();
    for attempt in 2.. {
        if !taken(&id) {
            break;
        }
        id = format!("{base}_{attempt}");
    }
    id
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_batch_does_what_the_model_does(
        extras in prop::collection::vec(json_value(), 0..6),
        fields in prop::collection::btree_map("x[a-z\"é]{1,4}", json_value(), 0..4),
        changes in changes(),
    ) {
        let mut model: Model = extras
            .into_iter()
            .enumerate()
            .map(|(n, extra)| json!({
                "extra": extra, "id": format!("spotify_{n}"), "domain": "spotify",
                "client_id": n.to_string(), "client_secret": "old",
            }))
            .collect();
        let file = |model: &Model| {
            let mut file = json!({"minor_version": 3, "data": {"items": model, "more": &fields}, "version": 1});
            file.as_object_mut().unwrap().extend(fields.clone());
            file
        };
        let text = file(&model).to_string();
        let mut store = store(&text);
        let free = There { by_name: ByName::of([]), accounts: config_entries(None).unwrap() };
        let mut known: BTreeMap<String, Held> = BTreeMap::new();
        for credential in CredentialStorage::parse(Some(&text)).unwrap().into_credentials().items {
            known.insert(credential.id.as_str().to_owned(), credential.held());
        }
        for change in changes {
            let (operation, expected) = match change {
                Change::Create(client) => {
                    let base = if client == "a.2" { "spotify_a_2".to_owned() } else {
                        format!("spotify_{}", client.to_lowercase().replace('ü', "u"))
                    };
                    let new = new("spotify", client);
                    // All that are created have one name by which accounts find them.
                    let in_force = model.iter().rfind(|item| item["name"] == "N");
                    if let Some(item) = in_force.filter(|item| item["client_id"] == client) {
                        let id = item["id"].as_str().unwrap();
                        let done = Done::Created(CredentialId::new(id));
                        prop_assert_eq!(apply(&Operation::Create(new), &mut store, &free), Ok(done));
                        continue;
                    }
                    let id = id_in(&model, &base);
                    model.push(json!({
                        "id": id, "domain": "spotify", "client_id": client, "client_secret": "s",
                        "name": "N", "auth_domain": "appcred:o:k",
                    }));
                    known.insert(id.clone(), Held {
                        name: Some("N".into()),
                        auth_domain: Some("appcred:o:k".into()),
                        ..held(&id, "spotify", client)
                    });
                    (Operation::Create(new), Done::Created(CredentialId::new(id)))
                }
                Change::Delete(place) if !model.is_empty() => {
                    let item = model.remove(place % model.len());
                    let there = known.remove(item["id"].as_str().unwrap()).unwrap();
                    (Operation::Delete(there), Done::Deleted)
                }
                Change::Delete(_) | Change::DeleteAbsent => {
                    (Operation::Delete(held("gone", "spotify", "gone")), Done::Deleted)
                }
            };
            prop_assert_eq!(apply(&operation, &mut store, &free), Ok(expected));
        }
        // As text, so that the order of everything counts.
        let read: Value = serde_json::from_str(&written(&store)).unwrap();
        prop_assert_eq!(read.to_string(), file(&model).to_string());
    }
}
