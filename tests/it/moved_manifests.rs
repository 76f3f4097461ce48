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
        .file("creds/note.md", "")
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
    for file in [
        "credentials/net.yaml.disabled",
        "credentials/net.yaml~",
        "creds/net.yaml.bak",
        "other/net.yaml",
    ] {
        fs::rename(project.join("credentials/net.yaml"), project.join(file)).unwrap();
        appcred(&project, "validate --strict").run();
        let plan = appcred(&project, "plan").run().stdout;
        assert!(plan.contains("1 to delete"), "{file}: {plan}");
        fs::rename(project.join(file), project.join("credentials/net.yaml")).unwrap();
    }
}

#[test]
fn a_file_beside_the_manifest_that_is_named_alone_is_seen() {
    let project = project("manifests: [credentials/credentials.yaml]\n");
    let ran = appcred(&project, "plan").run();
    ran.says("`credentials/net.yaml` lists the entry `netatmo`, which no manifest has");
    ran.says("name it under `manifests` in appcred.yaml");
}
