//! `rekey`: what is not for the project's present recipients is encrypted again, and nothing else
//! changes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::real::sops;
use crate::shell::{Appcred, Project, age_identity};

/// A project whose secrets are kept in every form, and two people.
struct House {
    project: Project,
    ours: (String, String),
    theirs: (String, String),
}

const FILES: &[&str] =
    &["credentials/a.yaml", "credentials/t.age", "secrets.yaml.age", "secrets.sops.yaml"];

fn person() -> (String, String) {
    let (identity, recipient) = age_identity();
    (identity, recipient.to_string())
}

/// Debian's age, which knows nothing of appcred.
#[track_caller]
fn age(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = Command::new("age")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

impl House {
    fn new() -> Self {
        let house = Self { project: Project::new(), ours: person(), theirs: person() };
        let folder = house.project.path();
        let to = house.ours.1.as_str();
        let armored = String::from_utf8(age(folder, &["-a", "-r", to], b"inline-secret")).unwrap();
        let lines: String = armored.lines().flat_map(|line| ["         ", line, "\n"]).collect();
        house.project.write(
            "credentials/a.yaml",
            &format!(
                "# mine\napplication_credentials:\n  - domain: spotify\n    client_id: a   # id\n    client_secret: |- # odd\n{lines}\n  - {{domain: twitch, client_id: b, client_secret: !file t.age}}\n  - {{domain: netatmo, client_id: c, client_secret: !secret one}}\n  - {{domain: google, client_id: d, client_secret: !secret two}}\n"
            ),
        );
        fs::write(
            house.project.join("credentials/t.age"),
            age(folder, &["-r", to], b"file-secret"),
        )
        .unwrap();
        let stored = age(folder, &["-a", "-r", to], b"one: stored-secret\n");
        fs::write(house.project.join("secrets.yaml.age"), stored).unwrap();
        house.project.write("secrets.sops.yaml", "# theirs\ntwo: sops-secret\n");
        let sealed = sops(folder, &house.ours.0, ["--encrypt", "--age", to, "secrets.sops.yaml"]);
        house.project.write("secrets.sops.yaml", &sealed);
        house.recipients(&[to]);
        house
    }

    fn recipients(&self, recipients: &[&str]) {
        let list = recipients.join(", ");
        self.project.write(
            "appcred.yaml",
            &format!("targets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{list}]}}\n"),
        );
    }

    fn appcred(&self, identity: &str) -> Appcred {
        Appcred::new().in_dir(self.project.path()).env("SOPS_AGE_KEY", identity)
    }

    fn held(&self) -> Vec<Vec<u8>> {
        FILES.iter().map(|file| fs::read(self.project.join(file)).unwrap()).collect()
    }

    #[track_caller]
    fn is_read_by(&self, identity: &str) {
        fs::remove_dir_all(self.project.join("ha")).unwrap_or_default();
        self.appcred(identity).args(["apply", "--yes"]).run();
        let held =
            fs::read_to_string(self.project.join("ha/.storage/application_credentials")).unwrap();
        for secret in ["inline-secret", "file-secret", "stored-secret", "sops-secret"] {
            assert!(held.contains(secret), "{secret}: {held}");
        }
    }
}

const NOTHING: &str = "All encrypted secrets are already encrypted to the project's recipients.\n";

#[test]
fn rekey_changes_what_is_for_others_and_nothing_else() {
    let house = House::new();
    let (ours, theirs) = (&house.ours, &house.theirs);
    let before = house.held();
    // Made by age and SOPS themselves, for just the one recipient that is wanted.
    house.appcred(&ours.0).args(["rekey"]).stdout(NOTHING).stderr("").run();
    assert_eq!(house.held(), before);

    house.recipients(&[&ours.1, &theirs.1]);
    let told: String =
        ["credentials/a.yaml", "credentials/t.age", "secrets.sops.yaml", "secrets.yaml.age"]
            .iter()
            .flat_map(|file| [*file, ": 1 secret encrypted again\n"])
            .collect();
    let ran = house.appcred(&ours.0).args(["rekey"]).run();
    let mut lines: Vec<_> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, told.lines().collect::<Vec<_>>());
    house.is_read_by(&theirs.0);
    house.is_read_by(&ours.0);
    let after = house.held();
    for identity in [&ours.0, &theirs.0] {
        house.appcred(identity).args(["rekey"]).stdout(NOTHING).stderr("").run();
    }
    assert_eq!(house.held(), after);
    let text = String::from_utf8(after[0].clone()).unwrap();
    let old = String::from_utf8(before[0].clone()).unwrap();
    for line in old.lines().filter(|line| !line.starts_with("         ") && !line.contains("|-")) {
        assert!(text.lines().any(|there| there == line), "{line:?} is gone from\n{text}");
    }
    // A binary file stays one, and age itself reads both.
    assert!(after[1].starts_with(b"age-encryption.org/"));
    house.project.write("key", &theirs.0);
    assert_eq!(age(house.project.path(), &["-d", "-i", "key"], &after[1]), b"file-secret");
    assert_eq!(age(house.project.path(), &["-d", "-i", "key"], &after[2]), b"one: stored-secret\n");

    // One for another: as many as before, and told all the same.
    let third = person();
    house.recipients(&[&ours.1, &third.1]);
    house.appcred(&ours.0).args(["rekey"]).run();
    house.is_read_by(&third.0);
    let ran = house.appcred(&theirs.0).args(["plan"]).status(1).run();
    assert!(ran.stderr.contains("none of the age identities"), "{}", ran.stderr);
}

#[test]
fn rekey_by_force_and_without_a_key() {
    let house = House::new();
    let (ours, theirs) = (&house.ours, &house.theirs);
    let before = house.held();
    let ran = house.appcred(&ours.0).args(["rekey", "--force", "credentials/t.age"]).run();
    assert_eq!(ran.stdout, "credentials/t.age: 1 secret encrypted again\n");
    let forced = house.held();
    assert_ne!(forced[1], before[1]);
    assert_eq!((&forced[0], &forced[2..]), (&before[0], &before[2..]));

    house.recipients(&[&theirs.1]);
    let ran = house.appcred(&theirs.0).args(["rekey"]).status(1).run();
    for file in FILES {
        assert!(ran.stderr.contains(&format!("error: {file}: ")), "{}", ran.stderr);
    }
    assert!(
        ran.stderr.contains("credentials/a.yaml: line 6: it is encrypted to 1 recipient"),
        "{}",
        ran.stderr
    );
    assert_eq!(house.held(), forced);
    let ran = house.appcred(&ours.0).args(["rekey"]).status(1).run();
    assert!(ran.stderr.contains("none of the age identities found matches"), "{}", ran.stderr);
    assert_eq!(house.held(), forced, "nobody is locked out without being asked");
    house.appcred(&ours.0).args(["rekey", "--allow-lockout"]).run();
    house.is_read_by(&theirs.0);
}

#[test]
fn a_secret_in_plain_text_is_not_called_encrypted() {
    let project = Project::new()
        .file("appcred.yaml", &format!("age: {{recipients: [{}]}}\n", person().1))
        .file(
            "credentials/a.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: m4rk3d}\n",
        );
    let ran = Appcred::new().in_dir(project.path()).args(["rekey"]).run();
    assert_eq!(ran.stdout, NOTHING);
    assert!(ran.stderr.contains("1 secret in plain text"), "{}", ran.stderr);
}

#[test]
fn where_one_file_cannot_be_opened_none_is_changed() {
    let house = House::new();
    let (ours, theirs) = (&house.ours, &house.theirs);
    house.recipients(&[&ours.1, &theirs.1]);
    let closed = age(house.project.path(), &["-r", &person().1], b"file-secret");
    fs::write(house.project.join("credentials/t.age"), closed).unwrap();
    let before = house.held();
    let ran = house.appcred(&ours.0).args(["rekey"]).status(1).run();
    assert!(ran.stderr.contains("error: credentials/t.age: "), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with("Nothing was changed: correct the errors above first.\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(house.held(), before);
    // A file that is named twice is changed once.
    let twice = ["rekey", "credentials/a.yaml", "./credentials/a.yaml"];
    let ran = house
        .appcred(&ours.0)
        .args(twice)
        .stdout("credentials/a.yaml: 1 secret encrypted again\n")
        .run();
    assert!(ran.stderr.contains("still can from Git's history"), "{}", ran.stderr);
}
