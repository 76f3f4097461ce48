//! What a person at a shell reads when things are not as they thought.

use crate::shell::{Appcred, Project, age_identity};

const DOWN: &str = "targets: {home: {url: \"http://127.0.0.1:9\", token: !env_var HASS_TOKEN}}\n";

fn appcred(project: &Project) -> Appcred {
    Appcred::new().in_dir(project.path()).env("HASS_TOKEN", "x")
}

fn down() -> Project {
    Project::new()
        .file("appcred.yaml", DOWN)
        .file("credentials/a.yaml", "application_credentials: []\n")
}

#[test]
fn a_folder_that_is_not_there_is_named_as_such() {
    let project = Project::new().file("a", "");
    let ran = appcred(&project).args(["-C", "nowhere", "validate"]).status(1).run();
    assert!(
        ran.stderr.starts_with("error: cannot work in nowhere: there is no such file or folder"),
        "{}",
        ran.stderr
    );
    let ran = appcred(&project).args(["-C", "a", "plan"]).status(1).run();
    assert!(
        ran.stderr.starts_with("error: cannot work in a: it is not a folder"),
        "{}",
        ran.stderr
    );
    let home = Project::new();
    let init = ["-C", "new", "init"];
    appcred(&project).env("HOME", home.path()).args(init).run();
    assert!(project.join("new/appcred.yaml").exists());
}

#[test]
fn a_target_that_is_down_is_an_error_in_every_format() {
    let project = down();
    let ran = appcred(&project).args(["plan"]).status(1).stderr("").run();
    assert!(ran.stdout.contains("\n  error: cannot reach http://127.0.0.1:9"), "{}", ran.stdout);
    for verb in ["plan", "list"] {
        let ran = appcred(&project).args([verb, "--format", "json"]).status(1).run();
        let printed = "error: home: cannot reach http://127.0.0.1:9: Connection refused";
        assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
    }
}

#[test]
fn a_snapshot_that_cannot_be_had_is_reported_with_the_cause() {
    let ran = appcred(&down()).args(["plan", "--against", "http://127.0.0.1:9/s"]).status(1).run();
    let printed = "error: cannot reach http://127.0.0.1:9/s: Connection refused";
    assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
}

#[test]
fn a_folder_that_takes_nothing_is_named_and_no_file_on_the_way_there() {
    let recipient = age_identity().1.to_string();
    let init = ["-C", "/sys/kernel", "init", "--recipient", &recipient];
    let ran = Appcred::new().args(init).status(1).run();
    let printed = "error: cannot write /sys/kernel/credentials/credentials.yaml: nothing can be written in the folder /sys/kernel/credentials: ";
    assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n")
        .file("credentials/a.yaml", "application_credentials: []\n");
    let snapshot = ["snapshot", "--output", "/sys/kernel/snapshot.json"];
    let ran = appcred(&project).args(snapshot).status(1).run();
    let printed = "error: cannot write /sys/kernel/snapshot.json: ";
    assert!(ran.stderr.starts_with(printed) && !ran.stderr.contains(".tmp"), "{}", ran.stderr);
}

#[test]
fn the_list_needs_no_manifest() {
    let project = Project::new().file("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
    appcred(&project).args(["list"]).stdout("No credentials.\n").stderr("").run();
    appcred(&project).args(["plan"]).status(1).stdout("").run();
}

#[test]
fn an_editor_that_fails_leaves_the_file() {
    let project = down();
    let ran = appcred(&project).env("EDITOR", "false").env("PATH", "/usr/bin:/bin");
    let ran = ran.args(["edit", "credentials/a.yaml"]).status(1).run();
    let printed = "error: credentials/a.yaml was not changed: the editor `false` ended with";
    assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
}

#[test]
fn no_editor_is_started_that_nobody_could_use() {
    let project = down();
    let ran = appcred(&project).env("PATH", "/usr/bin:/bin").args(["edit", "credentials/a.yaml"]);
    let printed = "error: there is no terminal for vi, and neither VISUAL nor EDITOR names";
    let ran = ran.status(1).run();
    assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
}

#[test]
fn a_missing_file_is_named_before_any_editor() {
    let ran = appcred(&down()).args(["edit", "credentials/none.yaml"]).status(1).run();
    let printed = "error: cannot edit credentials/none.yaml: there is no such file or folder; ";
    assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
}

#[test]
fn several_targets_are_named_with_commas() {
    let ran = appcred(&down()).args(["plan", "-t", "home, hut"]).status(1).run();
    let printed = "error: there is no target `hut`; there are: home";
    assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
}

#[test]
fn a_mistyped_integration_is_guessed_by_add_too() {
    let add = ["add", "--domain", "spotfy", "--client-id", "a", "--secret-stdin"];
    let ran = appcred(&down()).args(add).stdin("x").status(1).run();
    assert!(ran.stderr.contains("did you mean `spotify`?"), "{}", ran.stderr);
}

#[test]
fn an_argument_that_is_quoted_stays_in_its_line() {
    for argument in ["--x\n::error::y", "x\r\n::error::y"] {
        let ran = Appcred::new().args(["plan", "--color", argument]).status(1).run();
        assert!(ran.stderr.contains("::error::y"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("\n::"), "{}", ran.stderr);
        let ran = Appcred::new().args([argument]).status(1).run();
        assert!(!ran.stderr.contains("\n::"), "{}", ran.stderr);
    }
}
