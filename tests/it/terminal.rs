//! What a person at a terminal sees: in a real one of any width, with a real pager.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use unicode_width::UnicodeWidthStr;

use crate::shell::{Appcred, Project, Terminal, age_identity, encrypt};

const PROGRAM: &str = env!("CARGO_BIN_EXE_appcred");
const WIDTHS: [usize; 3] = [40, 80, 200];

/// A manifest of so many entries. Every third one has a name of wide characters.
fn manifest(entries: usize) -> String {
    let domains = ["spotify", "google", "home_connect", "google_assistant_sdk"];
    let entry = |number: usize| {
        let name = match number % 3 {
            0 => format!("家族のカレンダー {number}"),
            1 => format!("Anna and Bert 👪 {number}"),
            _ => format!("The office {number}"),
        };
        let domain = domains[number % domains.len()];
        format!(
            "  - {{domain: {domain}, key: entry-{number:03}, name: {name}, client_id: client-{number:03}, client_secret: !env_var S}}\n"
        )
    };
    let entries: String = (0..entries).map(entry).collect();
    format!("application_credentials:\n{entries}")
}

fn project(entries: usize, targets: usize) -> Project {
    let targets = (0..targets).map(|at| format!("  t{at:03}: {{config_dir: t{at:03}}}\n"));
    Project::new()
        .file("appcred.yaml", &format!("owner: us\ntargets:\n{}", targets.collect::<String>()))
        .file("credentials.yaml", &manifest(entries))
}

fn at(project: &Project, words: &str) -> Appcred {
    let appcred = Appcred::new().in_dir(project.path()).env("S", "4f5c0a8e9b7d6c5a");
    appcred.args(words.split(' '))
}

/// The lines that a terminal of this width shows, without colours.
#[track_caller]
fn shown(run: Appcred, width: usize, status: i32) -> Vec<String> {
    let run = run.on_terminal_after(&format!("stty rows 60000 cols {width}; ")).status(status);
    let shown = anstream::adapter::strip_str(&run.run().stdout).to_string();
    shown.split(['\r', '\n']).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A number before these words.
#[track_caller]
fn number(lines: &[String], words: &str) -> usize {
    let line = lines.iter().rev().find(|line| line.contains(words)).unwrap();
    let before = line.split(words).next().unwrap().trim();
    before.rsplit(|mark: char| !mark.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn no_table_is_wider_than_the_terminal_and_no_key_is_cut() {
    for (entries, targets) in [(1, 1), (20, 3), (200, 1), (1, 300)] {
        let project = project(entries, targets);
        for width in WIDTHS {
            let lines = shown(at(&project, "list"), width, 0);
            for line in &lines {
                let is_sentence = line.starts_with('(') || line.starts_with("t0");
                assert!(is_sentence || line.width() <= width, "{width}: {line:?}");
            }
            let all = lines.join("\n");
            for number in 0..entries {
                let (key, id) = (format!("entry-{number:03}"), format!("client-{number:03}"));
                assert_eq!(all.matches(&key).count(), targets, "{width}: {key}\n{all}");
                let has_ids =
                    lines.iter().any(|line| !line.starts_with('(') && line.contains("CLIENT ID"));
                assert!(has_ids || width == 80, "{width}\n{all}");
                assert!(!has_ids || all.contains(&id), "{width}: {id}\n{all}");
            }
            let missing = lines.iter().filter(|line| line.ends_with("missing")).count();
            assert_eq!(missing, entries * targets, "{width}\n{all}");
        }
    }
}

#[test]
fn wide_characters_are_aligned() {
    let project = project(20, 1);
    for width in [80, 200] {
        let lines = shown(at(&project, "list"), width, 0);
        let head = lines.iter().find(|line| line.starts_with("KEY")).unwrap();
        let column = head[..head.find("STATE").unwrap()].width();
        for line in lines.iter().filter(|line| line.ends_with("missing")) {
            let state = line[..line.rfind("missing").unwrap()].width();
            assert_eq!(state, column, "{}", lines.join("\n"));
        }
    }
}

#[test]
fn the_totals_are_those_of_the_changes_and_every_sign_is_explained() {
    let help = Appcred::new().args(["plan", "--help"]).run().stdout;
    let sign_of = |line: &str| {
        let sign = line.get(..4).filter(|begin| begin.ends_with(' ')).map_or("", str::trim);
        let is_sign = !sign.is_empty() && sign.chars().all(|mark| "+-/~>^x!?".contains(mark));
        assert!(!is_sign || help.contains(&format!("`{sign}`")), "{sign} has no explanation");
        sign.to_owned()
    };
    let of =
        |lines: &[String], sign: &str| lines.iter().filter(|line| sign_of(line) == sign).count();
    for (entries, targets) in [(1, 1), (20, 3), (200, 1), (1, 300)] {
        let project = project(entries, targets);
        for width in WIDTHS {
            let full = shown(at(&project, "plan --verbose"), width, 0);
            assert_eq!(of(&full, "+"), entries * targets, "{}", full.join("\n"));
            assert_eq!(number(&full, "to create"), entries * targets);
            let brief = shown(at(&project, "plan --detailed-exitcode"), width, 2);
            assert_eq!(number(&brief, "to create"), entries * targets);
            if targets > 1 {
                assert!(full.last().unwrap().starts_with(&format!("Total of {targets} targets: ")));
            }
            if targets == 300 {
                assert_eq!(of(&brief, "+"), 1, "{}", brief.join("\n"));
                assert!(brief.iter().any(|line| line.starts_with("In 300 targets (t000, ")));
            }
        }
        let done = shown(at(&project, "apply --yes"), 40, 0);
        // Of many targets there is one line for all.
        let results: Vec<String> = match targets {
            300 => vec![done.last().unwrap().clone()],
            _ => done.iter().filter(|line| line.contains(" created, ")).cloned().collect(),
        };
        let created: usize =
            results.iter().map(|line| number(std::slice::from_ref(line), " created, ")).sum();
        assert_eq!(created, entries * targets, "{}", done.join("\n"));
        shown(at(&project, "plan --detailed-exitcode"), 40, 0);
    }

    let project = project(4, 1);
    shown(at(&project, "apply --yes"), 80, 0);
    let changed = manifest(4).replace("client-001", "client-9").replace("entry-002", "entry-009");
    let changed = changed.replace("client-002", "client-7");
    let changed = changed.replace("key: entry-003,", "key: entry-003, suspend: true,");
    project.write("credentials.yaml", &changed.replace("client-003", "client-8"));
    for width in WIDTHS {
        let lines = shown(at(&project, "plan"), width, 0);
        for (sign, words) in
            [("+", "to create"), ("-/+", "to replace"), ("-", "to delete"), ("!", "not done")]
        {
            assert_eq!(of(&lines, sign), 1, "{sign}: {}", lines.join("\n"));
            assert_eq!(number(&lines, words), 1, "{words}: {}", lines.join("\n"));
        }
    }
}

#[test]
fn doctor_and_verify_are_read_at_any_width() {
    let project = project(3, 3);
    for width in WIDTHS {
        let lines = shown(at(&project, "doctor"), width, 0);
        let ok = lines.iter().filter(|line| line.starts_with("ok ")).count();
        assert_eq!(number(&lines, "ok;"), ok, "{}", lines.join("\n"));
        assert!((0..3).all(|at| lines.contains(&format!("t00{at}"))), "{}", lines.join("\n"));
        // No provider is reached.
        let lines = shown(at(&project, "verify"), width, 0);
        let table = lines.iter().take_while(|line| !line.starts_with("unreachable: "));
        for line in table {
            assert!(line.starts_with('(') || line.width() <= width, "{width}: {line:?}");
        }
        for number in 0..3 {
            let key = format!("entry-00{number}");
            assert!(lines.iter().any(|line| line.contains(&key)), "{}", lines.join("\n"));
        }
    }
}

/// Each says by itself that there are to be no colours, and then there are no links either.
#[test]
fn colours_and_links_are_left_out_where_they_are_not_wanted() {
    let project = project(1, 1);
    project.write(
        "appcred.yaml",
        "owner: us\ntargets: {t: {url: \"http://127.0.0.1:9\", token: !env_var S}}\n",
    );
    let shown = |first: &str, words: &str| {
        let run = at(&project, words).env("FORCE_HYPERLINK", "1").status(1);
        run.on_terminal_after(&format!("stty rows 50 cols 80; {first} ")).run().stdout
    };
    for (first, words) in [
        ("NO_COLOR=1", "list"),
        ("TERM=dumb", "list"),
        ("CLICOLOR=0", "list"),
        ("", "list --color never"),
    ] {
        let plain = shown(first, words);
        assert!(!plain.contains('\x1b') && plain.contains("http://127.0.0.1:9"), "{plain:?}");
    }
    for (first, words) in
        [("", "list"), ("NO_COLOR=", "list"), ("NO_COLOR=1", "list --color always")]
    {
        let styled = shown(first, words);
        assert!(styled.contains("\x1b[1m") && styled.contains("\x1b]8;;http"), "{styled:?}");
    }
}

/// With `less`, as git starts it.
#[test]
fn the_pager_is_left_with_q_and_the_exit_status_stays() {
    let house = project(200, 1);
    let line = |words: &str| {
        format!("trap : INT; stty rows 12 cols 80; {PROGRAM} {words}; echo status=$?; stty -a")
    };
    let folder = house.path();
    let environment = [("S", "4f5c0a8e9b7d6c5a")];
    for words in ["plan --verbose --detailed-exitcode", "list"] {
        // Ctrl-C alone does not leave it, nor does it leave it alone.
        for keys in ["", " ", "\x03"] {
            let mut terminal = Terminal::run(&line(words), folder, environment);
            // The first page.
            terminal.until("entry-00");
            terminal.type_in(keys);
            let said = terminal.left_with("q");
            let status = if words == "list" { 0 } else { 2 };
            assert!(said.contains(&format!("status={status}\r\n")), "{words}, {keys:?}: {said}");
            assert!(!said.contains("error: ") && !said.contains("entry-199"), "{said}");
            assert!(said.contains(" echo ") && said.contains(" icanon "), "{said}");
        }
        // All at once.
        let whole = Terminal::run(&line(&format!("--no-pager {words}")), folder, environment);
        assert!(whole.finish().contains("entry-199"));
    }
    // Long lines fill it too.
    let one = project(1, 1);
    let line = format!("stty rows 12 cols 30; {PROGRAM} plan; echo status=$?");
    let mut terminal = Terminal::run(&line, one.path(), environment);
    terminal.until("create");
    let said = terminal.left_with("q");
    assert!(said.contains("status=0") && !said.contains("to delete"), "{said}");
}

#[test]
fn a_bar_of_progress_fits_into_the_terminal_whatever_the_target_is_called() {
    let name = "the-house-of-anna-and-bert-by-the-sea-with-the-long-name";
    for width in WIDTHS {
        let project = project(60, 1).file(
            "appcred.yaml",
            &format!("owner: us\ntargets: {{{name}: {{config_dir: a}}, b: {{config_dir: b}}}}\n"),
        );
        let line = format!("stty rows 24 cols {width}; {PROGRAM} apply --yes >/dev/null");
        let said = Terminal::run(&line, project.path(), [("S", "4f5c0a8e9b7d6c5a")]).finish();
        let plain = anstream::adapter::strip_str(&said).to_string();
        let bars: Vec<&str> =
            plain.split(['\r', '\n']).filter(|line| line.contains("/60")).collect();
        assert!(!bars.is_empty(), "{said:?}");
        for bar in bars {
            assert!(bar.trim_end().width() <= width && bar.contains(" ["), "{width}: {bar:?}");
        }
        // The longer name is cut in the same place, so that the bars begin in one column.
        assert!(
            plain.contains("the-house-of-ann [") || plain.contains("the-house-of-an… ["),
            "{plain}"
        );
    }
}

/// A project whose secrets are encrypted to this recipient.
fn encrypting(recipient: &impl Display) -> Project {
    let text = format!(
        "owner: us\ntargets: {{t: {{config_dir: t}}}}\nage: {{recipients: [{recipient}]}}\n"
    );
    Project::new().file("appcred.yaml", &text)
}

/// The same with one entry, `one`.
fn with_entry_one(recipient: &impl Display) -> Project {
    encrypting(recipient)
        .file("credentials.yaml", "application_credentials:\n  - {domain: google, key: one, client_id: one, client_secret: !secret one}\n")
        .file("secrets.yaml", "one: m4rk3d-secret\n")
}

#[test]
fn a_question_that_is_interrupted_ends_with_130_and_leaves_the_terminal_as_it_was() {
    let (identity, recipient) = age_identity();
    let project = with_entry_one(&recipient);
    for (words, question) in [
        ("add --domain spotify --client-id two --name two --key two", "(not shown): "),
        ("rotate one", "(not shown): "),
        ("add", "Integration"),
        ("add --domain spotify", "Name, as Home Assistant shows it"),
        ("apply", "[y/N] "),
    ] {
        interrupted(project.path(), &identity, words, question);
    }
}

#[test]
fn a_secret_that_is_typed_while_its_entry_is_renamed_is_put_nowhere_and_why_is_said() {
    let (identity, recipient) = age_identity();
    let secret = encrypt("m4rk3d-old", &recipient);
    let manifest = format!(
        "application_credentials:\n  - {{domain: google, key: one, client_id: one, client_secret: {secret:?}}}\n"
    );
    let project = encrypting(&recipient).file("credentials.yaml", &manifest);
    let line = format!("{PROGRAM} rotate one; echo status=$?");
    let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
    terminal.until("(not shown): ");
    project.write("credentials.yaml", &manifest.replace("key: one", "key: two"));
    terminal.type_in("m4rk3d-new\n");
    let said = terminal.finish();
    let why = "the entry `one` was renamed, moved or changed meanwhile";
    assert!(said.contains(why) && said.contains("status=1"), "{said}");
    let now = fs::read_to_string(project.join("credentials.yaml")).unwrap();
    assert_eq!(now, manifest.replace("key: one", "key: two"));
}

#[test]
fn a_secret_is_encrypted_to_the_recipients_that_the_project_has_once_it_is_typed() {
    let (identity, recipient) = age_identity();
    let both = format!("{recipient}, {}", age_identity().1);
    let secret = encrypt("m4rk3d-old", &recipient);
    let manifest = format!(
        "application_credentials:\n  - {{domain: google, key: one, client_id: one, client_secret: {secret:?}}}\n"
    );
    for words in ["add --domain spotify --client-id two --name two", "rotate one"] {
        let project = encrypting(&both).file("credentials.yaml", &manifest);
        let line = format!("{PROGRAM} {words}; echo status=$?");
        let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
        terminal.until("(not shown): ");
        let text = fs::read_to_string(project.join("appcred.yaml")).unwrap();
        project.write("appcred.yaml", &text.replace(&both, &recipient.to_string()));
        terminal.type_in("m4rk3d-new\n");
        let said = terminal.finish();
        assert!(said.contains("status=0"), "{said}");
        let left = Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &identity);
        let left = left.args(["validate"]).run().stderr;
        assert!(!left.contains("recipient"), "{words}: {left}");
    }
}

#[test]
fn an_import_whose_recipients_change_before_it_is_agreed_to_writes_nothing() {
    let (identity, recipient) = age_identity();
    let both = format!("{recipient}, {}", age_identity().1);
    let project = encrypting(&both)
        .file("t/.storage/core.config_entries", r#"{"version": 1, "data": {"entries": []}}"#)
        .file(
            "t/.storage/application_credentials",
            r#"{"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": [{"id": "spotify_a", "domain": "spotify", "client_id": "a", "client_secret": "m4rk3d-1", "auth_domain": null, "name": "A"}]}}"#,
        );
    let line = format!("{PROGRAM} import; echo status=$?");
    let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
    terminal.until("[y/N] ");
    let text = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    project.write("appcred.yaml", &text.replace(&both, &recipient.to_string()));
    terminal.type_in("y\n");
    let said = terminal.finish();
    assert!(said.contains("was changed meanwhile") && said.contains("status=1"), "{said}");
    assert!(!project.join("credentials").exists(), "{said}");
    let again = Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &identity);
    again.args(["import", "--yes"]).run();
    assert!(project.join("credentials/spotify.yaml").exists());
}

#[test]
fn a_secret_that_is_typed_while_its_project_breaks_is_put_nowhere() {
    let (identity, recipient) = age_identity();
    for words in ["add --domain spotify --client-id two --name two", "rotate one"] {
        let project = with_entry_one(&recipient);
        let line = format!("{PROGRAM} {words}; echo status=$?");
        let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
        terminal.until("(not shown): ");
        project.write("appcred.yaml", "owner: us\nage: {recipients: [age1wrong]}\n");
        terminal.type_in("m4rk3d-new\n");
        let said = terminal.finish();
        assert!(said.contains("status=1") && said.contains("is not an age recipient"), "{said}");
        for file in ["credentials.yaml", "secrets.yaml"] {
            let now = fs::read_to_string(project.join(file)).unwrap();
            assert!(!now.contains("two") && !now.contains("m4rk3d-new"), "{words}: {now}");
        }
    }
}

#[test]
fn a_secret_that_is_typed_while_its_entry_names_another_is_put_nowhere() {
    let (identity, recipient) = age_identity();
    let project = with_entry_one(&recipient).file("secrets.yaml", "one: m4rk3d-1\ntwo: m4rk3d-2\n");
    let line = format!("{PROGRAM} rotate one; echo status=$?");
    let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
    terminal.until("(not shown): ");
    let manifest = fs::read_to_string(project.join("credentials.yaml")).unwrap();
    project.write("credentials.yaml", &manifest.replace("!secret one", "!secret two"));
    terminal.type_in("m4rk3d-new\n");
    let said = terminal.finish();
    let why = "the entry `one` was renamed, moved or changed meanwhile";
    assert!(said.contains(why) && said.contains("status=1"), "{said}");
    let kept = fs::read_to_string(project.join("secrets.yaml")).unwrap();
    assert_eq!(kept, "one: m4rk3d-1\ntwo: m4rk3d-2\n");
}

#[test]
fn what_is_refused_is_asked_for_again() {
    let (identity, recipient) = age_identity();
    let project = encrypting(&recipient);
    let line = format!("{PROGRAM} add --domain spotify; echo status=$?");
    let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
    for (question, answer) in [
        ("Name, as Home Assistant shows it", "\r"),
        ("Client id", "changeme\r"),
        ("Client id", "4f5c0a88\r"),
        ("(not shown): ", "changeme\n"),
        ("(not shown): ", "4f5c0a88\n"),
        ("(not shown): ", "9c27d01e5b8f4a36\n"),
    ] {
        terminal.until(question);
        terminal.type_in(answer);
    }
    let said = terminal.finish();
    assert!(said.contains("Added `spotify`") && said.contains("status=0"), "{said}");
}

/// A signal reaches it as well where none of its questions is open, or where one has just begun.
#[test]
fn an_interrupt_between_two_questions_adds_nothing_and_leaves_the_terminal_as_it_was() {
    let (identity, recipient) = age_identity();
    let project = encrypting(&recipient);
    let answers = [
        ("Integration", "spotify\r"),
        ("Name, as Home Assistant shows it", "\r"),
        ("Client id", "4f5c0a88\r"),
    ];
    let go = project.join("go");
    mknodat(CWD, &go, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let line = format!(
        "trap : INT\necho before=$(stty -g)\n(read -r _ < go; kill -INT $(cat id)) &\n\
         sh -c 'echo $$ > id; exec {PROGRAM} add'\necho status=$?\necho after=$(stty -g)"
    );
    // Where it is when the signal comes differs from time to time.
    for last in [0, 1, 2, 0, 1, 2, 0, 1, 2] {
        let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
        for (question, answer) in &answers[..=last] {
            terminal.until(question);
            terminal.type_in(answer);
        }
        fs::write(&go, "now\n").unwrap();
        let said = terminal.finish();
        check_interrupted(&said, "add");
        assert!(!project.join("credentials").exists(), "{said}");
    }
}

fn interrupted(folder: &Path, identity: &str, words: &str, question: &str) {
    // The shell goes on, as an interactive one does.
    let line = format!(
        "trap : INT\necho before=$(stty -g)\n{PROGRAM} {words}\necho status=$?\necho after=$(stty -g)"
    );
    let mut terminal = asked(&line, folder, [("SOPS_AGE_KEY", identity)], question);
    terminal.type_in("\x03");
    check_interrupted(&terminal.finish(), words);
}

/// A terminal whose settings were printed, and in which this is asked now.
#[track_caller]
fn asked<'e>(
    line: &str,
    folder: &Path,
    environment: impl IntoIterator<Item = (&'e str, &'e str)>,
    question: &str,
) -> Terminal {
    let mut terminal = Terminal::run(line, folder, environment);
    terminal.until("before=");
    terminal.until("\n");
    terminal.until(question);
    terminal
}

/// What each signal makes of a run that nobody has it finish, as a shell says it.
const ENDS: [(Signal, i32); 4] =
    [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131)];

#[test]
fn a_question_that_a_signal_ends_leaves_the_terminal_as_it_was() {
    let (identity, recipient) = age_identity();
    let project = with_entry_one(&recipient);
    let environment = [("SOPS_AGE_KEY", &*identity)];
    for (words, question) in [
        ("rotate one", "(not shown): "),
        ("add", "Integration"),
        ("add --domain spotify", "Name, as Home Assistant shows it"),
    ] {
        for (signal, status) in ENDS {
            ended(project.path(), environment, (words, question), signal, status);
        }
    }
}

#[test]
fn a_passphrase_that_a_signal_leaves_unasked_leaves_the_terminal_as_it_was() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/keys");
    let public = fs::read_to_string(format!("{keys}/ed25519-passphrase.pub")).unwrap();
    let recipient: age::ssh::Recipient = public.parse().unwrap();
    let secret = age::encrypt_and_armor(&recipient, b"x").unwrap().replace('\n', "\n      ");
    let manifest = format!(
        "application_credentials:\n  - domain: google\n    key: one\n    client_id: one\n    client_secret: |\n      {secret}\n"
    );
    let project = Project::new()
        .file("appcred.yaml", "owner: us\ntargets: {t: {config_dir: t}}\n")
        .file("credentials.yaml", &manifest);
    let key = format!("{keys}/ed25519-passphrase");
    let environment = [("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &*key)];
    for words in ["plan", "apply --yes", "list"] {
        for (signal, status) in ENDS {
            ended(project.path(), environment, (words, "assphrase"), signal, status);
        }
    }
    // A watcher listens to it, and says itself how it ends.
    let watch = ("watch --listen off", "assphrase");
    ended(project.path(), environment, watch, Signal::TERM, 0);
}

#[test]
fn an_editor_that_a_signal_ends_leaves_the_terminal_as_it_was() {
    let (identity, recipient) = age_identity();
    let project = encrypting(&recipient)
        .file("credentials.yaml", "application_credentials: []\n")
        .file("editor", "#!/bin/sh\nstty raw -echo\necho opened\nexec sleep 60\n");
    let environment = [("SOPS_AGE_KEY", &*identity), ("EDITOR", "sh ./editor")];
    for signal in [Signal::TERM, Signal::HUP] {
        ended(project.path(), environment, ("edit credentials.yaml", "opened"), signal, 1);
    }
}

/// Ends it by a signal from elsewhere while this is asked, or an editor is open.
#[track_caller]
fn ended<'e>(
    folder: &Path,
    environment: impl IntoIterator<Item = (&'e str, &'e str)>,
    (words, question): (&str, &str),
    signal: Signal,
    status: i32,
) {
    let line = format!(
        "echo before=$(stty -g)\nsh -c 'echo $$ > id; exec {PROGRAM} {words}'\necho status=$?\necho after=$(stty -g)"
    );
    let mut terminal = asked(&line, folder, environment, question);
    let id = fs::read_to_string(folder.join("id")).unwrap();
    kill_process(Pid::from_raw(id.trim().parse().unwrap()).unwrap(), signal).unwrap();
    // Whoever leaves the terminal ends its input, which would answer the question.
    terminal.until("after=");
    let said = terminal.finish();
    assert!(said.contains(&format!("status={status}\r\n")), "{words} {signal:?}: {said}");
    check_terminal(&said, words);
}

/// It has ended by Ctrl-C, and the terminal is as it was.
#[track_caller]
fn check_interrupted(said: &str, words: &str) {
    assert!(said.contains("status=130\r\n"), "{words}: {said}");
    assert!(words != "apply" || said.contains("\nNothing was changed.\r\n"), "{said}");
    check_terminal(said, words);
}

#[track_caller]
fn check_terminal(said: &str, words: &str) {
    let settings = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{words}: {said}")).trim().to_owned()
    };
    assert_eq!(settings("before="), settings("after="), "{words}");
    // A cursor that was hidden is shown again.
    assert!(said.rfind("\x1b[?25h") >= said.rfind("\x1b[?25l"), "{words}: {said:?}");
}

#[test]
fn an_empty_pager_is_none() {
    let house = project(200, 1);
    for variable in ["PAGER", "APPCRED_PAGER"] {
        let line = format!("stty rows 12 cols 80; {variable}= {PROGRAM} plan --verbose");
        let whole = Terminal::run(&line, house.path(), [("S", "4f5c0a8e9b7d6c5a")]).finish();
        assert!(whole.contains("entry-199"), "{variable}: {whole}");
    }
}
