//! A real OpenBao, the free successor of HashiCorp Vault, with the same protocol: keys of its transit engine, and secrets.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::port::free_port;
use super::process::Process;

const BAO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/openbao/current/bin/bao");
const LONGEST_START: Duration = Duration::from_secs(60);
/// Ends the server when the test run ends, and itself when the server does.
const GUARD: &str = r#"("$@"; kill $$) & cat >/dev/null; kill -- -$$"#;
/// Who may do all.
const ROOT_TOKEN: &str = "m4rk3d-root-token";

/// A server that keeps all in memory, gone when dropped.
pub(crate) struct OpenBao {
    // Dropped before the folder.
    _process: Process,
    address: String,
    home: TempDir,
}

impl OpenBao {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let listen = format!("127.0.0.1:{}", two_ports());
        let home = tempfile::Builder::new().prefix("appcred-openbao-").tempdir().unwrap();
        let mut process = Process::spawn(
            Command::new("sh")
                .args(["-c", GUARD, "sh", BAO, "server", "-dev", "-dev-no-store-token"])
                .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
                .arg(format!("-dev-listen-address={listen}"))
                .env("HOME", home.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let address = format!("http://{listen}");
        let begin = Instant::now();
        while !command(&address, &home).arg("status").output().is_ok_and(|it| it.status.success()) {
            let is_late = begin.elapsed() > LONGEST_START || process.ended().is_some();
            assert!(!is_late, "{BAO} does not start; `tests/run` brings it");
            thread::sleep(Duration::from_millis(50));
        }
        let server = Self { _process: process, address, home };
        server.run(&["secrets", "enable", "transit"]);
        server
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn root_token(&self) -> &'static str {
        ROOT_TOKEN
    }

    /// Runs its own program as who may do all, and gives what that prints.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let ran = command(&self.address, &self.home).args(words).output().unwrap();
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// A token that may do this with one path, and nothing else.
    #[track_caller]
    pub(crate) fn token(&self, path: &str, may: &str) -> String {
        let file = self.home.path().join("policy.hcl");
        std::fs::write(&file, format!("path \"{path}\" {{ capabilities = [\"{may}\"] }}\n"))
            .unwrap();
        self.run(&["policy", "write", may, file.to_str().unwrap()]);
        self.run(&["token", "create", "-field=token", &format!("-policy={may}")])
    }

    /// Its own program, for a source of secrets.
    pub(crate) fn program() -> &'static str {
        BAO
    }
}

/// The first of two ports that are side by side: the server listens at the second one for others of its kind.
fn two_ports() -> u16 {
    loop {
        let first = free_port();
        if free_port() == first + 1 {
            return first;
        }
    }
}

fn command(address: &str, home: &TempDir) -> Command {
    let mut command = Command::new(BAO);
    command.env_clear().env("HOME", home.path());
    command.env("BAO_ADDR", address).env("BAO_TOKEN", ROOT_TOKEN);
    command
}
