//! Every verb is run with marked secrets, and all that it leaves behind is searched for them.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release, sops};
use crate::shell::{Appcred, Project, Ran, age_identity, encrypt};

const MARKS: &[&str] = &["m4rk3d-one", "m4rk3d-two", "m4rk3d-foreign", "m4rk3d-plain"];

/// Verbs that read a whole project; each is run as it is, and as loud as it gets.
const VERBS: &[&[&str]] = &[
    &["validate"],
    &["plan"],
    &["plan", "--format", "json"],
    &["list"],
    &["list", "--format", "json"],
    &[
        "plan",
        "--format",
        "markdown",
        "--format",
        "github=report.github",
        "--format",
        "junit=report.junit",
        "--format",
        "sarif=report.sarif",
    ],
    &["snapshot", "-o", "snapshot.json"],
    &["apply", "--yes"],
    &["apply", "--yes", "--format", "json"],
];

#[track_caller]
fn search(what: &str, text: &str, more: &[&str]) {
    for mark in MARKS.iter().chain(more) {
        assert!(!text.contains(mark), "{what} holds {mark}:\n{text}");
    }
}

#[track_caller]
fn search_run(what: &str, ran: &Ran, more: &[&str]) {
    search(what, &ran.stdout, more);
    search(what, &ran.stderr, more);
}

/// Every file below a folder but those that hold credentials by their nature.
fn search_files(folder: &Path, more: &[&str]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search_files(&path, more);
        } else if !path.ends_with(".storage/application_credentials") {
            let text = fs::read(&path).unwrap();
            search(&path.display().to_string(), &String::from_utf8_lossy(&text), more);
        }
    }
}

fn loud(appcred: Appcred, verb: &[&str]) -> Appcred {
    appcred
        .args(verb)
        .args(["-vv", "--log-format", "json"])
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
}

each_release!(no_verb_tells_a_secret_of_a_running_house);
fn no_verb_tells_a_secret_of_a_running_house(release: Release) {
    let ha = HomeAssistant::start(release);
    ha.create_credential(
        json!({"domain": "spotify", "client_id": "x", "client_secret": "m4rk3d-foreign", "name": "App m4rk3d-foreign"}),
    );
    let house = House::new();
    house.project.write(
        "appcred.yaml",
        &format!(
            "targets:\n  home: {{url: \"{}\", token: !env_var HASS_TOKEN, headers: {{X-Key: !env_var HOME_KEY}}}}\n  folder: {{config_dir: ha}}\n",
            ha.url()
        ),
    );
    let token = ha.token().to_owned();
    for secret in ["m4rk3d-one", "m4rk3d-two"] {
        let entries = [
            house.entry("spotify", "Family", "family", secret),
            house.entry("twitch", "Twitch", "t", secret),
        ];
        house.declare(&entries);
        for verb in VERBS {
            let appcred = house.appcred(&ha).env("HOME_KEY", "m4rk3d-header");
            let ran = loud(appcred, verb).run();
            search_run(&verb.join(" "), &ran, &[&token]);
        }
    }
    assert_eq!(ha.credentials().len(), 3);
    search_files(house.project.path(), &[&token]);
}

#[test]
fn no_verb_tells_a_secret_of_another_source() {
    let (identity, recipient) = age_identity();
    let recipient = recipient.to_string();
    let files: &[(&str, &str, bool)] = &[
        ("appcred.yaml", "targets: {home: {config_dir: ha}}\n", false),
        ("secrets.yaml", "key: m4rk3d-one\n", true),
        ("credentials/plain.txt", "m4rk3d-plain\n", true),
        (
            "credentials/sealed.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: m4rk3d-two}\n",
            true,
        ),
        (
            "credentials/named.yaml",
            "application_credentials:\n  - {domain: twitch, client_id: b, client_secret: !secret key}\n  - {domain: google, client_id: c, client_secret: !file plain.txt}\n",
            false,
        ),
    ];
    let project = Project::new();
    for (file, text, is_sealed) in files {
        project.write(file, text);
        if *is_sealed {
            let options = ["--encrypt", "--in-place", "--age", &recipient];
            let only = ["--encrypted-regex", "^(client_secret|key|data)$", file];
            sops(project.path(), &identity, options.iter().chain(&only));
        }
    }
    let appcred = || Appcred::new().in_dir(project.path());
    for verb in VERBS {
        let ran = loud(appcred().env("SOPS_AGE_KEY", &identity), verb).run();
        search_run(&verb.join(" "), &ran, &[&identity]);
    }
    let held = fs::read_to_string(project.join("ha/.storage/application_credentials")).unwrap();
    for secret in ["m4rk3d-one", "m4rk3d-two", "m4rk3d-plain"] {
        assert!(held.contains(secret), "{secret} did not arrive");
    }
    search_files(project.path(), &[&identity]);
    let sealed = fs::read_to_string(project.join("secrets.yaml")).unwrap();
    for broken in [
        sealed.replace("key: ", "yek: "),
        "key: {m4rk3d-one: m4rk3d-two}\n".to_owned(),
        "m4rk3d-one".to_owned(),
    ] {
        project.write("secrets.yaml", &broken);
        let ran = loud(appcred().env("SOPS_AGE_KEY", &identity), &["plan"]).status(1).run();
        assert!(ran.stderr.contains("secrets.yaml"), "{}", ran.stderr);
        search_run(&broken, &ran, &[&identity]);
    }
}

#[test]
fn no_problem_tells_a_secret() {
    let broken = [
        "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: m4rk3d-plain}\n",
        "application_credentials:\n  - {domain: spotify, client_id: a, client_secert: m4rk3d-plain}\n",
        "application_credentials:\n  - domain: spotify\n    client_id: a\n    client_secret: \"m4rk3d-plain\n",
        "application_credentials:\n  - domain: spotify\n    client_id: a\n    client_secret: [m4rk3d-plain]\n",
        "application_credentials:\n  - domain: spotify\n    client_id: a\n    client_secret: !m4rk3d-plain x\n",
        "application_credentials:\n  - domain: spotify\n    client_secret: m4rk3d-plain : m4rk3d-plain\n",
        "m4rk3d-plain\n",
        "- as-a-key-m4rk3d-plain: 1\n",
        "application_credentials: m4rk3d-plain\n",
    ];
    let house = House::new();
    house.project.write("appcred.yaml", "targets: {home: {config_dir: ha}}\n");
    for text in broken {
        house.project.write("credentials/all.yaml", text);
        for verb in VERBS {
            let ran = loud(Appcred::new().in_dir(house.project.path()), verb).status(1).run();
            assert!(ran.stderr.contains("error"), "{text}");
            search_run(text, &ran, &[]);
        }
    }
}

#[test]
fn what_cannot_be_decrypted_names_the_entry_and_counts_recipients() {
    let house = House::new();
    house.project.write("appcred.yaml", "targets: {home: {config_dir: ha}}\n");
    house.declare(&[house.entry("spotify", "Family", "family", "m4rk3d-one")]);
    let ran = Appcred::new().in_dir(house.project.path()).args(["plan"]).status(1).run();
    let expected = "cannot read the client_secret of `family`: it is encrypted to 1 recipient, and no age identity was found";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    assert!(ran.stderr.contains("credentials/all.yaml:6:7"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("BEGIN AGE"), "{}", ran.stderr);
    let (other, _) = crate::shell::age_identity();
    let ran = Appcred::new()
        .in_dir(house.project.path())
        .env("SOPS_AGE_KEY", &other)
        .args(["plan"])
        .status(1)
        .run();
    assert!(
        ran.stderr.contains("and none of the age identities found can decrypt it (1 tried)"),
        "{}",
        ran.stderr
    );
    search_run("plan", &ran, &[&other]);
}

#[test]
fn one_reason_of_several_secrets_is_said_once() {
    let (_, recipient) = age_identity();
    let entry = |key: &str| {
        let armored = encrypt("m4rk3d", &recipient).replace('\n', "\n      ");
        format!(
            "  - domain: spotify\n    key: {key}\n    client_id: {key}\n    client_secret: |\n      {armored}\n"
        )
    };
    let manifest = format!("application_credentials:\n{}{}", entry("a"), entry("b"));
    let project = Project::new()
        .file("appcred.yaml", "owner: house\ntargets: {lab: {config_dir: ha}}\n")
        .file("credentials.yaml", &manifest);
    let said = Appcred::new().in_dir(project.path()).args(["plan"]).status(1).run().stderr;
    assert_eq!(said.matches("no age identity was found").count(), 1, "{said}");
    assert!(
        said.contains("the client_secret of `b`: for the same reason\n  --> credentials.yaml:"),
        "{said}"
    );
    assert!(said.ends_with("2 errors\n"), "{said}");
}
