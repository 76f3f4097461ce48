//! The rules of the architecture, which are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::source_code::{SourceFile, read, sources};

/// Who may import whom. A room that is not named here may use nothing of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("diagnostic", &["model", "codes"]),
    ("integrations", &["model", "suggest"]),
    ("http", &["model", "files"]),
    ("html", &["model"]),
    ("listener", &[]),
    ("lock", &["model", "files", "target"]),
    ("callback", &["model", "html", "listener"]),
    ("suggest", &["model"]),
    ("schema", &[]),
    ("codes", &[]),
    ("cores", &[]),
    ("field", &["model", "diagnostic", "integrations", "secret"]),
    ("files", &["model"]),
    ("yaml", &["model", "diagnostic"]),
    (
        "manifest",
        &[
            "model",
            "cores",
            "diagnostic",
            "field",
            "integrations",
            "secret",
            "suggest",
            "schema",
            "files",
            "target",
            "yaml",
        ],
    ),
    ("secret", &["model", "cores", "diagnostic", "yaml_edit", "files", "suggest", "yaml"]),
    ("yaml_edit", &["model", "diagnostic", "yaml"]),
    ("encrypted_file", &["model", "yaml_edit", "secret"]),
    ("desired", &["model", "diagnostic", "manifest", "secret"]),
    ("recipients", &["model", "diagnostic", "files", "manifest", "secret"]),
    ("git", &["cores", "files", "model", "yaml_edit"]),
    ("repository", &["model", "diagnostic", "files", "manifest", "secret", "git"]),
    ("plan", &["model", "codes", "suggest"]),
    ("plan_file", &["model", "codes", "plan", "schema"]),
    (
        "target",
        &[
            "model",
            "diagnostic",
            "field",
            "files",
            "integrations",
            "http",
            "schema",
            "secret",
            "suggest",
        ],
    ),
    ("setup", &["model", "callback", "target"]),
    (
        "reconcile",
        &[
            "model",
            "codes",
            "integrations",
            "callback",
            "lock",
            "plan",
            "target",
            "setup",
            "verify",
        ],
    ),
    (
        "workspace",
        &[
            "model",
            "diagnostic",
            "integrations",
            "manifest",
            "secret",
            "desired",
            "http",
            "plan",
            "plan_file",
            "target",
            "reconcile",
            "files",
            "git",
            "status",
            "lock",
            "suggest",
            "watch",
            "yaml_edit",
        ],
    ),
    (
        "kubernetes",
        &["model", "diagnostic", "field", "files", "lock", "plan", "status", "target", "watch"],
    ),
    ("verify", &["model", "codes", "integrations", "http"]),
    ("status", &["model", "codes", "diagnostic", "plan"]),
    (
        "report",
        &[
            "model",
            "codes",
            "diagnostic",
            "doctor",
            "integrations",
            "schema",
            "plan",
            "reconcile",
            "setup",
            "status",
            "suggest",
            "verify",
        ],
    ),
    (
        "doctor",
        &[
            "model",
            "codes",
            "diagnostic",
            "files",
            "integrations",
            "lock",
            "manifest",
            "recipients",
            "repository",
            "secret",
            "target",
            "watch",
            "workspace",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "codes",
            "diagnostic",
            "doctor",
            "git",
            "http",
            "lock",
            "integrations",
            "manifest",
            "suggest",
            "yaml_edit",
            "recipients",
            "repository",
            "secret",
            "encrypted_file",
            "desired",
            "plan",
            "target",
            "reconcile",
            "setup",
            "workspace",
            "callback",
            "verify",
            "report",
            "plan_file",
            "files",
            "status",
            "server",
            "watch",
            "kubernetes",
        ],
    ),
    (
        "watch",
        &[
            "model",
            "callback",
            "codes",
            "diagnostic",
            "http",
            "integrations",
            "lock",
            "plan",
            "reconcile",
            "schema",
            "secret",
            "files",
            "status",
            "target",
        ],
    ),
    (
        "server",
        &[
            "model", "codes", "callback", "files", "html", "listener", "report", "secret", "setup",
            "status", "watch",
        ],
    ),
    ("main", &["cli"]),
];

/// A file longer than this, tests not counted, has more than one reason to change.
const LONGEST_FILE: usize = 400;

/// Words that a room must not know, with the reason. A room is the start of a path below `src`.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "plan",
        &["async", "std :: time", "std :: fs", "tracing", "HashMap", "HashSet", "tokio", "jiff"],
        "the plan is pure",
    ),
    (
        "model",
        &["async", "std :: time", "std :: fs", "tracing", "HashMap", "HashSet", "tokio"],
        "the nouns are pure",
    ),
    ("target/home_assistant", &["serde_yaml", "granit_parser"], "Home Assistant speaks JSON"),
    ("report", &["std :: env", "std :: fs"], "a report is bytes from values"),
];

/// Who alone may know a crate.
const KNOWN_ONLY_TO: &[(&str, &str)] = &[("granit_parser", "yaml")];

#[test]
fn rooms_import_only_whom_they_may() {
    assert_clean(&wrong_imports(sources(), MAY_USE));
}

#[test]
fn no_row_of_the_table_is_stale() {
    assert_clean(&stale_rows(sources(), MAY_USE));
}

#[test]
fn no_file_is_too_long() {
    assert_clean(&long_files(sources()));
}

#[test]
fn no_two_types_share_a_name() {
    assert_clean(&shared_names(sources()));
}

#[test]
fn rooms_do_not_know_what_is_not_theirs() {
    assert_clean(&forbidden_words(sources()));
}

fn wrong_imports(sources: &[SourceFile], table: &[(&str, &[&str])]) -> Vec<String> {
    let may_use: BTreeMap<_, _> = table.iter().copied().collect();
    let mut broken = Vec::new();
    for source in sources {
        let Some(room) = source.room() else { continue };
        let Some(allowed) = may_use.get(room.as_str()) else {
            broken.push(format!("{room} is not in the table"));
            continue;
        };
        for used in &source.rooms_named {
            if *used != room && !allowed.contains(&used.as_str()) {
                broken.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    broken
}

/// Rows for rooms that are not there, and permissions that nobody uses.
fn stale_rows(sources: &[SourceFile], table: &[(&str, &[&str])]) -> Vec<String> {
    let mut used: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
    for source in sources {
        if let Some(room) = source.room() {
            used.entry(room).or_default().extend(&source.rooms_named);
        }
    }
    let mut stale = Vec::new();
    for (room, allowed) in table {
        match used.get(*room) {
            None => stale.push(format!("there is no room {room}")),
            Some(used) => stale.extend(
                allowed
                    .iter()
                    .filter(|allowed| !used.iter().any(|used| used == *allowed))
                    .map(|allowed| format!("{room} does not use {allowed}")),
            ),
        }
    }
    stale
}

fn long_files(sources: &[SourceFile]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.lines > LONGEST_FILE);
    long.map(|source| format!("{}: {} lines", source.path.display(), source.lines)).collect()
}

fn shared_names(sources: &[SourceFile]) -> Vec<String> {
    let mut first: BTreeMap<&str, &Path> = BTreeMap::new();
    let mut shared = Vec::new();
    for source in sources {
        for name in &source.types {
            if let Some(other) = first.insert(name, &source.path) {
                shared.push(format!("{name}: {} and {}", other.display(), source.path.display()));
            }
        }
    }
    shared
}

fn forbidden_words(sources: &[SourceFile]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let path = source.path.display();
        for (room, words, reason) in FORBIDDEN {
            if source.path.starts_with(room) {
                let found = words.iter().filter(|word| source.has(word));
                broken.extend(found.map(|word| format!("{path} has `{word}`: {reason}")));
            }
        }
        for (library, room) in KNOWN_ONLY_TO {
            if !source.path.starts_with(room) && source.has(library) {
                broken.push(format!("{path} knows {library}, which only {room} may"));
            }
        }
    }
    broken
}

fn assert_clean(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every rule finds what is planted, wherever in a file it stands.
#[test]
fn the_rules_bite() {
    let table: &[(&str, &[&str])] = &[("plan", &["model"]), ("model", &[]), ("report", &["plan"])];
    let imports = |path: &str, text: &str| wrong_imports(&read([(path, text)]), table);
    for text in [
        "use crate::report::x;",
        "use crate::{model, report::{a, b}};",
        "#[cfg(test)]\nmod tests;\nuse crate::report;",
        "#[cfg(test)]\nmod tests { fn f() {} }\nfn f() { crate::report::f() }",
        "fn f() { html! { (crate::report::f()) } }",
        "use super::super::report;",
        "mod inner { use super::super::super::report; }",
        "use super::super::{model, report};",
    ] {
        assert_eq!(imports("plan/deep.rs", text), ["plan/deep.rs uses report"], "{text}");
    }
    for text in [
        "use crate::model::x;",
        "#[cfg(test)]\nmod tests { use crate::report; }",
        "// crate::report",
        "use super::other;",
        "const TEXT: &str = \"crate::report\";",
    ] {
        assert_eq!(imports("plan/deep.rs", text), [""; 0], "{text}");
    }
    assert_eq!(imports("news/mod.rs", ""), ["news is not in the table"]);

    let rooms = read([("plan/mod.rs", "use crate::model;"), ("model/mod.rs", "")]);
    let stale = stale_rows(&rooms, &[("plan", &["model", "report"]), ("model", &[]), ("old", &[])]);
    assert_eq!(stale, ["plan does not use report", "there is no room old"]);

    let long = format!("#[cfg(test)]\nmod tests;\n{}", "fn f() {}\n".repeat(LONGEST_FILE + 1));
    assert_eq!(long_files(&read([("plan/mod.rs", long)])), ["plan/mod.rs: 401 lines"]);
    let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}", "fn f() {}\n".repeat(500));
    assert_eq!(long_files(&read([("plan/mod.rs", tests)])), [""; 0]);

    let twice = read([("plan/a.rs", "struct Plan; fn f() {}"), ("watch/a.rs", "enum Plan {}")]);
    assert_eq!(shared_names(&twice), ["Plan: plan/a.rs and watch/a.rs"]);
    let tests = "struct Plan; #[cfg(test)]\nmod tests { struct Plan; }";
    assert_eq!(shared_names(&read([("plan/a.rs", tests)])), [""; 0]);

    let words = |path: &str, text: &str| forbidden_words(&read([(path, text)])).len();
    assert_eq!(words("plan/a.rs", "#[cfg(test)]\nmod tests;\nasync fn f() {}"), 1);
    assert_eq!(words("plan/a.rs", "use std::time::Duration;"), 1);
    assert_eq!(words("plan/a.rs", "/// async\nfn f() { \"tokio\"; }"), 0);
    assert_eq!(words("manifest/a.rs", "use granit_parser::Event;"), 1);
    assert_eq!(words("yaml/a.rs", "use granit_parser::Event;"), 0);
    assert!(read([("a/mod.rs", "#[cfg(test)]\nmod tests;"), ("a/tests.rs", "")]).len() == 1);
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
