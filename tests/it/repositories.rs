//! What `validate` sees of the repositories that a project and its manifests are in.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::hygiene::git;
use crate::shell::{Appcred, Project, Ran, age_identity};

const MANIFEST: &str = "application_credentials:\n  - {domain: spotify, client_id: i, client_secret: plain-text-secret}\n";
const PROJECT: &str =
    "owner: house\nallow_plaintext: true\ntargets: {home: {config_dir: /srv/ha}}\n";

#[track_caller]
fn validate(folder: &Path, arguments: &[&str]) -> Ran {
    let appcred = Appcred::new().in_dir(folder).args(["validate"]).args(arguments);
    appcred.env("PATH", "/usr/bin:/bin").spawn().finish()
}

fn commit(folder: &Path) {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "-m", "x"]);
}

fn secret_identity() -> String {
    age_identity().0
}

#[test]
fn an_identity_is_found_in_the_whole_work_tree_of_a_project_below_it() {
    let house = Project::new()
        .file("house/appcred.yaml", PROJECT)
        .file("house/credentials/a.yaml", MANIFEST)
        .file("identity.txt", &secret_identity());
    git(house.path(), &["init", "--quiet"]);
    let said = validate(&house.path().join("house"), &[]).stderr;
    assert!(said.contains("/identity.txt contains an age identity"), "{said}");
}

#[test]
fn a_submodule_with_manifests_is_checked_with_its_history() {
    let manifests = Project::new().file("credentials/a.yaml", MANIFEST);
    let project = Project::new().file(
        "appcred.yaml",
        &PROJECT.replace("allow_plaintext: true", "manifests: [inner/credentials]"),
    );
    git(manifests.path(), &["init", "--quiet"]);
    commit(manifests.path());
    git(project.path(), &["init", "--quiet"]);
    let from = manifests.path().to_str().unwrap();
    git(
        project.path(),
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", from, "inner"],
    );
    let inner = project.path().join("inner");
    let sealed =
        "application_credentials:\n  - {domain: spotify, client_id: i, client_secret: !secret x}\n";
    fs::write(inner.join("credentials/a.yaml"), sealed).unwrap();
    fs::write(inner.join("identity.txt"), secret_identity()).unwrap();
    commit(project.path());
    let said = validate(project.path(), &["--history"]).stderr;
    assert!(said.contains("inner/identity.txt contains an age identity"), "{said}");
    assert!(said.contains("`client_secret` is in plain text in commit"), "{said}");
}

#[test]
fn a_repository_runs_no_program_when_it_is_read() {
    let project = Project::new().file("appcred.yaml", PROJECT).file("credentials/a.yaml", MANIFEST);
    git(project.path(), &["init", "--quiet"]);
    commit(project.path());
    let ran = project.path().join("ran");
    let program = format!("touch {}; false", ran.display());
    for setting in
        ["core.fsmonitor", "gpg.program", "diff.external", "core.pager", "core.sshCommand"]
    {
        git(project.path(), &["config", setting, &program]);
    }
    git(project.path(), &["config", "log.showSignature", "true"]);
    assert!(!ran.exists());
    validate(project.path(), &["--history"]);
    assert!(!ran.exists());
    // The settings are those that run something.
    let status =
        std::process::Command::new("git").arg("status").current_dir(project.path()).output();
    assert!(status.unwrap().status.success() && ran.exists());
}

#[test]
fn a_large_file_that_git_does_not_ignore_is_not_read() {
    let project = Project::new().file("appcred.yaml", PROJECT).file("credentials/a.yaml", MANIFEST);
    git(project.path(), &["init", "--quiet"]);
    let database = fs::File::create(project.path().join("home-assistant_v2.db")).unwrap();
    // To read it all would need more memory than the program may have.
    database.set_len(64 << 30).unwrap();
    let said = validate(project.path(), &["--strict"]);
    assert_eq!((said.status, said.stderr.contains("warning")), (Some(0), false), "{}", said.stderr);
}

/// Git itself would look for no repository above such a folder.
#[test]
fn a_repository_is_found_above_a_ceiling() {
    let project = repository(SEALED);
    project.write(
        "credentials/appcred.yaml",
        "owner: house\ntargets: {home: {config_dir: /srv/ha}}\nmanifests: [a.yaml]\n",
    );
    let run = Appcred::new().in_dir(&project.join("credentials")).args(["validate"]);
    let run = run.env("PATH", "/usr/bin:/bin").env("GIT_CEILING_DIRECTORIES", project.path());
    let said = run.spawn().finish().stderr;
    assert!(!said.contains("not a git repository"), "{said}");
}

#[test]
fn a_copy_of_a_manifest_is_found_by_what_it_holds_under_any_name() {
    let sealed = MANIFEST.replace("plain-text-secret", "!secret spotify");
    let project = Project::new()
        .file("appcred.yaml", "owner: house\ntargets: {home: {config_dir: /srv/ha}}\n")
        .file("credentials/a.yaml", &sealed);
    let copies = [
        "credentials/a.yaml~",
        "credentials/A.YAML.orig",
        "credentials/#a.yaml#",
        "credentials/.a.yaml.swp",
        "credentials/a.yaml.1",
        "credentials/a.yaml.~1~",
        "credentials/a.yaml.mine",
        "credentials/a_old",
        "credentials/a.rpmnew",
        "credentials/a - Kopie.yaml.txt",
        "credentials/notes.md",
        "old/a.yaml",
        "credentials.disabled/a.yaml",
    ];
    for name in copies {
        project.write(name, MANIFEST);
    }
    let patch: String = MANIFEST.lines().map(|line| format!("+{line}\n")).collect();
    project.write("a.patch", &format!("--- a\n+++ b\n@@ -0,0 +1,2 @@\n{patch}"));
    // What holds no secret, and a binary file.
    project.write("credentials/b.yaml~", &sealed);
    project.write("docs/fields.md", "`client_secret: !secret NAME` is read; domain: spotify\n");
    fs::write(project.join("a.db"), format!("\0{MANIFEST}")).unwrap();
    git(project.path(), &["init", "--quiet"]);
    // Git does not have it.
    project.write("ignored.txt", MANIFEST);
    git(project.path(), &["add", "--all", "--force"]);
    git(project.path(), &["rm", "--quiet", "--cached", "ignored.txt"]);
    let found = |said: &str| -> Vec<String> {
        let lines = said.lines().filter_map(|line| line.strip_prefix("warning: "));
        let lines =
            lines.filter_map(|line| line.split_once(" has a `client_secret` in plain text"));
        let files = lines.map(|(file, _)| file).filter(|file| !file.contains("staged version"));
        files.map(str::to_owned).collect()
    };
    let mut expected = [&copies[..], &["a.patch"]].concat();
    expected.sort_unstable();
    let said = validate(project.path(), &[]).stderr;
    assert_eq!(found(&said), expected, "{said}");
    assert!(!said.contains("plain-text-secret"), "{said}");
    fs::remove_file(project.join("ignored.txt")).unwrap();
    // What the index has counts, whatever the work tree has; and what is read as a manifest is said as of one.
    commit(project.path());
    project.write("old/a.yaml", &sealed);
    fs::remove_file(project.join("a.patch")).unwrap();
    let said = validate(project.path(), &[]).stderr;
    assert_eq!(found(&said), expected, "{said}");
    git(project.path(), &["rm", "--quiet", "-rf", "old", "a.patch", "credentials"]);
    project.write("credentials/a.yaml", &sealed);
    commit(project.path());
    let said = validate(project.path(), &[]).stderr;
    assert_eq!(found(&said), ["credentials.disabled/a.yaml"], "{said}");
    let said = history(project.path());
    for file in expected {
        assert!(said.contains(&format!(", {file}:")), "{file}: {said}");
    }
    assert!(!said.contains("b.yaml~") && !said.contains("fields.md"), "{said}");
}

const SEALED: &str = "application_credentials:\n  - {domain: spotify, client_id: i, client_secret: !env_var SPOTIFY}\n";

fn repository(manifest: &str) -> Project {
    let project = Project::new()
        .file("appcred.yaml", "owner: house\ntargets: {home: {config_dir: /srv/ha}}\n")
        .file("credentials/a.yaml", manifest);
    git(project.path(), &["init", "--quiet"]);
    project
}

#[test]
fn a_secret_in_a_comment_is_one_in_plain_text() {
    let commented = format!("{SEALED}#  client_secret: 9a8B7c6D5e4F\n");
    let project = repository(&commented);
    let ran = validate(project.path(), &["--strict"]);
    let message = "a comment has a `client_secret` in plain text\n --> credentials/a.yaml:3:1";
    assert!(ran.status == Some(1) && ran.stderr.contains(message), "{}", ran.stderr);
    assert!(!ran.stderr.contains("9a8B7c6D5e4F"), "{}", ran.stderr);
    commit(project.path());
    project.write("credentials/a.yaml", SEALED);
    git(project.path(), &["add", "--all"]);
    assert_eq!(validate(project.path(), &["--strict"]).status, Some(0));
    let said = validate(project.path(), &["--history"]).stderr;
    assert!(said.contains("`client_secret` is in plain text in commit"), "{said}");
}

#[test]
fn what_is_staged_is_checked_where_the_work_tree_is_another() {
    let project = repository(MANIFEST);
    git(project.path(), &["add", "--all"]);
    // What the file still has is reported of the file, and staging it again would not help.
    project.write("credentials/a.yaml", &format!("# More.\n{MANIFEST}"));
    let said = validate(project.path(), &["--strict"]).stderr;
    assert!(said.contains("credentials/a.yaml:3:") && !said.contains("staged"), "{said}");
    project.write("credentials/a.yaml", SEALED);
    let ran = validate(project.path(), &["--strict"]);
    let message =
        "the staged version of credentials/a.yaml has a `client_secret` in plain text on line 2";
    assert!(ran.status == Some(1) && ran.stderr.contains(message), "{}", ran.stderr);
    // A hook checks what its commit takes: that of `--all` is another index.
    let hook = project.path().join(".git/hooks/pre-commit");
    fs::write(
        &hook,
        format!("#!/bin/sh\nexec {} validate --strict\n", env!("CARGO_BIN_EXE_appcred")),
    )
    .unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let commits = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(project.path()).args(["-c", "user.name=n", "-c", "user.email=e"]);
        command.args(["commit", "--quiet", "-m", "x"]).args(arguments);
        command.status().unwrap().success()
    };
    assert!(!commits(&[]));
    assert!(commits(&["--all"]));
    assert!(!history(project.path()).contains("plain text"), "{}", history(project.path()));
}

fn history(folder: &Path) -> String {
    validate(folder, &["--history"]).stderr
}

#[test]
fn the_environment_leads_to_no_other_repository_and_hides_nothing() {
    let (project, other) = (repository(MANIFEST), repository(SEALED));
    commit(project.path());
    commit(other.path());
    project.write("credentials/a.yaml", SEALED);
    commit(project.path());
    let git_dir = other.path().join(".git");
    for (name, value) in [
        ("GIT_DIR", git_dir.to_str().unwrap()),
        ("GIT_WORK_TREE", other.path().to_str().unwrap()),
        ("GIT_COMMON_DIR", git_dir.to_str().unwrap()),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_INDEX_FILE", git_dir.join("index").to_str().unwrap()),
    ] {
        let appcred = Appcred::new().in_dir(project.path()).args(["validate", "--history"]);
        let said = appcred.env("PATH", "/usr/bin:/bin").env(name, value).spawn().finish().stderr;
        assert!(said.contains("is in plain text in commit"), "{name}: {said}");
    }
    // What is put in the place of an old version is so in this clone alone.
    git(project.path(), &["replace", "HEAD~1", "HEAD"]);
    git(
        project.path(),
        &["replace", "--force", "HEAD~1:credentials/a.yaml", "HEAD:credentials/a.yaml"],
    );
    let said = history(project.path());
    assert!(said.contains("is in plain text in commit"), "{said}");
}

#[test]
fn an_old_version_in_another_encoding_is_searched() {
    let utf_16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(MANIFEST.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin = [MANIFEST.as_bytes(), b"# caf\xe9\n"].concat();
    for bytes in [utf_16, latin] {
        let project = repository(SEALED);
        fs::write(project.path().join("credentials/a.yaml"), bytes).unwrap();
        commit(project.path());
        project.write("credentials/a.yaml", SEALED);
        commit(project.path());
        let said = history(project.path());
        assert!(said.contains("is in plain text in commit"), "{said}");
    }
}

#[test]
fn a_git_that_prints_without_an_end_or_fails_in_silence_is_named_and_not_waited_for() {
    let project = Project::new().file("appcred.yaml", PROJECT).file("credentials/a.yaml", MANIFEST);
    git(project.path(), &["init", "--quiet"]);
    let tools = Project::new();
    for (script, why) in [
        ("yes x", "`git check-ignore` printed more than 64 MB"),
        ("exit 3", "git: it ended with exit status: 3 and said nothing"),
    ] {
        tools.write("git", &format!("#!/bin/sh\n{script}\n"));
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(tools.join("git"), executable).unwrap();
        fs::create_dir_all(project.path().join("ha/.storage")).unwrap();
        project.write("appcred.yaml", "owner: house\ntargets: {home: {config_dir: ha}}\n");
        let path = format!("{}:/usr/bin:/bin", tools.path().display());
        let appcred = Appcred::new().in_dir(project.path()).args(["validate"]);
        let said = appcred.env("PATH", path).spawn().finish().stderr;
        let whole = format!("cannot check whether Git tracks secrets in plain text: {why}");
        assert!(said.contains(&whole), "{said}");
    }
}

/// What is wrong with a file now is found in its old versions: both look for the same.
#[test]
fn each_secret_in_plain_text_of_a_project_is_found_in_its_history() {
    let token = "eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl";
    let project_file = format!(
        "owner: house\ntargets:\n  a:\n    url: https://me:m4rk3d-1@ha.example\n    proxy: http://me:m4rk3d-2@proxy.example:3128\n    token_command: [curl, -H, 'Authorization: Bearer {token}', 'https://x']\n  b:\n    url: https://ha.example\n    token_file: {token}\n  c:\n    url: https://ha.example\n    client_certificate: c.pem\n    client_key: \"-----BEGIN PRIVATE KEY-----\"\n  d:\n    url: https://ha.example\n    token: m4rk3d-4x\nsources:\n  vault:\n    command: [vault, -token, m4rk3d-5x, '{{}}']\n    environment: [VAULT_TOKEN=m4rk3d-6x]\nnotify:\n  - webhook: https://hooks.example/m4rk3d-7\n"
    );
    let manifest = "application_credentials:\n  - domain: spotify\n    client_id: a\n    client_secret: !secret m4rk3d81qw99plain\n    integration:\n      answers:\n        user: {password: m4rk3d-8, host: ha, inner: {pin: 1234}}\n  - {domain: fitbit, client_id: a, client_secret: !env_var FITBIT m4rk3d-9}\n  - {domain: netatmo, client_id: a, client_secret: m4rk3d-10}\n# client_secret: m4rk3d-11\n";
    let project = repository(manifest);
    project.write("appcred.yaml", &project_file);
    commit(project.path());
    let places = |said: &str| {
        let named = ["appcred.yaml:", "credentials/a.yaml:"].into_iter().flat_map(|file| {
            said.match_indices(file).map(move |(at, _)| {
                let line = said[at + file.len()..].split(|part: char| !part.is_ascii_digit());
                format!("{file}{}", line.clone().next().unwrap())
            })
        });
        named.collect::<BTreeSet<String>>()
    };
    let said = validate(project.path(), &[]).stderr;
    let lines = |file: &str, lines: &[u8]| -> Vec<String> {
        lines.iter().map(|line| format!("{file}:{line}")).collect()
    };
    let expected = [
        lines("appcred.yaml", &[4, 5, 6, 9, 13, 16, 19, 20, 22]),
        lines("credentials/a.yaml", &[4, 7, 8, 9, 10]),
    ];
    let expected: BTreeSet<String> = expected.into_iter().flatten().collect();
    assert_eq!(places(&said), expected, "{said}");
    project.write("appcred.yaml", "owner: house\ntargets: {home: {config_dir: /srv/ha}}\n");
    project.write("credentials/a.yaml", SEALED);
    commit(project.path());
    let history = history(project.path());
    assert_eq!(places(&history), expected, "{history}");
    assert_eq!(history.matches("credentials/a.yaml:7").count(), 2, "{history}");
    assert!(!(said + &history).contains("m4rk3d"), "{history}");
}

/// PowerShell writes what a program prints in UTF-16.
#[test]
fn an_identity_in_utf_16_is_found_now_and_in_the_history() {
    let wide = |text: &str, to: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(to).collect()
    };
    let text = format!("# created\r\n{}\r\n", secret_identity());
    let project = repository(SEALED);
    fs::write(project.join("little.txt"), wide(&text, u16::to_le_bytes)).unwrap();
    fs::write(project.join("big"), wide(&text, u16::to_be_bytes)).unwrap();
    fs::write(project.join("none.txt"), wide("AGE-SECRET-KEY-1 has 59", u16::to_le_bytes)).unwrap();
    commit(project.path());
    let said = validate(project.path(), &[]).stderr;
    for file in ["little.txt", "big"] {
        assert!(said.contains(&format!("{file} contains an age identity")), "{said}");
        fs::remove_file(project.join(file)).unwrap();
    }
    commit(project.path());
    let said = history(project.path());
    for file in ["little.txt", "big"] {
        assert!(said.contains(&format!("{file} contains an age identity in commit")), "{said}");
    }
    assert!(!said.contains("none.txt"), "{said}");
}

/// A file of a token that only an old version of the project names.
#[test]
fn the_file_of_a_token_is_searched_though_no_target_names_it_now() {
    let project = repository(SEALED);
    let now = "owner: house\ntargets: {home: {config_dir: /srv/ha}}\n";
    let before = "owner: house\ntargets: {home: {url: 'http://ha', token_file: keys/ha}}\n";
    project.write("appcred.yaml", before);
    project.write("keys/ha", "m4rk3d.m4rk3d.m4rk3d\n");
    commit(project.path());
    fs::remove_file(project.join("keys/ha")).unwrap();
    project.write("appcred.yaml", now);
    commit(project.path());
    let said = history(project.path());
    assert!(said.contains("keys/ha is in plain text in commit"), "{said}");
}

/// Whoever has such a key can open what is encrypted to it; another one may be there for other ends.
#[test]
fn a_key_of_ssh_that_git_has_is_found_if_the_project_encrypts_to_it() {
    let project = repository(SEALED);
    let keygen = |file: &str, passphrase: &str| {
        let path = project.join(file);
        let mut keygen = std::process::Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(&path);
        assert!(keygen.status().unwrap().success());
        fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned()
    };
    let (ours, locked) = (keygen("ours", ""), keygen("locked", "m4rk3d"));
    keygen("others", "");
    commit(project.path());
    let with = |recipients: &[&str]| {
        let file = format!(
            "owner: house\ntargets: {{home: {{config_dir: /srv/ha}}}}\nage: {{recipients: {recipients:?}}}\n"
        );
        project.write("appcred.yaml", &file);
        validate(project.path(), &[]).stderr
    };
    assert_eq!(with(&[&locked]), "");
    let said = with(&[&ours, &locked]);
    assert!(said.contains("warning: ours contains an age identity"), "{said}");
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
}

/// What git-crypt encrypts is in plain text in the work tree alone.
#[test]
fn an_identity_that_a_filter_encrypts_is_not_in_git() {
    let project = repository(SEALED);
    project.write("key.txt", &secret_identity());
    project.write(
        "appcred.yaml",
        "owner: house\ntargets: {home: {config_dir: /srv/ha}}\nage: {identities: [key.txt]}\n",
    );
    let said = validate(project.path(), &[]).stderr;
    assert!(said.contains("key.txt contains an age identity"), "{said}");
    project.write(".gitattributes", "key.txt filter=git-crypt diff=git-crypt\n");
    assert_eq!(validate(project.path(), &[]).stderr, "");
}

#[test]
fn a_document_in_plain_text_behind_one_of_sops_is_found() {
    let project = repository(SEALED);
    let sops = "a: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\nsops:\n  mac: x\n";
    project.write("secrets.yaml", sops);
    commit(project.path());
    assert_eq!(validate(project.path(), &[]).stderr, "");
    project.write("secrets.yaml", &format!("{sops}---\nb: m4rk3d-one\n"));
    commit(project.path());
    let said = validate(project.path(), &[]).stderr;
    assert!(said.contains("`secrets.yaml` is in plain text, and Git tracks it"), "{said}");
}

/// What SOPS writes where its rule chooses the key `spotify` alone.
const CHOSEN: &str = "spotify: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\nsops:\n  encrypted_regex: ^spotify$\n  mac: x\n";

#[test]
fn a_secret_that_sops_left_in_plain_text_is_found_now_and_in_the_history() {
    let tagged = |tag: &str| SEALED.replace("!env_var SPOTIFY", tag);
    let project = repository(&tagged("!secret google"));
    project.write(
        "credentials/b.yaml",
        &tagged("!file ../keys.sops.json#google").replace("spotify", "netatmo"),
    );
    project.write(
        "credentials/c.yaml",
        &tagged("!secret spotify").replace("domain: spotify", "domain: fitbit"),
    );
    project.write("secrets.sops.yaml", &format!("google: m4rk3d-gg\nnote: m4rk3d-note\n{CHOSEN}"));
    let json = r#"{"google": "m4rk3d-json", "sops": {"mac": "x", "encrypted_regex": "^no$"}}"#;
    project.write("keys.sops.json", json);
    commit(project.path());
    let ran = validate(project.path(), &["--strict", "--history"]);
    for file in ["secrets.sops.yaml", "keys.sops.json"] {
        let now =
            format!("is read from `{file}`, where SOPS left it in plain text, and Git tracks it");
        assert_eq!(ran.stderr.matches(&now).count(), 1, "{}", ran.stderr);
        let old = format!("{file}:1");
        assert!(
            ran.stderr
                .lines()
                .any(|line| line.contains("`google` is in plain text in commit")
                    && line.ends_with(&old)),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(!ran.stderr.contains("m4rk3d") && !ran.stderr.contains("`note`"), "{}", ran.stderr);
    // No entry reads it now, and the history has it still.
    project.write("credentials/a.yaml", SEALED);
    project.write("credentials/b.yaml", &tagged("!env_var N").replace("spotify", "netatmo"));
    commit(project.path());
    let said = history(project.path());
    assert!(!said.contains("where SOPS left it") && said.contains("secrets.sops.yaml:1"), "{said}");
    assert!(said.contains("keys.sops.json:1"), "{said}");
}

#[test]
fn a_secret_that_sops_left_in_plain_text_in_a_manifest_is_found_in_the_history() {
    let sops = "sops:\n  encrypted_regex: ^no$\n  mac: x\n";
    let plain = SEALED.replace("!env_var SPOTIFY", "m4rk3d-one");
    let project = repository(&format!("{plain}{sops}"));
    commit(project.path());
    let said = validate(project.path(), &[]).stderr;
    assert!(said.contains("is in plain text here"), "{said}");
    project.write("credentials/a.yaml", SEALED);
    commit(project.path());
    let said = history(project.path());
    assert!(said.contains("`client_secret` is in plain text in commit"), "{said}");
    assert!(!said.contains("m4rk3d"), "{said}");
}

#[test]
fn a_secret_that_sops_left_in_plain_text_is_found_where_it_is_staged() {
    let project = repository(&SEALED.replace("!env_var SPOTIFY", "!secret google"));
    project.write("secrets.sops.yaml", &format!("google: m4rk3d-gg\n{CHOSEN}"));
    git(project.path(), &["add", "--all"]);
    let sealed = CHOSEN.replacen("spotify", "google", 1);
    project.write("secrets.sops.yaml", &sealed);
    let said = validate(project.path(), &[]).stderr;
    let staged = "the staged version of secrets.sops.yaml has a `google` in plain text on line 1";
    assert!(said.contains(staged) && !said.contains("m4rk3d"), "{said}");
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_deleted() {
    let project = repository(SEALED);
    project.write("appcred.yaml", "owner: house\ntargets: {home: {config_dir: ha}}\n");
    project.write(".gitignore", "ha\n");
    project.write("credentials/b.yaml", &SEALED.replace("domain: spotify", "domain: netatmo"));
    commit(project.path());
    let run = |folder: &Path, arguments: &[&str]| {
        let appcred = Appcred::new().in_dir(folder).args(arguments);
        appcred.env("PATH", "/usr/bin:/bin").env("SPOTIFY", "zx81qw99plain").spawn().finish()
    };
    let apply = ["apply", "--yes"];
    assert_eq!(run(project.path(), &apply).status, Some(0));
    git(project.path(), &["sparse-checkout", "set", "--no-cone", "/*", "!/credentials/b.yaml"]);
    assert!(!project.join("credentials/b.yaml").exists());
    let ran = run(project.path(), &apply);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("Git's sparse checkout leaves out `credentials/b.yaml`"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("not done: delete netatmo"), "{}", ran.stdout);
    // A work tree has a sparse checkout of its own.
    let other = project.join("ha/other");
    git(project.path(), &["worktree", "add", "--quiet", other.to_str().unwrap()]);
    git(&other, &["sparse-checkout", "set", "--no-cone", "/*", "!/credentials/a.yaml"]);
    let said = validate(&other, &[]).stderr;
    assert!(said.contains("leaves out `credentials/a.yaml`"), "{said}");
    assert!(!said.contains("leaves out `credentials/b.yaml`"), "{said}");
    // What somebody removes is no longer wanted.
    git(project.path(), &["sparse-checkout", "disable"]);
    fs::remove_file(project.join("credentials/b.yaml")).unwrap();
    let ran = run(project.path(), &apply);
    assert!(ran.status == Some(0) && ran.stdout.contains("1 deleted"), "{}", ran.stdout);
}

#[test]
fn a_merge_that_is_not_finished_is_told_where_no_marker_does() {
    let project = repository(SEALED);
    project.write(".gitattributes", "*.yaml -merge\n");
    commit(project.path());
    let on_branch = |name: &str| {
        project.write("credentials/a.yaml", &SEALED.replace("client_id: i", name));
        commit(project.path());
    };
    git(project.path(), &["checkout", "--quiet", "-b", "other"]);
    on_branch("client_id: other");
    git(project.path(), &["checkout", "--quiet", "-"]);
    on_branch("client_id: own");
    assert_eq!(validate(project.path(), &["--strict"]).status, Some(0));
    let merged = std::process::Command::new("git")
        .current_dir(project.path())
        .args(["-c", "user.name=n", "-c", "user.email=e", "merge", "--quiet", "other"])
        .output()
        .unwrap();
    assert!(!merged.status.success());
    let ran = validate(project.path(), &["--strict"]);
    let message = "Git has not finished the merge of `credentials/a.yaml`";
    assert!(ran.status == Some(1) && ran.stderr.contains(message), "{}", ran.stderr);
    git(project.path(), &["add", "--all"]);
    assert_eq!(validate(project.path(), &["--strict"]).status, Some(0));
}

#[test]
fn a_file_that_gives_a_variable_its_secret_is_not_for_git() {
    let project = repository(SEALED);
    project.write(".env", "SPOTIFY=zx81qw99plain\nOTHER=zx81qw99plain\n");
    project.write(".env.example", "SPOTIFY=your-client-secret\n");
    project.write("compose.yaml", "environment:\n  SPOTIFY: ${SPOTIFY}\n");
    project.write("other/appcred.yaml", "owner: other\n");
    project.write("other/.env", "SPOTIFY=zx81qw99plain\n");
    assert_eq!(validate(project.path(), &["--strict"]).status, Some(0));
    commit(project.path());
    let ran = validate(project.path(), &["--strict"]);
    assert_eq!(ran.status, Some(1));
    let message = "error: .env has `SPOTIFY` in plain text, and Git tracks it\n";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("Git tracks it").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("zx81qw99plain"), "{}", ran.stderr);
    git(project.path(), &["rm", "--quiet", "--cached", ".env"]);
    assert_eq!(validate(project.path(), &["--strict"]).status, Some(0));
}
