//! The rules of the house, kept by machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom. A room that is not named here may use nothing of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("diagnostic", &["model"]),
    ("integrations", &["model"]),
    ("http", &[]),
    ("loopback", &[]),
    ("suggest", &[]),
    ("schema", &[]),
    ("stamp", &[]),
    ("yaml", &["model", "diagnostic"]),
    ("manifest", &["model", "diagnostic", "http", "integrations", "suggest", "schema", "stamp", "yaml"]),
    ("secret", &["model", "diagnostic", "yaml_edit", "stamp", "yaml"]),
    ("yaml_edit", &["model", "diagnostic", "yaml"]),
    ("encrypted_file", &["model", "yaml_edit", "secret"]),
    ("desired", &["model", "diagnostic", "integrations", "manifest", "secret"]),
    ("recipients", &["model", "diagnostic", "manifest", "secret"]),
    ("git", &["yaml_edit"]),
    ("plan", &["model"]),
    ("plan_file", &["model", "plan", "schema"]),
    ("target", &["model", "integrations", "http", "schema"]),
    ("setup", &["model", "target"]),
    ("reconcile", &["model", "plan", "target", "setup"]),
    ("session", &["model", "secret", "target"]),
    ("verify", &["model", "integrations", "http"]),
    ("status", &["model", "diagnostic", "plan"]),
    (
        "report",
        &["model", "diagnostic", "schema", "plan", "reconcile", "setup", "status", "verify"],
    ),
    (
        "cli",
        &[
            "model",
            "diagnostic",
            "http",
            "integrations",
            "manifest",
            "suggest",
            "yaml_edit",
            "recipients",
            "git",
            "secret",
            "encrypted_file",
            "desired",
            "plan",
            "target",
            "reconcile",
            "setup",
            "session",
            "loopback",
            "verify",
            "report",
            "plan_file",
            "stamp",
            "status",
            "server",
            "watch",
        ],
    ),
    (
        "watch",
        &[
            "model",
            "diagnostic",
            "http",
            "suggest",
            "plan",
            "reconcile",
            "schema",
            "setup",
            "stamp",
            "status",
            "target",
        ],
    ),
    ("server", &["model", "report", "setup", "status", "watch"]),
    ("main", &["cli"]),
];

/// A file longer than this, tests not counted, has more than one reason to change.
const LONGEST_FILE: usize = 400;

#[test]
fn rooms_import_only_whom_they_may() {
    let may_use: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let Some(room) = room_of(&path) else { continue };
        let allowed = may_use.get(room.as_str()).copied().unwrap_or_default();
        for used in crate_paths(&text) {
            if used != room && !allowed.contains(&used.as_str()) {
                broken.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let rooms: Vec<_> = sources().iter().filter_map(|(path, _)| room_of(path)).collect();
    for room in rooms {
        assert!(MAY_USE.iter().any(|(name, _)| *name == room), "{room} is not in MAY_USE");
    }
}

#[test]
fn no_file_is_too_long() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if lines > LONGEST_FILE {
            broken.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Words that a room must not know, with the reason.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "plan",
        &["async ", "std::time", "tracing::", "HashMap", "HashSet", "tokio"],
        "the plan is pure",
    ),
    (
        "model",
        &["async ", "std::time", "tracing::", "HashMap", "HashSet", "tokio"],
        "the nouns are pure",
    ),
    ("target/home_assistant", &["serde_yaml", "granit"], "HA speaks JSON"),
    ("report", &["std::env", "std::fs"], "a report is bytes from values"),
];

#[test]
fn rooms_do_not_know_what_is_not_theirs() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let inside = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (room, words, reason) in FORBIDDEN {
            if !inside.starts_with(room) || inside.ends_with("tests.rs") {
                continue;
            }
            broken.extend(
                words
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{inside} has `{word}`: {reason}")),
            );
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_yaml_reader_knows_its_parser() {
    let reader = root().join("src/yaml");
    for (path, text) in sources() {
        assert!(
            path.starts_with(&reader) || !text.contains("granit_parser"),
            "{} imports the YAML parser: one reader is kept",
            path.display()
        );
    }
}

#[test]
fn no_test_file_is_forgotten() {
    for (folder, list) in [("tests/it", "main"), ("tests/it/real", "mod")] {
        let folder = root().join(folder);
        let modules = fs::read_to_string(folder.join(format!("{list}.rs"))).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let module = path.file_stem().unwrap().to_str().unwrap();
            assert!(
                module == list || modules.contains(&format!("mod {module};")),
                "{list}.rs forgets {}",
                path.display()
            );
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 5, "the sources were not found");
    found
}

/// The first folder or file below `src`; `lib.rs` only lists the rooms.
fn room_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    let room = first.trim_end_matches(".rs").to_owned();
    (room != "lib").then_some(room)
}

/// Every `x` of a `crate::x` or `appcred::x` outside of comments and unit tests.
fn crate_paths(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for start in ["crate::", "appcred::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push(name);
        }
    }
    found
}
