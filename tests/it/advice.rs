//! What people mistype every day: each message names the cause and what to write.

use std::fs::File;
use std::process::Command;

use crate::real::sops;
use crate::shell::{Appcred, Project, Ran, age_identity};

const ENTRY: &str = "domain: spotify, key: a, client_id: 4f5c0a88";

fn project(target: &str, secret: &str) -> Project {
    Project::new()
        .file("appcred.yaml", &format!("owner: house\n{target}\n"))
        .file("ha/configuration.yaml", "")
        .file(
            "credentials/a.yaml",
            &format!("application_credentials:\n  - {{{ENTRY}, client_secret: {secret}}}\n"),
        )
}

const FOLDER: &str = "targets: {home: {config_dir: ha}}";

fn appcred(project: &Project, arguments: &[&str]) -> Appcred {
    let appcred = Appcred::new().in_dir(project.path()).env("PATH", "/usr/bin:/bin");
    appcred.env("S", "Zq7akDx2").args(arguments)
}

#[track_caller]
fn says(ran: &Ran, said: &str) {
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains(said), "not {said:?}:\n{all}");
}

#[test]
fn an_entry_that_others_have_by_an_anchor_is_named_so() {
    let project = project(FOLDER, "x");
    project.write(
        "credentials/a.yaml",
        "application_credentials:\n  - &d\n    domain: spotify\n    key: a\n    client_id: 4f5c0a88\n    client_secret: !env_var S\n  - <<: *d\n    key: b\n    client_id: 4f5c0a89\n",
    );
    for verb in [&["rename", "a", "aa"][..], &["rm", "a"]] {
        let ran = appcred(&project, verb).status(1).run();
        says(&ran, "the entry `a`: line 2 has an anchor (`&`) that is used elsewhere");
    }
}

#[test]
fn a_token_is_written_without_the_header_that_it_is_sent_in() {
    let target = "targets: {home: {url: 'http://127.0.0.1:9', token: !env_var HASS_TOKEN}}";
    let project = project(target, "!env_var S");
    let ran = appcred(&project, &["plan"]).env("HASS_TOKEN", "Bearer eyJx").status(1).run();
    says(&ran, "leave out the name of the header, and `Bearer`");
    // Without a project file, the variable is what is missing.
    let project = Project::new().file("credentials/a.yaml", "application_credentials: []\n");
    let ran = appcred(&project, &["plan"]).env("HASS_SERVER", "http://127.0.0.1:9");
    says(&ran.env("HASS_TOKEN", "").status(1).run(), "or set HASS_TOKEN");
}

#[test]
fn a_number_under_a_name_is_no_secret_that_was_committed() {
    let project = project(FOLDER, "!secret s01");
    project.write("secrets.yaml", "s01: 0012345\n");
    let ran = appcred(&project, &["validate"]).status(1).run();
    says(&ran, "secrets.yaml: line 1: it is a number, and a secret is text");
    assert!(!ran.stderr.contains("could be the secret itself"), "{}", ran.stderr);
}

#[test]
fn a_damaged_key_of_a_sops_document_is_named_and_not_its_values() {
    let (identity, recipient) = age_identity();
    let project = project(FOLDER, "Zq7akDx2");
    let recipient = recipient.to_string();
    let rule = ["encrypt", "--encrypted-regex", "^client_secret$", "--age", &recipient];
    let file = "credentials/a.yaml";
    let whole = sops(project.path(), "", rule.iter().chain(&[file]));
    let (before, behind) = whole.split_once("-----BEGIN AGE ENCRYPTED FILE-----\n").unwrap();
    let cut = behind.split_once('\n').unwrap().1;
    project.write(file, &format!("{before}-----BEGIN AGE ENCRYPTED FILE-----\n{cut}"));
    let ran = appcred(&project, &["plan"]).env("SOPS_AGE_KEY", identity).status(1).run();
    says(&ran, "its `sops` part has an `enc` that is damaged");
    says(&ran, "restore the file as SOPS wrote it");
}

#[test]
fn what_names_values_and_is_no_yaml_is_named() {
    for (text, name, kind) in [
        ("A=1x\nB=Zq7akDx2\n", "B", "a file of environment variables"),
        ("[default]\nb = Zq7akDx2\n", "default/b", "an INI or TOML document"),
    ] {
        let project = project(FOLDER, &format!("!file ../x.conf#{name}"));
        project.write("x.conf", text);
        let ran = appcred(&project, &["validate"]).status(1).run();
        let said = format!(
            "not a YAML mapping of names to secrets: {kind} is read only where SOPS encrypted it\n --> x.conf:1:1"
        );
        says(&ran, &said);
        says(&ran, "write one `name: secret` a line");
    }
}

#[test]
fn entries_below_an_empty_list_are_answered_with_what_is_in_their_way() {
    let project = project(FOLDER, "x");
    project.write(
        "credentials/a.yaml",
        "application_credentials: []\n  - domain: spotify\n    client_id: 4f5c0a88\n",
    );
    let ran = appcred(&project, &["validate"]).status(1).run();
    says(&ran, "remove the `[]` or `{}` before it");
}

#[test]
fn an_empty_command_of_a_source_is_reported_itself() {
    let project = project(&format!("{FOLDER}\nsources: {{op: {{command: []}}}}"), "!from op x");
    let ran = appcred(&project, &["validate"]).status(1).run();
    says(&ran, "`command` must name the program and its arguments\n --> appcred.yaml:3:");
}

#[test]
fn other_programs_tags_and_times_are_answered_with_what_is_meant() {
    let project = project(FOLDER, "!vault x");
    let ran = appcred(&project, &["validate"]).status(1).run();
    says(&ran, "has the unknown tag `!vault`: did you mean `!from`?");
    says(&ran, "`!from SOURCE WHAT` reads");
    for (time, said) in
        [("5x", "`5x` is not a time such as 300, 30s or 5m"), ("0", "`0` is not a time")]
    {
        let ran = appcred(&project, &["watch", "--resync", time]).status(1).run();
        says(&ran, said);
    }
    // A time that is one gets as far as the address.
    for time in ["5m", "300"] {
        let ran = appcred(&project, &["watch", "--resync", time, "--listen", "nowhere"]);
        assert!(!ran.status(1).run().stderr.contains("--resync"), "{time}");
        let git = ["--git", "/nowhere", "--git-interval", time, "--git-timeout", time];
        let watch = [&["watch"], &git[..], &["--listen", "nowhere"]].concat();
        let ran = appcred(&project, &watch).status(1).run();
        assert!(ran.stderr.contains("--listen"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("--git-"), "{time}: {}", ran.stderr);
    }
    for option in ["--git-interval", "--git-timeout"] {
        let ran = appcred(&project, &["watch", "--git", "/nowhere", option, "soon"]);
        says(&ran.status(1).run(), "`soon` is not a time such as 300, 30s or 5m");
    }
    let ran = appcred(&project, &["plan", "--against", "x", "--max-age", "7"]).status(1).run();
    says(&ran, "`7` is not a duration such as 30m, 24h or 7d\n");
    let ran = appcred(&project, &["validate", "--json"]).status(1).run();
    says(&ran, "'--format json' writes it for programs");
    let both = ["validate", "--format", "json=a", "--format", "yaml=./a"];
    says(
        &appcred(&project, &both).status(1).run(),
        "would be written twice: choose a file for each",
    );
    let mut full = Command::new(env!("CARGO_BIN_EXE_appcred"));
    let full =
        full.args(["explain", "targets"]).stdout(File::create("/dev/full").unwrap()).output();
    let said = String::from_utf8_lossy(&full.unwrap().stderr).into_owned();
    assert!(said.contains("cannot write to standard output: No space left on device"), "{said}");
}

fn git(project: &Project, arguments: &[&str]) {
    let made = Command::new("git").args(arguments).current_dir(project.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn a_webhook_of_this_machine_is_none_in_the_index_either() {
    let notify = |path: &str| {
        format!("owner: house\n{FOLDER}\nnotify: [{{webhook: 'http://127.0.0.1:18950/{path}'}}]\n")
    };
    let project = project(FOLDER, "!env_var S");
    project.write(".gitignore", ".storage/\n");
    project.write("appcred.yaml", &notify("x"));
    git(&project, &["init", "--quiet", "."]);
    git(&project, &["add", "--all"]);
    project.write("appcred.yaml", &notify("y"));
    appcred(&project, &["validate", "--strict"]).run();
}

#[test]
fn plan_and_apply_warn_of_what_a_folder_stores_in_git() {
    let project = project(FOLDER, "!env_var S");
    git(&project, &["init", "--quiet", "."]);
    let said = "warning: the target `home` stores its secrets in plain text in ha/.storage/application_credentials, and Git does not ignore it";
    says(&appcred(&project, &["plan"]).run(), said);
    says(&appcred(&project, &["apply", "--yes"]).run(), said);
    project.write(".gitignore", ".storage/\n");
    let ran = appcred(&project, &["plan"]).run();
    assert!(!ran.stderr.contains("stores its secrets"), "{}", ran.stderr);
}

#[test]
fn what_fails_on_a_delete_says_that_it_is_held_back() {
    let project = project(FOLDER, "!env_var S");
    appcred(&project, &["apply", "--yes"]).run();
    project.write("credentials/a.yaml", "application_credentials: []\n");
    let ran = appcred(&project, &["plan", "--fail-on", "delete"]).status(1).run();
    says(&ran, "0 to delete. 1 not done");
    says(&ran, "--fail-on delete: 1 credential to delete once nothing holds that back\n");
    let ran = appcred(&project, &["plan", "--fail-on", "delete", "--allow-empty"]).status(1).run();
    says(&ran, "--fail-on delete: 1 credential to delete\n");
}

#[test]
fn whoever_adds_an_entry_learns_what_is_to_be_registered() {
    let project = project(&format!("{FOLDER}\nallow_plaintext: true"), "!env_var S");
    let add = ["add", "--domain", "fitbit", "--client-id", "23ABC", "--secret-stdin"];
    let (_, recipient) = age_identity();
    project.write(
        "appcred.yaml",
        &format!("owner: house\n{FOLDER}\nage: {{recipients: [{recipient}]}}\n"),
    );
    let ran = appcred(&project, &add).stdin("Zq8akDx3").run();
    says(&ran, "with exactly this redirect URI");
    says(&ran, "https://my.home-assistant.io/redirect/oauth");
}

#[test]
fn what_is_imported_without_a_name_is_not_said_to_be_renamed() {
    let project = project(FOLDER, "!env_var S");
    let (_, recipient) = age_identity();
    project.write(
        "appcred.yaml",
        &format!("owner: house\n{FOLDER}\nage: {{recipients: [{recipient}]}}\n"),
    );
    let item = r#"{"id": "fitbit_23abc", "domain": "fitbit", "client_id": "23ABC", "client_secret": "Zq8akDx3"}"#;
    let stored = format!(
        r#"{{"version": 1, "minor_version": 1, "key": "application_credentials", "data": {{"items": [{item}]}}}}"#
    );
    project.write("ha/.storage/application_credentials", &stored);
    let ran = appcred(&project, &["import", "--yes"]).run();
    says(&ran, "adopt fitbit \"fitbit\"");
    assert!(!ran.stdout.contains("name "), "{}", ran.stdout);
}

#[test]
fn a_recipient_in_the_place_of_an_identity_is_named_so() {
    let (_, recipient) = age_identity();
    let project = project(FOLDER, "!env_var S");
    let recipient = recipient.to_string();
    let ran = appcred(&project, &["validate"]).env("APPCRED_AGE_IDENTITY", &recipient).run();
    says(&ran, "it is a recipient, which opens nothing: name the file of its identity");
}
