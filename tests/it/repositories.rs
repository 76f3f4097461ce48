//! What `validate` sees of the repositories that a project and its manifests are in.

use std::fs;
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

#[test]
fn what_editors_left_of_a_manifest_is_no_place_for_its_secret() {
    let sealed = MANIFEST.replace("plain-text-secret", "!secret spotify");
    let project = Project::new()
        .file("appcred.yaml", "owner: house\ntargets: {home: {config_dir: /srv/ha}}\n")
        .file("credentials/a.yaml", &sealed);
    let left = ["a.yaml~", "a.yml.bak", "A.YAML.orig", "#a.yaml#", ".a.yaml.swp"];
    for name in left {
        fs::write(project.path().join("credentials").join(name), MANIFEST).unwrap();
    }
    fs::write(project.path().join("credentials/b.yaml~"), &sealed).unwrap();
    git(project.path(), &["init", "--quiet"]);
    git(project.path(), &["add", "--all", "--force"]);
    let said = validate(project.path(), &[]).stderr;
    for name in left {
        let file =
            format!("credentials/{name} is a copy of a manifest with a secret in plain text");
        assert!(said.contains(&file), "{name}: {said}");
    }
    assert!(!said.contains("b.yaml~"), "{said}");
}
