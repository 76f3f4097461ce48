//! Secrets that programs print, which the project file names: `!from NAME WHAT`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use rustix::process::Signal;

use crate::shell::{Appcred, Project};
use crate::watch::eventually;

/// A project whose sources are small programs.
struct Scene(Project);

impl Scene {
    /// With these fields of the source `safe`, whose program is this script.
    fn new(script: &str, fields: &str) -> Self {
        let scene = Self(Project::new());
        scene.script(script);
        let program = scene.0.join("bin/show").display().to_string();
        scene.project(&format!("{{command: ['{program}', get, \"item={{}}\"]{fields}}}"));
        scene
    }

    fn script(&self, script: &str) {
        self.0.write("bin/show", &format!("#!/bin/sh\n{script}\n"));
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.0.join("bin/show"), executable).unwrap();
    }

    fn project(&self, source: &str) {
        let text = format!("targets: {{lab: {{config_dir: ha}}}}\nsources:\n  safe: {source}\n");
        self.0.write("appcred.yaml", &text);
    }

    /// Entries with these secrets.
    fn secrets(&self, secrets: &[&str]) {
        let domains = ["spotify", "twitch", "netatmo", "google", "home_connect"];
        let entries = domains.iter().zip(secrets).map(|(domain, secret)| {
            format!("  - {{domain: {domain}, client_id: {domain}, client_secret: {secret}}}\n")
        });
        let entries: String = entries.collect();
        self.0.write("credentials/a.yaml", &format!("application_credentials:\n{entries}"));
    }

    fn appcred(&self) -> Appcred {
        Appcred::new().in_dir(self.0.path()).env("PATH", "/usr/bin:/bin")
    }

    /// What the house holds then.
    #[track_caller]
    fn applied(&self) -> String {
        self.appcred().args(["apply", "--yes"]).run();
        fs::read_to_string(self.0.join("ha/.storage/application_credentials")).unwrap()
    }

    #[track_caller]
    fn refused(&self) -> String {
        self.appcred().args(["plan"]).status(1).run().stderr
    }
}

#[test]
fn a_program_is_asked_once_for_each_secret_and_without_a_shell() {
    let scene = Scene::new(
        "[ $# = 2 ] && [ \"$1\" = get ] || exit 9\necho \"$2\" >>asked\necho \"secret-of-$(echo \"$2\" | md5sum | cut -c1-8)\"",
        "",
    );
    let asked = ["home/spotify", "a b;$(touch hacked) '\"x\" && true", "a|b>c", "home/spotify"];
    let quoted: Vec<_> =
        asked.iter().map(|asked| format!("!from 'safe {}'", asked.replace('\'', "''"))).collect();
    scene.secrets(&quoted.iter().map(String::as_str).collect::<Vec<_>>());
    let held = scene.applied();
    assert_eq!(held.matches("\"secret-of-").count(), 4, "{held}");
    let mut lines: Vec<_> =
        fs::read_to_string(scene.0.join("asked")).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    let mut wanted: Vec<_> = asked[..3].iter().map(|asked| format!("item={asked}")).collect();
    wanted.sort();
    assert_eq!(lines, wanted);
    assert!(!scene.0.join("hacked").exists());
}

#[test]
fn a_program_gets_the_named_environment_and_no_more() {
    let scene = Scene::new("env >seen\necho hunter1", ", environment: [SAFE_TOKEN, NOT_SET]");
    scene.secrets(&["!from safe x"]);
    let appcred = scene.appcred().args(["apply", "--yes"]).env("SAFE_TOKEN", "t0ken");
    appcred.env("SOPS_AGE_KEY", "m4rk3d").env("OTHER_TOKEN", "m4rk3d").run();
    let seen = fs::read_to_string(scene.0.join("seen")).unwrap();
    assert!(seen.contains("SAFE_TOKEN=t0ken\n") && seen.contains("PATH=/usr/bin:/bin\n"), "{seen}");
    assert!(
        seen.contains("HOME=") && !seen.contains("m4rk3d") && !seen.contains("NOT_SET"),
        "{seen}"
    );
}

#[test]
fn line_ends_are_no_part_of_the_secret() {
    for (printed, secret) in
        [("hunter1", "hunter1"), (r"hunter1\n", "hunter1"), (r"hunter1\r\n\n", "hunter1")]
    {
        let scene = Scene::new(&format!("printf '{printed}'"), "");
        scene.secrets(&["!from safe x"]);
        assert!(scene.applied().contains(&format!("\"{secret}\"")), "{printed}");
    }
}

#[test]
fn what_is_no_secret_is_refused_with_what_to_do() {
    for (script, told) in [
        ("exit 0", "printed nothing"),
        ("echo", "printed nothing"),
        ("echo one; echo two", "is a text of several lines"),
        ("echo '{\"a\": 1}'", "is a JSON document"),
        ("printf '\\377\\n'", "it is not UTF-8 text"),
        ("yes m4rk3d", "prints more than 64 KiB"),
        ("head -c 99999 /dev/zero | tr '\\0' x >&2; exit 3", "ended with exit status: 3: "),
        (
            "echo no such item in the vault >&2; exit 4",
            "ended with exit status: 4: no such item in the vault",
        ),
        ("kill -9 $$", "ended with signal: 9"),
    ] {
        let scene = Scene::new(script, "");
        scene.secrets(&["!from safe x"]);
        let said = scene.refused();
        assert!(said.contains(told), "{script}: {said}");
        assert!(said.contains("credentials/a.yaml:2:64"), "{script}: {said}");
        assert!(said.contains("help: ") && said.len() < 2000, "{script}: {said}");
    }
}

#[test]
fn what_a_program_says_of_its_failure_is_shown_without_what_it_printed() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiI0ZjVjMGE4OCJ9.c2lnbmF0dXJlLW9mLWl0";
    let scene = Scene::new(
        &format!("echo m4rk3d; echo 'failed for m4rk3d' 'with {token}' >&2; exit 1"),
        "",
    );
    scene.secrets(&["!from safe x"]);
    let said = scene.refused();
    assert!(said.contains(": failed for ******** with ********"), "{said}");
    assert!(!said.contains("m4rk3d") && !said.contains(&token[..20]), "{said}");
}

#[test]
fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
    let scene = Scene::new("sleep 5000 & echo $! >started\nwait", ", timeout: 1s");
    scene.secrets(&["!from safe x"]);
    let said = scene.refused();
    assert!(said.contains("did not end within 1 seconds and was killed"), "{said}");
    is_over(&scene.0.join("started"));
}

/// Waits until a process, whose id is in a file, is gone or waits to be collected.
fn is_over(file: &Path) {
    let id = fs::read_to_string(file).unwrap();
    let stat = format!("/proc/{}/stat", id.trim());
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        thread::yield_now();
    }
}

#[test]
fn a_program_does_not_outlive_appcred_however_that_ends() {
    let token = "{url: 'http://127.0.0.1:9', token_command: [bin/show]}";
    for (verb, signals) in [
        ("plan", &[Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL][..]),
        // Of SIGHUP it reads all anew.
        ("watch", &[Signal::INT, Signal::TERM, Signal::KILL]),
    ] {
        for (signal, target) in signals.iter().flat_map(|signal| [(signal, ""), (signal, token)]) {
            let script = "sleep 5000 & echo $! >new; mv new started; wait";
            // Longer than any run of a test may take: it is not waited for.
            let scene = Scene::new(script, ", timeout: 290s");
            scene.secrets(if target.is_empty() { &["!from safe x"] } else { &[] });
            let project = fs::read_to_string(scene.0.join("appcred.yaml")).unwrap();
            if !target.is_empty() {
                scene.0.write("appcred.yaml", &project.replace("{config_dir: ha}", target));
            }
            // Whoever started the tests may ignore some of them, and what they start would as well.
            let appcred = scene.appcred().args([verb]);
            let running = appcred.under(Path::new("/usr/bin/env"), "--default-signal").spawn();
            let started = scene.0.join("started");
            while !started.exists() {
                thread::yield_now();
            }
            running.signal(*signal);
            running.finish();
            is_over(&started);
        }
    }
}

#[test]
fn a_watcher_that_gets_sighup_while_it_reads_for_the_first_time_reads_everything_again() {
    let script = "echo x >>asked\nuntil [ -e go ]; do sleep 0.01; done\necho hunter1";
    let scene = Scene::new(script, ", timeout: 290s");
    scene.secrets(&["!from safe x"]);
    let appcred = scene.appcred().args(["watch"]);
    let mut running = appcred.under(Path::new("/usr/bin/env"), "--default-signal").spawn();
    let asked = || fs::read_to_string(scene.0.join("asked")).unwrap_or_default();
    eventually("it is asked", || asked() == "x\n");
    running.signal(Signal::HUP);
    assert!(!running.is_over());
    scene.0.write("go", "");
    eventually("all is read again", || running.stderr().contains("reading everything again"));
    eventually("it is asked again", || asked().starts_with("x\nx\n"));
    running.signal(Signal::INT);
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn a_watcher_ends_while_a_program_takes_long_that_was_quick_before() {
    let scene = Scene::new("echo hunter1", ", timeout: 290s");
    scene.secrets(&["!from safe x"]);
    let running = scene.appcred().args(["watch"]).spawn();
    let held = scene.0.join("ha/.storage/application_credentials");
    eventually("it is applied", || held.exists());
    scene.script("sleep 5000 & echo $! >new; mv new started; wait");
    scene.secrets(&["!from safe y"]);
    let started = scene.0.join("started");
    eventually("it is asked", || started.exists());
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0));
    assert!(!ran.stderr.contains("took too long to finish"), "{}", ran.stderr);
    is_over(&started);
}

#[test]
fn what_a_program_leaves_behind_is_not_waited_for() {
    let scene = Scene::new("sleep 5000 &\necho hunter1", "");
    scene.secrets(&["!from safe x"]);
    assert!(scene.applied().contains("\"hunter1\""));
}

#[test]
fn what_left_the_group_of_a_program_and_holds_its_output_open_is_not_waited_for() {
    let scene = Scene::new(
        "setsid sleep 300 &\necho $! >started\nuntil [ \"$(cut -d' ' -f6 /proc/$!/stat)\" = $! ]; do :; done\necho hunter1",
        ", timeout: 290s",
    );
    scene.secrets(&["!from safe x"]);
    let held = scene.applied();
    let id = fs::read_to_string(scene.0.join("started")).unwrap();
    Command::new("kill").arg(id.trim()).status().unwrap();
    assert!(held.contains("\"hunter1\""), "{held}");
}

#[test]
fn a_program_is_the_first_of_a_session_and_has_no_terminal() {
    let scene = Scene::new(
        "cut -d' ' -f1,6 /proc/$$/stat >session\n(: >/dev/tty) 2>/dev/null && exit 9\necho hunter1",
        "",
    );
    scene.secrets(&["!from safe x"]);
    scene.applied();
    let session = fs::read_to_string(scene.0.join("session")).unwrap();
    let (process, session) = session.trim().split_once(' ').unwrap();
    assert_eq!(process, session);
}

#[test]
fn what_could_be_a_secret_in_what_a_program_says_is_not_shown() {
    for (script, shown) in [
        ("echo invalid password hunter2 for user >&2", "invalid password ******** for user"),
        ("echo bad token=abc:hunter2 password=geheim >&2", "bad token= ********"),
        ("echo Passphrase: >&2; echo hunter2 >&2", "Passphrase: ********"),
        ("echo 'Enter PIN: ' >&2; echo hunter2 >&2; echo gone >&2", "Enter PIN: ******** gone"),
        ("echo https://u:hunter2@vault >&2", "********"),
        ("echo Authorization: Bearer geheim >&2", "Authorization: Bearer ********"),
        ("echo tokens: hunter2 >&2", "tokens: ********"),
        ("echo login: me hunter2 4711 ok >&2", "login: me ******** ******** ok"),
        ("echo The KEY hunter2 >&2; echo no such item >&2", "The KEY ******** no such item"),
        ("echo hun ter2; echo hun ter2 is wrong >&2", "******** ******** is wrong"),
        ("echo a7; echo no a7 here >&2", "no ******** here"),
        ("echo '{\"pin\":\"x9\"}'; echo no x9 here >&2", "no ******** here"),
        ("echo hunter2geheim; echo got hunter2 back >&2", "got ******** back"),
    ] {
        let scene = Scene::new(&format!("{script}; exit 3"), "");
        scene.secrets(&["!from safe x"]);
        let said = scene.refused();
        assert!(said.contains(&format!("ended with exit status: 3: {shown}")), "{script}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("geheim"), "{script}: {said}");
    }
}

/// As these programs say it.
#[test]
fn a_login_that_is_over_is_told_in_the_words_of_the_program() {
    for said in [
        "[ERROR] 2026/11/27 10:00:00 You are not currently signed in. Please run `op signin --help`",
        "Error making API request. URL: GET https://127.0.0.1:8200/v1/house Code: 403. Errors: * permission denied",
        "An error occurred (ExpiredTokenException) when calling the operation: The security token included in the request is expired",
        "ERROR: (gcloud.secrets.versions.access) There was a problem refreshing your current auth tokens: Reauthentication failed.",
        "gpg: decryption failed: No secret key",
        "error: session key is invalid: run bw unlock",
    ] {
        let scene = Scene::new(&format!("cat >&2 <<'E'\n{said}\nE\nexit 1"), "");
        scene.secrets(&["!from safe x"]);
        let told = scene.refused();
        assert!(told.contains(&format!("ended with exit status: 1: {said}")), "{said}: {told}");
    }
}

#[test]
fn what_a_program_was_given_is_not_shown_again() {
    let script = r#"echo "GET $ADDRESS/v1: 403 for $SAFE, asked by $USER_NAME" >&2; exit 3"#;
    let scene = Scene::new(script, ", environment: [SAFE, ADDRESS, USER_NAME]");
    scene.secrets(&["!from safe a"]);
    let plan = scene.appcred().args(["plan"]).status(1);
    let said = plan
        .env("SAFE", "correct horse battery")
        .env("ADDRESS", "https://vault:hunter2@vault.example")
        .env("USER_NAME", "anna")
        .run()
        .stderr;
    assert!(said.contains("exit status: 3: GET"), "{said}");
    for given in ["correct", "horse", "battery", "hunter2", "anna"] {
        assert!(!said.contains(given), "{said}");
    }
}

/// `ssh` gives its arguments to the shell of the other machine; `eval` is one way among others.
#[test]
fn what_a_shell_may_read_has_none_of_its_marks() {
    let scene = Scene::new("", "");
    let ssh = scene.0.join("bin/ssh").display().to_string();
    scene.0.write("bin/ssh", "#!/bin/sh\nshift\nexec sh -c \"$*\"\n");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(scene.0.join("bin/ssh"), executable).unwrap();
    for command in [
        format!("['{ssh}', host, echo, \"got-{{}}\"]"),
        "[sh, -c, --, \"echo got-{}\"]".to_owned(),
        "[sh, -c, 'eval \"$0\"', \"echo got-{}\"]".to_owned(),
        "[env, sh, -c, --, \"echo got-{}\"]".to_owned(),
    ] {
        scene.project(&format!("{{command: {command}}}"));
        for asked in ["x; touch pwned", "$(touch pwned)", "x -o pwned", "x\"; touch pwned; \""] {
            scene.secrets(&[&format!("!from safe {asked}")]);
            let said = scene.refused();
            assert!(said.contains("mean something to a shell"), "{command} {asked}: {said}");
            assert!(!scene.0.join("pwned").exists(), "{command} {asked}");
        }
        scene.secrets(&["!from safe house/spotify"]);
        assert!(scene.applied().contains("got-house/spotify"), "{command}");
    }
}

#[test]
fn a_manifest_names_a_program_and_never_says_what_it_is() {
    let scene = Scene::new("touch ran; echo hunter1", "");
    for (secret, told) in [
        ("!from saef x", "there is no source `saef`: did you mean `safe`?"),
        ("!from safe", "names a source, but not what to read from it"),
        ("!from safe --help", "the argument of `!from` begins with `-`"),
        ("!from \"safe a\\u200bb\"", "has a character that cannot be seen"),
        ("!from \"safe a\\nb\"", "has a character that cannot be seen"),
        ("!from /bin/sh x", "there is no source `/bin/sh`; there are: safe"),
        ("!from 4f5c0a88b1d94e2fa7c3 x", "there is no source of that name"),
    ] {
        scene.secrets(&[secret]);
        for verb in ["validate", "plan"] {
            let said = scene.appcred().args([verb]).status(1).run().stderr;
            assert!(said.contains(told), "{verb} {secret}: {said}");
            assert!(said.contains("credentials/a.yaml:2:64"), "{verb} {secret}: {said}");
            assert!(!said.contains("4f5c0a88"), "{said}");
        }
    }
    scene.secrets(&["!from safe x", "!from safe y"]);
    let said = scene.appcred().args(["validate"]).run().stderr;
    assert_eq!(
        said,
        "Not checked: 2 values that a program prints, since `validate` runs no programs.\n"
    );
    assert!(!scene.0.join("ran").exists());
    scene.project("{command: [no-such-program, \"{}\"]}");
    let said = scene.refused();
    assert!(
        said.contains("the program of the source `safe` `no-such-program` was not found"),
        "{said}"
    );
}

#[test]
fn a_source_that_cannot_be_is_refused_in_the_project_file() {
    let scene = Scene::new("", "");
    scene.secrets(&[]);
    for (source, told) in [
        ("{command: [op, read]}", "`command` must have `{}` once"),
        ("{command: [op, \"{}\", \"{}\"]}", "`command` must have `{}` once"),
        ("{command: [op, \"{}{}\"]}", "`command` must have `{}` once"),
        ("{command: [\"{}\"]}", "`command` must have `{}` once"),
        ("{command: \"op read {}\"}", "`command` must be a list"),
        ("{timeout: 3s}", "`command`"),
        ("{command: [op, \"{}\"], timeout: 0s}", "`timeout` is not a number of seconds"),
        ("{command: [op, \"{}\"], timeout: 5m}", "`timeout` is not a number of seconds"),
        ("{command: [op, \"{}\"], shell: true}", "unknown field `shell`"),
        ("{command: [sh, -c, \"pass {}\"]}", "inside of a script"),
        ("{command: [bash, -ec, \"{}\"]}", "inside of a script"),
        ("{command: [ruby, --eval, \"{}\"]}", "inside of a script"),
    ] {
        scene.project(source);
        let said = scene.appcred().args(["validate"]).status(1).run().stderr;
        assert!(said.contains(told) && said.contains("appcred.yaml:3:"), "{source}: {said}");
    }
}

/// What an entry that is not selected is read from is not asked, and what is wrong there keeps nothing from
/// being done.
#[test]
fn only_what_selected_entries_name_is_read() {
    let scene =
        Scene::new("echo \"$2\" >>asked; [ \"$2\" = item=good ] || exit 3; echo hunter1", "");
    scene.secrets(&[
        "!from safe good",
        "!from safe bad",
        "!env_var GONE",
        "!secret gone",
        "!file gone",
    ]);
    for arguments in [
        "plan --key spotify",
        "plan --domain spot*",
        "apply --yes --exclude twitch,netatmo,google,home-connect",
        "list --key spotify",
    ] {
        scene.appcred().args(arguments.split(' ')).run();
        let asked = fs::read_to_string(scene.0.join("asked")).unwrap();
        assert!(asked.lines().all(|line| line == "item=good"), "{arguments}: {asked}");
    }
    scene.appcred().args(["plan", "--key", "twitch"]).status(1).run();
    let project = fs::read_to_string(scene.0.join("appcred.yaml")).unwrap();
    scene.0.write("appcred.yaml", &format!("{project}custom_integrations: [own]\n"));
    let manifest = fs::read_to_string(scene.0.join("credentials/a.yaml")).unwrap();
    let own = "  - {domain: own, client_id: own, client_secret: !from safe good, integration: {token_url: 'http://127.0.0.1:9/token'}}\n";
    scene.0.write("credentials/a.yaml", &(manifest + own));
    for arguments in ["verify own", "verify --domain own"] {
        scene.appcred().args(arguments.split(' ')).run();
    }
    let asked = fs::read_to_string(scene.0.join("asked")).unwrap();
    assert_eq!(asked.matches("item=bad").count(), 1, "{asked}");
    // A key under which a target holds something selects no entry that has another one.
    let renamed = fs::read_to_string(scene.0.join("credentials/a.yaml")).unwrap();
    scene.0.write(
        "credentials/a.yaml",
        &renamed.replace("{domain: spotify,", "{domain: spotify, key: new,"),
    );
    let planned = scene.appcred().args(["plan", "--key", "spotify"]).run().stdout;
    assert!(planned.contains("No changes."), "{planned}");
    let planned = scene.appcred().args(["plan", "--key", "new"]).run().stdout;
    assert!(
        planned.contains("\"spotify\" -> \"new\"") && !planned.contains("unknown"),
        "{planned}"
    );
    scene.appcred().args(["apply", "--yes", "--key", "new"]).run();
    let held = fs::read_to_string(scene.0.join("ha/.storage/application_credentials")).unwrap();
    assert!(held.contains(":new\"") && held.contains("\"hunter1\""), "{held}");
}

/// Whose the credentials of a target are is not known without the ids of all entries.
#[test]
fn an_entry_that_is_not_selected_and_whose_id_cannot_be_read_is_left_alone() {
    let scene = Scene::new("[ \"$2\" = item=id ] || exit 3; echo client-1", "");
    let entry = |domain: &str, id: &str| {
        format!("  - {{domain: {domain}, client_id: {id}, client_secret: s3cret-{domain}}}\n")
    };
    let both = |id: &str| {
        format!("application_credentials:\n{}{}", entry("spotify", id), entry("twitch", "t"))
    };
    let project = fs::read_to_string(scene.0.join("appcred.yaml")).unwrap();
    scene.0.write("appcred.yaml", &format!("{project}allow_plaintext: true\n"));
    scene.0.write("credentials/a.yaml", &both("!from safe id"));
    scene.applied();
    scene.0.write("credentials/a.yaml", &both("!env_var GONE").replace("s3cret-t", "s3cret-new-t"));
    let ran = scene.appcred().args(["apply", "--yes", "--key", "twitch"]).run();
    assert!(
        ran.stderr.contains("warning: cannot read the client_id of `spotify`"),
        "{}",
        ran.stderr
    );
    let held = fs::read_to_string(scene.0.join("ha/.storage/application_credentials")).unwrap();
    assert!(held.contains("client-1") && held.contains("s3cret-new-twitch"), "{held}");
    scene.appcred().args(["apply", "--yes"]).status(1).run();
}

/// An id that a program prints is not asked for where the entry is not selected, and nothing is where it is for
/// another target. What they have is left alone.
#[test]
fn no_program_runs_for_an_entry_that_is_left_out() {
    let scene = Scene::new("echo \"$2\" >>asked; echo \"of-$2\" | tr = -", "");
    let project = fs::read_to_string(scene.0.join("appcred.yaml")).unwrap();
    let project = project
        .replace("{lab: {config_dir: ha}}", "{lab: {config_dir: ha}, cabin: {config_dir: ha2}}");
    scene.0.write("appcred.yaml", &project);
    let entry = |domain: &str, target: &str| {
        format!(
            "  - {{domain: {domain}, client_id: !from safe {domain}-id, client_secret: !from safe {domain}-secret, targets: [{target}]}}\n"
        )
    };
    let manifest = [entry("spotify", "lab"), entry("twitch", "lab"), entry("netatmo", "cabin")];
    let manifest = format!("application_credentials:\n{}", manifest.concat());
    scene.0.write("credentials/a.yaml", &manifest);
    let asked = || {
        let asked = fs::read_to_string(scene.0.join("asked")).unwrap_or_default();
        let _gone = fs::remove_file(scene.0.join("asked"));
        let mut lines: Vec<_> = asked.lines().map(|line| line.replace("item=", "")).collect();
        lines.sort();
        lines.join(" ")
    };
    let run = |arguments: &str| {
        scene.appcred().args(arguments.split(' ')).run();
        asked()
    };
    assert_eq!(run("apply --yes --key netatmo"), "netatmo-id netatmo-secret");
    let lab = "spotify-id spotify-secret twitch-id twitch-secret";
    assert_eq!(run("apply --yes --target lab"), lab);
    for arguments in
        ["plan --target lab --key spotify", "plan --domain spotify", "list --key spotify"]
    {
        assert_eq!(run(arguments), "spotify-id spotify-secret", "{arguments}");
    }
    scene.0.write("credentials/a.yaml", &manifest.replace("safe spotify-secret", "safe new"));
    assert_eq!(run("apply --yes --prune all --key spotify"), "new spotify-id");
    let held = fs::read_to_string(scene.0.join("ha/.storage/application_credentials")).unwrap();
    assert!(held.contains("\"of-item-new\"") && held.contains("\"of-item-twitch-id\""), "{held}");
}
