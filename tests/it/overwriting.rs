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
            if is_own {
                continue;
            }
            let before = fs::read(project.join(file)).unwrap();
            let ran = appcred(&project, &with(verb, file)).status(1).run();
            let said = format!("{file} does not hold an earlier {noun}, and was not overwritten");
            assert!(ran.stderr.contains(&said), "{verb}: {}", ran.stderr);
            assert!(fs::read(project.join(file)).unwrap() == before, "{verb}: {file}");
        }
    }
    // One that is too large to be looked at is left alone too.
    let large = fs::File::create(project.join("large.json")).unwrap();
    large.set_len(128 * 1024 * 1024 + 1).unwrap();
    let ran = appcred(&project, "plan --target home --format json=large.json").status(1).run();
    assert!(ran.stderr.contains("large.json, which was not overwritten"), "{}", ran.stderr);
    let watch = appcred(&project, "watch --target home --snapshot saved-plan.json").status(1).run();
    assert!(watch.stderr.contains("does not hold an earlier snapshot"), "{}", watch.stderr);
}

#[test]
fn an_earlier_report_is_overwritten() {
    let project = project();
    project.write("empty.json", "");
    let all = "text json yaml markdown github gitlab junit sarif";
    let all: String =
        all.split(' ').map(|format| format!(" --format {format}=VERB-{format}")).collect();
    for verb in [
        "validate",
        "plan --target home",
        "plan",
        "apply --yes --target home --format json=empty.json",
        "plan --target home",
    ] {
        let name = verb.split(' ').next().unwrap();
        for _ in 0..2 {
            let ran = appcred(&project, &format!("{verb}{}", all.replace("VERB", name)));
            let ran = if verb == "plan" { ran.status(1).run() } else { ran.run() };
            assert!(!ran.stderr.contains("was not"), "{verb}: {}", ran.stderr);
        }
    }
    // What a run did before, any other form of a report replaces.
    for verb in [
        "validate --format json=plan-text --format yaml=apply-markdown",
        "snapshot --target home -o house.json",
    ] {
        for _ in 0..2 {
            appcred(&project, verb).run();
        }
    }
    assert!(project.join("ha/.storage/application_credentials").exists());
}

#[test]
fn what_is_of_git_of_home_assistant_or_of_anybody_else_is_not_overwritten() {
    let project = project();
    appcred(&project, "apply --yes --target home").run();
    let readme =
        "# House\n\n```console\n$ appcred plan\nhome (ha)\n\nNo changes. 3 in sync.\n```\n";
    let files = [
        ("ha/configuration.yaml", "default_config:\n"),
        (".git/config", "[core]\n\tbare = false\n"),
        (".gitignore", "secrets.yaml\n"),
        ("README.md", readme),
        ("plain-token", "t0k3n-5\n"),
        ("list.json", "[{\"check_name\": 1}]\n"),
        ("terraform.json", "{\"format_version\": \"1.2\", \"targets\": []}\n"),
    ];
    for (file, text) in files {
        project.write(file, text);
    }
    let files = files.iter().map(|(file, _)| *file).chain(["ha/.storage/application_credentials"]);
    for file in files {
        let before = fs::read(project.join(file)).unwrap();
        for verb in ["validate", "plan --target home", "apply --yes --target home"] {
            for format in ["json", "text", "markdown", "github"] {
                let ran = appcred(&project, &format!("{verb} --format {format}={file}"));
                let ran = ran.status(1).run();
                assert!(ran.stderr.contains(", and was not "), "{verb} {format}: {}", ran.stderr);
                assert!(fs::read(project.join(file)).unwrap() == before, "{verb}: {file}");
            }
        }
    }
}

#[test]
fn nothing_is_written_to_where_it_would_be_read() {
    let project = project();
    project.write(
        "appcred.yaml",
        "owner: house\nallow_plaintext: true\ntargets: [houses.yaml, more]\n",
    );
    project.write("credentials/a.yaml", "application_credentials: []\n");
    let target =
        "targets:\n  far: {url: \"http://127.0.0.1:7\", token_file: later, ca_file: ca.pem}\n";
    project.write("more/far.yaml", target);
    fs::create_dir(project.join(".git")).unwrap();
    for (file, why) in [
        ("credentials/s.yaml", "would be read as a manifest"),
        ("application_credentials.yaml", "would be read as a manifest"),
        ("more/s.yml", "would be read as a manifest"),
        ("secrets.yml", "secrets or a key"),
        ("credentials/secrets.yaml", "secrets or a key"),
        ("later", "secrets or a key"),
        ("ca.pem", "secrets or a key"),
        (".git/info", "is in a folder of Git's own"),
        ("ha/.storage/application_credentials", "is in the configuration folder of a target"),
        ("ha/new.json", "is in the configuration folder of a target"),
    ] {
        for verb in
            ["snapshot --target home -o", "plan --target home --out", "validate --format yaml=FILE"]
        {
            let verb = match verb.contains("FILE") {
                true => verb.replace("FILE", file),
                false => format!("{verb} {file}"),
            };
            let ran = appcred(&project, &verb).status(1).run();
            assert!(ran.stderr.contains(why), "{verb}: {}", ran.stderr);
            assert!(!project.join(file).exists(), "{verb}");
        }
    }
    appcred(&project, "validate --format json=credentials/report.json").run();
}

#[test]
fn a_project_in_a_configuration_folder_has_its_reports_there() {
    let project = Project::new()
        .file("ha/mine/appcred.yaml", "owner: house\ntargets: {home: {config_dir: ..}}\n")
        .file("ha/mine/credentials.yaml", "application_credentials: []\n")
        .file("ha/.storage/core.config_entries", r#"{"version": 1, "data": {"entries": []}}"#);
    appcred(&project, "-C ha/mine validate --format json=ha/mine/a.json").run();
    for file in ["ha/a.json", "ha/.storage/a.json"] {
        let ran = appcred(&project, &format!("-C ha/mine validate --format json={file}"));
        let ran = ran.status(1).run();
        assert!(ran.stderr.contains("configuration folder of a target"), "{}", ran.stderr);
    }
}

#[test]
fn a_dash_makes_no_file() {
    let project = project();
    for (arguments, said) in [
        ("validate --format json=-", "write `json` alone to print it"),
        ("plan --target home --out -", "a plan is saved in a file"),
        ("watch --target home --snapshot -", "a watcher keeps it in a file"),
    ] {
        let ran = appcred(&project, arguments).status(1).run();
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    appcred(&project, "snapshot --target home -o -").run();
    assert!(!project.join("-").exists());
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_applied() {
    let project = project();
    fs::create_dir(project.join("folder")).unwrap();
    let held = project.join("ha/.storage/application_credentials");
    for (file, why) in [
        ("nowhere/x", "nowhere: there is no such file or folder"),
        ("folder", "cannot write folder: "),
        ("single/x", "cannot write single/x"),
    ] {
        let line = format!("apply --yes --target home --format json={file}");
        let ran = appcred(&project, &line).status(1).run();
        assert!(
            ran.stderr.contains("nothing was done") && ran.stderr.contains(why),
            "{}",
            ran.stderr
        );
        assert!(!held.exists(), "{file}");
    }
}
