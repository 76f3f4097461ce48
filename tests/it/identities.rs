//! The age identities that the environment names: all that SOPS would find, and none of them shown.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::shell::{Appcred, Project, age_identity, encrypt};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/keys");

/// A project with one secret, encrypted to a recipient.
fn project(armored: &str) -> Project {
    Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file(
            "credentials/a.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: !file a.age}\n",
        )
        .file("credentials/a.age", armored)
}

fn plan(project: &Project) -> Appcred {
    Appcred::new().in_dir(project.path()).args(["plan"])
}

#[test]
fn an_identity_in_a_variable_is_never_shown() {
    let (_, recipient) = age_identity();
    let project = project(&encrypt("x", &recipient));
    let plugin = age::plugin::Identity::default_for_plugin("nobody-has-it").unwrap().to_string();
    let (own, _) = age_identity();
    let values = [
        plugin.clone(),
        plugin.to_ascii_lowercase(),
        format!("\"{plugin}\""),
        format!("KEY={plugin}"),
        format!("{} {}", own.trim(), plugin),
        format!("KEY={}", own.trim()),
        own.trim().replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"),
        own.trim()[..40].to_owned(),
        "m4rk3d-and-no-identity-at-all".to_owned(),
    ];
    let variables = [
        "APPCRED_AGE_IDENTITY",
        "SOPS_AGE_KEY",
        "SOPS_AGE_KEY_FILE",
        "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
        "SOPS_AGE_KEY_CMD",
    ];
    for variable in variables {
        for value in &values {
            let ran = plan(&project).env(variable, value).status(1).run();
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains(variable) || said.contains("1 tried"), "{variable}: {said}");
            for word in value.split(['=', ' ', '"']).filter(|word| word.len() > 8) {
                let start = word.get(17..).filter(|rest| rest.len() > 8).unwrap_or(word);
                assert!(!said.to_uppercase().contains(&start.to_uppercase()), "{variable}: {said}");
            }
        }
    }
}

#[test]
fn every_identity_that_sops_finds_is_found() {
    let (identity, recipient) = age_identity();
    let (other, _) = age_identity();
    let project = project(&encrypt("x", &recipient));
    let (ours, other) = (identity.trim(), other.trim());
    let file = project.join("keys.txt");
    fs::write(&file, format!("\u{feff}# created: today\r\n{other}\r\n{ours}\r\n")).unwrap();
    let program = project.join("print key");
    fs::write(&program, format!("#!/bin/sh\n[ \"$1\" = 'the key' ] && echo {ours}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for (variable, value) in [
        ("SOPS_AGE_KEY", format!("{other} {ours}")),
        ("SOPS_AGE_KEY", format!("{other}\n{ours}\n")),
        ("SOPS_AGE_KEY", format!("{other}\t{ours} # mine")),
        ("SOPS_AGE_KEY_FILE", file.display().to_string()),
        ("SOPS_AGE_KEY_FILE", ours.to_owned()),
        ("APPCRED_AGE_IDENTITY", format!("{other}\n{ours}")),
        ("APPCRED_AGE_IDENTITY", file.display().to_string()),
        ("SOPS_AGE_KEY_CMD", format!("'{}' \"the key\"", program.display())),
    ] {
        plan(&project).env(variable, &value).run();
    }
    let said = plan(&project).env("SOPS_AGE_KEY_CMD", "false").status(1).run().stderr;
    assert!(said.contains("the program that SOPS_AGE_KEY_CMD names ended with"), "{said}");
}

#[test]
fn the_usual_ssh_keys_are_tried() {
    for name in ["ed25519", "rsa"] {
        let key = PathBuf::from(KEYS).join(name);
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let encrypt = ["encrypt", "--recipient", public.trim(), "-"];
        let armored =
            Appcred::new().in_dir(project("").path()).args(encrypt).stdin("x\n").run().stdout;
        let project = project(&armored);
        plan(&project).status(1).run();
        plan(&project).env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &key).run();
        let home = Project::new();
        fs::create_dir(home.join(".ssh")).unwrap();
        fs::copy(&key, home.join(".ssh").join(format!("id_{name}"))).unwrap();
        plan(&project).env("HOME", home.path()).run();
        // As with SOPS, a key that is named takes their place.
        let named = plan(&project).env("HOME", home.path());
        named.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "/nowhere/key").status(1).run();
    }
}

#[test]
fn a_usual_ssh_key_beside_an_age_identity_counts_as_found() {
    let (identity, _) = age_identity();
    let key = PathBuf::from(KEYS).join("ed25519");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let home = Project::new();
    fs::create_dir(home.join(".ssh")).unwrap();
    fs::copy(&key, home.join(".ssh/id_ed25519")).unwrap();
    let recipients = format!("age: {{recipients: [\"{}\"]}}\n", public.trim());
    let project = Project::new()
        .file("appcred.yaml", &format!("targets: {{lab: {{config_dir: ha}}}}\n{recipients}"))
        .file("credentials/a.yaml", "application_credentials: []\n");
    let run = |words: &str| {
        let appcred =
            Appcred::new().in_dir(project.path()).args(words.split(' ')).stdin("Zq7akDx2");
        appcred.env("HOME", home.path()).env("SOPS_AGE_KEY", &identity).run()
    };
    let added = run("add --domain fitbit --client-id i1 --key a --secret-stdin").stderr;
    assert!(!added.contains("none of the age identities"), "{added}");
    run("rekey --force");
    let found = run("doctor").stdout;
    assert!(found.contains("names 1 recipient, 1 of them with an identity found here"), "{found}");
}

#[test]
fn an_identity_file_in_utf_16_is_one_error_that_says_so() {
    let (identity, recipient) = age_identity();
    let project = project(&encrypt("x", &recipient));
    let text = format!("# created: today\r\n{}\r\n", identity.trim());
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> =
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(order).collect();
        fs::write(project.join("keys.txt"), bytes).unwrap();
        let said = plan(&project).env("SOPS_AGE_KEY_FILE", "keys.txt").status(1).run().stderr;
        assert_eq!(said.matches("it is UTF-16: save it as UTF-8").count(), 1, "{said}");
        assert!(said.contains("1 error, 1 warning"), "{said}");
    }
}

#[test]
fn an_identity_in_the_project_file_is_refused_and_not_shown() {
    let (identity, _) = age_identity();
    let plugin = age::plugin::Identity::default_for_plugin("tpm").unwrap().to_string();
    for identity in [identity.trim(), &plugin] {
        let project = Project::new()
            .file(
                "appcred.yaml",
                &format!(
                    "targets: {{lab: {{config_dir: ha}}}}\nage:\n  identities: [{identity}]\n"
                ),
            )
            .file("credentials/a.yaml", "application_credentials: []\n");
        for verb in ["validate", "plan"] {
            let appcred = Appcred::new().in_dir(project.path()).args([verb]);
            let said = appcred.status(1).run().stderr;
            assert!(
                said.contains(
                    "an item of `identities` is an identity, which is secret, not a path"
                ),
                "{said}"
            );
            assert!(said.contains("appcred.yaml:3:16"), "{said}");
            assert!(!said.contains(&identity[16..]), "{said}");
        }
    }
}

#[test]
fn a_terminal_shows_what_is_typed_again_after_a_passphrase_was_interrupted() {
    let public = fs::read_to_string(format!("{KEYS}/ed25519-passphrase.pub")).unwrap();
    let recipient: age::ssh::Recipient = public.parse().unwrap();
    let project = project(&age::encrypt_and_armor(&recipient, b"x").unwrap());
    let key = format!("{KEYS}/ed25519-passphrase");
    let script = "trap : INT; \"$@\"; echo ended with $?; stty -a";
    let appcred = env!("CARGO_BIN_EXE_appcred");
    let words = format!("sh -c '{script}' sh '{appcred}' plan");
    // Whoever started the tests may ignore the signal, and what they start would as well.
    let mut terminal = Command::new("env")
        .args(["--default-signal=INT", "script", "-qec", &words, "/dev/null"])
        .env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", key)
        .current_dir(project.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut said = Vec::new();
    // The terminal is set before the question is asked.
    while !String::from_utf8_lossy(&said).contains("assphrase") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    keys.write_all(b"secr\x03").unwrap();
    let mut rest = String::new();
    screen.read_to_string(&mut rest).unwrap();
    terminal.wait().unwrap();
    assert!(rest.contains("ended with 130"), "{rest}");
    assert!(!rest.contains("secr"), "{rest}");
    assert!(rest.contains(" echo ") && rest.contains("\nisig "), "{rest}");
}
