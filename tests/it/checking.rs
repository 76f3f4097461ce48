//! What `validate` finds of secrets that are none, that are elsewhere as well, or that cannot be read, and of the
//! files and days that a project names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::real::sops;
use crate::shell::{Appcred, Project, Ran, age_identity, encrypt};

const PROJECT: &str = "owner: house\ntargets: {lab: {config_dir: ha}}\n";
const SECRET: &str = "Zq7m4rk3dKx2";
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn manifest(fields: &str) -> String {
    format!("application_credentials:\n  - {{domain: spotify, key: k, {fields}}}\n")
}

fn appcred(project: &Project, arguments: &[&str]) -> Appcred {
    Appcred::new().in_dir(project.path()).env("PATH", "/usr/bin:/bin").args(arguments)
}

/// Ends with this status and has this to say; the secret is never shown.
#[track_caller]
fn check(appcred: Appcred, status: i32, said: &str) -> Ran {
    let ran = appcred.status(status).run();
    assert!(ran.stderr.contains(said), "not {said:?}:\n{}", ran.stderr);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!all.to_lowercase().contains("m4rk3d"), "{all}");
    ran
}

#[test]
fn the_halves_of_a_client_are_not_taken_for_each_other() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    let both = "the client secret of `k` is the same text as its client id";
    project
        .write("credentials/a.yaml", &manifest("client_id: 4f5c0a88, client_secret: !env_var S"));
    for verb in ["validate", "plan"] {
        check(appcred(&project, &[verb]).env("S", "4f5c0a88"), 1, both);
    }
    appcred(&project, &["validate"]).run();
    project.write("appcred.yaml", &format!("{PROJECT}allow_placeholders: true\n"));
    appcred(&project, &["validate"]).env("S", "4f5c0a88").run();

    project.write(
        "credentials/a.yaml",
        &manifest("client_id: GOCSPX-m4rk3d_x, client_secret: !env_var S"),
    );
    let swapped = appcred(&project, &["validate"]).env("S", "61.apps.googleusercontent.com");
    let ran = check(swapped, 1, "`client_id` is a client secret, as its provider writes them");
    assert!(ran.stderr.contains("exchange the values"), "{}", ran.stderr);
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !env_var S"));
    let swapped = appcred(&project, &["validate"]).env("S", "61.apps.googleusercontent.com");
    check(swapped, 1, "the client_secret of `k` is a client id");
    let path = appcred(&project, &["validate"]).env("S", "https://developer.spotify.com/dashboard");
    path.run();
    project.write("appcred.yaml", PROJECT);
    let path = appcred(&project, &["validate"]).env("S", "https://developer.spotify.com/dashboard");
    check(path, 1, "the client_secret of `k` is an address");
    let add = ["add", "--domain", "fitbit", "--client-id", "x1", "--secret-stdin"];
    let (_, recipient) = age_identity();
    project.write("appcred.yaml", &format!("{PROJECT}age: {{recipients: [{recipient}]}}\n"));
    check(appcred(&project, &add).stdin("./spotify-secret"), 1, "is the path of a file");
}

#[test]
fn a_secret_that_is_elsewhere_in_plain_text_is_found() {
    let (identity, recipient) = age_identity();
    let sealed = encrypt(SECRET, &recipient);
    let project = Project::new();
    let head = format!("{PROJECT}age: {{recipients: [{recipient}]}}\n");
    let plan = || appcred(&project, &["plan"]).env("SOPS_AGE_KEY", &identity);
    let validate = || appcred(&project, &["validate"]).env("SOPS_AGE_KEY", &identity);
    let with = |more: &str| manifest(&format!("client_secret: {sealed:?}, {more}"));
    for (place, more) in [
        (2, format!("client_id: a, name: {SECRET}")),
        (2, format!("client_id: {SECRET}-a")),
        (2, format!("client_id: a, integration: {{token_url: 'https://x.example/?s={SECRET}'}}")),
        (2, format!("client_id: a, integration: {{answers: {{home: {{place: {SECRET}}}}}}}")),
        (
            3,
            format!(
                "client_id: a}}\n  # {SECRET}\n  - {{domain: fitbit, client_id: b, client_secret: !env_var X"
            ),
        ),
    ] {
        project.write("appcred.yaml", &head);
        project.write("credentials/a.yaml", &with(&more));
        let at = format!("error: a secret is in plain text here\n --> credentials/a.yaml:{place}:");
        check(validate(), 1, &at);
        check(plan().env("X", "9a8B7c6D5e4F"), 1, &at);
        // Nobody can see it without the key.
        appcred(&project, &["validate"]).run();
        project.write("appcred.yaml", &format!("{head}allow_plaintext: true\n"));
        validate().run();
    }
    project.write("credentials/a.yaml", &with("client_id: a"));
    project.write("appcred.yaml", &format!("{head}# {SECRET}\n"));
    check(validate(), 1, " --> appcred.yaml:4:3");
    project.write("appcred.yaml", &head);
    validate().stderr("").run();

    // What is encrypted just now is known without a key.
    project
        .write("credentials/a.yaml", &manifest(&format!("client_id: a, client_secret: {SECRET}")));
    project.write("credentials/b.yaml", &format!("# {SECRET}\napplication_credentials: []\n"));
    check(
        appcred(&project, &["encrypt"]),
        1,
        "a secret is in plain text here\n --> credentials/b.yaml:1:3",
    );
}

#[test]
fn an_answer_that_is_a_secret_is_named() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    let answers = |form: &str| {
        let integration = format!("integration: {{answers: {{home: {{{form}}}}}}}");
        manifest(&format!("client_id: a, client_secret: !env_var X, {integration}"))
    };
    project.write("credentials/a.yaml", &answers("Password: m4rk3d"));
    let said = "warning: this answer is a secret in plain text";
    check(appcred(&project, &["validate"]), 0, said);
    project.write("appcred.yaml", &format!("{PROJECT}allow_plaintext: true\n"));
    appcred(&project, &["validate"]).stderr("").run();
    project.write("appcred.yaml", PROJECT);
    project.write("credentials/a.yaml", &answers("place: m4rk3d, password: ''"));
    appcred(&project, &["validate"]).stderr("").run();
}

/// Encrypts a manifest or a file of secrets by SOPS to these recipients.
fn by_sops(project: &Project, file: &str, plain: &str, recipients: &str, keys: &str) -> String {
    project.write(file, plain);
    let rule = ["--encrypt", "--age", recipients, "--encrypted-regex", keys, file];
    let encrypted = sops(project.path(), "", rule);
    project.write(file, &encrypted);
    encrypted
}

#[test]
fn a_sops_document_that_was_changed_is_an_error_of_validate() {
    let (identity, recipient) = age_identity();
    let to = recipient.to_string();
    let project =
        Project::new().file("appcred.yaml", &format!("{PROJECT}age: {{recipients: [{to}]}}\n"));
    let plain = "application_credentials:\n  - domain: spotify\n    name: One\n    client_id: a\n    client_secret: Zq7m4rk3dKx2\n";
    let file = "credentials/a.yaml";
    let whole = by_sops(&project, file, plain, &to, "^client_secret$");
    let validate = || appcred(&project, &["validate"]);
    let with_key = || validate().env("SOPS_AGE_KEY", &identity);
    with_key().stderr("").run();
    let mac = whole.lines().find(|line| line.trim_start().starts_with("mac:")).unwrap();
    for broken in ["", "    mac: \"\"", "    mac:"] {
        project.write(file, &whole.replace(mac, broken));
        check(validate(), 1, "its `sops` part has no MAC");
    }
    project.write(file, &whole.replace("name: One", "name: Two"));
    validate().stderr("").run();
    check(with_key(), 1, "its MAC does not match");

    // The same of a file that an entry names.
    project.write(file, &manifest("client_id: a, client_secret: !secret spotify"));
    let whole = by_sops(&project, "secrets.sops.yaml", "spotify: Zq7m4rk3dKx2\n", &to, "");
    validate().stderr("").run();
    let mac = whole.lines().find(|line| line.trim_start().starts_with("mac:")).unwrap();
    project.write("secrets.sops.yaml", &whole.replace(mac, ""));
    check(
        validate(),
        1,
        "secrets.sops.yaml: the SOPS document is refused: its `sops` part has no MAC",
    );
}

#[test]
fn a_name_of_the_value_is_not_taken_for_the_value() {
    let (identity, recipient) = age_identity();
    let to = recipient.to_string();
    let project =
        Project::new().file("appcred.yaml", &format!("{PROJECT}age: {{recipients: [{to}]}}\n"));
    // SOPS drops the tags.
    let plain = "application_credentials:\n  - domain: fitbit\n    client_id: a\n    client_secret: !secret fitbit\n  - domain: netatmo\n    client_id: b\n    client_secret: !env_var NETATMO_SECRET\n  - domain: spotify\n    client_id: c\n    client_secret: !secret spotify_secret\n";
    by_sops(&project, "credentials/a.yaml", plain, &to, "^client_secret$");
    let validate = || appcred(&project, &["validate"]).env("SOPS_AGE_KEY", &identity);
    let said = validate().status(1).run().stderr;
    for why in [
        "the client_secret of `fitbit` is the name of the integration",
        "the client_secret of `netatmo` looks like the name of an environment variable",
        "the client_secret of `spotify` is the name of the integration",
    ] {
        assert!(said.contains(why), "{why}\n{said}");
    }
    assert_eq!(said.matches("SOPS drops the tags of YAML").count(), 3, "{said}");
    project.write("appcred.yaml", &format!("{PROJECT}allow_placeholders: true\n"));
    validate().stderr("").run();
    project.write("appcred.yaml", PROJECT);
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !secret one"));
    project.write("secrets.yaml", "one: two_b\ntwo_b: Zq7m4rk3dKx2\n");
    check(validate(), 1, "is the name of a secret in a file of secrets");
    project.write("secrets.yaml", "one: two_c\ntwo_b: Zq7m4rk3dKx2\n");
    validate().stderr("").run();
}

#[test]
fn the_advice_for_a_document_of_other_recipients_is_what_changes_it() {
    let [ours, theirs] = [(); 2].map(|()| age_identity());
    let project = Project::new()
        .file("appcred.yaml", &format!("{PROJECT}age: {{recipients: [{}]}}\n", ours.1))
        .file("credentials/a.yaml", &manifest("client_id: a, client_secret: !file x.sops.json"));
    let both = format!("{},{}", ours.1, theirs.1);
    let json = "credentials/x.sops.json";
    by_sops(&project, json, "{\"spotify\": \"Zq7m4rk3dKx2\"}", &both, "");
    let appcred = |verb| appcred(&project, &[verb]).env("SOPS_AGE_KEY", &ours.0);
    let advice = "name the project's recipients in .sops.yaml, and run `sops updatekeys FILE`";
    let ran = check(appcred("validate"), 0, advice);
    assert!(!ran.stderr.contains("appcred rekey"), "{}", ran.stderr);
    check(appcred("rekey"), 1, advice);
    project.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", ours.1));
    sops(project.path(), &ours.0, ["updatekeys", "--yes", json]);
    appcred("validate").stderr("").run();
    appcred("rekey").run();

    by_sops(&project, "credentials/x.yaml", "spotify: Zq7m4rk3dKx2\n", &both, "");
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !file x.yaml"));
    fs::rename(project.join("credentials/x.yaml"), project.join("credentials/x.sops")).unwrap();
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !file x.sops"));
    check(appcred("validate"), 0, "`appcred rekey` encrypts it again");
}

#[test]
fn a_name_that_two_files_of_secrets_have_is_reported_with_the_one_that_is_used() {
    let (identity, recipient) = age_identity();
    let project = Project::new()
        .file("appcred.yaml", PROJECT)
        .file("credentials/a.yaml", &manifest("client_id: a, client_secret: !secret spotify"))
        .file("secrets.yaml", "spotify: OLDm4rk3d9x\n")
        .file("secrets.yaml.age", &encrypt("spotify: NEWm4rk3d9x\n", &recipient));
    let said = "warning: secrets.yaml and secrets.yaml.age both have the secret `spotify`, and secrets.yaml is used";
    for verb in ["validate", "plan"] {
        let ran = check(appcred(&project, &[verb]).env("SOPS_AGE_KEY", &identity), 0, said);
        assert_eq!(ran.stderr.matches("both have").count(), 1, "{}", ran.stderr);
    }
    // Nobody is asked for a key only to find that out.
    appcred(&project, &["validate"]).stderr("").run();
    by_sops(&project, "secrets.sops.yaml", "spotify: OLDm4rk3d9x\n", &recipient.to_string(), "");
    let said = "secrets.yaml and secrets.sops.yaml both have the secret `spotify`";
    check(appcred(&project, &["validate"]), 0, said);
    project.write("secrets.yaml", "other: OLDm4rk3d9x\n");
    fs::remove_file(project.join("secrets.sops.yaml")).unwrap();
    appcred(&project, &["validate"]).env("SOPS_AGE_KEY", &identity).stderr("").run();
}

#[test]
fn an_entry_is_added_below_a_linked_folder_with_its_accounts_and_days() {
    let (_, recipient) = age_identity();
    let project = Project::new()
        .file("appcred.yaml", &format!("{PROJECT}age: {{recipients: [{recipient}]}}\n"))
        .file("elsewhere/a.yaml", "application_credentials: []\n")
        .file("credentials/b.yaml", "application_credentials: []\n");
    symlink("../elsewhere", project.join("credentials/sub")).unwrap();
    let add = |key: &str, more: &[&str]| {
        let add =
            ["add", "--domain", "spotify", "--secret-stdin", "--key", key, "--client-id", key];
        appcred(&project, &add).args(more).stdin("Zq7m4rk3dKx2\n")
    };
    let file = "credentials/sub/a.yaml";
    let days = ["--expires", "2099-03-01", "--rotate-after", "2099-02-01"];
    let accounts = ["--account", "Ann", "--account", "Ben Cole"];
    let all: Vec<&str> = ["--file", file].into_iter().chain(days).chain(accounts).collect();
    add("one", &all).stdout(&format!("Added `one` to {file}.\n")).run();
    let text = fs::read_to_string(project.join("elsewhere/a.yaml")).unwrap();
    for line in ["expires: 2099-03-01", "rotate_after: 2099-02-01", "- Ann", "- Ben Cole"] {
        let is_there = |there: &str| there.trim().replace(['\'', '"'], "") == line;
        assert!(text.lines().any(is_there), "{line}:\n{text}");
    }
    appcred(&project, &["validate"]).stderr("").run();
    let ran =
        add("two", &["--expires", "2099-03-01", "--rotate-after", "2099-03-01", "--file", file]);
    assert!(ran.status(1).run().stderr.contains("`rotate_after` is not before `expires`"));
    let ran = add("two", &["--expires", "90d", "--file", file]).status(1).run();
    assert!(ran.stderr.contains("it is not a date such as 2027-03-01"), "{}", ran.stderr);
    let outside = add("two", &["--file", "elsewhere/b.yaml"]).status(1).run();
    assert!(outside.stderr.contains("is not a place where appcred reads"), "{}", outside.stderr);
    for hidden in ["credentials/sub/.a.yaml", "credentials/../elsewhere/c.yaml"] {
        add("two", &["--file", hidden]).status(1).run();
    }
}

#[test]
fn what_a_project_accepts_in_plain_text_is_a_warning_where_it_may_be_a_secret() {
    let targets = "owner: house\ntargets:\n  home:\n    url: https://ha.example\n    token: !env_var T\n    headers: {X-Key: m4rk3d-1}\nnotify: {webhook: 'https://hooks.example/m4rk3d'}\n";
    let project = Project::new()
        .file("appcred.yaml", targets)
        .file("credentials/a.yaml", &manifest("client_id: a, client_secret: !env_var X"));
    let ran =
        check(appcred(&project, &["validate", "--strict"]), 1, "this header is in plain text");
    assert!(ran.stderr.contains("appcred.yaml:6:22"), "{}", ran.stderr);
    assert!(ran.stderr.contains("this webhook is in plain text"), "{}", ran.stderr);
    check(appcred(&project, &["validate"]), 0, "this header is in plain text");
    project.write("appcred.yaml", &format!("{targets}allow_plaintext: true\n"));
    appcred(&project, &["validate", "--strict"]).stderr("").run();
    let named = targets
        .replace("m4rk3d-1", "!env_var H")
        .replace("'https://hooks.example/m4rk3d'", "!env_var W");
    project.write("appcred.yaml", &named);
    appcred(&project, &["validate", "--strict"]).stderr("").run();
}

#[test]
fn both_days_of_an_entry_are_reported() {
    let days = "expires: 2020-03-01, rotate_after: 2020-02-01";
    let fields = format!("client_id: a, client_secret: !env_var X, {days}");
    let project =
        Project::new().file("appcred.yaml", PROJECT).file("credentials/a.yaml", &manifest(&fields));
    let ran = check(appcred(&project, &["validate"]), 0, "the client expired on 2020-03-01");
    let rotation = "the secret has been due for rotation since 2020-02-01";
    assert!(ran.stderr.contains(rotation), "{}", ran.stderr);
}

#[test]
fn the_files_of_a_target_are_looked_at() {
    let project = Project::new()
        .file("credentials/a.yaml", &manifest("client_id: a, client_secret: !env_var X"))
        .file("wrong.pem", "m4rk3d\n")
        .file("two.txt", "m4rk3d\nm4rk3d\n");
    let validate = |fields: &str| {
        let target =
            format!("owner: house\ntargets:\n  home: {{url: 'https://ha.example', {fields}}}\n");
        project.write("appcred.yaml", &target);
        appcred(&project, &["validate"])
    };
    for (fields, column, said) in [
        ("ca_file: no.pem", 46, "target `home`: the CA file no.pem cannot be used: "),
        (
            "ca_file: wrong.pem",
            46,
            "the CA file wrong.pem cannot be used: it contains no certificate",
        ),
        ("client_certificate: no.pem, client_key: no.key", 77, "cannot be read from no.key: "),
        (
            "client_certificate: no.pem, client_key: wrong.pem",
            57,
            "client certificate no.pem cannot be used",
        ),
        (
            "token_file: two.txt",
            49,
            "target `home`: the value from the file two.txt is a text of several lines",
        ),
    ] {
        let ran = check(validate(fields), 0, said);
        assert!(ran.stderr.contains("warning: target `home`: "), "{}", ran.stderr);
        let place = format!(" --> appcred.yaml:3:{column}\n");
        assert!(ran.stderr.contains(&place), "{}", ran.stderr);
    }
    // What needs another machine, or a key, is skipped.
    for fields in ["token_file: no.txt", "client_certificate: no.pem, client_key: !env_var K"] {
        validate(fields).stderr("").run();
    }
}

#[test]
fn a_file_that_a_target_names_is_missed_where_it_is_named() {
    let project = Project::new()
        .file("credentials/a.yaml", &manifest("client_id: a, client_secret: !env_var X"))
        .file("empty", "")
        .file("folder/x", "");
    let no_file = "there is no such file or folder";
    for (fields, said) in [
        ("token_file: no.txt", [":51): cannot read no.txt: ", no_file, "; correct the path, or "]),
        ("token_file: empty", [":51): the file empty is empty", "", "; write nothing but "]),
        ("token_file: folder", [":51): cannot read folder: ", "it is a folder, not a file", ""]),
        ("ca_file: no.pem", ["no.pem cannot be used: ", no_file, "(named at appcred.yaml:3:48)"]),
        (
            "client_certificate: no.pem, client_key: empty",
            ["client certificate no.pem ", no_file, "(named at appcred.yaml:3:59)"],
        ),
        (
            "client_certificate: x, client_key: no.key",
            ["(appcred.yaml:3:74) ", "no.key: ", no_file],
        ),
    ] {
        // Nothing answers there.
        let target =
            format!("owner: house\ntargets:\n  home: {{url: 'https://127.0.0.1:9/', {fields}}}\n");
        project.write("appcred.yaml", &target);
        for verb in ["plan", "apply", "list", "doctor"] {
            let ran = appcred(&project, &[verb]).env("X", "4f5c0a8e9b7d6c5a").status(1).run();
            // The token is asked for once the server is reached.
            if verb == "doctor" && fields.starts_with("token_file") {
                continue;
            }
            let all = format!("{}{}", ran.stdout, ran.stderr);
            for part in said {
                assert!(all.contains(part), "{verb} {fields}: {all}");
            }
        }
    }
}

#[test]
fn accounts_that_nobody_links_and_more_than_a_provider_allows_are_reported() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    let fields = "client_id: a, client_secret: !env_var X";
    let both = manifest(&format!("{fields}, accounts: [Ann], integration: {{setup: false}}"));
    project.write("credentials/a.yaml", &both);
    let ran =
        check(appcred(&project, &["validate"]), 1, "`setup: false` says that no account is linked");
    assert!(ran.stderr.contains("credentials/a.yaml:2:"), "{}", ran.stderr);
    let names = |count: usize| (0..count).map(|at| format!("N{at}")).collect::<Vec<_>>().join(", ");
    project.write("credentials/a.yaml", &manifest(&format!("{fields}, accounts: [{}]", names(5))));
    appcred(&project, &["validate"]).stderr("").run();
    project.write("credentials/a.yaml", &manifest(&format!("{fields}, accounts: [{}]", names(6))));
    check(
        appcred(&project, &["validate"]),
        0,
        "warning: 6 accounts of spotify are named for this client",
    );
    // One account at two targets is one.
    let cabin = "owner: house\ntargets: {lab: {config_dir: ha}, cabin: {config_dir: hut}}\n";
    project.write("appcred.yaml", cabin);
    let at = |target: &str, accounts: &str| {
        format!(
            "  - {{domain: spotify, key: {target}, {fields}, targets: [{target}], accounts: [{accounts}]}}\n"
        )
    };
    let two = |more: &str| {
        format!("application_credentials:\n{}{}", at("lab", &names(4)), at("cabin", more))
    };
    project.write("credentials/a.yaml", &two("n0, n1"));
    appcred(&project, &["validate"]).stderr("").run();
    project.write("credentials/a.yaml", &two("N4, N5"));
    check(appcred(&project, &["validate"]), 0, "6 accounts of spotify are named for this client");
}

#[test]
fn git_is_asked_once_for_the_other_projects() {
    let project = Project::new()
        .file("appcred.yaml", PROJECT)
        .file("credentials/a.yaml", &manifest("client_id: a, client_secret: !env_var X"));
    crate::hygiene::git(project.path(), &["init", "--quiet"]);
    let tools = Project::new();
    let log = tools.join("log");
    let script =
        format!("#!/bin/sh\necho \"$*\" >> '{}'\nexec /usr/bin/git \"$@\"\n", log.display());
    tools.write("git", &script);
    fs::set_permissions(tools.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    appcred(&project, &["validate"]).env("PATH", &path).run();
    let asked = fs::read_to_string(&log).unwrap();
    assert_eq!(asked.matches("**/appcred.yaml").count(), 1, "{asked}");
}

#[test]
fn a_folder_that_would_be_made_beside_one_of_home_assistant_is_warned_of() {
    let project = Project::new().file("appcred.yaml", "targets: {lab: {config_dir: house/ha11}}\n");
    let project = project.file("credentials/all.yaml", "application_credentials: []\n");
    let project = project.file("house/ha1/configuration.yaml", "");
    let said = "there is no folder house/ha11, and `apply` would make it; house/ha1 is a configuration folder";
    check(appcred(&project, &["validate"]), 0, said);
    // One after the other may be made.
    let both = "targets: {lab: {config_dir: house/ha11}, den: {config_dir: house/ha1}}\n";
    project.write("appcred.yaml", both);
    appcred(&project, &["validate"]).stderr("").run();
}

#[test]
fn a_value_of_a_file_of_secrets_that_is_no_text_is_named_with_its_line() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    for (value, why, help) in [
        ("0012345678", "it is a number", "quote it"),
        ("yes", "it is a boolean", "quote it"),
        ("#Zq7m4rk3dKx2", "it is empty", "text that begins with `#`"),
        ("&Zq7m4rk3dKx2", "it is empty", "text that begins with `#`, `&`"),
        ("{a: x}", "it is a mapping", "name one value of it"),
        ("[Zq7m4rk3dKx2]", "it is a list", "needs quotes"),
        ("!Zq7m4rk3dKx2 x", "it is a value with a tag", "needs quotes"),
    ] {
        project.write("secrets.yaml", &format!("other: x\nsp: {value}\n"));
        project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !secret sp"));
        let said = format!("secrets.yaml: line 2: {why}, and a secret is text");
        let ran = check(appcred(&project, &["validate"]), 1, &said);
        assert!(ran.stderr.contains(help), "{value}: {}", ran.stderr);
    }
}

#[test]
fn a_file_with_one_value_under_a_name_is_no_secret() {
    let (identity, recipient) = age_identity();
    let project = Project::new().file("appcred.yaml", &format!("{PROJECT}allow_plaintext: true\n"));
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !file sp"));
    for (text, kind) in [
        ("sp: Zq7m4rk3dKx2\n", "a YAML mapping"),
        ("\u{feff}SP=Zq7m4rk3dKx2\r\n", "an environment variable with its name"),
        ("export SP=Zq7m4rk3dKx2", "an environment variable with its name"),
    ] {
        for text in [text.to_owned(), encrypt(text, &recipient)] {
            project.write("credentials/sp", &text);
            let said = format!("credentials/sp: it is {kind}, and one value is needed");
            let validate = appcred(&project, &["validate"]).env("SOPS_AGE_KEY", &identity);
            let ran = check(validate, 1, &said);
            assert!(ran.stderr.contains("`!file FILE#NAME` reads"), "{}", ran.stderr);
        }
    }
    project.write("credentials/sp", "sp: Zq7m4rk3dKx2\n");
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !file sp#sp"));
    appcred(&project, &["validate"]).stderr("").run();
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !file sp"));
    for secret in ["Zq7m4rk3dKx2=", "Zq7:m4rk3dKx2", "q=7m4rk3dKx2", "ZQ=="] {
        project.write("credentials/sp", secret);
        appcred(&project, &["validate"]).stderr("").run();
    }
}

#[test]
fn what_git_could_not_merge_is_named_wherever_a_secret_is_read() {
    let (identity, recipient) = age_identity();
    let conflict =
        |one: &str, other: &str| format!("<<<<<<< HEAD\n{one}\n=======\n{other}\n>>>>>>> branch\n");
    let project = Project::new().file("appcred.yaml", PROJECT);
    let validate = || appcred(&project, &["validate"]).env("SOPS_AGE_KEY", &identity);
    let armored = encrypt(SECRET, &recipient);
    let both = conflict(armored.trim(), armored.trim());
    let (head, body) = armored.split_once('\n').unwrap();
    let inside = format!("{head}\n{}", conflict(body.trim(), body.trim()));
    let said = "it has an unresolved merge conflict";
    for (file, text) in [
        ("s.age", &both),
        ("s.age", &inside),
        ("s.txt", &both),
        ("s.txt", &inside),
        ("s.txt", &conflict(SECRET, "other")),
    ] {
        project.write(&format!("credentials/{file}"), text);
        let fields = format!("client_id: a, client_secret: !file {file}");
        project.write("credentials/a.yaml", &manifest(&fields));
        check(validate(), 1, said);
    }
    let lines: String = inside.lines().map(|line| format!("      {line}\n")).collect();
    let entry = format!(
        "application_credentials:\n  - domain: spotify\n    client_id: a\n    client_secret: |\n{lines}"
    );
    project.write("credentials/a.yaml", &entry);
    let ran = check(validate(), 1, said);
    assert!(ran.stderr.contains("remove the lines that begin with `<<<<<<<`"), "{}", ran.stderr);

    project.write("credentials/a.yaml", "application_credentials: []\n");
    project.write("id.txt", &conflict(&identity, &identity));
    project.write("appcred.yaml", &format!("{PROJECT}age: {{identities: [id.txt]}}\n"));
    check(validate(), 0, "Git could not merge the file");
    project.write("token.txt", &conflict(SECRET, "other"));
    let target = "targets: {home: {url: 'http://127.0.0.1:1', token_file: token.txt}}\n";
    project.write("appcred.yaml", target);
    let plan = appcred(&project, &["plan"]).status(1).run();
    let said = plan.stdout + &plan.stderr;
    assert!(said.contains("is a text with an unresolved merge conflict"), "{said}");
}

#[test]
fn an_armored_age_file_may_have_a_byte_order_mark() {
    let (identity, recipient) = age_identity();
    let recipients = format!("age: {{recipients: [{recipient}]}}\n");
    let project = Project::new().file("appcred.yaml", &format!("{PROJECT}{recipients}"));
    let marked = format!("\u{feff}{}", encrypt(SECRET, &recipient)).replace('\n', "\r\n");
    for file in ["s.age", "s.txt"] {
        project.write(&format!("credentials/{file}"), &marked);
        let fields = format!("client_id: a, client_secret: !file {file}");
        project.write("credentials/a.yaml", &manifest(&fields));
        let run = |verb: &str| appcred(&project, &[verb]).env("SOPS_AGE_KEY", &identity);
        run("plan").run();
        run("validate").stderr("").run();
        run("rekey").args(["--force"]).run();
        let after = fs::read_to_string(project.join(&format!("credentials/{file}"))).unwrap();
        assert!(after.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{after}");
    }
}

#[test]
fn an_error_says_what_a_file_beside_manifests_is_that_is_none() {
    let (_, recipient) = age_identity();
    let project = Project::new().file("appcred.yaml", PROJECT);
    project.write("credentials/a.yaml", "application_credentials: []\n");
    let names = [
        "secrets.enc.yaml",
        "secret.sops.yaml",
        "Secrets.yaml",
        "secret.yaml",
        "secrets.dec.yaml",
        "fake_secrets.yaml",
    ];
    for name in names {
        project.write(&format!("credentials/{name}"), "sp: Zq7m4rk3dKx2\n");
        let said = "this is a file of secrets by its name, and no manifest";
        let ran = check(appcred(&project, &["validate"]), 1, said);
        let place = format!("credentials/{name}:1:1");
        assert!(ran.stderr.contains(&place), "{}", ran.stderr);
        assert!(ran.stderr.contains("`!file PATH#NAME` reads a value of it"), "{}", ran.stderr);
        fs::remove_file(project.join(&format!("credentials/{name}"))).unwrap();
    }
    let plain = "sp: Zq7m4rk3dKx2\n";
    by_sops(&project, "credentials/s.sops.yaml", plain, &recipient.to_string(), "sp");
    let said = "this is a SOPS document without `application_credentials`, and no manifest";
    check(appcred(&project, &["validate"]), 1, said);
    fs::remove_file(project.join("credentials/s.sops.yaml")).unwrap();
    // Whoever mistypes the list in a file of such a name is told of that.
    project.write("credentials/my-secrets.yaml", "aplication_credentials: []\n");
    check(appcred(&project, &["validate"]), 1, "did you mean `application_credentials`");
    fs::remove_file(project.join("credentials/my-secrets.yaml")).unwrap();
    let armored = encrypt("application_credentials: []\n", &recipient);
    for (bytes, kind) in [
        (armored.as_bytes(), "an age file"),
        (b"age-encryption.org/v1\n\xff\xfe\0", "an age file"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", "a value that Ansible encrypted"),
        (b"U2FsdGVkX1+Zq7m4rk3dKx2\n", "a file that OpenSSL encrypted, as transcrypt does"),
    ] {
        fs::write(project.join("credentials/whole.yaml"), bytes).unwrap();
        let said = format!("`credentials/whole.yaml` is {kind}, and is not read");
        check(appcred(&project, &["validate"]), 1, &said);
    }
    for (bytes, program) in
        [(&b"Salted__\xff\xfe"[..], "OpenSSL"), (b"\x85\x02\x0c\x03\xff", "GPG")]
    {
        for file in ["credentials/whole.yaml", "secrets.yaml"] {
            fs::write(project.join(file), bytes).unwrap();
            project
                .write("credentials/a.yaml", &manifest("client_id: a, client_secret: !secret sp"));
            let ran = check(
                appcred(&project, &["validate"]),
                1,
                &format!("it is encrypted by {program}"),
            );
            assert!(
                ran.stderr.contains("decrypt it, and encrypt its values with `appcred encrypt`")
            );
            fs::remove_file(project.join(file)).unwrap();
        }
    }
}

#[test]
fn a_locked_file_of_secrets_is_reported_where_it_is_named() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    project.write("credentials/a.yaml", &manifest("client_id: a, client_secret: !secret sp"));
    for (bytes, status, why, help) in [
        (b"\0GITCRYPT\0x".as_slice(), 0, "it is locked by git-crypt", "`git-crypt unlock`"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4f\nsize 1\n",
            0,
            "it is a Git LFS pointer",
            "`git lfs pull`",
        ),
        (b"\xff\xfes\0:\0 \0x\0", 1, "it is UTF-16", "save it as UTF-8"),
        (b"\xff\xfe\0\0s\0\0\0", 1, "it is UTF-32", "save it as UTF-8"),
        (b"\x1f\x8b\x08\0", 1, "it is compressed by gzip", "unpack it with `gunzip`"),
    ] {
        fs::write(project.join("secrets.yaml"), bytes).unwrap();
        let said = format!("cannot read secrets.yaml: {why}\n");
        let ran = check(appcred(&project, &["validate"]), status, &said);
        assert!(ran.stderr.contains(help), "{}", ran.stderr);
        assert!(!ran.stderr.contains("check that the file exists"), "{}", ran.stderr);
        appcred(&project, &["validate", "--strict"]).status(1).run();
    }
}

#[test]
fn what_is_almost_a_source_of_secrets_is_named() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    project.write("credentials/names.json", "[\"a\"]\n");
    for (secret, why, help) in [
        ("!!secret sp", "has the unknown tag `!!secret`: did you mean `!secret`?", "the tags are"),
        ("!file ~/token", "cannot read credentials/~/token", "only a shell takes `~`"),
        (
            "!file names.json#a",
            "not a YAML mapping of names to secrets\n",
            "write one `name: secret`",
        ),
    ] {
        project.write(
            "credentials/a.yaml",
            &manifest(&format!("client_id: a, client_secret: {secret}")),
        );
        let ran = check(appcred(&project, &["validate"]), 1, why);
        assert!(ran.stderr.contains(help), "{}", ran.stderr);
    }
}

#[test]
fn a_name_that_a_file_of_secrets_does_not_have_is_reported_without_an_identity() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    let entry = manifest("client_id: i, client_secret: !secret spotfy");
    project.write("credentials/a.yaml", &entry);
    // Nobody knows what is in a file that is elsewhere.
    check(appcred(&project, &["validate"]), 0, "warning: cannot read the client_secret");
    project.write("secrets.yaml", &format!("spotify: {SECRET}\n"));
    let missing = "secrets.yaml does not have the secret `spotfy`: did you mean `spotify`?";
    check(appcred(&project, &["validate"]), 1, missing);
    fs::remove_file(project.join("secrets.yaml")).unwrap();
    // SOPS leaves names in plain text; the first file of secrets may be elsewhere.
    let (identity, recipient) = age_identity();
    project.write("secrets.sops.yaml", &format!("spotify: {SECRET}\n"));
    let recipient = recipient.to_string();
    let encrypt = ["--encrypt", "--age", &recipient, "secrets.sops.yaml"];
    project.write("secrets.sops.yaml", &sops(project.path(), &identity, encrypt));
    let ran = check(appcred(&project, &["validate"]), 0, "warning: cannot read the client_secret");
    assert!(ran.stderr.contains("secrets.sops.yaml does not have the secret"), "{}", ran.stderr);
    appcred(&project, &["validate", "--strict"]).status(1).run();
    project.write("credentials/a.yaml", &entry.replace("spotfy", "spotify"));
    appcred(&project, &["validate"]).stderr("").run();
}

#[test]
fn what_follows_a_number_sign_may_be_the_rest_of_a_secret() {
    let said = "ends at a `#`, where a comment begins: what follows may be the rest of it";
    let of_secret = |value: &str| {
        format!(
            "application_credentials:\n  - domain: spotify\n    client_id: 4f5c0a88\n    client_secret: {value}\n"
        )
    };
    let project = Project::new()
        .file("appcred.yaml", PROJECT)
        .file("secrets.yaml", "cut: Zq7a #m4rk3d\nquoted: 'Zq7a #m4rk3d'\nwhole: Zq7a # mine\n")
        .file("credentials/one.txt", "Zq7akDx2\n");
    for value in [
        "Zq7a #m4rk3d",
        "Zq7a \t##m4rk3d",
        "!!str Zq7a #m4rk3d",
        "!file one.txt #m4rk3d",
        "!secret cut",
        "!file ../secrets.yaml#cut",
    ] {
        project.write("credentials/a.yaml", &of_secret(value));
        check(appcred(&project, &["validate"]).env("S", "Zq7akDx2"), 1, said);
        check(appcred(&project, &["plan"]).env("S", "Zq7akDx2"), 1, said);
        if value.contains("Zq7a") {
            check(appcred(&project, &["encrypt", "--recipient", RECIPIENT]), 1, said);
        }
        assert_eq!(
            fs::read_to_string(project.join("credentials/a.yaml")).unwrap(),
            of_secret(value)
        );
    }
    for value in [
        "!secret quoted",
        "!secret whole",
        "!env_var S # mine",
        "!env_var S #mine",
        "!secret whole #mine",
        "!file 'one.txt' #mine",
        "!file one.txt #",
    ] {
        project.write("credentials/a.yaml", &of_secret(value));
        appcred(&project, &["validate", "--strict"]).env("S", "Zq7akDx2").run();
    }
    // The token of a target too.
    project.write("credentials/a.yaml", &of_secret("!env_var S"));
    let target =
        "owner: house\ntargets:\n  lab:\n    url: http://127.0.0.1:9\n    token: eyJa #m4rk3d\n";
    project.write("appcred.yaml", target);
    check(appcred(&project, &["encrypt"]), 1, said);
    assert_eq!(fs::read_to_string(project.join("appcred.yaml")).unwrap(), target);
}

#[test]
fn a_secret_that_is_nowhere_in_the_project_is_a_warning() {
    let project = Project::new().file("appcred.yaml", PROJECT);
    for (secret, said) in [
        ("!secret nothing", "there is no secrets.yaml with the secret `nothing`, here or above"),
        ("!file none.txt", "cannot read credentials/none.txt: there is no such file or folder"),
        ("!file none.yaml#k", "cannot read credentials/none.yaml: there is no such file or folder"),
    ] {
        let fields = format!("client_id: 4f5c0a88, client_secret: {secret}");
        project.write("credentials/a.yaml", &manifest(&fields));
        let ran = check(appcred(&project, &["validate"]), 0, said);
        assert!(ran.stderr.starts_with("warning: "), "{}", ran.stderr);
        check(appcred(&project, &["validate", "--strict"]), 1, said);
    }
    // What is outside is read from no machine, whatever is there.
    std::os::unix::fs::symlink("/run/none", project.join("link")).unwrap();
    for secret in ["/run/none", "../../none.txt", "none/../../../none.txt#k", "../link"] {
        let fields = format!("client_id: 4f5c0a88, client_secret: !file {secret}");
        project.write("credentials/a.yaml", &manifest(&fields));
        check(appcred(&project, &["validate"]), 1, "is outside the project");
    }
    // Where it may be read, it is another machine's.
    let fields = "client_id: 4f5c0a88, client_secret: !file /run/none";
    project.write("credentials/a.yaml", &manifest(fields));
    project.write("appcred.yaml", &format!("{PROJECT}allow_outside_files: true\n"));
    appcred(&project, &["validate", "--strict"]).stderr("").run();
}

/// What allows all that is in [`LENIENT_ENTRIES`].
const LENIENT: &str = "owner: house
targets: {lab: {config_dir: ha}}
allow_plaintext: true
allow_placeholders: true
allow_outside_files: true
custom_integrations: [my_own]
sources: {op: {command: [cat, \"{}\"]}}
manifests: [house]
age: {recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]}
";

const LENIENT_ENTRIES: &str = "application_credentials:
  # client_secret: m4rk3dKx2aaaaaaaaaaaaaaa
  - {domain: spotify, key: a, client_id: 4f5c0a88, client_secret: m4rk3dKx2}
  - {domain: my_own, key: b, client_id: your_client_id, client_secret: <m4rk3d>}
  - {domain: netatmo, key: c, client_id: 4f5c0a89, client_secret: !file /etc/hostname, targets: [lab]}
  - {domain: netatmo, key: d, client_id: 4f5c0a90, client_secret: !from op m4rk3dKx3}
";

#[test]
fn by_a_setting_that_could_not_be_read_nothing_is_judged() {
    let project = Project::new().file("house/a.yaml", LENIENT_ENTRIES);
    // To somebody else than those whom the project names.
    let (_, other) = age_identity();
    let sealed = encrypt("m4rk3dKx4", &other).replace('\n', "\n      ");
    project.write(
        "house/b.yaml",
        &format!("application_credentials:\n  - domain: fitbit\n    client_id: x1\n    client_secret: |\n      {sealed}\n"),
    );
    let unread = [
        ("config_dir: ha}", "config_dir: ha"),
        ("owner: house", "- house\n---\nowner: house"),
        ("allow_plaintext: true", "allow_plaintext: yess"),
        ("allow_plaintext: true", "allow_plaintex: true"),
        ("allow_placeholders: true", "allow_placeholders: 5"),
        ("allow_outside_files: true", "allow_outside_files: []"),
        ("[my_own]", "my_own"),
        ("[my_own]", "[!env_var my_own]"),
        ("[cat, \"{}\"]", "cat"),
        ("sources: ", "source: "),
        ("[house]", "house"),
        ("recipients: [", "recipients: [!secret x, "),
        ("age: ", "ages: "),
        ("targets: {lab", "target: {lab"),
    ];
    for (known, unknown) in unread {
        let text = LENIENT.replace(known, unknown);
        assert_ne!(text, LENIENT, "{known}");
        project.write("appcred.yaml", &text);
        for verb in [&["validate"][..], &["plan"], &["list"], &["apply", "--yes"]] {
            let ran = appcred(&project, verb).status(1).run();
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(ran.stderr.contains("--> appcred.yaml"), "{unknown}, {verb:?}: {all}");
            assert!(!all.contains("house/"), "{unknown}, {verb:?}: {all}");
            assert!(!all.contains("cannot read"), "{unknown}, {verb:?}: {all}");
            assert!(!all.to_lowercase().contains("m4rk3d"), "{all}");
        }
        assert!(!project.path().join("ha").exists(), "{unknown}: nothing is applied");
    }
    let with = |from: &str, to: &str| {
        project.write("appcred.yaml", &LENIENT.replace(from, to));
        appcred(&project, &["validate"])
    };
    with("", "").run();
    for (known, said) in [
        ("allow_plaintext: true\n", "in plain text"),
        ("allow_placeholders: true\n", "placeholder"),
        ("allow_outside_files: true\n", "is outside the project"),
        ("custom_integrations: [my_own]\n", "unknown integration `my_own`"),
        ("sources: {op: {command: [cat, \"{}\"]}}\n", "there is no source `op`"),
    ] {
        check(with(known, ""), 1, said);
    }
}
