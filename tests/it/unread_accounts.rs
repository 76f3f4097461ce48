//! What linked accounts use that cannot be read stays, and links to nothing are errors.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::shell::{Appcred, Project, Ran};

const CREDENTIALS: &str = "ha/.storage/application_credentials";
const ACCOUNTS: &str = "ha/.storage/core.config_entries";

/// An entry is gone whose credential an account uses, and another one is new.
fn house() -> Project {
    let held = json!({"id": "spotify_a", "domain": "spotify", "client_id": "a",
        "client_secret": "s", "name": "A", "auth_domain": "appcred:me:a"});
    let project = Project::new()
        .file(
            "appcred.yaml",
            "owner: me\nmanifests: [m.yaml]\nallow_plaintext: true\ntargets: {h: {config_dir: ha}}\n",
        )
        .file(
            "m.yaml",
            "application_credentials:\n- {domain: fitbit, client_id: new, client_secret: s, key: new}\n",
        )
        .file(CREDENTIALS, &json!({"version": 1, "data": {"items": [held]}}).to_string());
    project.write("ha/.HA_VERSION", "2026.11.0");
    write_accounts(&project, &json!([account()]));
    project
}

fn account() -> Value {
    json!({"entry_id": "1", "domain": "spotify", "title": "Anna",
        "data": {"auth_implementation": "appcred:me:a"}})
}

fn write_accounts(project: &Project, entries: &Value) {
    project.write(ACCOUNTS, &json!({"version": 1, "data": {"entries": entries}}).to_string());
}

fn apply(project: &Project, status: i32) -> Ran {
    Appcred::new().in_dir(project.path()).args(["apply", "--yes"]).status(status).run()
}

#[track_caller]
fn check_held(project: &Project, clients: &[&str]) {
    let text = fs::read_to_string(project.join(CREDENTIALS)).unwrap();
    let stored: Value = serde_json::from_str(&text).unwrap();
    let items = stored["data"]["items"].as_array().unwrap();
    let held: Vec<&str> = items.iter().map(|item| item["client_id"].as_str().unwrap()).collect();
    assert_eq!(held, clients);
}

/// `account` with one field changed, or removed where there is no value.
fn with(field: &str, value: Option<Value>) -> Value {
    let mut account = account();
    let fields = account.as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
    account
}

#[test]
fn what_an_account_may_use_that_cannot_be_read_stays() {
    let implementation = |value: Value| with("data", Some(json!({"auth_implementation": value})));
    for unread in [
        Value::Null,
        json!({}),
        json!(5),
        with("domain", None),
        with("domain", Some(json!(5))),
        with("entry_id", None),
        with("entry_id", Some(json!(5))),
        with("data", None),
        with("data", Some(Value::Null)),
        with("data", Some(json!([]))),
        implementation(json!(["appcred:me:a"])),
        implementation(Value::Null),
        implementation(json!(5)),
    ] {
        let project = house();
        write_accounts(&project, &json!([unread]));
        let ran = apply(&project, 1);
        assert!(ran.stdout.contains("an account may use it"), "{unread}: {}", ran.stdout);
        check_held(&project, &["a", "new"]);
    }
    // Of another integration, it cannot use it.
    let project = house();
    write_accounts(&project, &json!([{"entry_id": "1", "domain": "twitch", "data": null}]));
    apply(&project, 0);
    check_held(&project, &["new"]);
}

#[test]
fn where_the_list_of_accounts_is_missing_nothing_is_deleted() {
    for set_aside in [None, Some("ha/.storage/core.config_entries.corrupt.2026")] {
        let project = house();
        match set_aside {
            Some(name) => fs::rename(project.join(ACCOUNTS), project.join(name)).unwrap(),
            None => fs::remove_file(project.join(ACCOUNTS)).unwrap(),
        }
        let ran = apply(&project, 1);
        assert!(ran.stdout.contains("the list of config entries is missing"), "{}", ran.stdout);
        check_held(&project, &["a", "new"]);
        // As the help says.
        project.write(ACCOUNTS, r#"{"version": 1, "data": {"entries": []}}"#);
        apply(&project, 0);
        check_held(&project, &["new"]);
    }
}

#[test]
fn a_link_to_nothing_is_no_house_without_anything() {
    for name in [ACCOUNTS, CREDENTIALS, "ha/.storage", "ha"] {
        let project = house();
        let moved = project.join("moved");
        fs::rename(project.join(name), &moved).unwrap();
        let nowhere = project.join("nowhere");
        symlink(&nowhere, project.join(name)).unwrap();
        let ran = apply(&project, 1);
        let said = format!("cannot use {name}: it is a symbolic link to nothing");
        assert!(ran.stdout.contains(&said), "{name}: {}", ran.stdout);
        assert!(!nowhere.exists(), "{name}");
        // A link to what is there is followed.
        fs::remove_file(project.join(name)).unwrap();
        symlink(Path::new(&moved), project.join(name)).unwrap();
        apply(&project, 0);
        check_held(&project, &["a", "new"]);
    }
}

/// As root: others can make no link of another user.
#[test]
fn a_link_of_another_user_does_not_lead_to_what_is_not_theirs() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for name in [CREDENTIALS, "ha/.storage", "ha/.storage/.appcred.lock"] {
        let project = house();
        let moved = project.join("moved");
        let link = project.join(name);
        match name.ends_with(".lock") {
            true => fs::write(&moved, "kept").unwrap(),
            false => fs::rename(&link, &moved).unwrap(),
        }
        symlink(&moved, &link).unwrap();
        lchown(&link, Some(12), Some(34)).unwrap();
        let before = fs::metadata(&moved).unwrap();
        let ran = apply(&project, 1);
        assert!(ran.stdout.contains("it is a symbolic link"), "{name}: {}", ran.stdout);
        let after = fs::metadata(&moved).unwrap();
        assert_eq!((after.uid(), after.len()), (before.uid(), before.len()), "{name}");
        assert!(!moved.join(".appcred.lock").exists(), "{name}");
    }
}

#[test]
fn a_list_of_accounts_without_its_fields_is_an_error() {
    for text in ["{}", "[]", "", r#"{"version": 1}"#, r#"{"version": 1, "data": {}}"#] {
        let project = house();
        project.write(ACCOUNTS, text);
        let ran = apply(&project, 1);
        assert!(
            ran.stdout.contains("cannot use ha/.storage/core.config_entries"),
            "{text}: {}",
            ran.stdout
        );
        check_held(&project, &["a"]);
    }
}

/// The list is missing though Home Assistant has run: what is replaced may be in use.
#[test]
fn a_new_secret_is_checked_where_nobody_knows_who_uses_the_old_one() {
    let project = house();
    fs::remove_file(project.join(ACCOUNTS)).unwrap();
    project.write(
        "m.yaml",
        "application_credentials:\n- {domain: spotify, client_id: a, client_secret: other, key: a, integration: {token_url: 'https://127.0.0.1:9/token'}}\n",
    );
    let said = apply(&project, 0).stderr;
    assert!(said.contains("the new secret of `a` replaces what accounts may use"), "{said}");
}

#[test]
fn what_is_missing_in_many_houses_is_written_once() {
    let project = house();
    let names: Vec<String> = (10..30).map(|at| format!("h{at}")).collect();
    let targets: Vec<String> =
        names.iter().map(|name| format!("  {name}: {{config_dir: {name}}}\n")).collect();
    let of = "owner: me\nmanifests: [m.yaml]\nallow_plaintext: true\ntargets:\n";
    project.write("appcred.yaml", &format!("{of}{}", targets.concat()));
    for name in &names {
        project.write(&format!("{name}/.HA_VERSION"), "2026.11.0");
        let held = fs::read_to_string(project.join(CREDENTIALS)).unwrap();
        project.write(&CREDENTIALS.replacen("ha", name, 1), &held);
    }
    let ran = Appcred::new().in_dir(project.path()).args(["list", "-t", "h1*,h2?"]).run();
    assert_eq!(
        ran.stderr,
        "warning: h10, h11, h12 and 17 others: the list of config entries is missing, so no credential that it may use is deleted\n"
    );
}
