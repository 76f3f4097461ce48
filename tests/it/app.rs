//! The app of Home Assistant as its store reads it, and its start script; `packaging/try` starts the whole of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/app");

fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn names(value: &Value) -> BTreeSet<&String> {
    value.as_object().unwrap().keys().collect()
}

#[test]
fn the_repository_of_the_app_is_as_the_store_reads_it() {
    let parent = tempfile::tempdir().unwrap();
    let made = parent.path().join("made");
    let run = || Command::new(format!("{APP}/repository")).arg(&made).output().unwrap();
    assert!(run().status.success());
    assert!(!run().status.success(), "nothing is overwritten");
    let app = made.join("appcred");
    let config = yaml(&app.join("config.yaml"));
    let translation = yaml(&app.join("translations/en.yaml"));
    let all = json!({
        "config": config, "repository": yaml(&made.join("repository.yaml")), "translation": translation,
    });
    let schema = fs::read_to_string(format!("{APP}/store.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<_> = validator
        .iter_errors(&all)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    assert_eq!(config["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(names(&config["schema"]), names(&translation["configuration"]));
    let options = config["schema"].as_object().unwrap().iter();
    let needed: BTreeSet<_> = options
        .filter(|(_, kind)| !kind.as_str().unwrap().ends_with('?'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names(&config["options"]), needed, "what is needed has a default, and nothing else");
    let start = fs::read_to_string(format!("{APP}/start")).unwrap();
    for name in names(&config["schema"]) {
        let read =
            start.contains(name) || name.strip_prefix("git_").is_some_and(|it| start.contains(it));
        assert!(read, "nothing reads the option {name}");
    }
    for (file, size) in [("icon.png", [128, 128]), ("logo.png", [250, 100])] {
        let picture = fs::read(app.join(file)).unwrap();
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{file}");
        let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        assert_eq!([number(16), number(20)], size, "{file}");
    }
    let profile = fs::read_to_string(app.join("apparmor.txt")).unwrap();
    let profiles: Vec<_> = profile.lines().filter(|line| line.starts_with("profile ")).collect();
    assert!(matches!(profiles[..], [line] if line.starts_with("profile appcred ")), "{profiles:?}");
    for file in ["DOCS.md", "README.md", "CHANGELOG.md"] {
        assert!(app.join(file).is_file(), "{file}");
    }
}

#[test]
fn the_supervisor_takes_nothing_else_here_for_an_app() {
    let listed = Command::new("git")
        .args(["ls-files"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(listed.status.success());
    let read = ["config.yaml", "config.yml", "config.json"];
    let files = String::from_utf8(listed.stdout).unwrap();
    assert!(files.lines().count() > 100);
    // It leaves out folders that begin with a dot.
    for file in files.lines().filter(|file| !file.starts_with('.') && !file.contains("/.")) {
        let name = file.rsplit('/').next().unwrap();
        assert!(!read.contains(&name), "the Supervisor reads {file}");
    }
}

/// Folders of an app, and a program in place of appcred that prints what it is given.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open =
            |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        open(folder.path());
        for name in ["data", "config", "bin"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let program = folder.path().join("bin/appcred");
        let prints = "#!/bin/sh\nfor word; do echo \"$word\"; case $word in --git-*=/*) cat \"${word#*=}\";; esac; done\n\
            echo \"identity: $(cat \"$APPCRED_AGE_IDENTITY\" 2>/dev/null)\"\ntouch \"$XDG_STATE_HOME/written\"\n";
        fs::write(&program, prints).unwrap();
        open(&program);
        Self(folder)
    }

    fn file(&self, name: &str, text: &str) {
        let file = self.0.path().join("config").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What the program was given, or why it was not started.
    fn start(&self, options: &Value) -> Result<String, String> {
        self.start_with(&options.to_string())
    }

    /// The same with a file of options as it may be found.
    fn start_with(&self, options: &str) -> Result<String, String> {
        let at = |name: &str| self.0.path().join(name);
        fs::write(at("data/options.json"), options).unwrap();
        let ran = Command::new(format!("{APP}/start"))
            .args([at("data"), at("config")])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if ran.status.success() { Ok(text(ran.stdout)) } else { Err(text(ran.stderr)) }
    }
}

#[test]
fn the_options_become_what_the_watcher_is_given() {
    let folders = Folders::new();
    let why = folders.start(&json!({"dry_run": false})).unwrap_err();
    assert!(why.contains("put it into the folder appcred"), "{why}");
    folders.file("appcred/appcred.yaml", "");
    let given = folders.start(&json!({"dry_run": false})).unwrap();
    let config = folders.0.path().join("config/appcred");
    let directory = format!("--directory={}\n", config.display());
    assert_eq!(given, format!("{directory}watch\n--listen=0.0.0.0:8099\n--ingress\nidentity: \n"));

    folders.file("identity.txt", "of-the-file");
    let options = json!({"dry_run": true, "prune": "none", "max_deletes": "20%", "target": "a b*"});
    let given = folders.start(&options).unwrap();
    let expected =
        "--target=a b*\n--prune=none\n--max-deletes=20%\n--dry-run\nidentity: of-the-file\n";
    assert!(given.ends_with(expected), "{given}");
    let given = folders.start(&json!({"identity": "of-the-option"})).unwrap();
    assert!(given.ends_with("identity: of-the-option\n"), "{given}");
}

#[test]
fn the_options_of_a_repository_become_those_of_git() {
    let folders = Folders::new();
    folders.file("deploy key", "no");
    folders.file("deploy_key", "the key\n");
    folders.file("known_hosts", "the hosts\n");
    folders.file("signers", "the signers\n");
    folders.file("folder/file", "");
    let options = json!({
        "git_url": "git@h:me/x y.git", "git_ref": "$(main)", "git_path": "house one", "git_token": "the-token",
        "git_key_file": "deploy_key", "git_known_hosts_file": "known_hosts", "git_signers_file": "signers",
    });
    let given = folders.start(&options).unwrap();
    assert!(!given.contains("--directory"), "{given}");
    for expected in
        ["\n--git=git@h:me/x y.git\n", "\n--git-ref=$(main)\n", "\n--git-path=house one\n"]
    {
        assert!(given.contains(expected), "{expected}: {given}");
    }
    for (option, content) in [
        ("--git-token-file", "the-token"),
        ("--git-key", "the key"),
        ("--git-known-hosts", "the hosts"),
        ("--git-allowed-signers", "the signers"),
    ] {
        let mut words = given.lines().skip_while(|word| !word.starts_with(&format!("{option}=/")));
        assert_eq!(words.nth(1), Some(content), "{option}: {given}");
    }
    for (options, why) in [
        (json!({"git_url": "u", "git_signers_file": "gone"}), "git_signers_file names gone"),
        (
            json!({"git_url": "u", "git_key_file": ".."}),
            "git_key_file is .., which is not the name",
        ),
        (json!({"git_url": "u", "git_key_file": "../data"}), "which is not the name of a file"),
        (json!({"git_url": "u", "git_key_file": "folder"}), "which is no file in the app's folder"),
        (json!({"git_token": "t"}), "git_url is not"),
        (json!({"git_ref": "main"}), "git_url is not"),
    ] {
        let refused = folders.start(&options).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    folders.file("appcred/appcred.yaml", "");
    for damaged in ["", "{", "[]", "null"] {
        let refused = folders.start_with(damaged).unwrap_err();
        assert!(refused.contains("is empty or damaged"), "{damaged:?}: {refused}");
    }
}
