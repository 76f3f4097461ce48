//! How each run ends by a signal: also as the first process of a container, and where it was started to ignore some.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::shell::{Appcred, Project, Terminal, age_identity, encrypt};

const PROGRAM: &str = env!("CARGO_BIN_EXE_appcred");

/// A project whose Home Assistant never answers.
fn of_silent(server: &TcpListener) -> Project {
    let address = server.local_addr().unwrap();
    let project = format!(
        "owner: us\nallow_plaintext: true\ntargets: {{home: {{url: \"http://{address}\", token: abc}}}}\n"
    );
    Project::new()
        .file("appcred.yaml", &project)
        .file("credentials.yaml", "application_credentials: []\n")
}

/// The children of a process.
fn children(of: u32) -> Vec<Pid> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    children.split_whitespace().map(|id| Pid::from_raw(id.parse().unwrap()).unwrap()).collect()
}

#[test]
fn the_first_process_of_a_container_ends_by_a_signal() {
    for (signal, status) in
        [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)]
    {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let project = of_silent(&server);
        let user = ["--user", "--map-root-user"].into_iter().filter(|_| !geteuid().is_root());
        let mut outside: Child = Command::new("/usr/bin/env")
            .args(["--default-signal", "unshare"])
            .args(user)
            .args(["--pid", "--fork", "--mount-proc", "--kill-child", PROGRAM, "plan"])
            .current_dir(project.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        drop(server.accept().map(std::mem::forget));
        let [first] = children(outside.id())[..] else { panic!("it has one child") };
        kill_process(first, signal).unwrap();
        assert_eq!(outside.wait().unwrap().code(), Some(status), "{signal:?}");
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_so() {
    // One that listens to none of them, and a daemon.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let project = of_silent(&server).file("ignoring", "trap '' HUP INT; exec \"$@\"\n");
    for verb in [&["plan"][..], &["watch", "--listen=off"]] {
        let appcred = Appcred::new().in_dir(project.path()).args(verb);
        let ignoring = project.join("ignoring");
        let running = appcred.under(Path::new("/bin/sh"), ignoring.to_str().unwrap()).spawn();
        drop(server.accept().map(std::mem::forget));
        let ignored = || {
            let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap()
        };
        for signal in [Signal::HUP, Signal::INT] {
            assert_eq!(ignored() >> (signal.as_raw() - 1) & 1, 1, "{verb:?} {signal:?}");
            running.signal(signal);
        }
        running.signal(Signal::TERM);
        let ran = running.finish();
        assert_eq!(ran.status, if verb.len() == 1 { None } else { Some(0) }, "{}", ran.stderr);
    }
}

#[test]
fn a_terminal_that_hangs_up_ends_no_question_under_nohup() {
    let (identity, recipient) = age_identity();
    let armored = encrypt("m4rk3d", &recipient).trim_end().replace('\n', "\n      ");
    let entry = format!(
        "application_credentials:\n  - domain: spotify\n    key: one\n    client_id: one\n    client_secret: |\n      {armored}\n"
    );
    let text = format!(
        "owner: us\nage: {{recipients: [{recipient}]}}\ntargets: {{t: {{config_dir: t}}}}\n"
    );
    let project = Project::new().file("appcred.yaml", &text).file("credentials.yaml", &entry);
    fs::create_dir(project.join("t")).unwrap();
    for (words, question, answer) in
        [("rotate one", "(not shown): ", "m4rk3d-two\n"), ("apply", "[y/N]", "y\n")]
    {
        let line =
            format!("sh -c 'trap \"\" HUP; echo $$ > id; exec {PROGRAM} {words}'\necho status=$?");
        let mut terminal = Terminal::run(&line, project.path(), [("SOPS_AGE_KEY", &*identity)]);
        terminal.until(question);
        let id = fs::read_to_string(project.join("id")).unwrap();
        kill_process(Pid::from_raw(id.trim().parse().unwrap()).unwrap(), Signal::HUP).unwrap();
        terminal.type_in(answer);
        terminal.until("status=");
        let said = terminal.finish();
        assert!(said.contains("status=0"), "{words}: {said}");
    }
}
