//! Hidden characters in whatever others named: every output of every verb escapes them, and none of
//! them can forge a line.

use std::fs;
use std::path::Path;

use appcred::model::is_hidden;
use rustix::process::Signal;
use serde_json::json;

use crate::shell::{Appcred, Project, Ran, age_identity, encrypt};
use crate::watch::eventually;

/// A name that reorders, hides and breaks the line that it is written in.
const HOSTILE: &str = "x\u{202e}y\u{200b}z\u{feff}\u{85}\u{2028}\u{1b}]0;t\u{7}\n::error::FORGED\r::error::FORGED\n| FORGED |";
/// The same for a file.
const FILE: &str = "f\u{202e}g\u{200b}\n::error::FORGED.yaml";
const FORMATS: &[&str] = &["text", "json", "markdown", "github", "gitlab", "junit", "sarif"];

#[track_caller]
fn assert_visible(what: &str, text: &str) {
    let bad = text.chars().find(|one| *one != '\n' && is_hidden(*one));
    assert!(bad.is_none(), "{what} has {bad:?}:\n{text:?}");
    let forged = text.lines().find(|line| line.trim_start().starts_with("::error::FORGED"));
    assert!(forged.is_none(), "{what} has a forged line:\n{text}");
    assert!(!text.contains("\n| FORGED"), "{what} has a forged row:\n{text}");
}

#[track_caller]
fn assert_ran(what: &str, ran: &Ran) {
    assert_visible(&format!("stdout of {what}"), &ran.stdout);
    assert_visible(&format!("stderr of {what}"), &ran.stderr);
}

/// A target that holds what others named.
fn held() -> String {
    let one = |id: &str, auth_domain: &str| {
        json!({
            "id": format!("{id}{HOSTILE}"), "domain": format!("spotify{HOSTILE}"),
            "client_id": format!("c{id}{HOSTILE}"), "client_secret": "hunter2",
            "name": format!("n{HOSTILE}"), "auth_domain": auth_domain,
        })
    };
    let ours = json!({
        "id": "spotify_gone", "domain": "spotify", "client_id": format!("gone{HOSTILE}"),
        "client_secret": "hunter2", "name": HOSTILE, "auth_domain": "appcred:house:gone",
    });
    let items = [one("a", HOSTILE), one("b", "appcred:other:b"), ours];
    json!({"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": items}})
        .to_string()
}

fn project(manifest: &str) -> Project {
    let head = "owner: house\nallow_plaintext: true\ncustom_integrations: [own]\n";
    let project = format!("{head}targets: {{home: {{config_dir: 'ha'}}}}\n");
    Project::new()
        .file("appcred.yaml", &project)
        .file("credentials/all.yaml", manifest)
        .file("ha/.storage/application_credentials", &held())
}

/// Runs it, whatever it ends with: what it writes is what counts.
#[track_caller]
fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let appcred = Appcred::new().in_dir(folder).args(arguments).env("CI", "true");
    let ran = appcred.stdin("s\n").spawn().finish();
    assert!(ran.status.is_some_and(|status| status < 3), "{arguments:?}: {}", ran.stderr);
    assert_ran(&format!("{arguments:?}"), &ran);
    ran
}

const VALID: &str = "application_credentials:\n  - {domain: spotify, key: k, name: One, client_id: i, client_secret: s}\n  - {domain: spotify, key: l, name: Two, client_id: j, client_secret: s, integration: {setup: false}}\n";

/// Verbs without files of reports.
const OTHERS: &[&[&str]] = &[
    &["list"],
    &["list", "--format", "json"],
    &["list", "-v", "-v", "--log-format", "json"],
    &["import", "--target", "home"],
    &["import", "--target", "home", "--other-owners", "--print"],
    &["verify"],
    &["verify", "--format", "json"],
    &["list", "--format", "yaml"],
    &["doctor", "-v"],
    &["doctor", "--format", "json"],
    &["doctor", "--format", "yaml"],
    &["encrypt", "--format", "json"],
    &["encrypt"],
    &["encrypt", FILE],
    &["rekey"],
    &["edit", FILE],
    &["snapshot", "-o", FILE],
    &["keygen", "--out", FILE],
    &["init"],
    &["-C", FILE, "init"],
    &["-C", FILE, "validate"],
    &["-C", "no\u{202e}\n::error::FORGED", "plan"],
    &["list", "--target", HOSTILE],
    &["add", "--domain", HOSTILE, "--client-id", HOSTILE],
    &["add", "--domain", "spotify", "--client-id", "new", "--file", FILE],
    &["plan", "--format", "none\u{202e}"],
    &["logout", "--url", "http://a\u{202e}\n::error::FORGED"],
    &["authorize", "k\u{202e}"],
];

#[test]
fn names_of_files_and_of_a_target_are_escaped_by_every_verb_in_every_format() {
    let project = project(VALID);
    let folder = project.path();
    let snapshot = run(folder, &["snapshot", "-o", "-"]).stdout;
    project.write("snapshot.json", &snapshot);
    let read: serde_json::Value = serde_json::from_str(&snapshot).unwrap();
    assert!(read.to_string().contains('\u{202e}'), "JSON's escapes lose nothing");
    for verb in [
        &["validate"][..],
        &["plan"],
        &["plan", "--against", "snapshot.json"],
        &["plan", "--against", FILE],
        &["plan", "--out", FILE],
        &["apply", FILE],
        &["apply", "--yes"],
        &["plan"],
    ] {
        let file = |format: &&str| format!("{format}=out{format}{FILE}");
        let files = FORMATS.iter().flat_map(|format| ["--format".to_owned(), file(format)]);
        let written: Vec<String> =
            verb.iter().map(|word| (*word).to_owned()).chain(files).collect();
        run(folder, &written.iter().map(String::as_str).collect::<Vec<_>>());
        for format in FORMATS {
            if let Ok(text) = fs::read_to_string(folder.join(format!("out{format}{FILE}"))) {
                assert_visible(&format!("{format} of {verb:?}"), &text);
            }
        }
    }
    for format in FORMATS {
        run(folder, &["plan", "--format", format]);
    }
    for verb in OTHERS {
        run(folder, verb);
    }
}

#[test]
fn what_a_manifest_names_is_escaped_in_every_error() {
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    let entry = |secret: &str| {
        format!("  - {{domain: spotify, name: n, client_id: i, client_secret: {secret}}}\n")
    };
    let manifest = format!(
        "application_credentials:\n  - {{domain: {quoted}, key: {quoted}, name: {quoted}, client_id: {quoted}, client_secret: s, targets: [{quoted}], {quoted}: 1}}\n{}{}{}",
        entry(&format!("!env_var {quoted}")),
        entry(&format!("!secret {quoted}")),
        entry(&format!("!file {quoted}")),
    );
    let project = project(&manifest);
    project.write(&format!("credentials/{FILE}"), VALID);
    for verb in ["validate", "plan", "apply", "list", "verify", "encrypt", "rekey", "snapshot"] {
        run(project.path(), &[verb]);
    }
    for format in FORMATS {
        run(project.path(), &["validate", "--strict", "--format", format]);
        run(project.path(), &["plan", "--format", format]);
    }
    let syntax = format!("application_credentials: [!t\u{202e} x, {{{quoted}: *{quoted}}}");
    project.write("credentials/syntax.yaml", &syntax);
    run(project.path(), &["validate"]);
    let hostile = format!(
        "owner: {quoted}\nmanifests: [{quoted}]\ntargets: {{{quoted}: {{config_dir: {quoted}}}, b: {{url: {quoted}, token: !env_var {quoted}}}}}\n"
    );
    project.write("appcred.yaml", &hostile);
    for verb in ["validate", "plan", "list", "init", "encrypt"] {
        run(project.path(), &[verb]);
    }
}

/// Secrets that nothing decrypts name their file and their field.
#[test]
fn what_is_in_the_way_of_a_secret_is_escaped() {
    let (_, recipient) = age_identity();
    let project = project(&format!(
        "application_credentials:\n  - domain: spotify\n    client_id: i\n    client_secret: |\n      {}\n",
        encrypt("x", &recipient).trim_end().replace('\n', "\n      ")
    ));
    let broken = Appcred::new().in_dir(project.path()).args(["plan"]);
    let identity = format!("{}/{FILE}", project.path().display());
    assert_ran("plan", &broken.env("SOPS_AGE_KEY_FILE", identity).spawn().finish());
    project.write("appcred.yaml", "targets: {home: {url: 'http://127.0.0.1:1', token: !file \"t\\u202e\\n::error::FORGED\"}}\n");
    run(project.path(), &["plan"]);
}

#[test]
fn lines_of_the_log_are_escaped_and_stay_lines() {
    for log in ["text", "json"] {
        let project = project(VALID);
        project.write(&format!("credentials/broken{FILE}"), "application_credentials: [");
        let watch = ["watch", "--log-format", log];
        let running = Appcred::new().in_dir(project.path()).args(watch).spawn();
        eventually("the broken manifest is logged", || running.stderr().contains("FORGED"));
        running.signal(Signal::TERM);
        let ran = running.finish();
        assert_ran(&format!("watch --log-format {log}"), &ran);
        if log == "json" {
            for line in ran.stderr.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
