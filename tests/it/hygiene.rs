//! What `validate` warns of beside the manifests' own problems: recipients, identities in the
//! repository, and secrets in its history.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::real::sops;
use crate::shell::{Appcred, Project, age_identity, encrypt};

/// Runs the real git in a folder, with nothing of this machine's settings.
#[track_caller]
pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    let who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
    let mut command = Command::new("git");
    command.args(who).args(["-c", "init.defaultBranch=main"]).args(arguments).current_dir(folder);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn commit(project: &Project, message: &str) {
    git(project.path(), &["add", "--all"]);
    git(project.path(), &["commit", "--quiet", "--allow-empty", "-m", message]);
}

fn validate(project: &Project) -> Appcred {
    Appcred::new().in_dir(project.path()).args(["validate"]).env("PATH", "/usr/bin:/bin")
}

fn entry(name: &str, secret: &str) -> String {
    format!(
        "  - domain: spotify\n    name: {name}\n    client_id: {name}\n    client_secret: {secret}\n"
    )
}

fn sealed(name: &str, secret: &str, recipient: &age::x25519::Recipient) -> String {
    let armored = encrypt(secret, recipient);
    entry(name, &format!("|\n      {}", armored.trim_end().replace('\n', "\n      ")))
}

fn manifest(entries: &[String]) -> String {
    format!("application_credentials:\n{}", entries.concat())
}

fn project_for(recipients: &[&str]) -> String {
    format!(
        "targets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{}]}}\n",
        recipients.join(", ")
    )
}

#[test]
fn a_damaged_age_file_is_found_without_a_key_and_without_recipients() {
    let (_, ours) = age_identity();
    let whole = sealed("whole", "x", &ours);
    let cut = whole.replace("      -----END AGE ENCRYPTED FILE-----", "").replace("whole", "cut");
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file("credentials/a.yaml", &manifest(&[whole, cut]));
    let said = validate(&project).status(1).stdout("").run().stderr;
    assert!(
        said.contains("error: cannot read the client_secret of `cut`: the age file is damaged"),
        "{said}"
    );
    assert!(said.contains("paste the whole file") && said.contains("\n1 error\n"), "{said}");
}

#[test]
fn an_entry_to_nobody_of_the_project_is_told_where_that_is_certain() {
    let (identity, ours) = age_identity();
    let (_, other) = age_identity();
    let project = Project::new().file("appcred.yaml", &project_for(&[&ours.to_string()])).file(
        "credentials/a.yaml",
        &manifest(&[sealed("good", "x", &ours), sealed("bad", "x", &other)]),
    );
    validate(&project).stdout("Valid: 2 entries.\n").stderr("").run();
    let with_key = || validate(&project).env("SOPS_AGE_KEY", &identity);
    let said = with_key().run().stderr;
    assert!(
        said.contains(
            "warning: this client_secret is not encrypted to any of the project's recipients"
        ),
        "{said}"
    );
    assert!(said.contains("credentials/a.yaml:") && !said.contains(&identity), "{said}");
    assert_eq!(said.matches("warning:").count(), 1, "{said}");
    with_key().args(["--strict"]).status(1).run();

    project.write("appcred.yaml", &project_for(&[&ours.to_string(), &other.to_string()]));
    let said = validate(&project).run().stderr;
    assert!(said.contains("is encrypted to 1 `age1…` recipient, and the project has 2"), "{said}");

    let both = format!("{ours},{other}");
    let plain = manifest(&[entry("a", "x")]);
    project.write("credentials/a.yaml", &plain);
    let options = ["--encrypt", "--in-place", "--encrypted-regex", "^client_secret$", "--age"];
    let encrypt = |to: &str| {
        project.write("credentials/a.yaml", &plain);
        sops(project.path(), &identity, options.iter().chain(&[to, "credentials/a.yaml"]));
    };
    encrypt(&both);
    validate(&project).stderr("").run();
    encrypt(&other.to_string());
    let said = validate(&project).run().stderr;
    assert!(said.contains("this SOPS document is not encrypted to `age1"), "{said}");
    project.write("appcred.yaml", &project_for(&[&ours.to_string()]));
    let said = validate(&project).run().stderr;
    assert!(
        said.contains("this SOPS document is not encrypted to any of the project's recipients"),
        "{said}"
    );
}

#[test]
fn files_of_secrets_to_nobody_of_the_project_are_told_once_each() {
    let (identity, ours) = age_identity();
    let (_, other) = age_identity();
    let named = |key: &str, secret: &str| {
        format!("  - {{domain: spotify, key: {key}, client_id: {key}, client_secret: {secret}}}\n")
    };
    let entries = [
        named("a", "!secret a"),
        named("b", "!secret b"),
        named("c", "!file c.age"),
        named("d", "!file d.age"),
        named("e", "!file e.txt"),
    ];
    let project = Project::new()
        .file("appcred.yaml", &project_for(&[&ours.to_string()]))
        .file("secrets.yaml.age", &encrypt("a: x\nb: y\n", &other))
        .file("credentials/c.age", &encrypt("x", &other))
        .file("credentials/d.age", &encrypt("x", &ours))
        .file("credentials/e.txt", "x")
        .file("credentials/a.yaml", &manifest(&entries));
    let said = validate(&project).env("SOPS_AGE_KEY", &identity).run().stderr;
    for (file, line) in [("secrets.yaml.age", 2), ("credentials/c.age", 4)] {
        let told = format!(
            "warning: this file `{file}` is not encrypted to any of the project's recipients\n --> credentials/a.yaml:{line}:"
        );
        assert!(said.contains(&told), "{said}");
    }
    assert_eq!(said.matches("warning:").count(), 2, "{said}");
}

#[test]
fn an_identity_that_git_takes_in_is_told_and_one_that_it_ignores_is_not() {
    let (identity, ours) = age_identity();
    let ssh = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/keys/ed25519"));
    let text = project_for(&[&ours.to_string()])
        .replace("age: {", "age: {identities: [keys/own.txt, keys/ssh, top, ~/away.txt], ");
    let project = Project::new()
        .file("appcred.yaml", &text)
        .file("keys/own.txt", &identity)
        .file("keys/ssh", ssh.as_ref().unwrap())
        .file("top", &ssh.unwrap())
        .file("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]))
        .file("notes.txt", "an identity begins with AGE-SECRET-KEY-1 and ends elsewhere\n");
    validate(&project).stderr("").run();
    git(project.path(), &["init", "--quiet"]);
    // As PowerShell writes the output of a program.
    let utf16: Vec<u8> = identity.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(project.join("keys/utf16.txt"), [&[0xFF, 0xFE][..], &utf16].concat()).unwrap();
    let said = validate(&project).run().stderr;
    for file in ["keys/own.txt", "keys/ssh", "keys/utf16.txt", "top"] {
        let expected =
            format!("warning: {file} contains an age identity, and Git does not ignore it");
        assert!(said.contains(&expected), "{said}");
    }
    assert_eq!(said.matches("warning:").count(), 4, "{said}");
    project.write(".gitignore", "keys/\ntop\n");
    validate(&project).stderr("").run();
    git(project.path(), &["add", "--force", "keys/own.txt"]);
    let said = validate(&project).args(["--strict"]).status(1).run().stderr;
    assert!(said.contains("error: keys/own.txt contains an age identity"), "{said}");
    assert!(!said.contains(&identity));
}

#[test]
fn secrets_in_old_versions_are_told_once_with_their_commit_and_never_shown() {
    let (_, ours) = age_identity();
    let project = Project::new().file("appcred.yaml", &project_for(&[&ours.to_string()]));
    git(project.path(), &["init", "--quiet"]);
    let history = || validate(&project).args(["--history"]);
    project.write("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]));
    commit(&project, "begin");
    history().stdout("Valid: 1 entry.\n").stderr("").run();

    project.write(
        "credentials/b.yaml",
        &manifest(&[entry("c", "m4rk3d-one"), sealed("b", "x", &ours)]),
    );
    commit(&project, "oh");
    project.write(
        "credentials/b.yaml",
        &manifest(&[entry("d", "m4rk3d-one"), entry("e", "m4rk3d-two")]),
    );
    commit(&project, "again");
    git(project.path(), &["checkout", "--quiet", "-b", "side"]);
    project.write(
        "appcred.yaml",
        "targets: {home: {url: \"http://127.0.0.1:1\", token: m4rk3d-token}}\n",
    );
    project.write("credentials/c.yaml", "application_credentials: [\n");
    project.write("elsewhere/d.yaml", &manifest(&[entry("d", "m4rk3d-elsewhere")]));
    commit(&project, "side");
    git(project.path(), &["checkout", "--quiet", "main"]);
    fs::remove_file(project.join("credentials/b.yaml")).unwrap();
    commit(&project, "gone");

    let ran = history().run();

    let told = |text: &str| ran.stderr.matches(text).count();
    assert_eq!(ran.stdout, "Valid: 1 entry.\n");
    assert_eq!(told("warning: `client_secret` is in plain text in commit "), 3, "{}", ran.stderr);
    assert_eq!(
        (told("credentials/b.yaml:5"), told("credentials/b.yaml:9")),
        (1, 1),
        "{}",
        ran.stderr
    );
    assert_eq!(told("warning: `token` is in plain text in commit "), 1, "{}", ran.stderr);
    assert_eq!(told("credentials/c.yaml in commit "), 1, "{}", ran.stderr);
    assert_eq!(
        (told("elsewhere/d.yaml:5"), told("m4rk3d"), told("warning:")),
        (1, 0, 5),
        "{}",
        ran.stderr
    );
    history().args(["--strict"]).status(1).run();
    validate(&project).stderr("").run();

    let clone = Project::new();
    let from = format!("file://{}", project.path().display());
    git(clone.path(), &["clone", "--quiet", "--depth", "1", &from, "house"]);
    let said = validate(&project).args(["-C", clone.join("house").to_str().unwrap(), "--history"]);
    let said = said.status(1).run().stderr;
    assert!(said.contains("this clone is shallow"), "{said}");
    let nowhere = Project::new().file("credentials/a.yaml", "application_credentials: []\n");
    let said = validate(&nowhere).args(["--history"]).status(1).run().stderr;
    assert!(
        said.contains("error: the history cannot be searched: git: not a git repository"),
        "{said}"
    );
}

/// As a copy of a repository or a restored cache is.
#[test]
fn what_was_only_touched_is_not_staged() {
    let (_, ours) = age_identity();
    let plain = manifest(&[entry("a", "m4rk3d")]);
    let project = Project::new().file("ha/.storage/application_credentials", "{}");
    project.write("appcred.yaml", &project_for(&[&ours.to_string()]));
    project.write("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]));
    git(project.path(), &["init", "--quiet"]);
    commit(&project, "all");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
    for file in ["ha/.storage/application_credentials", "credentials/a.yaml"] {
        fs::File::options()
            .append(true)
            .open(project.join(file))
            .unwrap()
            .set_modified(later)
            .unwrap();
    }
    let said = validate(&project).run().stderr;
    assert!(!said.contains("the staged version"), "{said}");
    // Where it differs, it is.
    project.write("credentials/a.yaml", &plain);
    git(project.path(), &["add", "--all"]);
    project.write("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]));
    let said = validate(&project).run().stderr;
    assert!(
        said.contains("the staged version of credentials/a.yaml has a `client_secret`"),
        "{said}"
    );
}

/// What `validate` finds while Git tracks it is in the history once it was removed.
#[test]
fn what_was_tracked_once_is_found_in_the_history() {
    let (identity, ours) = age_identity();
    let files = "client_certificate: client.pem, client_key: client.key, token_file: token";
    let text = format!(
        "targets: {{home: {{url: 'https://127.0.0.1:1', {files}}}}}\nage: {{recipients: [{ours}]}}\n"
    );
    let key = "-----BEGIN PRIVATE KEY-----\nm4rk3d\n-----END PRIVATE KEY-----\n";
    let project = Project::new()
        .file("appcred.yaml", &text)
        .file("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]))
        .file("client.key", key)
        .file("token", "m4rk3d.m4rk3d.m4rk3d\n")
        .file("notes/key.txt", &identity)
        .file("credentials/a.yaml.bak", &manifest(&[entry("b", "m4rk3d-backup")]))
        .file("credentials/c.yaml.disabled", &manifest(&[entry("c", "m4rk3d-disabled")]))
        .file("credentials/d.yaml.tmpl", &manifest(&[entry("d", "m4rk3d-template")]))
        .file("credentials/e.yaml.tmpl", &manifest(&[entry("e", "'{{ secret }}'")]))
        .file("credentials/f.yaml.j2", &manifest(&[entry("f", "$SPOTIFY_SECRET")]))
        .file("credentials/g.yaml.txt", &manifest(&[entry("g", "your-client-secret")]));
    git(project.path(), &["init", "--quiet"]);
    commit(&project, "all");
    let found = |arguments: &[&str]| {
        let said = validate(&project).args(arguments).args(["--strict"]).status(1).run().stderr;
        assert!(!said.contains("m4rk3d") && !said.contains(&identity), "{said}");
        said
    };
    let said = found(&[]);
    for text in [
        "reads its access token from `token`, which is in plain text",
        "reads its client key from `client.key`, which is in plain text",
        "notes/key.txt contains an age identity",
        "credentials/a.yaml.bak has a `client_secret` in plain text, and Git tracks it",
        "credentials/c.yaml.disabled has a `client_secret` in plain text, and Git tracks it",
        "credentials/d.yaml.tmpl has a `client_secret` in plain text, and Git tracks it",
    ] {
        assert!(said.contains(text), "{text}\n{said}");
    }
    for template in ["e.yaml.tmpl", "f.yaml.j2", "g.yaml.txt"] {
        let of_file = |line: &str| line.contains(template) && line.contains("plain text");
        assert!(!said.lines().any(of_file), "{template}\n{said}");
    }
    let gone = ["client.key", "token", "notes/key.txt"];
    let gone = gone.into_iter().chain([
        "credentials/a.yaml.bak",
        "credentials/c.yaml.disabled",
        "credentials/d.yaml.tmpl",
    ]);
    gone.for_each(|file| fs::remove_file(project.join(file)).unwrap());
    commit(&project, "removed");
    let said = found(&["--history"]);
    for text in [
        "token is in plain text in commit ",
        "client.key is in plain text in commit ",
        "notes/key.txt contains an age identity in commit ",
        ", credentials/a.yaml.bak:5",
        ", credentials/c.yaml.disabled:5",
        ", credentials/d.yaml.tmpl:5",
    ] {
        assert!(said.contains(text), "{text}\n{said}");
    }
}

/// What a clone does not have was looked for in vain, and nobody may take that for clean.
#[test]
fn a_clone_without_all_old_files_is_not_searched_by_half() {
    let project = Project::new().file("credentials/a.yaml", &manifest(&[entry("a", "m4rk3d")]));
    git(project.path(), &["init", "--quiet"]);
    git(project.path(), &["config", "uploadpack.allowFilter", "true"]);
    commit(&project, "in plain text");
    project.write("credentials/a.yaml", &manifest(&[sealed("a", "x", &age_identity().1)]));
    commit(&project, "encrypted");
    let from = format!("file://{}", project.path().display());
    let clones = Project::new();
    let search = |clone: &str| {
        let folder = clones.join(clone);
        let ran = validate(&project).args(["-C", folder.to_str().unwrap(), "--history"]);
        let said = ran.status(1).run().stderr;
        assert!(said.contains("this clone does not have all files of old versions"), "{said}");
    };
    for (filter, clone) in [("--filter=blob:none", "blobless"), ("--filter=tree:0", "treeless")] {
        git(clones.path(), &["clone", "--quiet", filter, &from, clone]);
        search(clone);
    }
    git(clones.path(), &["clone", "--quiet", &from, "damaged"]);
    let lose = "rm -f .git/objects/pack/*.idx && mv .git/objects/pack/*.pack ../old.pack && git unpack-objects -q <../old.pack \
        && rm -f \".git/objects/$(git rev-parse HEAD~1:credentials/a.yaml | sed 's|^..|&/|')\"";
    let lost = Command::new("sh").args(["-c", lose]).current_dir(clones.join("damaged")).status();
    assert!(lost.unwrap().success());
    search("damaged");
}

#[test]
fn a_secret_is_found_in_the_history_of_a_folder_or_project_that_moved() {
    let (_, ours) = age_identity();
    let plain = manifest(&[entry("a", "m4rk3d")]);
    let encrypted = manifest(&[sealed("a", "x", &ours)]);
    for places in [
        ["credentials/a.yaml", "house/a.yaml"],
        ["one/credentials/a.yaml", "two/credentials/a.yaml"],
    ] {
        let [before, after] = places;
        let folder = if before.starts_with("one") { "two" } else { "." };
        let project_file = project_for(&[&ours.to_string()]);
        let project = Project::new().file(before, &plain);
        git(project.path(), &["init", "--quiet"]);
        commit(&project, "in plain text");
        // Moved and encrypted in one commit: no similarity of contents leads back.
        fs::remove_file(project.join(before)).unwrap();
        project.write(after, &encrypted);
        let manifests = if folder == "." { "manifests: [house]\n" } else { "" };
        project.write(&format!("{folder}/appcred.yaml"), &format!("{project_file}{manifests}"));
        project.write("other/appcred.yaml", &project_file);
        project.write("other/credentials/a.yaml", &plain);
        commit(&project, "moved");
        let said = validate(&project).args(["-C", folder, "--history"]).run().stderr;
        assert!(said.contains(&format!(", {before}:5\n")), "{said}");
        assert_eq!(said.matches("warning:").count(), 1, "another project is left out: {said}");
    }
}

#[test]
fn a_repository_of_another_user_is_reported_as_not_checked() {
    let (identity, ours) = age_identity();
    let project = Project::new()
        .file("appcred.yaml", &project_for(&[&ours.to_string()]))
        .file("keys.txt", &identity)
        .file("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]));
    git(project.path(), &["init", "--quiet"]);
    // Git's own way to test what it does with a repository of somebody else.
    let of_another = || validate(&project).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let said = of_another().run().stderr;
    assert!(said.contains("warning: cannot check whether Git tracks secrets"), "{said}");
    assert!(said.contains("another user") && said.contains("safe.directory"), "{said}");
    of_another().args(["--strict"]).status(1).run();
    let said = of_another().args(["--history"]).status(1).run().stderr;
    assert!(said.contains("error: the history cannot be searched"), "{said}");
    assert_eq!(said.matches("safe.directory").count(), 2, "{said}");
    // Once it is allowed, it is checked.
    let folder = fs::canonicalize(project.path()).unwrap();
    let allowed = of_another()
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", &folder);
    let said = allowed.run().stderr;
    assert!(said.contains("keys.txt contains an age identity"), "{said}");
    // Without git at all, too.
    let said = validate(&project).env("PATH", "/nowhere").args(["--strict"]).status(1).run().stderr;
    assert!(said.contains("cannot run git: there is no such program"), "{said}");
}

#[test]
fn a_file_in_plain_text_that_git_tracks_is_warned_of() {
    let (_, ours) = age_identity();
    let entries = [
        "  - {domain: spotify, client_id: !secret id, client_secret: !secret home/spotify}\n",
        "  - {domain: twitch, client_id: b, client_secret: !file b.txt}\n",
        "  - {domain: netatmo, client_id: c, client_secret: !file c.age}\n",
        "  - {domain: google, client_id: d, client_secret: !secret armored}\n",
    ];
    let armored = encrypt("x", &ours);
    let secrets = format!("id: a\nhome: {{spotify: m4rk3d}}\narmored: {armored:?}\n");
    let project = Project::new()
        .file("appcred.yaml", &project_for(&[&ours.to_string()]))
        .file("credentials/a.yaml", &manifest(&entries.map(str::to_owned)))
        .file("credentials/b.txt", "m4rk3d\n")
        .file("credentials/c.age", &armored)
        .file("secrets.yaml", &secrets)
        .file(".gitignore", "secrets.yaml\ncredentials/b.txt\n");
    validate(&project).stderr("").run();
    git(project.path(), &["init", "--quiet"]);
    git(project.path(), &["add", "--all"]);
    validate(&project).args(["--strict"]).stderr("").run();
    for (file, line) in [("secrets.yaml", 2), ("credentials/b.txt", 3)] {
        git(project.path(), &["add", "--force", file]);
        let said = validate(&project).run().stderr;
        let warned = format!(
            "warning: the client_secret here is read from `{file}`, which is in plain text, and Git tracks it\n --> credentials/a.yaml:{line}:"
        );
        assert!(said.contains(&warned), "{said}");
        assert_eq!((said.matches("warning:").count(), said.matches("m4rk3d").count()), (1, 0));
        validate(&project).args(["--strict"]).status(1).run();
        git(project.path(), &["rm", "--cached", "--quiet", file]);
    }
    git(project.path(), &["add", "--force", "secrets.yaml"]);
    // What was taken in before is there in plain text, whatever Git would do with it now.
    project.write(".gitattributes", "secrets.yaml filter=git-crypt\n");
    let said = validate(&project).run().stderr;
    assert!(said.contains("`secrets.yaml`, which is in plain text, and Git tracks it"), "{said}");
    git(project.path(), &["rm", "--cached", "--quiet", "secrets.yaml"]);
    let clean = r"printf '\000GITCRYPT\000x'";
    git(project.path(), &["config", "filter.git-crypt.clean", clean]);
    git(project.path(), &["add", "--force", "secrets.yaml"]);
    validate(&project).stderr("").run();
    fs::remove_file(project.join(".gitattributes")).unwrap();
    let allowed = project_for(&[&ours.to_string()]) + "allow_plaintext: true\n";
    project.write("appcred.yaml", &allowed);
    validate(&project).stderr("").run();
}

#[test]
fn a_token_in_a_file_that_git_tracks_is_found() {
    let target = "targets: {home: {url: 'http://127.0.0.1:1', token_file: keys/token}}\n";
    let project = Project::new()
        .file("appcred.yaml", target)
        .file("credentials/a.yaml", "application_credentials: []\n")
        .file("keys/token", "m4rk3d.token\n");
    git(project.path(), &["init", "--quiet"]);
    validate(&project).stderr("").run();
    commit(&project, "with the token");
    let warning = "the target `home` reads its access token from `keys/token`, which is in plain text, and Git tracks it";
    let said = validate(&project).args(["--strict"]).status(1).run().stderr;
    assert!(said.contains(warning) && !said.contains("m4rk3d"), "{said}");
    // What was taken in before is there in plain text, whatever Git would do with it now.
    project.write(".gitattributes", "keys/token filter=git-crypt\n");
    let said = validate(&project).run().stderr;
    assert!(said.contains(warning), "{said}");
    fs::remove_file(project.join(".gitattributes")).unwrap();
    git(project.path(), &["rm", "--cached", "--quiet", "keys/token"]);
    validate(&project).stderr("").run();
}

#[test]
fn what_home_assistant_stores_is_found_where_git_has_it() {
    let (_, ours) = age_identity();
    let stored = "{\"version\": 1, \"data\": {\"items\": [{\"client_secret\": \"m4rk3d\"}]}}";
    let project = Project::new()
        .file("appcred.yaml", &project_for(&[&ours.to_string()]))
        .file("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]))
        .file("ha/configuration.yaml", "");
    git(project.path(), &["init", "--quiet"]);
    let warning = "the target `lab` stores its secrets in plain text in ha/.storage/application_credentials, and Git does not ignore it";
    // Before the first apply, too.
    let said = validate(&project).run().stderr;
    assert!(said.contains(warning), "{said}");
    let two =
        project_for(&[&ours.to_string()]).replace("{lab: ", "{cabin: {config_dir: ha2}, lab: ");
    let several = Project::new().file("appcred.yaml", &two).file("ha2/configuration.yaml", "");
    several.write("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]));
    several.write("ha/configuration.yaml", "");
    git(several.path(), &["init", "--quiet"]);
    let said = validate(&several).run().stderr;
    let both = "2 targets store their secrets in plain text in files that Git does not ignore: ha2/.storage/application_credentials (`cabin`), ha/";
    assert!(said.contains(both), "{said}");
    assert_eq!(said.matches("in plain text").count(), 1, "{said}");
    project.write("ha/.storage/application_credentials", stored);
    commit(&project, "with secrets");
    project.write(".gitignore", ".storage/\n");
    let said = validate(&project).args(["--strict"]).status(1).run().stderr;
    assert!(said.contains(warning), "tracked files are not ignored: {said}");
    git(project.path(), &["rm", "-r", "--quiet", "--cached", "ha/.storage"]);
    commit(&project, "taken out");
    validate(&project).stderr("").run();
    let said = validate(&project).args(["--history"]).run().stderr;
    let found = "ha/.storage/application_credentials is in plain text in commit ";
    assert!(said.contains(found) && !said.contains("m4rk3d"), "{said}");
}

#[test]
fn a_default_behind_a_variable_is_a_secret_in_plain_text_everywhere() {
    let (_, ours) = age_identity();
    let with_default = manifest(&[
        "  - {domain: spotify, client_id: a, client_secret: !env_var SPOTIFY m4rk3d}\n".to_owned(),
    ]);
    let project = Project::new()
        .file("appcred.yaml", &project_for(&[&ours.to_string()]))
        .file("credentials/a.yaml", &with_default);
    git(project.path(), &["init", "--quiet"]);
    commit(&project, "with a default");
    let encrypt = || Appcred::new().in_dir(project.path()).args(["encrypt"]);
    let said = encrypt().status(1).run().stderr;
    // The others are encrypted all the same.
    project.write("credentials/a.yaml", &(with_default.clone() + &entry("b", "m4rk3d-b")));
    let ran = encrypt().status(1).run();
    assert_eq!(ran.stdout, "credentials/a.yaml: 1 secret encrypted\n");
    assert!(ran.stderr.contains("line 2, column "), "{}", ran.stderr);
    assert!(said.contains("error: credentials/a.yaml: line 2, column "), "{said}");
    assert!(said.contains("`client_secret` has more after `!env_var`"), "{said}");
    project.write("credentials/a.yaml", &with_default.replace(" m4rk3d", ""));
    encrypt().stdout("No secret is in plain text.\n").run();
    let history = validate(&project).args(["--history"]).run().stderr;
    assert_eq!(history.matches("`client_secret` is in plain text in commit").count(), 1);
    assert!(history.contains(", credentials/a.yaml:2") && !(said + &history).contains("m4rk3d"));
}

#[test]
fn a_file_of_secrets_is_found_though_no_entry_names_it_or_git_tracks_it_no_more() {
    let (_, ours) = age_identity();
    let entries = ["  - {domain: twitch, client_id: b, client_secret: !file t.txt}\n".to_owned()];
    let project = Project::new()
        .file("appcred.yaml", &project_for(&[&ours.to_string()]))
        .file("credentials/a.yaml", &manifest(&entries))
        .file("credentials/t.txt", "m4rk3d\n")
        .file("house/secrets.yaml", "home: {a: m4rk3d}\n");
    git(project.path(), &["init", "--quiet"]);
    commit(&project, "all of it");
    let said = validate(&project).run().stderr;
    assert!(
        said.contains("warning: `house/secrets.yaml` is in plain text, and Git tracks it"),
        "{said}"
    );
    assert_eq!(said.matches("warning:").count(), 2, "{said}");
    git(project.path(), &["rm", "--cached", "--quiet", "credentials/t.txt", "house/secrets.yaml"]);
    project.write(".gitignore", "t.txt\nsecrets.yaml\n");
    commit(&project, "tracked no more");
    validate(&project).stderr("").run();
    let said = validate(&project).args(["--history"]).run().stderr;
    for file in ["credentials/t.txt", "house/secrets.yaml"] {
        assert_eq!(
            said.matches(&format!("{file} is in plain text in commit")).count(),
            1,
            "{said}"
        );
    }
    assert_eq!((said.matches("warning:").count(), said.matches("m4rk3d").count()), (2, 0));
    // Nor does it matter that no entry names them any more, or how they are called.
    project.write("credentials/a.yaml", &manifest(&[sealed("a", "x", &ours)]));
    let other = "targets: {h: {url: 'http://h', token: !file ../tokens/./t}}\n";
    project.write("house/appcred.yaml", other);
    project.write("tokens/t", "m4rk3d\n");
    project.write("secrets.sops.yaml", "a: m4rk3d\n");
    commit(&project, "two more");
    for file in ["house/appcred.yaml", "tokens/t", "secrets.sops.yaml"] {
        fs::remove_file(project.join(file)).unwrap();
    }
    commit(&project, "and gone");
    let said = validate(&project).args(["--history"]).run().stderr;
    for file in ["credentials/t.txt", "house/secrets.yaml", "tokens/t", "secrets.sops.yaml"] {
        assert!(said.contains(&format!(" {file} is in plain text in commit")), "{file}: {said}");
    }
    assert_eq!((said.matches("warning:").count(), said.matches("m4rk3d").count()), (4, 0));
    // Encrypted files were never in plain text.
    let encrypted = Project::new()
        .file("appcred.yaml", &project_for(&[&ours.to_string()]))
        .file("credentials/a.yaml", &manifest(&entries))
        .file("credentials/t.txt", &encrypt("x", &ours))
        .file("secrets.yaml", &format!("a: {:?}\n", encrypt("x", &ours)));
    git(encrypted.path(), &["init", "--quiet"]);
    commit(&encrypted, "encrypted");
    validate(&encrypted).args(["--history", "--strict"]).stderr("").run();
}
