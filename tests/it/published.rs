//! What is published works: the commands, blocks and links of README and docs, and every example.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Appcred, Project, age_identity};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and what it leads to.
pub(crate) fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    docs.chain([root().join("README.md")]).collect()
}

/// The fenced blocks of a language in a document, without the indentation of their fence.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for line in fs::read_to_string(root().join(document)).unwrap().lines() {
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
    let first = blocks("README.md", "console").swap_remove(0);
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
    assert_eq!(blocks("README.md", "console")[1].trim(), "tests/run");
    assert!(fs::read_to_string(root().join(".ci/run")).unwrap().contains("\ntests/run "));
}

#[test]
fn the_project_file_of_the_docs_is_valid() {
    let [project_file, ..] = &blocks("docs/project-file.md", "yaml")[..] else {
        panic!("a block went")
    };
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

/// What GitHub calls the parts of a document in addresses.
fn parts(document: &Path) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(document).unwrap();
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let name = |title: &str| {
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let kept: String = title.trim_start_matches('#').trim().chars().filter(kept).collect();
        kept.to_lowercase().replace(' ', "-")
    };
    titles.map(name).collect::<Vec<_>>().into_iter()
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") {
                count += 1;
                let (file, part) = link.split_once('#').unwrap_or((link, ""));
                let folder = document.parent().unwrap();
                let file = if file.is_empty() { document.clone() } else { folder.join(file) };
                assert!(file.exists(), "{}: {link}", document.display());
                let is_there = part.is_empty() || parts(&file).any(|name| name == part);
                assert!(is_there, "{}: {link}", document.display());
            }
        }
    }
    assert!(count >= 10, "only {count} links are found");
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
