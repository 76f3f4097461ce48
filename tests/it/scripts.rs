//! What programs read: every verb speaks JSON, and how a run ended is in its exit status.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::shell::{Appcred, Project, age_identity};

/// Verbs whose result is a file of its own, a page, an exit status, or nothing at all.
const OTHERS: [&str; 7] =
    ["edit", "snapshot", "explain", "schema", "completion", "watch", "health"];

#[test]
fn every_verb_speaks_json_or_writes_a_file_of_its_own() {
    let help = Appcred::new().args(["--help"]).run().stdout;
    let listed = help.split_once("Commands:\n").unwrap().1.lines();
    let words = listed.take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = words
        .filter_map(|line| {
            line.strip_prefix("  ")?.split(' ').next().filter(|verb| !["", "help"].contains(verb))
        })
        .collect();
    assert!(verbs.len() > 20, "{verbs:?}");
    for verb in verbs {
        let speaks = Appcred::new().args([verb, "--help"]).run().stdout.contains("--format");
        assert_eq!(speaks, !OTHERS.contains(&verb), "{verb}");
    }
}

/// Runs a verb, whose standard output must be of its schema, and gives what it has changed.
#[track_caller]
fn made(appcred: Appcred, words: &[&str]) -> Value {
    let ran = appcred.args(words).args(["--format", "json"]).run();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["verb"], words[0]);
    report["changes"].clone()
}

#[test]
fn what_a_verb_has_changed_is_listed_with_its_place() {
    let (identity, recipient) = age_identity();
    let recipient = recipient.to_string();
    let project = Project::new();
    let appcred = || Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &identity);
    let file = "credentials/credentials.yaml";

    let listed = made(appcred(), &["init", "--owner", "us", "--recipient", &recipient]);
    let files = ["appcred.yaml", file, ".gitignore"];
    let expected = files.map(|file| json!({"change": "file_written", "file": format!("./{file}")}));
    assert_eq!(listed, json!(expected));

    let key = project.join("key.txt");
    let keygen = made(Appcred::new(), &["keygen", "--output", key.to_str().unwrap()]);
    assert_eq!(keygen[0]["change"], "identity_created");
    assert_eq!(keygen[0]["file"], key.to_str().unwrap());
    assert!(keygen[0]["recipient"].as_str().unwrap().starts_with("age1"), "{keygen}");

    let words = ["add", "--domain", "spotify", "--client-id", "4f5c0a", "--secret-stdin"];
    let added = made(appcred().stdin("m4rk3d-first"), &words);
    let shown = added[0]["file"].as_str().unwrap().to_owned();
    assert!(shown.ends_with(file), "{shown}");
    let change = |change: &str, key: &str| json!([{"change": change, "file": shown, "key": key}]);
    assert_eq!(added, change("entry_added", "spotify"));

    let rotate = ["rotate", "spotify", "--secret-stdin"];
    let rotated = made(appcred().stdin("m4rk3d-second"), &rotate);
    assert_eq!(rotated, change("secret_replaced", "spotify"));
    assert_eq!(made(appcred().stdin("m4rk3d-second"), &rotate), json!([]), "it has that secret");

    let renamed = made(appcred(), &["rename", "spotify", "family"]);
    let mut expected = change("entry_renamed", "family");
    expected[0]["former_key"] = "spotify".into();
    assert_eq!(renamed, expected);

    let plain = "application_credentials:\n  - {domain: google, client_id: two, client_secret: m4rk3d-third}\n";
    project.write("credentials/google.yaml", plain);
    let counted =
        json!([{"change": "secrets_encrypted", "file": "credentials/google.yaml", "count": 1}]);
    assert_eq!(made(appcred(), &["encrypt"]), counted);
    assert_eq!(made(appcred(), &["encrypt"]), json!([]));
    let again = made(appcred(), &["rekey", "--force", "credentials/google.yaml"]);
    assert_eq!(again[0]["change"], "secrets_reencrypted");

    // What was done before an error is reported too.
    project.write("credentials/family.yaml", "application_credentials:\n  - &a {domain: netatmo, client_id: three, client_secret: !env_var S}\n  - {domain: fitbit, client_id: four, client_secret: !env_var T}\n");
    let removed = made(appcred(), &["rm", "family"]);
    assert_eq!(removed, change("entry_removed", "family"));
    let ran = appcred().args(["rm", "nobody", "--format", "json"]).status(1).run();
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["changes"], json!([]));
    assert!(ran.stderr.contains("nobody"), "{}", ran.stderr);

    let words = ["rm", "fitbit", "--apply", "--yes", "--format", "json"];
    let ran = appcred().args(words).status(1).run();
    assert!(ran.stderr.contains("--apply and --format do not go together"), "{}", ran.stderr);
}

#[test]
fn imported_entries_are_listed_and_the_preview_is_for_people() {
    let (identity, recipient) = age_identity();
    let stored = json!({
        "version": 1, "minor_version": 1, "key": "application_credentials",
        "data": {"items": [{"id": "spotify_one", "domain": "spotify", "client_id": "one", "client_secret": "m4rk3d-secret"}]},
    });
    let accounts = json!({"version": 1, "data": {"entries": []}});
    let project = Project::new()
        .file("appcred.yaml", &format!("owner: us\ntargets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{recipient}]}}\n"))
        .file("ha/.storage/application_credentials", &stored.to_string())
        .file("ha/.storage/core.config_entries", &accounts.to_string());
    let appcred = || Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &identity);
    let imported = made(appcred(), &["import", "--no-adopt"]);
    assert_eq!(imported[0]["change"], "entry_added");
    assert_eq!(imported[0]["key"], "spotify");
    let file = project.join(imported[0]["file"].as_str().unwrap());
    assert!(std::fs::read_to_string(file).unwrap().contains("spotify"), "{imported}");
    let ran = appcred().args(["import", "--no-adopt", "--format", "json"]).run();
    assert!(ran.stderr.contains("Nothing to import"), "{}", ran.stderr);
}

#[test]
fn yaml_has_what_json_has() {
    let project = Project::new()
        .file("appcred.yaml", "owner: us\ntargets: {lab: {config_dir: lab}}\n")
        .file("credentials.yaml", "application_credentials:\n  - {domain: spotify, name: \"no\", client_id: one, client_secret: !env_var S}\n");
    let run = |verb: &str, format: &str| {
        let appcred = Appcred::new().in_dir(project.path()).env("S", "m4rk3d-secret");
        let appcred = appcred.env("XDG_STATE_HOME", project.join("state"));
        appcred.args([verb, "--format", format]).run().stdout
    };
    for verb in ["plan", "list", "validate", "version", "doctor"] {
        let json: Value = serde_json::from_str(&run(verb, "json")).unwrap();
        let text = run(verb, "yaml");
        assert!(text.starts_with("format_version: 1\n"), "{text}");
        let yaml: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(yaml, json, "{verb}");
    }
}

#[test]
fn a_hidden_question_that_is_interrupted_ends_with_130_and_leaves_the_terminal_as_it_was() {
    let (identity, recipient) = age_identity();
    let project = Project::new()
        .file("appcred.yaml", &format!("owner: us\nage: {{recipients: [{recipient}]}}\n"))
        .file("credentials.yaml", "application_credentials:\n  - {domain: google, key: one, client_id: one, client_secret: !secret one}\n")
        .file("secrets.yaml", "one: m4rk3d-secret\n");
    let appcred = Path::new(env!("CARGO_BIN_EXE_appcred")).display().to_string();
    for words in ["add --domain spotify --client-id two --name two --key two", "rotate one"] {
        // The shell goes on, as an interactive one does.
        let echo = "stty -a | grep -o '[-]*echo '";
        let lines = format!("trap : INT\n{echo}\n{appcred} {words}\necho status=$?\n{echo}\n");
        project.write("run.sh", &lines);
        let mut child = Command::new("script")
            .args(["-qec", "sh run.sh", "/dev/null"])
            .current_dir(project.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SOPS_AGE_KEY", &identity)
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut said = String::new();
        crate::shell::read_until(&mut shown, &mut said, "(not shown): ");
        std::io::Write::write_all(&mut typed, b"\x03").unwrap();
        crate::shell::read_until(&mut shown, &mut said, "status=");
        drop(typed);
        std::io::Read::read_to_string(&mut shown, &mut said).unwrap();
        child.wait().unwrap();
        assert!(said.contains("status=130"), "{words}: {said}");
        let echoes: Vec<&str> =
            said.lines().map(str::trim).filter(|line| line.ends_with("echo")).collect();
        assert_eq!(echoes, ["echo", "echo"], "{words}: {said}");
    }
}
