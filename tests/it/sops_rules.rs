//! Where a project has `.sops.yaml`, its rules say to whom is encrypted, and no second identity is made.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::shell::{Appcred, Project, Ran, age_identity};

/// A folder with `.sops.yaml`, where somebody has an identity that SOPS knows.
struct Scene {
    project: Project,
    home: Project,
    identity: String,
    recipient: String,
}

impl Scene {
    fn new() -> Self {
        let (identity, recipient) = age_identity();
        let (project, home) = (Project::new(), Project::new());
        home.write("keys.txt", &identity);
        Self { project, home, identity, recipient: recipient.to_string() }
    }

    fn rules(&self, path_regex: &str) {
        let rule = format!("path_regex: {path_regex}\n    age: {}", self.recipient);
        self.project.write(".sops.yaml", &format!("creation_rules:\n  - {rule}\n"));
    }

    fn appcred(&self) -> Appcred {
        Appcred::new().in_dir(self.project.path()).env("HOME", self.home.path())
    }

    /// Begins a project, which makes no identity, and gives what it says.
    #[track_caller]
    fn begun(&self, variable: &str, value: &str) -> Ran {
        let init = self.appcred().args(["init", "--owner", "me"]);
        let ran = if variable.is_empty() { init } else { init.env(variable, value) }.run();
        assert!(!self.home.join(".config/appcred/identity.txt").exists(), "{variable}");
        let text = fs::read_to_string(self.project.join("appcred.yaml")).unwrap();
        assert!(text.contains(&format!("- {}\n", self.recipient)), "{variable}: {text}");
        fs::remove_file(self.project.join("appcred.yaml")).unwrap();
        ran
    }
}

#[test]
fn init_makes_no_identity_beside_one_that_there_is() {
    let scene = Scene::new();
    let (other, other_recipient) = age_identity();
    let rules = [
        r"credentials/.*\.ya?ml$",
        r"^credentials/.*\.sops\.yaml$",
        r"(^|/)secrets\.sops\.ya?ml$",
        "''",
    ];
    for rule in rules {
        scene.rules(rule);
        let said = scene.begun("", "").stderr;
        assert!(
            said.contains("The recipients are those of ") && said.contains(".sops.yaml"),
            "{said}"
        );
        // The rules come first.
        scene.begun("SOPS_AGE_KEY", &other);
    }
    for rules in ["", "creation_rules: [{path_regex: ^else/, age: age1x}, {kms: arn}]\n"] {
        scene.project.write(".sops.yaml", rules);
        let file = scene.home.join("keys.txt").display().to_string();
        let program = scene.home.join("print");
        fs::write(&program, format!("#!/bin/sh\nexec cat '{file}'\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let said = scene.begun("SOPS_AGE_KEY_FILE", &file).stderr;
        assert!(said.contains("No rule of ") && said.contains(".sops.yaml"), "{said}");
        scene.begun("SOPS_AGE_KEY", &scene.identity);
        scene.begun("APPCRED_AGE_IDENTITY", &file);
        scene.begun("SOPS_AGE_KEY_CMD", &program.display().to_string());
        scene.home.write(".config/sops/age/keys.txt", &scene.identity);
        scene.begun("", "");
        fs::remove_dir_all(scene.home.join(".config")).unwrap();
    }
    let init = scene.appcred().args(["init"]).env("SOPS_AGE_KEY_FILE", "/nowhere/keys.txt");
    let said = init.status(1).run().stderr;
    assert!(said.contains("the file that SOPS_AGE_KEY_FILE names"), "{said}");
    assert!(!scene.home.join(".config/appcred/identity.txt").exists());
    assert!(!said.contains(&other_recipient.to_string()));
    scene.appcred().args(["init"]).run();
    assert!(scene.home.join(".config/appcred/identity.txt").exists(), "nobody has one");
}

const PLAIN: &str =
    "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: hunter1}\n";

#[test]
fn what_is_written_is_encrypted_to_those_of_the_rules() {
    let scene = Scene::new();
    let (_, theirs) = age_identity();
    scene.rules("^credentials/mine");
    let rules = fs::read_to_string(scene.project.join(".sops.yaml")).unwrap();
    scene
        .project
        .write(".sops.yaml", &format!("{rules}  - path_regex: theirs\n    age: {theirs}\n"));
    scene.project.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
    scene.project.write("credentials/mine.yaml", PLAIN);
    scene.project.write("credentials/theirs.yaml", &PLAIN.replace("spotify", "twitch"));
    scene.appcred().args(["encrypt"]).run();
    let manifest = ["--file", "credentials/mine.yaml"];
    let add = ["add", "--domain", "netatmo", "--client-id", "b", "--secret-stdin"];
    scene.appcred().args(add.iter().chain(&manifest)).stdin("hunter2").run();
    let edit = scene.appcred().args(["edit", "credentials/mine.yaml"]);
    let edit = edit.env("PATH", "/usr/bin:/bin").env("SOPS_AGE_KEY", &scene.identity);
    edit.env("EDITOR", "sed -i s/hunter1/hunter3/").run();

    let identity = || scene.appcred().env("SOPS_AGE_KEY", &scene.identity);
    let said = identity().args(["apply", "--yes"]).status(1).run().stderr;
    assert!(said.contains("credentials/theirs.yaml:2:"), "{said}");
    assert!(!said.contains("credentials/mine.yaml:"), "{said}");
    fs::remove_file(scene.project.join("credentials/theirs.yaml")).unwrap();
    identity().args(["apply", "--yes"]).run();
    let held = fs::read_to_string(scene.project.join("ha/.storage/application_credentials"));
    let held = held.unwrap();
    assert!(held.contains("hunter2") && held.contains("hunter3"), "{held}");

    scene.rules("theirs");
    scene.project.write("credentials/mine.yaml", PLAIN);
    let said = scene.appcred().args(["encrypt"]).status(1).run().stderr;
    assert!(said.contains("there is no recipient (no rule of "), "{said}");
    scene.rules("'('");
    let said = scene.appcred().args(["encrypt"]).status(1).run().stderr;
    assert!(said.contains("a `path_regex` cannot be understood"), "{said}");
    assert!(fs::read_to_string(scene.project.join("credentials/mine.yaml")).unwrap() == PLAIN);
}

const ADD: [&str; 6] = ["add", "--domain", "netatmo", "--client-id", "b", "--secret-stdin"];

#[test]
fn rules_above_the_repository_or_the_project_are_not_read() {
    let scene = Scene::new();
    scene.rules("''");
    scene
        .project
        .write("mine/appcred.yaml", "allow_plaintext: true\ntargets: {lab: {config_dir: ha}}\n");
    scene.project.write("mine/credentials/a.yaml", PLAIN);
    let mine = || scene.appcred().in_dir(&scene.project.join("mine"));
    let refused = |verb: &[&str]| {
        let said = mine().args(verb.iter()).stdin("hunter2").status(1).run().stderr;
        assert!(said.contains("there is no recipient"), "{verb:?}: {said}");
    };
    for is_repository in [false, true] {
        if is_repository {
            fs::create_dir(scene.project.join("mine/.git")).unwrap();
        }
        refused(&["encrypt"]);
        refused(&["encrypt", "-"]);
        refused(&ADD);
    }
    fs::remove_dir(scene.project.join("mine/.git")).unwrap();
    fs::create_dir(scene.project.join(".git")).unwrap();
    for verb in [&["encrypt"][..], &["encrypt", "-"], &ADD] {
        let said = mine().args(verb.iter()).stdin("hunter2").run().stderr;
        assert!(said.contains("The recipients are those of "), "{verb:?}: {said}");
        assert!(said.contains("/.sops.yaml."), "{verb:?}: {said}");
    }
    let rotate = mine().args(["rotate", "netatmo", "--secret-stdin"]).stdin("hunter4");
    let said = rotate.env("SOPS_AGE_KEY", &scene.identity).run().stderr;
    assert!(said.contains("The recipients are those of "), "{said}");
    let rekey = mine().args(["rekey", "--force"]).env("SOPS_AGE_KEY", &scene.identity);
    let said = rekey.run().stderr;
    assert!(said.contains("The recipients are those of "), "{said}");
}

#[test]
fn rules_of_another_user_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    scene.rules("''");
    scene.project.write("credentials/a.yaml", PLAIN);
    chown(scene.project.join(".sops.yaml"), Some(4321), None).unwrap();
    let refused = |verb: &[&str]| {
        let said = scene.appcred().args(verb.iter()).stdin("hunter2").status(1).run().stderr;
        assert!(said.contains(".sops.yaml: it belongs to another user (4321)"), "{verb:?}: {said}");
    };
    refused(&["init"]);
    scene
        .project
        .write("appcred.yaml", "allow_plaintext: true\ntargets: {lab: {config_dir: ha}}\n");
    refused(&["encrypt"]);
    refused(&ADD);
    assert_eq!(fs::read_to_string(scene.project.join("credentials/a.yaml")).unwrap(), PLAIN);
}

#[test]
fn what_is_no_recipient_is_reported_where_the_rule_has_it() {
    let scene = Scene::new();
    scene.project.write(".sops.yaml", "creation_rules:\n  - age: ${AGE}\n");
    let said = scene.appcred().args(["init"]).status(1).run().stderr;
    let told = ".sops.yaml: line 2 has something else than a recipient of age";
    assert!(said.contains(told) && !said.contains("appcred.yaml:"), "{said}");
    assert!(!scene.project.join("appcred.yaml").exists());
}

#[test]
fn a_rule_that_asks_for_more_than_recipients_of_age_is_refused() {
    let scene = Scene::new();
    let (_, other) = age_identity();
    let ours = &scene.recipient;
    scene
        .project
        .write("appcred.yaml", "allow_plaintext: true\ntargets: {lab: {config_dir: ha}}\n");
    scene.project.write("credentials/a.yaml", PLAIN);
    for (rule, told) in [
        (
            format!("key_groups: [{{age: [{ours}]}}, {{age: [{other}]}}]\n    shamir_threshold: 2"),
            "line 3 has 2 `key_groups`",
        ),
        (format!("age: {ours}\n    shamir_threshold: 2"), "line 4 has `shamir_threshold`"),
        (
            format!("age: {ours}\n    pgp: FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4"),
            "line 4 has `pgp`",
        ),
    ] {
        let rule = format!("creation_rules:\n  - path_regex: ''\n    {rule}\n");
        scene.project.write(".sops.yaml", &rule);
        for verb in [&["encrypt"][..], &["encrypt", "-"], &ADD] {
            let said = scene.appcred().args(verb.iter()).stdin("hunter2").status(1).run().stderr;
            assert!(said.contains(".sops.yaml: ") && said.contains(told), "{verb:?}: {said}");
        }
        assert_eq!(fs::read_to_string(scene.project.join("credentials/a.yaml")).unwrap(), PLAIN);
    }
}

#[test]
fn no_age_file_is_written_into_a_file_of_sops() {
    let scene = Scene::new();
    scene.rules(r"credentials/.*\.yaml$");
    scene.project.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
    let file = "credentials/x.sops.yaml";
    let text = "application_credentials:\n  - {domain: spotify, client_id: a1, client_secret: Zq7m4rk3dKx2}\n";
    scene.project.write(file, text);
    let advice =
        format!("`sops encrypt --in-place {file}` encrypts them by the rules in .sops.yaml");
    let add = ["add", "--domain=netatmo", "--client-id=b1", "--secret-stdin", "--file", file];
    let import = ["import", "--no-adopt", "--output", file];
    for verb in [&["encrypt"][..], &["encrypt", file], &add, &import] {
        // What is in plain text keeps `add` from anything.
        if verb[0] == "add" {
            scene.project.write(file, "application_credentials: []\n");
        }
        let appcred = scene.appcred().env("SOPS_AGE_KEY", &scene.identity).stdin("Vw8n4rk3dQy5\n");
        let ran = appcred.args(verb).status(1).run();
        assert!(ran.stderr.contains(&advice), "{verb:?}: {}", ran.stderr);
    }
    let text = fs::read_to_string(scene.project.join(file)).unwrap();
    assert_eq!(text, "application_credentials: []\n");
}
