//! What a shell completes, and the man pages: both are made from the definition of the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::shell::{Appcred, Project, Terminal};

/// A house with two targets and two entries. Whatever a source's program or a token's program does would show.
fn project() -> Project {
    let project = Project::new()
        .file("house/appcred.yaml", "owner: us\ntargets:\n  home: {url: \"http://127.0.0.1:9\", token_command: [../run], labels: {site: oslo}}\n  cabin: {config_dir: cabin}\nsources: {here: {command: [../run, \"{}\"]}}\n")
        .file("house/credentials.yaml", "application_credentials:\n  - {domain: spotify, key: family, client_id: one, client_secret: !from here one}\n  - {domain: google, key: office, client_id: two, client_secret: !secret m4rk3d}\n")
        .file("house/secrets.yaml", "m4rk3d: m4rk3d-secret\n")
        .file("run", "#!/bin/sh\ntouch \"$(dirname \"$0\")/was-run\"\n");
    fs::set_permissions(project.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(project.join("house/deep")).unwrap();
    fs::create_dir(project.join("house/.git")).unwrap();
    // A shell would show what is in a name as it is.
    for name in ["odd-\u{1b}[2J.yaml", "odd-plain.yaml", "odd-\u{202e}.yaml"] {
        project.write(&format!("house/{name}"), "");
    }
    project
}

/// What bash offers for the last of these words.
#[track_caller]
fn offered(folder: &Path, words: &[&str]) -> Vec<String> {
    let script = Appcred::new().args(["completion", "bash"]).run().stdout;
    let last = words.len();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let asking = format!(
        "{script}\nCOMP_WORDS=(appcred {})\nCOMP_CWORD={last}\nCOMP_TYPE=9\n_clap_complete_appcred appcred \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" ")
    );
    let program = Path::new(env!("CARGO_BIN_EXE_appcred")).parent().unwrap();
    let Output { status, stdout, stderr } = Command::new("bash")
        .args(["--norc", "-c", &asking])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
        .output()
        .unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success() && said.is_empty(), "{words:?}: {said}");
    String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_what_the_project_has() {
    let project = project();
    let house = project.join("house");
    for (words, expected) in [
        (&["plan", "-t", ""][..], &["cabin", "home"][..]),
        (&["plan", "--target", "c"], &["cabin"]),
        (&["plan", "-t", "home,c"], &["home,cabin"]),
        (&["plan", "--key", ""], &["family", "office"]),
        (&["plan", "--domain", ""], &["google", "spotify"]),
        (&["verify", "f"], &["family"]),
        (&["rm", "family", "o"], &["office"]),
        (&["list", "--owner", ""], &["us"]),
        (&["list", "--state", "dif"], &["differs"]),
        (&["list", "--format", "j"], &["json"]),
        (&["plan", "--format", "mark"], &["markdown"]),
        (&["login", ""], &["cabin", "home"]),
        (&["add", "--domain", "spot"], &["spotify"]),
        (&["doct"], &["doctor"]),
        (&["plan", "--key", "=", "fam"], &["family"]),
        (&["plan", "--key", "="], &["family", "office"]),
        (&["plan", "--target", "=", "cabin", "--key", "f"], &["family"]),
        (&["explain", "policy.prun"], &["policy.prune"]),
        (&["explain", "entry.client_"], &["entry.client_id", "entry.client_secret"]),
        (&["encrypt", "odd"], &["odd-plain.yaml"]),
    ] {
        let offered = offered(&house, words);
        let values: Vec<&str> =
            offered.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
        assert_eq!(values, expected, "{words:?}");
    }
    let deep = house.join("deep");
    assert_eq!(offered(&deep, &["plan", "-t", "c"]), ["cabin"], "the project is above");
    for words in [&["-C", "house", "plan", "-t", "c"][..], &["plan", "-Chouse", "-t", "c"]] {
        assert_eq!(offered(project.path(), words), ["cabin"], "{words:?}");
    }
    assert_eq!(offered(project.path(), &["plan", "-t", "c"]), [""; 1], "no project is here");
    assert!(!project.join("was-run").exists(), "a program was run");
}

/// What a command line becomes that somebody types at a real shell, with the Tab key and then Enter: the words that the
/// program is given.
#[track_caller]
fn completed(shell: &str, folder: &Path, typed: &str) -> Vec<String> {
    let home = Project::new();
    let program = env!("CARGO_BIN_EXE_appcred");
    let stub = format!(
        "#!/bin/sh\n[ -z \"$APPCRED_COMPLETE\" ] || exec '{program}' \"$@\"\nprintf 'given<%s>\\n' \"$@\"\necho all-given\n"
    );
    home.write("bin/appcred", &stub);
    fs::set_permissions(home.join("bin/appcred"), fs::Permissions::from_mode(0o755)).unwrap();
    let script = Appcred::new().args(["completion", shell]).run().stdout;
    home.write("script", &script);
    let script = home.join("script").display().to_string();
    home.write("bashrc", &format!("PS1='rea''dy> '\nsource {script}\n"));
    home.write(
        ".zshrc",
        &format!("PS1='rea''dy> '\nautoload -U compinit\ncompinit -D\nsource {script}\n"),
    );
    home.write(
        "config.fish",
        &format!("function fish_prompt; echo 'rea''dy> '; end\nsource {script}\n"),
    );
    let rc = |name: &str| home.join(name).display().to_string();
    let command = match shell {
        "bash" => format!("bash --noprofile --rcfile {} -i", rc("bashrc")),
        "zsh" => "zsh -i".to_owned(),
        _ => format!("fish --no-config --init-command 'source {}'", rc("config.fish")),
    };
    let path = format!("{}:/usr/bin:/bin", home.join("bin").display());
    let home_folder = home.path().display().to_string();
    let environment = [("PATH", path.as_str()), ("HOME", &home_folder), ("ZDOTDIR", &home_folder)];
    let mut terminal = Terminal::run(&format!("stty cols 300; {command}"), folder, environment);
    terminal.until("ready> ");
    let from = terminal.said.len();
    terminal.type_in(&format!("{typed}\t\r"));
    terminal.until("all-given\r\n");
    let said = &terminal.said;
    let lines = said[from..].lines().filter_map(|line| line.split("given<").nth(1));
    lines.filter_map(|line| line.strip_suffix('>')).map(str::to_owned).collect()
}

#[test]
fn real_shells_complete_targets_keys_and_files_with_their_quotes() {
    let project = project();
    let house = project.join("house");
    for name in ["a name.yaml", "it's.yaml", "my house/appcred.yaml"] {
        project.write(&format!("house/{name}"), "");
    }
    project.write("house/my house/appcred.yaml", "targets: {shed: {config_dir: shed}}\n");
    for shell in ["bash", "zsh", "fish"] {
        for (typed, given) in [
            ("appcred doct", &["doctor"][..]),
            ("appcred plan --det", &["plan", "--detailed-exitcode"]),
            ("appcred plan -t c", &["plan", "-t", "cabin"]),
            ("appcred plan --target=ho", &["plan", "--target=home"]),
            ("appcred plan -t home,c", &["plan", "-t", "home,cabin"]),
            ("appcred plan --selector si", &["plan", "--selector", "site=oslo"]),
            ("appcred list --key fam", &["list", "--key", "family"]),
            ("appcred list --domain spot", &["list", "--domain", "spotify"]),
            ("appcred list --format ya", &["list", "--format", "yaml"]),
            ("appcred encrypt a\\ n", &["encrypt", "a name.yaml"]),
            ("appcred encrypt 'a n", &["encrypt", "a name.yaml"]),
            ("appcred encrypt it", &["encrypt", "it's.yaml"]),
            ("appcred -C my", &["-C", "my house/"]),
            ("appcred -C my\\ house plan -t s", &["-C", "my house", "plan", "-t", "shed"]),
            ("appcred -C 'my house' plan -t s", &["-C", "my house", "plan", "-t", "shed"]),
        ] {
            assert_eq!(completed(shell, &house, typed), given, "{shell}: {typed}");
        }
        // Nothing is written to the terminal where there is no project, or a broken one.
        assert_eq!(completed(shell, project.path(), "appcred plan -t c"), ["plan", "-t", "c"]);
    }
    assert!(!project.join("was-run").exists(), "a program was run");
}

#[test]
fn a_broken_project_offers_what_can_be_read_and_says_nothing() {
    let project = project();
    project.write("house/appcred.yaml", "targets: {home: {config_dir: lab}}\nowner: [\n");
    project.write("house/more.yaml", "application_credentials:\n  - {domain: [\n");
    let words = offered(&project.join("house"), &["plan", "--key", "fam"]);
    assert_eq!(words, ["family"]);
    project.write("house/credentials.yaml", "\u{0}\u{1b}[2J");
    offered(&project.join("house"), &["plan", "--key", "fam"]);
    offered(&project.join("house"), &["plan", "-t", ""]);
}

#[test]
fn every_shell_gets_a_script_that_asks_appcred() {
    let project = project();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Appcred::new().args(["completion", shell]).run().stdout;
        assert!(script.contains("APPCRED_COMPLETE"), "{shell}: {script}");
    }
    for shell in ["zsh", "fish"] {
        let ran = Appcred::new()
            .in_dir(&project.join("house"))
            .env("APPCRED_COMPLETE", shell)
            .env("_CLAP_COMPLETE_INDEX", "3")
            .args(["--", "appcred", "plan", "--domain", "g"])
            .run();
        assert!(
            ran.stdout.starts_with("google") && ran.stdout.contains("Google"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn each_verb_has_a_man_page_that_renders_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    Appcred::new().args(["man", at]).stdout("").stderr("").run();
    let help = Appcred::new().args(["--help"]).run().stdout;
    let listed = help.split_once("Commands:\n").unwrap().1.lines();
    let verbs = listed.take_while(|line| !line.is_empty());
    let verbs = verbs.filter_map(|line| {
        line.strip_prefix("  ")?
            .split(' ')
            .next()
            .filter(|verb| !verb.is_empty() && *verb != "help")
    });
    let mut expected: Vec<String> = verbs.map(|verb| format!("appcred-{verb}.1")).collect();
    expected.push("appcred.1".to_owned());
    expected.sort();
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
    let mut pages: Vec<String> =
        files.map(|file| file.file_name().into_string().unwrap()).collect();
    pages.sort();
    assert_eq!(pages, expected);
    let plan = fs::read_to_string(folder.path().join("appcred-plan.1")).unwrap();
    assert!(plan.contains(".SH DESCRIPTION") && plan.contains("detailed\\-exitcode"), "{plan}");
    for page in pages {
        let file = folder.path().join(&page);
        let Ok(Output { status, stderr, .. }) = Command::new("groff")
            .args(["-man", "-Tutf8", "-Kutf8", "-ww", "-z"])
            .arg(&file)
            .output()
        else {
            // Not every machine has it; what is above holds everywhere.
            return;
        };
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success() && said.is_empty(), "{page}: {said}");
    }
}
