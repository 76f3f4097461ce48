//! What appcred encrypts, age itself opens, and the other way round: with its own keys, SSH keys and
//! a plugin.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::shell::{Appcred, Project, age_identity, encrypt};
use crate::watch::eventually;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn key(name: &str) -> PathBuf {
    PathBuf::from(ROOT).join("tests/cases/keys").join(name)
}

/// Where the test plugin is, and everything else.
fn path_with_plugin() -> String {
    format!("{ROOT}/tests/cases/plugins:/usr/local/bin:/usr/bin:/bin")
}

/// Debian's age, and what it prints.
#[track_caller]
fn age(arguments: &[&str]) -> String {
    let mut command = Command::new("age");
    let output = command.args(arguments).env("PATH", path_with_plugin()).output();
    let output = output.expect("`tests/run` brings age");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A project whose one secret is kept in a file.
struct Scene {
    project: Project,
}

impl Scene {
    fn new(identity: &str) -> Self {
        let project = Project::new()
            .file(
                "appcred.yaml",
                &format!("targets: {{lab: {{config_dir: ha}}}}\nage: {{identities: [\"{identity}\"]}}\n"),
            )
            .file(
                "credentials/a.yaml",
                "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: !file a.age}\n",
            );
        Self { project }
    }

    fn appcred(&self) -> Appcred {
        Appcred::new().in_dir(self.project.path()).env("PATH", path_with_plugin())
    }

    fn path(&self, file: &str) -> String {
        self.project.join(file).display().to_string()
    }

    /// Encrypts by appcred and opens by age, then the other way round.
    #[track_caller]
    fn goes_both_ways(&self, recipient: &str, identity: &str) {
        let encrypt = ["encrypt", "--recipient", recipient, "-"];
        let sealed = self.appcred().args(encrypt).stdin("ours\n").run().stdout;
        self.project.write("ours.age", &sealed);
        assert_eq!(age(&["-d", "-i", identity, &self.path("ours.age")]), "ours", "{recipient}");

        self.project.write("plain.txt", "theirs");
        let output = self.path("credentials/a.age");
        for armor in [&["-a"][..], &[]] {
            let fixed = ["-r", recipient, "-o", &output, &self.path("plain.txt")];
            age(&armor.iter().chain(&fixed).copied().collect::<Vec<_>>());
            self.appcred().args(["apply", "--yes"]).run();
            let held = fs::read_to_string(self.project.join("ha/.storage/application_credentials"));
            assert!(held.unwrap().contains("\"theirs\""), "{recipient}");
            fs::remove_dir_all(self.project.join("ha")).unwrap();
        }
    }
}

#[test]
fn keys_of_every_kind_go_both_ways() {
    let home = Project::new();
    let (identity, recipient) = age_identity();
    home.write("own.txt", &identity);
    let own = home.join("own.txt").display().to_string();
    Scene::new(&own).goes_both_ways(&recipient.to_string(), &own);
    for name in ["ed25519", "rsa"] {
        let identity = key(name).display().to_string();
        let public = fs::read_to_string(key(&format!("{name}.pub"))).unwrap();
        Scene::new(&identity).goes_both_ways(public.trim(), &identity);
    }
}

/// A recipient of the plugin `age-plugin-open`; the data says nothing.
const OF_PLUGIN: &str = "age1open1w3jhxaqgeyfpg";

#[test]
fn plugins_go_both_ways() {
    let home = Project::new();
    let identity = age::plugin::Identity::default_for_plugin("open").unwrap().to_string();
    home.write("plugin.txt", &format!("{identity}\n"));
    let keys = home.join("plugin.txt").display().to_string();
    let scene = Scene::new(&keys);
    scene.goes_both_ways(OF_PLUGIN, &keys);
    let encrypt = ["encrypt", "--recipient", OF_PLUGIN, "-"];
    let said =
        scene.appcred().args(encrypt).env("PATH", "/usr/bin:/bin").stdin("x").status(1).run();
    assert!(
        said.stderr.contains("needs the program age-plugin-open, which is not in PATH"),
        "{}",
        said.stderr
    );
}

#[test]
fn who_encrypts_to_others_alone_is_warned_before_it_is_written() {
    let (identity, own) = age_identity();
    let (own, other) = (own.to_string(), age_identity().1.to_string());
    let project = Project::new()
        .file("credentials/a.yaml", "application_credentials:\n  - {domain: spotify, key: a, client_id: i1, client_secret: Zq7akDx2}\n");
    let recipients = |names: &str| {
        project.write(
            "appcred.yaml",
            &format!("targets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{names}]}}\n"),
        );
    };
    let said = "warning: none of the age identities found matches the recipients of appcred.yaml, so you could not decrypt the result: add your recipient under `age: recipients:`, or bring an identity that fits\n";
    let run = |arguments: &[&str], is_warned: bool| {
        let appcred = Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &identity);
        let ran = appcred.args(arguments).stdin("Zq8akDx3").run();
        assert_eq!(ran.stderr.contains(said), is_warned, "{arguments:?}: {}", ran.stderr);
    };
    let add = |id: &'static str| {
        ["add", "--domain", "fitbit", "--client-id", id, "--key", id, "--secret-stdin"]
    };
    recipients(&other);
    run(&["encrypt"], true);
    run(&["rotate", "a", "--secret-stdin"], true);
    run(&add("i2"), true);
    recipients(&format!("{other}, {own}"));
    run(&["rotate", "i2", "--secret-stdin"], false);
    run(&add("i3"), false);
    // Who names a recipient means it, and who has no identity encrypts for others.
    recipients(&own);
    project.write("credentials/b.yaml", "application_credentials:\n  - {domain: spotify, key: b, client_id: i4, client_secret: Zq9akDx4}\n");
    run(&["encrypt", "--recipient", &other], false);
    recipients(&other);
    let add = Appcred::new().in_dir(project.path()).args(add("i5")).stdin("Zq6akDx5").run();
    assert!(!add.stderr.contains("none of the age identities"), "{}", add.stderr);
}

/// How often the threads of a process have waited for something.
fn waits(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_thread = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
    };
    let statuses = threads.filter_map(|of| fs::read_to_string(of.ok()?.path().join("status")).ok());
    statuses.map(of_thread).sum()
}

#[test]
fn whoever_left_the_project_while_another_run_had_it_gets_nothing() {
    let ((left, leaver), (identity, stays)) = (age_identity(), age_identity());
    let sealed = encrypt("m4rk3d", &leaver);
    for (verb, secret) in [("encrypt", "m4rk3d"), ("rekey", &sealed)] {
        let text = |recipients: String| format!("owner: us\nage: {{recipients: [{recipients}]}}\n");
        let manifest = format!(
            "application_credentials:\n  - {{domain: google, client_id: a, client_secret: {secret:?}}}\n"
        );
        let project = Project::new()
            .file("appcred.yaml", &text(format!("{stays}, {leaver}")))
            .file("credentials.yaml", &manifest);
        let appcred = || Appcred::new().in_dir(project.path());
        let other = fs::File::open(project.path()).unwrap();
        rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let both = format!("{left}\n{identity}");
        let running = appcred().env("SOPS_AGE_KEY", both).args([verb]).spawn();
        // It looks at the lock again and again.
        let begin = waits(running.id());
        eventually("it waits for the lock", || waits(running.id()) > begin + 40);
        project.write("appcred.yaml", &text(stays.to_string()));
        drop(other);
        let ran = running.finish();
        assert_eq!(ran.status, Some(0), "{verb}: {}", ran.stderr);
        let validate = appcred().env("SOPS_AGE_KEY", &identity).args(["validate"]).run();
        assert_eq!(validate.stderr, "", "{verb}");
        let now = fs::read_to_string(project.join("credentials.yaml")).unwrap();
        assert!(now.contains("BEGIN AGE") && now != manifest, "{verb}: {now}");
    }
}

#[test]
fn whoever_left_the_project_while_a_secret_was_typed_gets_nothing() {
    let (leaver, (identity, stays)) = (age_identity().1, age_identity());
    let text = |recipients: String| format!("age: {{recipients: [{recipients}]}}\n");
    let project = Project::new().file("appcred.yaml", &text(format!("{stays}, {leaver}")));
    let mut running = Command::new(env!("CARGO_BIN_EXE_appcred"))
        .args(["encrypt", "-"])
        .current_dir(project.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = running.stdin.take().unwrap();
    // More than a pipe holds: once it is written, somebody reads.
    stdin.write_all(&[b' '; 256 * 1024]).unwrap();
    project.write("appcred.yaml", &text(stays.to_string()));
    stdin.write_all(b"m4rk3d").unwrap();
    drop(stdin);
    let armored = String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap();
    let manifest = format!(
        "application_credentials: [{{domain: google, client_id: a, client_secret: {armored:?}}}]\n"
    );
    project.write("credentials.yaml", &manifest);
    let validate = Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &identity);
    assert_eq!(validate.args(["validate"]).run().stderr, "");
}
