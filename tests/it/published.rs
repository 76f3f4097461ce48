//! What is published works: the first commands of the README, every verb of the docs, and every example.

use std::fs;

use crate::documents::{blocks, root};
use crate::real::copy_folder;
use crate::shell::{Appcred, Project};

#[test]
fn the_first_command_of_the_readme_does_the_main_job() {
    let first = blocks("README.md", "console").swap_remove(0);
    let arguments = first.lines().find_map(|line| line.strip_prefix("cargo run -- ")).unwrap();
    let project = Project::new();
    copy_folder(&root().join("examples"), &project.join("examples"));
    fs::remove_dir_all(project.join("examples/quickstart/ha-config")).unwrap_or_default();

    let ran =
        Appcred::new().in_dir(project.path()).args(arguments.split_whitespace()).stderr("").run();

    assert!(ran.stdout.ends_with("house: 3 created, 0 replaced, 0 deleted.\n"), "{}", ran.stdout);
    let storage = project.join("examples/quickstart/ha-config/.storage/application_credentials");
    assert!(fs::read_to_string(storage).unwrap().contains("quickstart-spotify-secret"));
}

#[test]
fn the_tests_that_the_readme_names_are_what_ci_runs() {
    assert_eq!(blocks("README.md", "console").pop().unwrap().trim(), "tests/run");
    assert!(fs::read_to_string(root().join(".ci/run")).unwrap().contains("\ntests/run "));
}

#[test]
fn every_verb_is_in_the_docs_and_helps_itself() {
    let help = Appcred::new().args(["--help"]).run().stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap();
    let verbs: Vec<_> = commands
        .lines()
        .map_while(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 4, "{help}");
    let listed = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    for verb in verbs {
        assert!(listed.contains(&format!("`appcred {verb}")), "docs/commands.md lacks `{verb}`");
        let help = Appcred::new().args([verb, "--help"]).run().stdout;
        assert!(help.contains("Examples:"), "{help}");
    }
}

#[test]
fn every_example_is_valid() {
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.join("appcred.yaml").exists() {
            // In this repository `validate` rightly warns of the quick start's public key.
            let project = Project::new();
            copy_folder(&folder, project.path());
            Appcred::new().in_dir(project.path()).args(["validate"]).stderr("").run();
        }
    }
}
