//! How each run ends by a signal, also as the first process of a container.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::shell::Project;

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
