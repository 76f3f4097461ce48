//! `edit`: what was changed is encrypted and nothing else changes; what is wrong changes nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::real::sops;
use crate::shell::{Appcred, Project, age_identity, encrypt};
use crate::watch::eventually;

/// A project, and an editor that is a script.
struct Desk {
    project: Project,
    tools: Project,
    identity: String,
    recipient: String,
}

impl Desk {
    fn new() -> Self {
        let (identity, recipient) = age_identity();
        let project = Project::new().file(
            "appcred.yaml",
            &format!("targets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{recipient}]}}\n"),
        );
        let armored = |secret: &str, lead: &str| -> String {
            encrypt(secret, &recipient).lines().flat_map(|line| [lead, line, "\n"]).collect()
        };
        project.write(
            "credentials/a.yaml",
            &format!(
                "# mine\napplication_credentials:\n  - domain: spotify\n    client_id: |\n{}    client_secret:   |- # odd\n{}\n  - {{domain: twitch, client_id: b, client_secret: {:?}}} # flow\n",
                armored("spotify-id", "      "),
                armored("m4rk3d-one", "            "),
                encrypt("m4rk3d-two", &recipient)
            ),
        );
        Self { project, tools: Project::new(), identity, recipient: recipient.to_string() }
    }

    /// An editor that runs these lines of a shell on the file `$1`.
    fn editor(&self, script: &str) -> PathBuf {
        self.tools.write("editor", &format!("#!/bin/sh\nset -e\n{script}\n"));
        let path = self.tools.join("editor");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn edit(&self, file: &str, script: &str) -> Appcred {
        Appcred::new()
            .in_dir(self.project.path())
            .env("SOPS_AGE_KEY", &self.identity)
            .env("PATH", "/usr/bin:/bin")
            .env("EDITOR", self.editor(script))
            .args(["edit", file])
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.project.join(file)).unwrap()
    }

    /// Writes credentials/b.yaml, of which SOPS encrypts the values of these keys.
    fn encrypt_by_sops(&self, keys: &str, plain: &str) -> String {
        self.project.write("b.yaml", plain);
        let rule = ["--encrypt", "--age", &self.recipient, "--encrypted-regex", keys, "b.yaml"];
        let encrypted = sops(self.project.path(), &self.identity, rule);
        self.project.write("credentials/b.yaml", &encrypted);
        encrypted
    }

    fn applied(&self) -> String {
        let appcred = Appcred::new().in_dir(self.project.path());
        appcred.env("SOPS_AGE_KEY", &self.identity).args(["apply", "--yes"]).run();
        self.text("ha/.storage/application_credentials")
    }
}

const MANIFEST: &str = "credentials/a.yaml";

#[test]
fn edit_shows_secrets_in_clear_and_encrypts_what_changed() {
    let desk = Desk::new();
    let before = desk.text(MANIFEST);
    let seen = desk.tools.join("seen");
    let look = format!(
        "cat \"$1\" >{0}; stat -c %a \"$1\" \"$(dirname \"$1\")\" >>{0}; dirname \"$1\" >{0}.at; cp \"$1\" \"$1~\"",
        seen.display()
    );
    desk.edit(MANIFEST, &look).stdout("Nothing was changed.\n").stderr("").run();
    assert_eq!(
        fs::read_to_string(&seen).unwrap(),
        "# mine\napplication_credentials:\n  - domain: spotify\n    client_id: spotify-id\n    client_secret:   m4rk3d-one # odd\n\n  - {domain: twitch, client_id: b, client_secret: m4rk3d-two} # flow\n600\n700\n"
    );
    let folder = fs::read_to_string(seen.with_extension("at")).unwrap();
    assert!(!Path::new(folder.trim()).exists(), "{folder} is left");
    assert_eq!(desk.text(MANIFEST), before);

    let change = "sed -i 's/m4rk3d-two/\"m4rk3d: three\"/; s/# mine/# ours/' \"$1\"
printf '  - domain: netatmo\\n    client_id: n\\n    client_secret: m4rk3d-new\\n' >>\"$1\"";
    desk.edit(MANIFEST, change).stdout("Saved credentials/a.yaml.\n").stderr("").run();
    let after = desk.text(MANIFEST);
    assert!(!after.contains("m4rk3d"), "{after}");
    let spotify = |text: &str| {
        text[text.find("  - domain: spotify").unwrap()..text.find("  - {").unwrap()].to_owned()
    };
    assert_eq!(spotify(&after), spotify(&before));
    assert!(
        after.starts_with("# ours\n") && after.contains("} # flow\n  - domain: netatmo\n"),
        "{after}"
    );
    let held = desk.applied();
    for secret in ["spotify-id", "m4rk3d-one", "m4rk3d: three", "m4rk3d-new"] {
        assert!(held.contains(secret), "{secret}: {held}");
    }
}

#[test]
fn edit_keeps_the_file_where_anything_is_wrong() {
    let desk = Desk::new();
    let before = desk.text(MANIFEST);
    let refused = |script: &str, told: &str| {
        let ran = desk.edit(MANIFEST, script).status(1).run();
        assert!(ran.stderr.contains(told), "{script}: {}", ran.stderr);
        assert!(!ran.stderr.contains("m4rk3d"), "{}", ran.stderr);
        assert_eq!(desk.text(MANIFEST), before, "{script}");
    };
    refused("sed -i 's/client_id: b/clientid: b/' \"$1\"", "credentials/a.yaml:7:22");
    refused("echo ' [' >>\"$1\"", "not valid YAML");
    refused(
        "sed -i 's/twitch/spotify/; s/client_id: b/client_id: spotify-id/' \"$1\"",
        "is already used by another entry",
    );
    refused("sed -i 's/twitch/tvitch/' \"$1\"", "did you mean `twitch`?");
    refused("sed -i 's/m4rk3d-two/x/' \"$1\"; exit 3", "ended with exit status: 3");
    refused("rm \"$1\"", "the editor left no file");
    refused("printf '\\377' >>\"$1\"", "not UTF-8");
    // Somebody else was faster.
    let other = format!("{before}# another\n");
    let path = desk.project.join(MANIFEST);
    let script = format!("sed -i 's/m4rk3d-two/x/' \"$1\"; echo '# another' >>{}", path.display());
    let ran = desk.edit(MANIFEST, &script).status(1).run();
    assert!(ran.stderr.contains("changed elsewhere"), "{}", ran.stderr);
    assert_eq!(desk.text(MANIFEST), other);
}

#[test]
fn edit_saves_no_secret_beside_the_values_that_it_encrypts() {
    let desk = Desk::new();
    desk.encrypt_by_sops("^client_secret$", "application_credentials:\n    - domain: google\n      name: G\n      client_id: g\n      client_secret: m4rk3d-two\n");
    for file in [MANIFEST, "credentials/b.yaml"] {
        let before = desk.text(file);
        for script in [
            // The entry, or what a line was before, taken out of use.
            "sed -i '/twitch/s/^/#/; /- domain: google/,$s/^/#/' \"$1\"",
            "sed -i 's/m4rk3d-two/new-m4rk3d/; 1s/^/# was m4rk3d-two\\n/' \"$1\"",
            "sed -i '1s/^/# m4rk3d-new\\n/; s/m4rk3d-two/m4rk3d-new/' \"$1\"",
            "echo '#m4rk3d-two' >>\"$1\"",
            "sed -i 's/name: G/name: m4rk3d-two/; s/domain: twitch/domain: twitch, name: m4rk3d-two/' \"$1\"",
        ] {
            let ran = desk.edit(file, script).status(1).run();
            let refused = "has a secret that would stay in plain text";
            assert!(ran.stderr.contains(refused), "{file} {script}: {}", ran.stderr);
            assert!(!ran.stderr.contains("m4rk3d"), "{}", ran.stderr);
            assert_eq!(desk.text(file), before, "{file} {script}");
        }
    }
    // Where it goes with its entry, it is gone.
    desk.edit(MANIFEST, "sed -i '/twitch/s/.*/# twitch is gone/' \"$1\"").run();
    assert!(desk.text(MANIFEST).contains("# twitch is gone"));
}

#[test]
fn edit_takes_what_an_editor_saved_as_utf_16() {
    let desk = Desk::new();
    let script = "sed -i 's/m4rk3d-two/m4rk3d-six/' \"$1\"; iconv -t UTF-16 \"$1\" >\"$1.new\"; cat \"$1.new\" >\"$1\"";
    desk.edit(MANIFEST, script).stdout("Saved credentials/a.yaml.\n").run();
    assert!(desk.applied().contains("m4rk3d-six"));
}

#[test]
fn edit_begins_only_where_what_is_typed_can_be_saved() {
    let desk = Desk::new();
    let project = desk.text("appcred.yaml");
    let opened = desk.tools.join("opened");
    let touch = format!("touch {}", opened.display());
    desk.project.write("appcred.yaml", &format!("{project}ownr: me\n"));
    let ran = desk.edit(MANIFEST, &touch).status(1).run();
    assert!(ran.stderr.contains("did you mean `owner`") && !opened.exists(), "{}", ran.stderr);
    // That is how it is mended.
    desk.edit("appcred.yaml", "sed -i /ownr/d \"$1\"").run();
    assert_eq!(desk.text("appcred.yaml"), project);
}

#[test]
fn what_encrypt_leaves_of_a_secret_beside_it_is_named() {
    let desk = Desk::new();
    desk.project.write(MANIFEST, "application_credentials:\n  - {domain: fitbit, client_id: m4rk3d-both, client_secret: m4rk3d-both} # m4rk3d-both\n");
    let appcred = Appcred::new().in_dir(desk.project.path()).args(["encrypt"]).status(1);
    let ran = appcred.run();
    assert!(ran.stderr.contains("a secret is in plain text here"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("m4rk3d"), "{}", ran.stderr);
}

#[test]
fn edit_keeps_what_was_typed_and_not_saved_encrypted() {
    let desk = Desk::new();
    let path = desk.project.join(MANIFEST);
    let faster = format!(
        "sed -i 's/m4rk3d-two/m4rk3d-typed/' \"$1\"; echo '# another' >>{}",
        path.display()
    );
    let wrong = "sed -i 's/m4rk3d-two/m4rk3d-typed/; s/twitch/tvitch/' \"$1\"";
    let failing = "sed -i 's/m4rk3d-two/m4rk3d-typed/' \"$1\"; exit 3";
    let not_text = "sed -i 's/m4rk3d-two/m4rk3d-typed/' \"$1\"; printf '\\377' >>\"$1\"";
    let scripts = [("", faster.as_str()), ("-2", wrong), ("-3", failing), ("-4", not_text)];
    for (all, (number, script)) in (1..).zip(scripts) {
        let ran = desk.edit(MANIFEST, script).status(1).run();
        let kept = format!("{MANIFEST}.unsaved{number}.age");
        let older = match all {
            1 => String::new(),
            all => format!(
                " Of the {all} texts that are kept this is the newest; what is older stays until it was saved or removed."
            ),
        };
        let told = format!(
            "What you typed is kept in {kept}, encrypted: continue with `appcred edit --unsaved {MANIFEST}`, or remove it.{older} List `*.unsaved*.age` in .gitignore to keep it out of Git.\n"
        );
        assert!(ran.stderr.ends_with(&told), "{}", ran.stderr);
        assert!(!desk.text(&kept).contains("m4rk3d"), "{}", desk.text(&kept));
        if number != "-4" {
            desk.edit(&kept, "grep -q m4rk3d-typed \"$1\"").stdout("Nothing was changed.\n").run();
        }
    }
    // The last one is no text; the one before is gone on with, and away once it is saved.
    fs::remove_file(desk.project.join(&format!("{MANIFEST}.unsaved-4.age"))).unwrap();
    let ran = desk.edit(MANIFEST, "exit 1").status(1).run();
    assert!(ran.stderr.contains("unsaved-3.age has text of an earlier edit"), "{}", ran.stderr);
    let go_on = |script: &str| desk.edit(MANIFEST, script).args(["--unsaved"]);
    go_on("exit 1").status(1).run();
    assert!(!desk.project.join(&format!("{MANIFEST}.unsaved-4.age")).exists(), "nothing is new");
    let ran = go_on("grep -q m4rk3d-typed \"$1\" && sed -i s/tvitch/twitch/ \"$1\"").run();
    assert_eq!(ran.stdout, format!("Saved {MANIFEST}.\n"));
    assert!(!desk.project.join(&format!("{MANIFEST}.unsaved-3.age")).exists());
    desk.edit(MANIFEST, "grep -q m4rk3d-typed \"$1\"").stdout("Nothing was changed.\n").run();
    for number in ["", "-2"] {
        fs::remove_file(desk.project.join(&format!("{MANIFEST}.unsaved{number}.age"))).unwrap();
    }
    go_on("true").status(1).run();
    // Nothing was typed, so nothing is kept.
    desk.edit(MANIFEST, "exit 1").status(1).run();
    assert!(!desk.project.join("credentials/a.yaml.unsaved.age").exists());
}

#[test]
fn an_edit_that_goes_on_undoes_nothing_that_changed_since() {
    let desk = Desk::new();
    let typed = "sed -i 's/m4rk3d-two/m4rk3d-typed/' \"$1\"; exit 3";
    desk.edit(MANIFEST, typed).status(1).run();
    let changed = desk.text(MANIFEST).replace("domain: spotify", "domain: spotify\n    key: new");
    desk.project.write(MANIFEST, &changed);
    let both = "grep -q m4rk3d-typed \"$1\" && grep -q 'key: new' \"$1\" && echo '# more' >>\"$1\"";
    let ran = desk.edit(MANIFEST, both).args(["--unsaved"]).run();
    assert!(ran.stderr.contains("a.yaml was changed since this was typed"), "{}", ran.stderr);
    assert!(desk.text(MANIFEST).contains("    key: new\n"), "{}", desk.text(MANIFEST));
    let left = fs::read_dir(desk.project.join("credentials")).unwrap().count();
    assert_eq!(left, 1);
    // What both changed is for the person to decide.
    desk.edit(MANIFEST, "sed -i 's/client_id: b/client_id: b1/' \"$1\"; exit 3").status(1).run();
    desk.project.write(MANIFEST, &desk.text(MANIFEST).replace("client_id: b", "client_id: b2"));
    let clash = "grep -q '^<<<<<<<' \"$1\" && grep -q b1 \"$1\" && grep -q b2 \"$1\"";
    let ran = desk.edit(MANIFEST, clash).args(["--unsaved"]).status(1).run();
    assert!(desk.text(MANIFEST).contains("client_id: b2"), "{}", ran.stderr);
}

#[test]
fn edit_at_a_terminal_goes_on_with_what_somebody_else_wrote_meanwhile() {
    let desk = Desk::new();
    let path = desk.project.join(MANIFEST);
    // The second time it finds both changes.
    let script = format!(
        "if grep -q '# theirs' \"$1\"; then grep -q 'm4rk3d: mine' \"$1\"; exit 0; fi
sed -i 's/m4rk3d-two/\"m4rk3d: mine\"/' \"$1\"; sed -i 's/# mine/# theirs/' {}",
        path.display()
    );
    let appcred = format!("{} edit {MANIFEST}", env!("CARGO_BIN_EXE_appcred"));
    let mut terminal = Command::new("script")
        .args(["-qec", &appcred, "/dev/null"])
        .current_dir(desk.project.path())
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("HOME", desk.tools.path().to_str().unwrap())])
        .envs([("SOPS_AGE_KEY", desk.identity.as_str()), ("SHELL", "/bin/sh")])
        .env("EDITOR", desk.editor(&script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    terminal.stdin.take().unwrap().write_all(b"y\n").unwrap();
    let told = terminal.wait_with_output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("with both changes in it? [y/N]"), "{told}");
    assert!(told.ends_with("Saved credentials/a.yaml.\r\n"), "{told}");
    assert!(desk.text(MANIFEST).starts_with("# theirs\n"), "{}", desk.text(MANIFEST));
    assert!(desk.applied().contains("m4rk3d: mine"));
}

#[test]
fn edit_encrypts_to_the_recipients_that_the_project_has_once_it_saves() {
    let desk = Desk::new();
    let project = desk.text("appcred.yaml");
    let both = format!("[{}, {}]", desk.recipient, age_identity().1);
    desk.project.write("appcred.yaml", &project.replace(&format!("[{}]", desk.recipient), &both));
    desk.tools.write("appcred.yaml", &project);
    let script = format!(
        "sed -i 's/m4rk3d-two/m4rk3d-new/' \"$1\"; cp {} {}",
        desk.tools.join("appcred.yaml").display(),
        desk.project.join("appcred.yaml").display()
    );
    desk.edit(MANIFEST, &script).run();
    let left = Appcred::new().in_dir(desk.project.path()).env("SOPS_AGE_KEY", &desk.identity);
    let left = left.args(["validate"]).run().stderr;
    assert!(!left.contains("recipient"), "{left}");
    assert!(desk.applied().contains("m4rk3d-new"));
}

#[test]
fn edit_saves_nothing_once_the_project_is_in_error() {
    let desk = Desk::new();
    let before = desk.text(MANIFEST);
    let script = format!(
        "sed -i 's/m4rk3d-two/m4rk3d-new/' \"$1\"; echo 'age: {{recipients: [age1wrong]}}' >{}",
        desk.project.join("appcred.yaml").display()
    );
    let ran = desk.edit(MANIFEST, &script).status(1).run();
    assert!(ran.stderr.contains("age1wrong"), "{}", ran.stderr);
    assert_eq!(desk.text(MANIFEST), before);
}

#[test]
fn edit_leaves_what_it_cannot_open() {
    let desk = Desk::new();
    let (_, stranger) = age_identity();
    let foreign = encrypt("not-for-us", &stranger);
    desk.project.write(
        MANIFEST,
        &format!(
            "{}  - {{domain: netatmo, client_id: n, client_secret: {foreign:?}}}\n",
            desk.text(MANIFEST)
        ),
    );
    let before = desk.text(MANIFEST);
    let ran = desk.edit(MANIFEST, "sed -i 's/m4rk3d-two/other/' \"$1\"").run();
    assert!(
        ran.stderr.starts_with("warning: line 8 stays encrypted: it is encrypted to 1 recipient"),
        "{}",
        ran.stderr
    );
    let last = |text: &str| text.lines().last().unwrap().to_owned();
    assert_eq!(last(&desk.text(MANIFEST)), last(&before));
    assert_ne!(desk.text(MANIFEST), before);
}

#[test]
fn edit_of_sops_and_age_files() {
    let desk = Desk::new();
    let folder = desk.project.path();
    let before = desk.encrypt_by_sops("^client_secret$", "# sops\napplication_credentials:\n    - domain: google # g\n      client_id: g\n      client_secret: m4rk3d-one\n    - domain: fitbit\n      client_id: f\n      client_secret: m4rk3d-two\n");
    let change = "grep -q 'client_secret: m4rk3d-one' \"$1\"; ! grep -q sops: \"$1\"
sed -i 's/m4rk3d-one/m4rk3d-six/; s/# g$/# gg/' \"$1\"
printf '    - domain: xbox\\n      client_id: x\\n      client_secret: |-\\n          m4rk3d-box\\n' >>\"$1\"";
    desk.edit("credentials/b.yaml", change).stdout("Saved credentials/b.yaml.\n").stderr("").run();
    let after = desk.text("credentials/b.yaml");
    assert!(!after.contains("m4rk3d"), "{after}");
    let gone = before.lines().filter(|line| !after.lines().any(|new| new == *line));
    let gone = gone.map(|line| line.trim().split(':').next().unwrap());
    let gone: Vec<_> = gone.filter(|line| *line != "lastmodified").collect();
    assert_eq!(gone, ["# g", "client_secret", "mac"]);
    let read = sops(folder, &desk.identity, ["--decrypt", "credentials/b.yaml"]);
    assert!(
        read.contains("m4rk3d-six") && read.contains("m4rk3d-two") && read.contains("m4rk3d-box"),
        "{read}"
    );
    assert!(desk.applied().contains("m4rk3d-box"));
    // What its rules would leave in plain text is not saved.
    let secret = "printf '    - {domain: home_connect, client_id: h, \"client_secret\": m4rk3d}\\n' >>\"$1\"";
    desk.edit("credentials/b.yaml", secret).run();
    desk.encrypt_by_sops("^nothing$", "application_credentials:\n    - domain: fitbit\n      client_id: f\n      client_secret: m4rk3d-two\n");
    let ran =
        desk.edit("credentials/b.yaml", "sed -i 's/m4rk3d-two/m4rk3d-six/' \"$1\"").status(1).run();
    assert!(ran.stderr.contains("`client_secret` is in plain text here"), "{}", ran.stderr);

    let armored = encrypt("one: m4rk3d-one\n", &desk.recipient.parse().unwrap());
    desk.project.write("secrets.yaml.age", &armored);
    desk.edit("secrets.yaml.age", "echo 'two: m4rk3d-two' >>\"$1\"").run();
    desk.edit("secrets.yaml.age", "grep -q 'two: m4rk3d-two' \"$1\"")
        .stdout("Nothing was changed.\n")
        .run();
    let ran = desk.edit("secrets.yaml.age", "echo 'two: again' >>\"$1\"").status(1).run();
    assert!(ran.stderr.contains("secrets.yaml.age:3:1"), "{}", ran.stderr);
}

#[test]
fn edit_leaves_nothing_when_it_is_asked_to_end_or_killed() {
    for signal in [Signal::TERM, Signal::HUP, Signal::KILL] {
        let desk = Desk::new();
        let before = desk.text(MANIFEST);
        let at = desk.tools.join("at");
        // The editor is one that does not end by itself.
        let script = format!(
            "cp \"$1\" \"$1.swp\"; dirname \"$1\" >{0}.new; mv {0}.new {0}; echo open; exec sleep 600",
            at.display()
        );
        let mut running = desk.edit(MANIFEST, &script).spawn();
        running.line_with("open");
        let folder = PathBuf::from(fs::read_to_string(&at).unwrap().trim());
        assert!(folder.join("a.yaml.swp").exists());
        running.signal(signal);
        let ended = std::time::Instant::now();
        while folder.exists() {
            assert!(
                ended.elapsed().as_secs() < 60,
                "{} is left after {signal:?}",
                folder.display()
            );
            std::thread::yield_now();
        }
        assert_eq!(desk.text(MANIFEST), before);
        if signal != Signal::KILL {
            assert_eq!(running.finish().status, Some(1));
        }
    }
}

#[test]
fn edit_ends_when_it_is_asked_to_while_it_waits_for_another_run() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let desk = Desk::new();
        let before = desk.text(MANIFEST);
        let project = fs::File::open(desk.project.path()).unwrap();
        rustix::fs::flock(&project, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let appcred = desk.edit(MANIFEST, "echo '# more' >>\"$1\"; echo changed");
        let mut running = appcred.under(Path::new("/usr/bin/env"), "--default-signal").spawn();
        running.line_with("changed");
        // One that comes before it waits may be for the editor.
        eventually("it is interrupted", || {
            running.signal(signal);
            running.stderr().contains("interrupted") || running.stderr().contains("asked to end")
        });
        let status = if signal == Signal::INT { 130 } else { 1 };
        assert_eq!(running.finish().status, Some(status));
        assert_eq!(desk.text(MANIFEST), before);
    }
}

#[test]
fn what_a_terminal_sends_by_a_key_is_for_the_editor() {
    for signal in ["INT", "QUIT"] {
        let desk = Desk::new();
        let script = format!("kill -{signal} $PPID; echo '# more' >>\"$1\"");
        let appcred = desk.edit(MANIFEST, &script);
        let ran = appcred.under(Path::new("/usr/bin/env"), "--default-signal").spawn().finish();
        assert_eq!(ran.status, Some(0), "{signal}: {}", ran.stderr);
        assert!(desk.text(MANIFEST).contains("# more"), "{signal}: {}", ran.stderr);
    }
}

#[test]
fn a_signal_after_the_editor_has_ended_loses_nothing_of_what_was_typed() {
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let desk = Desk::new();
        // Many secrets to encrypt, for which it needs much longer than for a signal to arrive.
        let script = format!(
            "i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf '  - {{domain: netatmo, key: n%s, client_id: id%s, client_secret: m4rk3d-%s}}\\n' $i $i $i; done >>\"$1\"
(while kill -0 $$ 2>{0}; do :; done; kill -{signal} $PPID) &",
            desk.tools.join("gone").display()
        );
        let appcred = desk.edit(MANIFEST, &script);
        // Whoever started the tests may ignore some signals, and what they start would as well.
        let running = appcred.under(Path::new("/usr/bin/env"), "--default-signal").spawn();
        let ran = running.finish();
        let is_saved = ran.status == Some(0) && desk.text(MANIFEST).contains("n300");
        let is_kept = desk.project.join(&format!("{MANIFEST}.unsaved.age")).exists();
        assert!(is_saved || is_kept, "{signal} {:?}: {}", ran.status, ran.stderr);
    }
}

#[test]
fn edit_sweeps_what_nobody_could() {
    let desk = Desk::new();
    let left = tempfile::Builder::new().prefix("appcred-edit-").tempdir_in("/dev/shm").unwrap();
    let used = tempfile::Builder::new().prefix("appcred-edit-").tempdir_in("/dev/shm").unwrap();
    fs::write(left.path().join("x"), "m4rk3d").unwrap();
    let lock = fs::File::open(used.path()).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    desk.edit(MANIFEST, "").run();
    assert!(!left.path().exists() && used.path().exists());
}

/// What other users of the machine may make in a folder that everybody may write to.
#[test]
fn edit_is_not_stopped_by_what_others_left() {
    let desk = Desk::new();
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let at = |name: &str| base.path().join(name);
    fs::write(at("appcred-edit-file"), "").unwrap();
    std::os::unix::fs::symlink("/etc", at("appcred-edit-link")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, at("appcred-edit-pipe"), fifo, mode, 0).unwrap();
    fs::create_dir(at("appcred-edit-theirs")).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(at("appcred-edit-theirs"), Some(12), None).unwrap();
    }
    desk.edit(MANIFEST, "").env("XDG_RUNTIME_DIR", base.path()).run();
    for name in ["appcred-edit-file", "appcred-edit-link", "appcred-edit-pipe"] {
        assert!(at(name).symlink_metadata().is_ok(), "{name}");
    }
    assert!(!rustix::process::geteuid().is_root() || at("appcred-edit-theirs").exists());
}

#[test]
fn an_emptied_file_changes_nothing() {
    let desk = Desk::new();
    let armored = encrypt("one: m4rk3d-one\n", &desk.recipient.parse().unwrap());
    desk.project.write("secrets.yaml.age", &armored);
    let rule = ["--encrypt", "--age", &desk.recipient, "b.yaml"];
    desk.project.write("b.yaml", "application_credentials:\n    - domain: fitbit\n      client_id: f\n      client_secret: m4rk3d\n");
    desk.project.write("credentials/b.yaml", &sops(desk.project.path(), &desk.identity, rule));
    for file in [MANIFEST, "credentials/b.yaml", "secrets.yaml.age", "appcred.yaml"] {
        let before = desk.text(file);
        for script in [
            "truncate -s 0 \"$1\"",
            "echo >\"$1\"",
            "printf -- '---\\n# nothing\\n' >\"$1\"",
            "echo '# nothing' >\"$1\"",
            "echo null >\"$1\"",
            "echo '--- ~' >\"$1\"",
            "rm \"$1\"",
            "echo 'application_credentials:' >\"$1\"",
            "echo 'a: {b: ~}' >\"$1\"",
        ] {
            let ran = desk.edit(file, script).status(1).stdout("").run();
            assert!(ran.stderr.contains(file), "{script}: {}", ran.stderr);
            assert_eq!(desk.text(file), before, "{file}: {script}");
            assert!(!desk.project.join(&format!("{file}.unsaved.age")).exists(), "{script}");
        }
    }
    // Said in words it is what somebody wants.
    desk.edit(MANIFEST, "echo 'application_credentials: []' >\"$1\"").run();
    assert_eq!(desk.text(MANIFEST), "application_credentials: []\n");
}

#[test]
fn an_editor_gets_no_secret_from_the_environment() {
    let desk = Desk::new();
    desk.project.write(
        "appcred.yaml",
        &format!(
            "targets: {{home: {{url: 'http://127.0.0.1:9', token: !env_var OUR_TOKEN}}}}\nage: {{recipients: [{}]}}\n",
            desk.recipient
        ),
    );
    let seen = desk.tools.join("seen");
    let secrets = ["OUR_TOKEN", "HASS_TOKEN", "SUPERVISOR_TOKEN", "APPCRED_SNAPSHOT_TOKEN"];
    let mut appcred = desk.edit(MANIFEST, &format!("env >{}", seen.display())).env("KEPT", "kept");
    for name in secrets {
        appcred = appcred.env(name, "m4rk3d");
    }
    appcred.run();
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("KEPT=kept"), "{seen}");
    assert!(!seen.contains("m4rk3d") && !seen.contains("AGE-SECRET-KEY-"), "{seen}");
}

#[test]
fn while_a_file_is_edited_the_process_cannot_leave_its_memory() {
    let desk = Desk::new();
    let mut running = desk.edit(MANIFEST, "echo open; exec sleep 600").spawn();
    running.line_with("open");
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<_> = core.split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
    // What cannot be dumped cannot be read by the same user either: its memory belongs to the superuser.
    let memory = fs::metadata(format!("/proc/{}/mem", running.id())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&memory), 0);
    running.signal(Signal::TERM);
    running.finish();
}

/// `vi` is vim on most systems: by a symlink, or as a program of that name.
#[test]
fn vi_that_is_vim_keeps_no_history() {
    let desk = Desk::new();
    let seen = desk.tools.join("seen");
    let vim = desk.editor(&format!(
        "if [ \"$1\" = --version ]; then echo \"$VERSION\"; exit; fi; printf '%s ' \"$@\" >{}",
        seen.display()
    ));
    let bin = desk.tools.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(&vim, bin.join("vim.tiny")).unwrap();
    let check = |version: &str, is_guarded: bool| {
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let appcred = Appcred::new().in_dir(desk.project.path());
        let appcred = appcred.env("SOPS_AGE_KEY", &desk.identity).env("PATH", path);
        appcred.env("VERSION", version).env("EDITOR", "vi").args(["edit", MANIFEST]).run();
        let seen = fs::read_to_string(&seen).unwrap();
        assert_eq!(seen.starts_with("-n -i NONE -c "), is_guarded, "{version}: {seen}");
    };
    std::os::unix::fs::symlink("vim.tiny", bin.join("vi")).unwrap();
    check("", true);
    fs::remove_file(bin.join("vi")).unwrap();
    fs::copy(&vim, bin.join("vi")).unwrap();
    check("VIM - Vi IMproved 9.1", true);
    check("nvi 1.81", false);
}

#[test]
fn many_may_edit_at_the_same_time() {
    const AT_ONCE: usize = 8;
    const EACH: usize = 10;
    let desk = Desk::new();
    let edit = || desk.edit(MANIFEST, "true").stdout("Nothing was changed.\n");
    // One after another, since each writes the same script.
    let all: Vec<Vec<Appcred>> =
        (0..AT_ONCE).map(|_| (0..EACH).map(|_| edit()).collect()).collect();
    std::thread::scope(|scope| {
        for each in all {
            scope.spawn(|| each.into_iter().for_each(|edit| drop(edit.run())));
        }
    });
}

/// Also where its place gets another name at the same time.
#[test]
fn what_was_encrypted_stays_so_under_another_name_and_with_another_value() {
    let desk = Desk::new();
    let allow = desk.text("appcred.yaml") + "allow_plaintext: true\n";
    desk.project.write("appcred.yaml", &allow);
    let rename = "sed -i 's/domain: spotify/domain: spotify\\n    key: other/; s/spotify-id/m4rk3d-id/' \"$1\"";
    desk.edit(MANIFEST, rename).stdout("Saved credentials/a.yaml.\n").run();
    let after = desk.text(MANIFEST);
    assert!(after.contains("key: other") && !after.contains("m4rk3d"), "{after}");
    let secrets = format!(
        "home:\n  a: {:?}\n  b: plain\n",
        encrypt("m4rk3d-a", &desk.recipient.parse().unwrap())
    );
    desk.project.write("secrets.yaml", &secrets);
    let rename =
        "grep -q m4rk3d-a \"$1\"; sed -i 's/a: m4rk3d-a/c: m4rk3d-c/; s/b: plain/b: new/' \"$1\"";
    desk.edit("secrets.yaml", rename).stdout("Saved secrets.yaml.\n").run();
    let after = desk.text("secrets.yaml");
    assert!(
        after.contains("  c: |") && after.contains("b: new") && !after.contains("m4rk3d"),
        "{after}"
    );
}

#[test]
fn edit_keeps_what_was_typed_whatever_the_file_is_called_and_offers_it_for_that_file_alone() {
    let desk = Desk::new();
    let state = Project::new();
    let long = format!("credentials/{}.yaml", "x".repeat(244));
    let other = Desk::new();
    for of in [&desk, &other] {
        of.project.write(&long, &of.text(MANIFEST));
        fs::remove_file(of.project.join(MANIFEST)).unwrap();
    }
    let edit = |of: &Desk, script: &str| of.edit(&long, script).env("XDG_STATE_HOME", state.path());
    // Nothing of this name with more behind it can be beside it.
    let ran = edit(&desk, "sed -i 's/twitch/tvitch_m4rk3d/' \"$1\"").status(1).run();
    assert!(ran.stderr.contains("What you typed is kept in "), "{}", ran.stderr);
    assert!(!ran.stderr.contains(".gitignore"), "{}", ran.stderr);
    let ran = edit(&other, "true").run();
    assert!(!ran.stderr.contains("earlier edit"), "{}", ran.stderr);
    let ran = edit(&other, "true").args(["--unsaved"]).status(1).run();
    assert!(ran.stderr.contains("no unsaved text of an earlier edit"), "{}", ran.stderr);
    let ran = edit(&desk, "sed -i 's/tvitch_m4rk3d/twitch/; s/client_id: b/client_id: b2/' \"$1\"");
    ran.args(["--unsaved"]).run();
    assert!(desk.text(&long).contains("client_id: b2"));
    assert_eq!(fs::read_dir(state.join("appcred/unsaved")).unwrap().count(), 0);
}

#[test]
fn edit_keeps_what_was_typed_where_it_is_too_large_to_be_saved() {
    let desk = Desk::new();
    let large = "yes '# 0123456789012345678901234567890' | head -n 250000 >>\"$1\"";
    let ran = desk.edit(MANIFEST, large).status(1).run();
    assert!(ran.stderr.contains("What you typed is kept in "), "{}", ran.stderr);
    let smaller = "sed -i '/^# 0/d' \"$1\"; sed -i 's/client_id: b/client_id: b2/' \"$1\"";
    desk.edit(MANIFEST, smaller).args(["--unsaved"]).run();
    assert!(desk.text(MANIFEST).contains("client_id: b2"));
}

#[test]
fn an_editor_that_does_not_wait_is_refused_before_it_gets_anything() {
    let desk = Desk::new();
    let appcred = Appcred::new().in_dir(desk.project.path()).args(["edit", MANIFEST]);
    let ran = appcred.env("EDITOR", "code --new-window").spawn().finish();
    let advice = "set VISUAL or EDITOR to `code --new-window --wait`";
    assert!(ran.status == Some(1) && ran.stderr.contains(advice), "{}", ran.stderr);
}
