//! What a project reads is not overwritten by a report, a plan or a snapshot, and neither is what is no earlier one.

use std::fs;

use crate::shell::{Appcred, Project};

/// A project with a file of each kind, and something to do.
fn project() -> Project {
    let entry = |key: &str, secret: &str| {
        format!(
            "{{domain: spotify, key: {key}, name: {key}, client_id: {key}, client_secret: {secret}}}"
        )
    };
    let entries =
        [entry("a", "!secret k"), entry("b", "!file single"), entry("c", "!file m.json#s")];
    let project = Project::new()
        .file("appcred.yaml", "owner: house\nallow_plaintext: true\ntargets: [houses.yaml]\n")
        .file(
            "houses.yaml",
            "targets:\n  home: {config_dir: ha}\n  away: {url: \"http://127.0.0.1:9\", token_file: token}\n",
        )
        .file("ha/.storage/core.config_entries", r#"{"version": 1, "data": {"entries": []}}"#)
        .file("credentials.yaml", &format!("{{application_credentials: [{}]}}\n", entries.join(", ")))
        .file("secrets.yaml", "k: s3cr3t-1\n")
        .file("single", "s3cr3t-2\n")
        .file("m.json", "{\"s\": \"s3cr3t-3\"}\n")
        .file("token", "t0k3n-4\n");
    fs::write(project.join("whole.age"), b"age-encryption.org/v1\n-> X25519 a\n\0\x01\xff")
        .unwrap();
    fs::hard_link(project.join("single"), project.join("other-name")).unwrap();
    project
}

const READ: [&str; 9] = [
    "appcred.yaml",
    "houses.yaml",
    "credentials.yaml",
    "secrets.yaml",
    "single",
    "other-name",
    "m.json",
    "token",
    "whole.age",
];

fn appcred(project: &Project, arguments: &str) -> Appcred {
    Appcred::new().in_dir(project.path()).args(arguments.split(' '))
}

#[test]
fn what_a_project_reads_is_not_overwritten_and_nothing_is_done_before_that_is_known() {
    let project = project();
    let held = project.join("ha/.storage/application_credentials");
    for file in READ {
        let before = fs::read(project.join(file)).unwrap();
        for verb in [
            "validate --format json=FILE",
            "plan --target home --format junit=FILE",
            "plan --target home --out FILE",
            "snapshot --target home -o FILE",
            "watch --target home --snapshot FILE",
            "apply --yes --target home --format json=new.json --format markdown=FILE",
        ] {
            let ran = appcred(&project, &verb.replace("FILE", file)).status(1).run();
            assert!(
                ran.stderr.contains("was not overwritten: choose another file"),
                "{verb}: {}",
                ran.stderr
            );
            assert!(fs::read(project.join(file)).unwrap() == before, "{verb}: {file}");
        }
    }
    assert!(!held.exists() && !project.join("new.json").exists());
}

#[test]
fn a_plan_and_a_snapshot_replace_an_earlier_one_alone() {
    let project = project();
    let verbs = [
        ("saved plan", "plan --target home --out"),
        ("snapshot", "snapshot --target home -o"),
        ("report", "plan --target home --format"),
    ];
    let with = |verb: &str, file: &str| match verb.ends_with("--format") {
        true => format!("{verb} json={file}"),
        false => format!("{verb} {file}"),
    };
    project.write("other", "somebody's\n");
    // What is to be created from `!secret` is in no saved plan.
    appcred(&project, "apply --yes --target home").run();
    for (noun, verb) in verbs {
        let file = format!("{}.json", noun.replace(' ', "-"));
        for _ in 0..2 {
            appcred(&project, &with(verb, &file)).run();
        }
    }
    for (noun, verb) in verbs {
        for file in ["saved-plan.json", "snapshot.json", "report.json", "other"] {
            let is_own = file.starts_with(&noun.replace(' ', "-"));
            // What a report is, its form does not say.
            if is_own || noun == "report" && file == "other" {
                continue;
            }
            let before = fs::read(project.join(file)).unwrap();
            let ran = appcred(&project, &with(verb, file)).status(1).run();
            let said = format!("{file} does not hold an earlier {noun}, and was not overwritten");
            assert!(ran.stderr.contains(&said), "{verb}: {}", ran.stderr);
            assert!(fs::read(project.join(file)).unwrap() == before, "{verb}: {file}");
        }
    }
    let watch = appcred(&project, "watch --target home --snapshot saved-plan.json").status(1).run();
    assert!(watch.stderr.contains("does not hold an earlier snapshot"), "{}", watch.stderr);
}

#[test]
fn an_earlier_report_is_overwritten() {
    let project = project();
    project.write("empty.json", "");
    for verb in [
        "validate --format json=a.json --format sarif=a.sarif",
        "snapshot --target home -o house.json",
        "apply --yes --target home --format json=empty.json --format markdown=a.md --format junit=a.xml --format text=a.txt",
    ] {
        for _ in 0..2 {
            appcred(&project, verb).run();
        }
    }
    assert!(project.join("ha/.storage/application_credentials").exists());
}
