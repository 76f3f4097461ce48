//! A manifest that was moved or renamed by a slip, while others stay: its entries do not read as deleted.

use std::fs;

use crate::shell::{Appcred, Project, Ran};

const NET: &str =
    "application_credentials:\n  - {domain: netatmo, client_id: n1, client_secret: s3cr3t-n}\n";

fn project(more: &str) -> Project {
    Project::new()
        .file(
            "appcred.yaml",
            &format!("owner: house\nallow_plaintext: true\ntargets: {{home: {{config_dir: ha}}}}\n{more}"),
        )
        .file("ha/configuration.yaml", "")
        .file(
            "credentials/credentials.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: s1, client_secret: s3cr3t-s}\n",
        )
        .file("credentials/net.yaml", NET)
        .file("creds/a/note.md", "application_credentials: as in\n\n    - domain: netatmo\n")
        .file(".old/note", "")
        .file("credentials/.hidden/note", "")
        .file("README.md", &format!("# Ours\n```yaml\n{NET}```\n- domain: x\n"))
        .file("other/appcred.yaml", "")
}

fn appcred(project: &Project, arguments: &str) -> Appcred {
    Appcred::new().in_dir(project.path()).args(arguments.split(' '))
}

impl Ran {
    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.stderr.contains(text), "not {text:?}:\n{}", self.stderr);
    }
}

#[test]
fn nothing_is_deleted_whose_entry_is_in_a_file_that_is_not_read() {
    let project = project("");
    appcred(&project, "apply --yes").run();
    let held = || fs::read_to_string(project.join("ha/.storage/application_credentials")).unwrap();
    for file in [
        "credentials/net.yaml.txt",
        "credentials/net.ym",
        "credentials/net",
        "creds/net.yaml",
        "creds/net.yaml.txt",
        "creds/a/net.yaml",
        ".old/net.yaml",
        "credentials/.hidden/net.yaml",
        "credentials/net.yaml.1",
        "creds/net.yaml.2026-11-27",
        "creds/net.md",
        "net.yaml",
    ] {
        fs::rename(project.join("credentials/net.yaml"), project.join(file)).unwrap();
        let warned =
            format!("`{file}` lists the entry `netatmo`, which no manifest has, and is not read");
        appcred(&project, "validate").run().says(&warned);
        appcred(&project, "validate --strict").status(1).run().says(&warned);
        let ran = appcred(&project, "apply --yes").status(1).run();
        let withheld = format!("the entry `netatmo` is in `{file}`, which is not read");
        assert!(ran.stderr.contains(&warned) && ran.stdout.contains(&withheld), "{}", ran.stdout);
        assert!(held().contains("s3cr3t-n"), "{file}");
        let plan = appcred(&project, "plan --allow-empty").run().stdout;
        assert!(plan.contains("# no entry declares it") && plan.contains("1 to delete"), "{plan}");
        fs::rename(project.join(file), project.join("credentials/net.yaml")).unwrap();
    }
    // What is set aside, a copy of a declared entry, and what is another project's are no slip.
    fs::copy(project.join("credentials/net.yaml"), project.join("creds/net.yaml")).unwrap();
    appcred(&project, "validate --strict").run();
    fs::remove_file(project.join("creds/net.yaml")).unwrap();
    for (file, is_backup) in [
        ("credentials/net.yaml.disabled", false),
        ("other/net.yaml", false),
        ("credentials/net.yaml~", true),
        ("credentials/net.yaml.save", true),
        ("creds/net.yml.bak", true),
        ("creds/net.yaml.old", true),
        ("creds/net.yaml.j2", true),
        ("creds/example.yaml", true),
        ("creds/net.sample.yml", true),
    ] {
        fs::rename(project.join("credentials/net.yaml"), project.join(file)).unwrap();
        appcred(&project, "validate --strict").run();
        let plan = appcred(&project, "plan").run().stdout;
        let said =
            format!("its entry is only in a backup or an example, which is not read: {file}:2:6");
        assert!(plan.contains("1 to delete"), "{file}: {plan}");
        assert_eq!(plan.contains(&said), is_backup, "{file}: {plan}");
        fs::rename(project.join(file), project.join("credentials/net.yaml")).unwrap();
    }
}

#[test]
fn nothing_is_deleted_while_a_manifest_that_is_not_read_has_errors() {
    let project = project("");
    appcred(&project, "apply --yes").run();
    fs::remove_file(project.join("credentials/net.yaml")).unwrap();
    let utf16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let marked = format!("\u{feff}{NET}").into_bytes();
    let invalid = format!("{NET}bad: [\n").into_bytes();
    let conflict = format!("<<<<<<< HEAD\n{NET}=======\n{NET}>>>>>>> b\n").into_bytes();
    let headless = NET.split_once('\n').unwrap().1.replace('}', "").into_bytes();
    for (content, is_clear) in [
        (marked, true),
        (utf16(NET), true),
        (utf16(&format!("{NET}bad: [\n")), false),
        (invalid, false),
        (conflict, false),
        (headless, false),
    ] {
        let shown = String::from_utf8_lossy(&content).into_owned();
        for file in
            ["credentials/net.yaml.txt", "net.yaml", "creds/net.yaml.off", "a.yaml.disabled"]
        {
            fs::write(project.join(file), &content).unwrap();
            let ran = appcred(&project, "validate").run();
            let plan = appcred(&project, "plan").run().stdout;
            let is_kept = !file.ends_with(".off") && !file.ends_with(".disabled");
            let said = match is_clear {
                true => format!("`{file}` lists the entry `netatmo`, which no manifest has"),
                false => {
                    format!("`{file}` is a manifest with errors, so that its entries are not known")
                }
            };
            assert_eq!(ran.stderr.contains(&said), is_kept, "{file}: {shown}: {}", ran.stderr);
            assert_eq!(plan.contains("1 to delete"), !is_kept, "{file}: {shown}: {plan}");
            assert_eq!(plan.contains("not done: delete"), is_kept, "{file}: {shown}: {plan}");
            fs::remove_file(project.join(file)).unwrap();
        }
    }
}

#[test]
fn rm_names_a_file_that_keeps_what_it_removes() {
    let project = project("");
    appcred(&project, "apply --yes").run();
    fs::copy(project.join("credentials/net.yaml"), project.join("creds/net.yaml")).unwrap();
    let ran = appcred(&project, "rm netatmo spotify").run();
    ran.says("`creds/net.yaml`, which is not read, lists the entry `netatmo` too.");
    ran.says("`appcred apply --allow-empty` deletes what targets hold of it.");
}

#[test]
fn a_mount_or_submodule_that_is_not_there_deletes_nothing() {
    let project = project("");
    appcred(&project, "apply --yes").run();
    fs::create_dir(project.join("credentials/house")).unwrap();
    fs::remove_file(project.join("credentials/net.yaml")).unwrap();
    let plan = appcred(&project, "plan").run();
    assert!(plan.stdout.contains("0 to delete"), "{}{}", plan.stdout, plan.stderr);
    plan.says("nothing is deleted as long as the folder is empty");
}

#[test]
fn a_file_beside_the_manifest_that_is_named_alone_is_seen() {
    let project = project("manifests: [credentials/credentials.yaml]\n");
    let ran = appcred(&project, "plan").run();
    ran.says("`credentials/net.yaml` lists the entry `netatmo`, which no manifest has");
    ran.says("name it under `manifests` in appcred.yaml");
}
