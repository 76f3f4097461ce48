//! What is not written: into folders of a file system that is mounted read-only, and over files that are read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Appcred, Project, age_identity, encrypt};

const WHY: &str = "its file system is mounted read-only: mount it for writing first";

/// A file system of its own, until this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// None where nothing can be mounted, as in most containers and for most users.
    fn at(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&folder).output();
        let mount = mount.unwrap();
        if mount.status.success() {
            return Some(Self(folder));
        }
        #[expect(clippy::print_stderr, reason = "whoever runs the tests shall see it")]
        {
            let why = String::from_utf8_lossy(&mount.stderr);
            eprintln!("skipped: nothing can be mounted here: {why}");
        }
        None
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let mount = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(mount.unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.0).status().unwrap().success());
    }
}

fn appcred(folder: &Path, identity: &str, words: &str) -> Appcred {
    let appcred = Appcred::new().in_dir(folder).env("PATH", "/usr/bin:/bin");
    appcred.env("SOPS_AGE_KEY", identity).env("EDITOR", "true").args(words.split(' '))
}

#[test]
fn a_project_that_cannot_be_written_is_planned_and_says_why_it_is_not_changed() {
    let (identity, recipient) = age_identity();
    let outer = Project::new();
    let Some(mounted) = Mounted::at(outer.join("house")) else { return };
    let secret = encrypt("4f5c0a8e9b7d6c5a", &recipient).replace('\n', "\n      ");
    let sealed = format!(
        "application_credentials:\n  - domain: spotify\n    client_id: one\n    client_secret: |\n      {secret}\n"
    );
    let plain = "  - {domain: netatmo, client_id: two, client_secret: plain1234567}\n";
    outer.write(
        "house/appcred.yaml",
        &format!("owner: us\ntargets: {{lab: {{config_dir: ../ha}}}}\nage: {{recipients: [{recipient}]}}\n"),
    );
    let check = |words: &str, file: &str| {
        let ran = appcred(&mounted.0, &identity, words).stdin("9b7d6c5a4f5c0a8e\n").status(1).run();
        let said = format!("cannot write {file}");
        assert!(ran.stderr.contains(WHY) && ran.stderr.contains(&said), "{words}: {}", ran.stderr);
        assert!(!ran.stderr.contains("os error"), "{words}: {}", ran.stderr);
    };
    outer.write("house/credentials.yaml", &sealed);
    mounted.remount("ro");
    appcred(&mounted.0, &identity, "plan").run();
    for words in [
        "add --domain twitch --client-id x --secret-stdin",
        "rotate spotify --secret-stdin",
        "rename spotify other",
        "rm spotify",
    ] {
        check(words, "credentials.yaml");
    }
    check("plan --format markdown=plan.md", "plan.md");
    mounted.remount("rw");
    outer.write("house/credentials.yaml", &(sealed + plain));
    mounted.remount("ro");
    check("encrypt", "credentials.yaml");
}

#[test]
fn a_target_and_a_state_folder_that_cannot_be_written_say_why() {
    let (identity, recipient) = age_identity();
    let secret = encrypt("4f5c0a8e9b7d6c5a", &recipient).replace('\n', "\n      ");
    let project = Project::new()
        .file("appcred.yaml", "owner: us\ntargets: {lab: {config_dir: ha}, new: {config_dir: ha/new}}\n")
        .file("credentials.yaml", &format!("application_credentials:\n  - domain: spotify\n    client_id: one\n    client_secret: |\n      {secret}\n"));
    let Some(mounted) = Mounted::at(project.join("ha")) else { return };
    fs::create_dir(mounted.0.join(".storage")).unwrap();
    mounted.remount("ro");
    appcred(project.path(), &identity, "plan").run();
    let ran = appcred(project.path(), &identity, "apply --yes").status(1).run();
    assert_eq!(ran.stdout.matches(WHY).count(), 2, "{}", ran.stdout);
    assert!(!ran.stdout.contains("os error"), "{}", ran.stdout);
    let ran = appcred(project.path(), &identity, "doctor").status(1).run();
    assert_eq!(ran.stdout.matches(WHY).count(), 2, "{}", ran.stdout);
    assert!(!ran.stdout.contains("run appcred as"), "{}", ran.stdout);

    let state = |words: &str| {
        appcred(project.path(), &identity, words).env("XDG_STATE_HOME", mounted.0.join("state"))
    };
    let ran = state("doctor").status(1).run();
    assert_eq!(ran.stdout.matches(WHY).count(), 3, "{}", ran.stdout);
    let ran = state("apply --yes").status(1).run();
    let said = &ran.stderr;
    assert!(said.contains("cannot lock ") && said.contains(WHY), "{said}");
    assert!(said.contains("XDG_STATE_HOME names another folder"), "{said}");
}

#[test]
fn no_report_takes_the_place_of_a_file_that_is_read() {
    let (identity, recipient) = age_identity();
    let project = Project::new()
        .file("appcred.yaml", &format!("targets: {{lab: {{config_dir: ha}}}}\nage: {{identities: [id.txt], recipients: [{recipient}]}}\n"))
        .file("id.txt", &format!("# created: today\n{identity}\n"))
        .file("credentials.yaml", "application_credentials: []\n");
    for file in ["appcred.yaml", "id.txt", "credentials.yaml"] {
        let before = fs::read_to_string(project.join(file)).unwrap();
        for words in [
            format!("plan --out {file}"),
            format!("plan --format json={file}"),
            format!("validate --format sarif={file}"),
            format!("snapshot --output {file}"),
        ] {
            let ran = appcred(project.path(), &identity, &words).status(1).run();
            let said = format!("{file} holds a manifest, settings, secrets or a key");
            assert!(ran.stderr.contains(&said), "{words}: {}", ran.stderr);
            assert_eq!(fs::read_to_string(project.join(file)).unwrap(), before, "{words}");
        }
    }
    for _ in 0..2 {
        appcred(project.path(), &identity, "snapshot --output s.json").run();
        appcred(project.path(), &identity, "plan --format json=plan.json").run();
    }
}
