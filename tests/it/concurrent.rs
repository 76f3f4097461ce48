//! Several runs at once: no change of one is lost to another.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use tempfile::TempDir;

use crate::real::sops;
use crate::shell::{Appcred, Project};
use crate::writing::Kept;

const AT_ONCE: usize = 8;

struct Shared {
    kept: Kept,
    /// Runs of one person on one machine have one home.
    home: TempDir,
}

impl Shared {
    fn new() -> Self {
        Self { kept: Kept::new(), home: tempfile::tempdir().unwrap() }
    }

    fn appcred(&self) -> Appcred {
        self.kept.appcred().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin")
    }

    fn add(&self, key: usize, file: &str) -> Appcred {
        let key = format!("k{key}");
        let fixed = ["add", "--domain", "spotify", "--secret-stdin", "--file", file];
        let own = ["--key", &key, "--name", &key, "--client-id", &key];
        self.appcred().args(fixed).args(own).stdin("m4rk3d")
    }

    /// The keys of the credentials that an `apply` creates.
    fn applied(&self) -> Vec<String> {
        self.appcred().args(["apply", "--yes"]).run();
        let path = self.kept.project.join("ha/.storage/application_credentials");
        let text = fs::read_to_string(path).unwrap();
        let store: serde_json::Value = serde_json::from_str(&text).unwrap();
        let items = store["data"]["items"].as_array().unwrap().iter();
        items.map(|item| item["client_id"].as_str().unwrap().to_owned()).collect()
    }
}

fn all_of(count: usize) -> BTreeSet<String> {
    (0..count).map(|key| format!("k{key}")).collect()
}

#[test]
fn of_many_entries_that_are_added_at_once_none_is_lost() {
    let shared = Shared::new();
    thread::scope(|scope| {
        for key in 0..AT_ONCE {
            // One half makes a new file, the other one adds to one more.
            let file = if key % 2 == 0 { "credentials/a.yaml" } else { "credentials/b.yaml" };
            let shared = &shared;
            scope.spawn(move || shared.add(key, file).run());
        }
    });
    assert_eq!(BTreeSet::from_iter(shared.applied()), all_of(AT_ONCE));
}

#[test]
fn one_key_is_added_once() {
    let shared = Shared::new();
    let add = |file: &'static str| shared.add(0, file).spawn();
    let running = ["credentials/a.yaml", "credentials/b.yaml"].map(add);
    let ended = running.map(|run| run.finish().status);
    assert_eq!(ended.iter().filter(|code| **code == Some(0)).count(), 1, "{ended:?}");
    assert_eq!(shared.applied(), ["k0"]);
}

/// Values are encrypted anew and edited while entries are added to a file of each form.
#[test]
fn what_one_run_adds_another_keeps_that_changes_the_same_file() {
    for is_sops in [false, true] {
        let shared = Shared::new();
        let file = "credentials/a.yaml";
        shared.add(0, file).run();
        if is_sops {
            let text = "application_credentials:\n    - domain: spotify\n      key: k0\n      client_id: k0\n      client_secret: m4rk3d\n";
            shared.kept.project.write("a.yaml", text);
            let rule = [
                "--encrypt",
                "--age",
                &shared.kept.recipient,
                "--encrypted-regex",
                "^client_secret$",
                "a.yaml",
            ];
            let encrypted = sops(shared.kept.project.path(), &shared.kept.identity, rule);
            shared.kept.project.write(file, &encrypted);
            fs::remove_file(shared.kept.project.join("a.yaml")).unwrap();
        }
        let editor = shared.kept.project.join("editor");
        fs::write(&editor, "#!/bin/sh\nsed -i 's/m4rk3d$/m4rk3d-new/' \"$1\"\n").unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        thread::scope(|scope| {
            for key in 1..AT_ONCE {
                let shared = &shared;
                scope.spawn(move || shared.add(key, file).run());
            }
            for _ in 0..3 {
                scope.spawn(|| shared.appcred().args(["rekey", "--force"]).run());
                // Whoever was overtaken while he edited is refused, and nothing is lost.
                let edit = shared.appcred().env("EDITOR", &editor).args(["edit", file]);
                scope.spawn(|| drop(edit.spawn().finish()));
            }
        });
        assert_eq!(BTreeSet::from_iter(shared.applied()), all_of(AT_ONCE), "SOPS: {is_sops}");
    }
}

#[test]
fn of_many_who_apply_at_once_each_credential_is_created_once() {
    let shared = Shared::new();
    (0..3).for_each(|key| drop(shared.add(key, "credentials/a.yaml").run()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| shared.appcred().args(["apply", "--yes"]).run());
        }
    });
    assert_eq!(shared.applied(), ["k0", "k1", "k2"]);
}

#[test]
fn where_hardly_a_file_may_be_open_that_is_an_error_and_no_panic() {
    for limit in ["6", "12", "63"] {
        let script =
            format!("ulimit -n {limit}; exec {} schema manifest", env!("CARGO_BIN_EXE_appcred"));
        let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{limit}: {told}");
        assert!(told.contains("`ulimit -n`"), "{limit}: {told}");
    }
}

#[test]
fn with_few_threads_one_does_all_and_with_too_few_that_is_an_error_and_no_panic() {
    // The limit counts all processes of a user, and binds no administrator.
    let user = "--reuid=54321";
    let project = Project::new();
    fs::set_permissions(project.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for number in 0..40 {
        let entry = format!(
            "application_credentials:\n  - {{domain: spotify, key: k{number}, client_id: a{number}, client_secret: !env_var S}}\n"
        );
        project.write(&format!("credentials/{number}.yaml"), &entry);
    }
    let validate = |limit: &str| {
        let script = format!(
            "ulimit -u {limit}; exec {} -C {} validate",
            env!("CARGO_BIN_EXE_appcred"),
            project.path().display()
        );
        let mut command = std::process::Command::new("setpriv");
        command.args([user, "bash", "-c", &script]).env("HOME", "/nowhere");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
    };
    let (status, valid, said) = validate("3");
    assert_eq!(status, Some(0), "{said}");
    assert!(valid.contains("40 entries"), "{valid}");
    let (status, _, said) = validate("1");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("cannot start 2 threads: ") && said.contains("`ulimit -u`"), "{said}");
}

#[test]
fn entries_that_are_removed_renamed_and_forgotten_at_once_wait_for_each_other() {
    let shared = Shared::new();
    for key in 0..AT_ONCE {
        shared.add(key, "credentials/a.yaml").run();
    }
    thread::scope(|scope| {
        for key in 0..AT_ONCE {
            let shared = &shared;
            let (key, new) = (format!("k{key}"), format!("r{key}"));
            scope.spawn(move || {
                let words = match key.as_bytes()[1] % 3 {
                    0 => vec!["rm", &key],
                    1 => vec!["rename", &key, &new],
                    _ => vec!["forget", &key],
                };
                shared.appcred().args(words).run();
            });
        }
    });
    let text = fs::read_to_string(shared.kept.project.join("credentials/a.yaml")).unwrap();
    let renamed: Vec<_> =
        (0..AT_ONCE).filter(|key| text.contains(&format!("key: r{key}"))).collect();
    assert_eq!(renamed, [1, 4, 7], "{text}");
    assert_eq!(text.matches("client_id:").count(), 3, "{text}");
}
