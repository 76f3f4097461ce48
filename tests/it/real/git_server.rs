//! Servers of Git on this machine: OpenSSH's, and `git http-backend` with TLS.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::port::{free_port, is_open};
use super::process::Process;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LONGEST_START: Duration = Duration::from_secs(60);
/// Ends the server when the test run ends.
const GUARD: &str = r#""$@" & cat >/dev/null; kill $!"#;

/// OpenSSH's server, which one key opens; gone when dropped.
pub(crate) struct SshServer {
    process: Option<Process>,
    port: u16,
    folder: TempDir,
}

impl SshServer {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("appcred-sshd-").tempdir().unwrap();
        let mut server = Self { process: None, port: free_port(), folder };
        server.new_key("key");
        fs::copy(server.join("key.pub"), server.join("authorized")).unwrap();
        server.new_host_key();
        fs::write(server.join("known_hosts"), server.host_key()).unwrap();
        server
    }

    fn new_key(&self, name: &str) {
        let file = self.join(name);
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file);
        assert!(keygen.status().unwrap().success());
        fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }

    /// Starts it again as another machine.
    #[track_caller]
    pub(crate) fn new_host_key(&mut self) {
        drop(self.process.take());
        for name in ["host", "host.pub"] {
            let _none = fs::remove_file(self.join(name));
        }
        self.new_key("host");
        self.start_again();
    }

    /// Stops it, with all its connections.
    pub(crate) fn stop(&mut self) {
        drop(self.process.take().expect("the server runs"));
    }

    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        let program = Path::new(ROOT).join("target/openssh/current/usr/sbin/sshd");
        assert!(program.exists(), "there is no OpenSSH server to test with: run tests/run");
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let at = |name: &str| self.join(name).display().to_string();
        let settings = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\nPidFile none\nMaxStartups 100\n",
            self.port,
            at("host"),
            at("authorized"),
        );
        fs::write(self.join("settings"), settings).unwrap();
        let log = self.join("log");
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).arg(program).args(["-D", "-e", "-f", &at("settings")]);
        self.process = Some(started(&mut command, self.port, &log));
    }

    /// The line of a file of known hosts.
    fn host_key(&self) -> String {
        let key = fs::read_to_string(self.join("host.pub")).unwrap();
        let words: Vec<_> = key.split(' ').take(2).collect();
        format!("[127.0.0.1]:{} {}\n", self.port, words.join(" "))
    }

    /// Its key as it is now is a known one.
    pub(crate) fn know_again(&self) {
        fs::write(self.join("known_hosts"), self.host_key()).unwrap();
    }

    /// The address of a repository on this machine.
    pub(crate) fn url(&self, repository: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.port, repository.display())
    }

    /// A file of it: `key` opens it, and `known_hosts` has its key.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A server for https, to who has the token; gone when dropped.
pub(crate) struct GitHttps {
    _process: Process,
    port: u16,
    folder: TempDir,
}

impl GitHttps {
    /// Serves the repositories below a folder.
    #[track_caller]
    pub(crate) fn start(repositories: &Path, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("certificate"), made.cert.pem()).unwrap();
        fs::write(at("key"), made.signing_key.serialize_pem()).unwrap();
        let port = free_port();
        let mut command = Command::new("python3");
        command.arg(Path::new(ROOT).join("tests/real/openssh/git_http.py"));
        command.arg(port.to_string()).arg(repositories);
        command.args([at("certificate"), at("key")]).arg(token);
        let process = started(&mut command, port, &at("log"));
        Self { _process: process, port, folder }
    }

    pub(crate) fn url(&self, repository: &str) -> String {
        format!("https://localhost:{}/{repository}", self.port)
    }

    /// The certificate that it shows.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate")
    }
}

/// Starts a server and waits until it listens.
#[track_caller]
fn started(command: &mut Command, port: u16, log: &Path) -> Process {
    command.stdout(Stdio::null()).stderr(File::create(log).unwrap());
    let mut process = Process::spawn(command);
    let begin = Instant::now();
    while !is_open(port) {
        let is_late = begin.elapsed() > LONGEST_START;
        if is_late || process.ended().is_some() {
            panic!("the server does not start: {}", fs::read_to_string(log).unwrap());
        }
        thread::sleep(Duration::from_millis(10));
    }
    process
}
