//! What programs read: every verb speaks JSON, and how a run ended is in its exit status.

use serde_json::{Value, json};

use crate::shell::{Appcred, Project, age_identity};

/// Verbs whose result is a file of its own, a page, an exit status, or nothing at all.
const OTHERS: [&str; 10] = [
    "edit",
    "snapshot",
    "explain",
    "schema",
    "completion",
    "man",
    "watch",
    "controller",
    "export",
    "health",
];

/// The verbs of the help, so that none is forgotten.
fn verbs() -> Vec<String> {
    let help = Appcred::new().args(["--help"]).run().stdout;
    let listed = help.split_once("Commands:\n").unwrap().1.lines();
    let words = listed.take_while(|line| !line.is_empty());
    let words = words.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs: Vec<String> =
        words.filter(|verb| !["", "help"].contains(verb)).map(str::to_owned).collect();
    assert!(verbs.len() > 20, "{verbs:?}");
    verbs
}

#[test]
fn every_verb_speaks_json_or_writes_a_file_of_its_own() {
    for verb in verbs() {
        let speaks = Appcred::new().args([&verb, "--help"]).run().stdout.contains("--format");
        assert_eq!(speaks, !OTHERS.contains(&verb.as_str()), "{verb}");
    }
}

/// What is wrong where each of these fails: the project file, a manifest, the only target is not reached, there is no
/// such target, or no such entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Project,
    Manifest,
    Target,
    TargetName,
    Key,
    Folder,
}

use Wrong::{Folder, Key, Manifest, Project as File, Target, TargetName};

/// How each verb is called that fails because of something, and because of what.
const FAILURES: [(&str, &[Wrong]); 30] = [
    ("init", &[File]),
    ("keygen --output appcred.yaml", &[File]),
    ("add --domain spotify --client-id one --secret-stdin", &[File, Manifest, Folder]),
    ("encrypt", &[File, Manifest, Folder]),
    ("rotate one --secret-stdin", &[File, Manifest, Folder]),
    ("rotate nobody --secret-stdin", &[Key]),
    ("rename one two", &[File, Manifest, Folder]),
    ("rename nobody two", &[Key]),
    ("rm one", &[File, Manifest, Folder]),
    ("rm nobody", &[Key]),
    ("forget one", &[File, Manifest]),
    ("rekey", &[File, Manifest, Folder]),
    ("validate", &[File, Manifest, Folder]),
    ("plan", &[File, Manifest, Target, Folder]),
    ("plan --target nobody", &[TargetName]),
    ("apply --yes", &[File, Manifest, Target, Folder]),
    ("apply --yes --target nobody", &[TargetName]),
    ("authorize", &[File, Manifest, Target, Folder]),
    ("authorize --target nobody", &[TargetName]),
    ("authorize nobody", &[Key]),
    ("import", &[File, Target, Folder]),
    ("import --target nobody", &[TargetName]),
    ("list", &[File, Manifest, Target, Folder]),
    ("list --target nobody", &[TargetName]),
    ("verify", &[File, Manifest, Folder]),
    ("verify nobody", &[Key]),
    ("doctor", &[File, Manifest, Target, Folder]),
    ("doctor --target nobody", &[TargetName]),
    ("login home", &[File, Target, Folder]),
    ("logout home", &[File, Folder]),
];
/// Fails in no way.
const SURE: [&str; 1] = ["version"];

#[test]
fn a_verb_that_fails_still_prints_one_document_of_its_schema() {
    let (identity, recipient) = age_identity();
    let project = Project::new();
    let good = format!(
        "owner: us\ntargets: {{home: {{url: \"http://127.0.0.1:9\", token: !env_var TOKEN}}}}\nage: {{recipients: [{recipient}]}}\n"
    );
    let manifest = "application_credentials:\n  - {domain: spotify, key: one, client_id: one, client_secret: !env_var S}\n";
    for (words, wrong) in
        FAILURES.iter().flat_map(|(words, all)| all.iter().map(move |one| (words, *one)))
    {
        project.write("appcred.yaml", if wrong == File { "owner: [\n" } else { &good });
        let broken = format!("{manifest}  - {{domain: [\n");
        project.write("credentials.yaml", if wrong == Manifest { &broken } else { manifest });
        for format in ["json", "yaml"] {
            let appcred = Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &identity);
            let appcred = appcred.env("S", "m4rk3d-secret").env("TOKEN", "m4rk3d-token");
            let folder = ["-C", "none"].iter().filter(|_| wrong == Folder);
            let ran = appcred.args(folder).args(words.split(' ')).args(["--format", format]);
            let ran = ran.stdin("m4rk3d-new").status(1).run();
            let (out, said) = (&ran.stdout, &ran.stderr);
            // What is of no schema fails the run.
            assert!(!out.is_empty(), "{words}, {wrong:?}: {said}");
            let document: Value = serde_yaml::from_str(out).unwrap();
            assert_eq!(document["format_version"], 1, "{words}, {wrong:?}: {out}");
            let is_said = said.contains("error: ") || said.contains("home: ");
            assert!(is_said || words.starts_with("doctor"), "{words}, {wrong:?}: {said}");
            let has_why = document["changes"].is_null() || document["error"].is_string();
            assert!(has_why, "{words}, {wrong:?}: {out}");
            if [TargetName, Key, Folder].contains(&wrong) {
                let why = document["error"].as_str().unwrap();
                assert!(
                    said.contains(&format!("error: {why}")),
                    "{words}, {wrong:?}: {out} {said}"
                );
            }
            assert!(!(out.clone() + said).contains("m4rk3d"), "{out} {said}");
        }
    }
    for verb in verbs() {
        let is_tried = FAILURES.iter().any(|(words, _)| words.split(' ').next() == Some(&verb));
        let is_known = OTHERS.contains(&verb.as_str()) || SURE.contains(&verb.as_str());
        assert!(is_tried != is_known, "{verb} has no line in FAILURES");
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
