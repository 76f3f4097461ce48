//! Post-quantum keys of age: what appcred encrypts, age 1.3 and SOPS open, and the other way round.

use std::fs;

use crate::real::{AGE, SOPS, age};
use crate::shell::{Appcred, Project, age_identity};

const MANIFEST: &str = "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: !file a.age}\n  - {domain: twitch, client_id: b, client_secret: !secret two}\n";

/// A project whose secrets are in an age file and a SOPS document, and a post-quantum identity.
struct Scene {
    project: Project,
    identity: String,
    recipient: String,
}

impl Scene {
    fn new() -> Self {
        let project = Project::new().file("credentials/a.yaml", MANIFEST);
        let home = Project::new();
        let file = home.join("identity.txt").display().to_string();
        let keygen = ["keygen", "--pq", "--output", &file];
        let recipient = Appcred::new().in_dir(project.path()).args(keygen).run().stdout;
        let identity = fs::read_to_string(&file).unwrap();
        let scene = Self { project, identity, recipient: recipient.trim().to_owned() };
        scene.recipients(&scene.recipient);
        scene
    }

    fn recipients(&self, list: &str) {
        let text = format!("targets: {{lab: {{config_dir: ha}}}}\nage:\n  recipients: [{list}]\n");
        self.project.write("appcred.yaml", &text);
    }

    fn appcred(&self) -> Appcred {
        Appcred::new().in_dir(self.project.path()).env("SOPS_AGE_KEY", &self.identity)
    }

    fn path(&self, file: &str) -> String {
        self.project.join(file).display().to_string()
    }

    /// What age 1.3 makes of a file.
    fn opened(&self, file: &str, identity: &str) -> (bool, String) {
        let keys = Project::new().file("keys.txt", identity);
        age("age", &["-d", "-i", &keys.join("keys.txt").display().to_string(), &self.path(file)])
    }

    /// Runs SOPS, which finds age's own plugin for such keys.
    #[track_caller]
    fn sops(&self, arguments: &[&str]) -> String {
        let keys = Project::new().file("keys.txt", &self.identity);
        let keys = keys.join("keys.txt").display().to_string();
        let (_, of_plugin) = age("age-plugin-pq", &["-identity", &keys]);
        let output = std::process::Command::new(SOPS)
            .arg("--disable-version-check")
            .args(arguments)
            .current_dir(self.project.path())
            .env_clear()
            .env("HOME", self.project.path())
            .env("PATH", AGE)
            .env("SOPS_AGE_KEY", of_plugin)
            .output()
            .unwrap();
        assert!(output.status.success(), "sops: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn is_applied(&self) {
        self.appcred().args(["apply", "--yes"]).run();
        let held = fs::read_to_string(self.project.join("ha/.storage/application_credentials"));
        let held = held.unwrap();
        assert!(held.contains("hunter1") && held.contains("hunter2"), "{held}");
        fs::remove_dir_all(self.project.join("ha")).unwrap();
    }
}

#[test]
fn age_and_sops_read_what_appcred_writes_and_the_other_way_round() {
    let scene = Scene::new();
    let keys = Project::new().file("keys.txt", &scene.identity);
    let derived = age("age-keygen", &["-y", &keys.join("keys.txt").display().to_string()]);
    assert_eq!(derived, (true, format!("{}\n", scene.recipient)));

    scene.project.write("plain", "hunter1");
    let (file, recipient) = (scene.path("credentials/a.age"), scene.recipient.as_str());
    scene.project.write("secrets.yaml", "two: hunter2\nthree: hunter3\n");
    let document = scene.sops(&["--encrypt", "--age", recipient, "secrets.yaml"]);
    scene.project.write("secrets.yaml", &document);
    for options in [&[][..], &["-a"]] {
        let fixed = ["-r", recipient, "-o", &file, &scene.path("plain")];
        let ran = age("age", &options.iter().chain(&fixed).copied().collect::<Vec<_>>());
        assert!(ran.0, "{}", ran.1);
        scene.is_applied();
    }

    let sealed = scene.appcred().args(["encrypt", "-"]).stdin("hunter1\n").run().stdout;
    scene.project.write("credentials/a.age", &sealed);
    assert_eq!(scene.opened("credentials/a.age", &scene.identity), (true, "hunter1".to_owned()));
    let edited = scene.appcred().args(["edit", "secrets.yaml"]).env("PATH", "/usr/bin:/bin");
    edited.env("EDITOR", "sed -i s/hunter3/hunter4/").run();
    assert_eq!(scene.sops(&["--decrypt", "secrets.yaml"]), "two: hunter2\nthree: hunter4\n");
    scene.is_applied();
}

#[test]
fn rekey_goes_over_to_post_quantum_recipients() {
    let scene = Scene::new();
    let (classic, public) = age_identity();
    scene.recipients(&public.to_string());
    let sealed = scene.appcred().args(["encrypt", "-"]).stdin("hunter1\n").run().stdout;
    scene.project.write("credentials/a.age", &sealed);
    scene.project.write("secrets.yaml", "two: hunter2\n");
    let document = crate::real::sops(
        scene.project.path(),
        &classic,
        ["--encrypt", "--age", &public.to_string(), "secrets.yaml"],
    );
    scene.project.write("secrets.yaml", &document);
    assert!(scene.opened("credentials/a.age", &classic).0);

    scene.recipients(&scene.recipient);
    let validated = || scene.appcred().args(["validate"]).run().stderr;
    let before = validated();
    assert_eq!(before.matches("is not encrypted to any of the project's").count(), 2, "{before}");
    let both = format!("{}{classic}", scene.identity);
    scene.appcred().env("SOPS_AGE_KEY", &both).args(["rekey"]).run();

    assert_eq!(validated(), "");
    assert_eq!(scene.opened("credentials/a.age", &scene.identity), (true, "hunter1".to_owned()));
    assert!(!scene.opened("credentials/a.age", &classic).0);
    assert_eq!(scene.sops(&["--decrypt", "secrets.yaml"]), "two: hunter2\n");
    scene.is_applied();
    let again = scene.appcred().args(["rekey"]).run().stdout;
    assert!(again.contains("already encrypted to the project's recipients"), "{again}");
}

#[test]
fn a_file_of_another_program_is_compared_with_its_recipients() {
    let scene = Scene::new();
    let (_, classic) = age_identity();
    let (_, other) = age("age-keygen", &["-pq"]);
    let public = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("# public key: "));
        line.unwrap().to_owned()
    };
    let other = public(&other);
    scene.project.write("plain", "hunter1");
    scene.project.write("secrets.yaml", "two: hunter2\n");
    let sealed_to = |recipients: &[&str]| {
        let (file, plain) = (scene.path("credentials/a.age"), scene.path("plain"));
        let options = recipients.iter().flat_map(|recipient| ["-r", recipient]);
        let arguments: Vec<_> = options.chain(["-a", "-o", &file, &plain]).collect();
        let ran = age("age", &arguments);
        assert!(ran.0, "{}", ran.1);
        scene.appcred().args(["validate"]).run().stderr
    };
    let ours = scene.recipient.as_str();
    assert_eq!(sealed_to(&[ours]), "");
    let few = sealed_to(&[&other]);
    assert!(few.contains("is not encrypted to any of the project's recipients"), "{few}");
    let many = sealed_to(&[ours, &other]);
    assert!(many.contains("encrypted to 2 `age1…` recipients, and the project has 1"), "{many}");
    let classic = sealed_to(&[&classic.to_string()]);
    assert!(classic.contains("is not encrypted to any of the project's recipients"), "{classic}");
    let said = scene.appcred().args(["plan"]).status(1).run().stderr;
    assert!(said.contains("encrypted to 1 recipient, and none of the age identities"), "{said}");
}

#[test]
fn kinds_that_age_does_not_combine_are_refused_where_they_are_named() {
    let scene = Scene::new();
    let (_, classic) = age_identity();
    let ssh = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/keys/rsa.pub"));
    for other in [classic.to_string(), ssh.unwrap().trim().to_owned()] {
        for (first, second) in [(&scene.recipient, &other), (&other, &scene.recipient)] {
            let both = ["encrypt", "--recipient", first, "--recipient", second, "-"];
            let said = scene.appcred().args(both).stdin("x\n").status(1).run().stderr;
            assert!(said.contains("is not post-quantum, and `age1pq1"), "{said}");
            scene.recipients(&format!("\"{first}\",\n    \"{second}\""));
            let said = scene.appcred().args(["validate"]).status(1).run().stderr;
            let line = if *second == other { "appcred.yaml:4:5" } else { "appcred.yaml:3:16" };
            assert!(said.contains(line), "{line}: {said}");
            assert!(said.contains("appcred keygen --pq"), "{said}");
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_its_reason_and_never_shown() {
    let scene = Scene::new();
    let secret = scene.identity.lines().last().unwrap();
    let sealed = scene.appcred().args(["encrypt", "-"]).stdin("hunter1\n").run().stdout;
    scene.project.write("credentials/a.age", &sealed);
    scene.project.write("secrets.yaml", "two: hunter2\n");
    for (text, why) in [
        (&secret[..60], "its checksum is wrong"),
        (&secret.to_lowercase(), "it must be in upper case"),
        (&format!("{}{}", &secret[..40], secret[40..].to_lowercase()), "it mixes upper and lower"),
        (&scene.recipient, "it is a recipient, which is public"),
    ] {
        scene.project.write("keys.txt", &format!("# mine\n{text}\n"));
        let plan = scene.appcred().env("SOPS_AGE_KEY_FILE", "keys.txt").env("SOPS_AGE_KEY", "");
        let said = plan.args(["plan"]).status(1).run().stderr;
        assert!(said.contains("line 2 of the file that SOPS_AGE_KEY_FILE names"), "{said}");
        assert!(said.contains(why), "{why}: {said}");
        assert!(!said.contains(&text[20..]), "{said}");
    }
    let asked = ["encrypt", "--recipient", secret, "-"];
    let said = scene.appcred().args(asked).stdin("x\n").status(1).run().stderr;
    assert!(said.contains("an identity, which is secret"), "{said}");
    assert!(!said.contains(&secret[20..]), "{said}");
    for identity in [secret, &secret.to_lowercase()] {
        scene.recipients(identity);
        let said = scene.appcred().args(["validate"]).status(1).run().stderr;
        assert!(said.contains("appcred.yaml:3:16"), "{said}");
        assert!(!said.to_uppercase().contains(&secret[20..]), "{said}");
    }
}
