//! Every block of YAML in README and docs is valid.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::shell::{Appcred, Project, age_identity, encrypt};

use super::{documents, of_examples, parts, root};

/// What `is` may say: YAML of other programs, which is only read.
const OTHERS: [&str; 6] =
    ["compose", "configuration.yaml", "kubernetes", "prometheus", "sops", "workflow"];

/// What manifests name in documents that show no project file.
const TARGETS: &str = "targets: {home: {config_dir: home}, cabin: {config_dir: cabin}}\n";

/// A project in which a block is valid, below the project file of its document: the files that it names, and real ones
/// for what it abbreviates.
fn project_with(block: &str, project_file: &str) -> Project {
    let (_, recipient) = age_identity();
    let authority = rcgen::generate_simple_self_signed(["ha.example".to_owned()]).unwrap();
    let key = authority.signing_key.serialize_pem();
    let all = format!("{project_file}\n{block}");
    let names: BTreeSet<&str> = all
        .split("!secret ")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && !['_', '-'].contains(&c)).next()
        })
        .collect();
    // Those of notifications are addresses.
    let value = if block.contains("webhook:") { "https://one.example/" } else { "m4rk3d-" };
    let secrets: String = names.iter().map(|name| format!("{name}: {value}{name}\n")).collect();
    let armor = encrypt("a secret", &recipient);
    let lines: Vec<&str> = armor.lines().collect();
    let mut text = String::new();
    for line in block.lines() {
        if line.trim() == "..." {
            let indentation = &line[..line.len() - 3];
            let within = lines[1..lines.len() - 1].iter();
            text.extend(within.map(|line| format!("{indentation}{line}\n")));
        } else {
            text.push_str(&line.replace("age1...", &recipient.to_string()));
            text.push('\n');
        }
    }
    let project = Project::new()
        .file("ca.pem", &authority.cert.pem())
        .file("client.pem", &authority.cert.pem())
        .file("client.key.age", &encrypt(&key, &recipient))
        .file("secrets.yaml", &secrets);
    if block.contains("application_credentials:") {
        let project_file = project_file.replace("age1...", &recipient.to_string());
        project.file("appcred.yaml", &project_file).file("credentials/a.yaml", &text)
    } else {
        project
            .file("appcred.yaml", &text)
            .file("credentials/a.yaml", "application_credentials: []\n")
    }
}

#[test]
fn yaml_of_documents_is_valid() {
    let mut count = 0;
    for document in documents().into_iter().chain(of_examples()) {
        let mut other = None;
        let mut project_file = TARGETS.to_owned();
        for part in parts(&document) {
            let place = format!("{}:{}", document.display(), part.line);
            if part.language == "test" {
                other = part.text.strip_prefix("is ").map(str::to_owned);
                continue;
            }
            let other = other.take();
            if part.language != "yaml" {
                continue;
            }
            count += 1;
            if let Some(program) = other {
                assert!(OTHERS.contains(&program.as_str()), "{place}: what is {program}?");
                let read = serde_yaml::from_str::<serde_yaml::Value>(&part.text);
                assert!(read.is_ok(), "{place}: {read:?}");
                continue;
            }
            let project = project_with(&part.text, &project_file);
            let ran = Appcred::new().in_dir(project.path()).args(["validate"]).spawn().finish();
            if !part.text.contains("application_credentials:") {
                project_file.clone_from(&part.text);
            }
            let is_valid = ran.status == Some(0) && ran.stderr.is_empty();
            assert!(is_valid, "{place}: {}{}", ran.stdout, ran.stderr);
        }
    }
    assert!(count > 5, "only {count} blocks are found");
}

#[test]
fn forms_of_issues_ask_for_something() {
    let folder = root().join(".github/ISSUE_TEMPLATE");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let form: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        if !path.ends_with("config.yml") {
            let has_text = |field: &str| form[field].as_str().is_some_and(|text| !text.is_empty());
            assert!(has_text("name") && has_text("description"), "{}", path.display());
            let fields = form["body"].as_array().unwrap().iter();
            let asks = fields
                .filter(|field| field["type"] != "markdown")
                .all(|field| field["id"].is_string() && field["attributes"]["label"].is_string());
            assert!(asks, "{}", path.display());
        }
    }
}
