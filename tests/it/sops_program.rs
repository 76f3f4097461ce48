//! SOPS documents that no age identity opens are decrypted by the real SOPS with a real key of GnuPG, where the
//! project allows that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use appcred::model::Reference;
use appcred::secret::{AllowedPaths, Identities, SecretProgram, SecretResolver, Unreadable, read};

use crate::real::SOPS;
use crate::shell::{Appcred, Project, age_identity};
use crate::sops::PLAIN;

const MANIFEST: &str = "application_credentials:
  - {domain: spotify, client_id: client-1, client_secret: hunter1}
";
const ALL: &str = "application_credentials:
  - {domain: spotify, client_id: client-1, client_secret: !secret own}
  - {domain: twitch, client_id: client-2, client_secret: !secret inner/json}
  - {domain: netatmo, client_id: client-3, client_secret: !file one.json}
  - {domain: fitbit, client_id: client-4, client_secret: !file whole.txt}
";

const OTHER_FORMS: &str = "application_credentials:
  - {domain: spotify, client_id: client-1, client_secret: !file all.env#ONE}
  - {domain: twitch, client_id: client-2, client_secret: !file all.ini#spotify/secret}
";

/// Values of all kinds in [`PLAIN`], and what it does not have.
const NAMES: &[&str] = &[
    "one",
    "two_x",
    "three",
    "four_y",
    "five_unencrypted",
    "yes_no",
    "empty",
    "nothing",
    "numbers",
    "flags/right",
    "times",
    "deep/key",
    "deep/list",
    "deep/list/key",
    "quoted: key",
    "second",
    "third",
];

/// A project with a home of GnuPG that has one key.
struct Scene {
    project: Project,
    gnupg: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Its agent would stay.
        let _ended = self.command("gpgconf", &["--kill", "all"]).output();
    }
}

impl Scene {
    fn new() -> Self {
        let gnupg = tempfile::Builder::new().prefix("gpg-").tempdir().unwrap();
        fs::set_permissions(gnupg.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let scene = Self { project: Project::new(), gnupg };
        let key =
            ["--batch", "--passphrase", "", "--quick-gen-key", "t@example.org", "future-default"];
        let made = scene.command("gpg", &key).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        scene
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.project.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.gnupg.path());
        command.env("GNUPGHOME", self.gnupg.path());
        command
    }

    fn fingerprint(&self) -> String {
        let listed = self.command("gpg", &["--list-keys", "--with-colons"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.trim_matches(|mark| mark == ':').rsplit(':').next().unwrap().to_owned()
    }

    /// Writes a file and lets SOPS encrypt it in its place.
    #[track_caller]
    fn encrypt(&self, file: &str, text: &str, options: &[&str]) {
        self.project.write(file, text);
        let key = self.fingerprint();
        let own = ["--disable-version-check", "encrypt", "--in-place", "--pgp", &key];
        let arguments: Vec<&str> =
            own.into_iter().chain(options.iter().copied()).chain([file]).collect();
        let made = self.command(SOPS, &arguments).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn allow(&self, command: &str) {
        let allowed =
            format!("targets: {{lab: {{config_dir: ha}}}}\nsops_program: {{command: {command}}}\n");
        self.project.write("appcred.yaml", &allowed);
    }

    fn appcred(&self, arguments: &str) -> Appcred {
        let appcred = Appcred::new().in_dir(self.project.path()).args(arguments.split(' '));
        appcred.env("PATH", "/usr/bin:/bin").env("GNUPGHOME", self.gnupg.path())
    }

    fn held(&self) -> String {
        fs::read_to_string(self.project.join("ha/.storage/application_credentials")).unwrap()
    }
}

#[test]
fn a_document_for_pgp_is_decrypted_by_sops_where_the_project_allows_it() {
    let scene = Scene::new();
    scene.project.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
    scene.encrypt("credentials.yaml", MANIFEST, &["--encrypted-regex", "^client_secret$"]);
    let said = scene.appcred("plan").status(1).run().stderr;
    assert!(said.contains("it is encrypted to PGP and to no age recipient"), "{said}");
    assert!(said.contains("write `sops_program: {command: [sops]}` in appcred.yaml"), "{said}");

    scene.allow(&format!("['{SOPS}']"));
    scene.appcred("apply --yes").run();
    assert!(scene.held().contains("\"hunter1\""), "{}", scene.held());

    let gone = scene.appcred("plan").env("GNUPGHOME", "/nonexistent").status(1).run().stderr;
    assert!(gone.contains("the program of `sops_program` ended with exit status: 128"), "{gone}");
    assert!(gone.contains("could not decrypt data key with PGP key"), "{gone}");
    assert!(gone.contains("run `sops decrypt FILE` yourself"), "{gone}");
    assert!(!gone.contains("hunter1"), "{gone}");
    // Something was changed: SOPS itself says so, as its MAC does not fit.
    let text = fs::read_to_string(scene.project.join("credentials.yaml")).unwrap();
    scene.project.write("credentials.yaml", &text.replace("client-1", "client-9"));
    let changed = scene.appcred("plan").status(1).run().stderr;
    assert!(changed.contains("MAC mismatch"), "{changed}");
}

#[test]
fn files_of_secrets_are_decrypted_by_sops_as_well() {
    let scene = Scene::new();
    scene.allow(&format!("['{SOPS}']"));
    scene.project.write("credentials.yaml", ALL);
    scene.encrypt("secrets.sops.yaml", "own: hunter1\n", &[]);
    scene.encrypt("secrets.sops.json", r#"{"number": 1, "inner": {"json": "hunter2"}}"#, &[]);
    scene.encrypt("one.json", r#"{"value": "hunter3"}"#, &[]);
    // A file of any kind, which SOPS puts into JSON.
    scene.encrypt("whole.txt", "hunter4\n", &["--input-type", "binary", "--output-type", "json"]);
    scene.appcred("apply --yes").run();
    let held = scene.held();
    assert!((1..=4).all(|number| held.contains(&format!("\"hunter{number}\""))), "{held}");
}

#[test]
fn dotenv_and_ini_files_are_decrypted_by_sops_as_well() {
    let scene = Scene::new();
    scene.allow(&format!("['{SOPS}']"));
    scene.project.write("credentials.yaml", OTHER_FORMS);
    scene.encrypt("all.env", "# a comment\nEMPTY=\nONE=hunter1\nTWO=a\\nb\n", &[]);
    scene.encrypt("all.ini", "; a comment\nx = y\n[spotify]\nsecret = hunter2\n", &[]);
    scene.appcred("apply --yes").run();
    let held = scene.held();
    assert!((1..=2).all(|number| held.contains(&format!("\"hunter{number}\""))), "{held}");
}

/// As long as nothing else is read from the document.
#[test]
fn no_program_is_run_for_a_manifest_whose_entries_are_left_out() {
    let scene = Scene::new();
    let two = format!("{MANIFEST}  - {{domain: netatmo, client_id: c2, client_secret: hunter2}}\n");
    scene.encrypt("credentials/all.yaml", &two, &["--encrypted-regex", "^client_"]);
    let plain = "application_credentials:\n  - {domain: twitch, client_id: c3, client_secret: !env_var S}\n";
    scene.project.write("credentials/plain.yaml", plain);
    scene.project.write("bin/sops", &format!("#!/bin/sh\ntouch ran\nexec '{SOPS}' \"$@\"\n"));
    let program = scene.project.join("bin/sops");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    scene.allow(&format!("['{}']", program.display()));
    let apply = |arguments: &str| {
        let apply = format!("apply --yes {arguments}");
        scene.appcred(&apply).env("S", "hunter3").run();
    };
    apply("--key twitch");
    assert!(!scene.project.join("ran").exists());
    apply("--key spotify");
    assert!(scene.project.join("ran").exists());
    let held = scene.held();
    assert!(held.contains("hunter1") && held.contains("hunter3"), "{held}");
    assert!(!held.contains("hunter2"), "{held}");
}

/// What never runs a program runs this one neither.
#[test]
fn a_check_runs_no_program() {
    let scene = Scene::new();
    scene.encrypt("credentials.yaml", MANIFEST, &["--encrypted-regex", "^client_secret$"]);
    scene.project.write("bin/sops", "#!/bin/sh\ntouch ran\nexit 1\n");
    let program = scene.project.join("bin/sops");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    scene.allow(&format!("['{}']", program.display()));
    scene.appcred("validate").run();
    let looked = scene.appcred("doctor --verbose").run().stdout;
    assert!(looked.contains("the program of `sops_program` is not run here"), "{looked}");
    assert!(!scene.project.join("ran").exists());
    scene.appcred("plan").status(1).run();
    assert!(scene.project.join("ran").exists());

    scene.allow("[no-such-sops]");
    let said = scene.appcred("plan").status(1).run().stderr;
    assert!(said.contains("the program of `sops_program` `no-such-sops` was not found"), "{said}");
    let looked = scene.appcred("doctor").status(1).run().stdout;
    assert!(looked.contains("the program no-such-sops of `sops_program` is not found"), "{looked}");
    // What prints something else gives no secret.
    for prints in [
        "application_credentials: []",
        "x: [",
        "application_credentials: [{client_secret: a, domain: b, client_id: c}]",
    ] {
        scene.project.write("bin/sops", &format!("#!/bin/sh\necho '{prints}'\n"));
        scene.allow(&format!("['{}']", program.display()));
        let said = scene.appcred("plan").status(1).run().stderr;
        assert!(said.contains("did not print the values of the document"), "{said}");
    }
    for (command, expected) in [
        ("[]", "must name the program"),
        ("sops", "must be a list"),
        ("[sops, '{}']", "has arguments that appcred adds itself"),
        ("[sops, -d]", "has arguments that appcred adds itself"),
    ] {
        scene.allow(command);
        let said = scene.appcred("validate").status(1).run().stderr;
        assert!(said.contains(expected) && said.contains("appcred.yaml:2:"), "{said}");
    }
}

#[test]
fn what_has_no_age_recipient_is_changed_by_sops_alone() {
    let scene = Scene::new();
    scene.allow(&format!("['{SOPS}']"));
    scene.encrypt("credentials.yaml", MANIFEST, &["--encrypted-regex", "^client_secret$"]);
    let before = fs::read_to_string(scene.project.join("credentials.yaml")).unwrap();
    let edited =
        scene.appcred("edit credentials.yaml").env("EDITOR", "true").status(1).run().stderr;
    assert!(
        edited.contains("its key is encrypted to PGP, so only `sops` can change it"),
        "{edited}"
    );
    assert!(edited.contains("run `sops edit FILE`"), "{edited}");
    let (_, recipient) = age_identity();
    let project = fs::read_to_string(scene.project.join("appcred.yaml")).unwrap();
    scene.project.write("appcred.yaml", &format!("{project}age: {{recipients: [{recipient}]}}\n"));
    let rekeyed = scene.appcred("rekey").status(1).run().stderr;
    assert!(rekeyed.contains("only `sops` can change it"), "{rekeyed}");
    assert!(rekeyed.contains("sops updatekeys"), "{rekeyed}");
    assert_eq!(fs::read_to_string(scene.project.join("credentials.yaml")).unwrap(), before);
    // An identity would open this one.
    let options = ["--encrypted-regex", "^client_secret$", "--age", &recipient.to_string()];
    scene.encrypt("credentials.yaml", MANIFEST, &options);
    let edit = scene.appcred("edit credentials.yaml").env("EDITOR", "true");
    let edited = edit.status(1).run().stderr;
    assert!(edited.contains("no age identity was found"), "{edited}");
}

/// Each value is what an age identity would have found, whatever it is and wherever.
#[test]
fn every_value_is_the_one_that_an_identity_would_find() {
    let scene = Scene::new();
    let (identity, recipient) = age_identity();
    let two = format!("{PLAIN}---\nsecond: hunter6\n");
    let key = scene.fingerprint();
    scene.project.write("secrets.sops.yaml", &two);
    let recipient = recipient.to_string();
    let arguments = [
        "--disable-version-check",
        "encrypt",
        "--in-place",
        "--pgp",
        &key,
        "--age",
        &recipient,
        "secrets.sops.yaml",
    ];
    assert!(scene.command(SOPS, &arguments).output().unwrap().status.success());
    let named = |name: &str, resolver: &SecretResolver| {
        let base = scene.project.join("credentials.yaml");
        read(
            &Reference::Tagged {
                tag: "secret".into(),
                argument: name.into(),
                base: base.as_path().into(),
            },
            resolver,
        )
    };
    let program = SecretProgram {
        command: vec![wrapper(&scene), SOPS.to_owned()],
        timeout: Duration::from_secs(60),
        environment: Vec::new(),
    };
    let allowed = |sops_program| AllowedPaths {
        project: scene.project.path().to_owned(),
        sops_program,
        ..AllowedPaths::default()
    };
    let by_age = crate::sops::resolver(&[&identity], scene.project.path());
    let by_sops = SecretResolver::new(Identities::default(), allowed(Some(program)));
    for name in NAMES {
        let found = named(name, &by_sops);
        assert_eq!(found, named(name, &by_age), "{name}");
        assert!(!matches!(found, Err(Unreadable::Source(_))), "{name}: {found:?}");
    }
    let neither = SecretResolver::new(Identities::default(), allowed(None));
    let said = named("one", &neither).unwrap_err().to_string();
    assert!(said.contains("none of the age identities found opens it"), "{said}");
    assert!(said.contains("(PGP)"), "{said}");
}

/// Runs a program with the scene's home of GnuPG.
fn wrapper(scene: &Scene) -> String {
    let home = scene.gnupg.path().display();
    scene.project.write("with-gnupg", &format!("#!/bin/sh\nGNUPGHOME='{home}' exec \"$@\"\n"));
    let path = scene.project.join("with-gnupg");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Path::new(&path).display().to_string()
}
