//! What is published works: the README's commands and blocks, and every example.

use std::fs;
use std::path::Path;

use crate::shell::{Appcred, Project, age_identity};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The fenced blocks of a language, without the indentation of their fence.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for line in readme().lines() {
        match &mut block {
            None if line.trim_start() == fence => {
                block = Some((line.len() - fence.len(), String::new()))
            }
            None => {}
            Some(_) if line.trim_start() == "```" => {
                blocks.extend(block.take().map(|(_, text)| text))
            }
            Some((indentation, text)) => {
                text.push_str(line.get(*indentation..).unwrap_or_default());
                text.push('\n');
            }
        }
    }
    blocks
}

fn copied(folder: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copied(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn the_first_command_of_the_readme_does_the_main_job() {
    let first = blocks("console").swap_remove(0);
    let arguments = first.trim().strip_prefix("cargo run -- ").unwrap();
    let project = Project::new();
    copied(&root().join("examples"), &project.join("examples"));
    fs::remove_dir_all(project.join("examples/quickstart/ha-config")).unwrap_or_default();

    let ran =
        Appcred::new().in_dir(project.path()).args(arguments.split_whitespace()).stderr("").run();

    assert!(ran.stdout.ends_with("house: 3 created, 0 replaced, 0 deleted.\n"), "{}", ran.stdout);
    let storage = project.join("examples/quickstart/ha-config/.storage/application_credentials");
    assert!(fs::read_to_string(storage).unwrap().contains("quickstart-spotify-secret"));
}

#[test]
fn the_second_command_of_the_readme_is_what_ci_runs() {
    assert_eq!(blocks("console")[1].trim(), "tests/run");
    assert!(fs::read_to_string(root().join(".ci/run")).unwrap().contains("\ntests/run "));
}

#[test]
fn the_readmes_project_file_is_valid() {
    let [_, project_file, ..] = &blocks("yaml")[..] else { panic!("a block went") };
    let project_file = project_file.replace("age1...", &age_identity().1.to_string());
    let authority = rcgen::generate_simple_self_signed(["ha.example".to_owned()]).unwrap();
    let project = Project::new()
        .file("appcred.yaml", &project_file)
        .file("ca.pem", &authority.cert.pem())
        .file("credentials/a.yaml", "application_credentials: []\n");
    Appcred::new()
        .in_dir(project.path())
        .args(["validate"])
        .stdout("Valid: 0 entries.\n")
        .stderr("")
        .run();
}

#[test]
fn every_verb_is_in_the_readme_and_helps_itself() {
    let help = Appcred::new().args(["--help"]).run().stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap();
    let verbs: Vec<_> = commands
        .lines()
        .map_while(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 4, "{help}");
    for verb in verbs {
        assert!(
            readme().contains(&format!("`appcred {verb}")),
            "the README does not tell of `{verb}`"
        );
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
            copied(&folder, project.path());
            Appcred::new().in_dir(project.path()).args(["validate"]).stderr("").run();
        }
    }
}
