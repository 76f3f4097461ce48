//! A real reverse proxy before Home Assistant, as people have one: nginx or Caddy of Debian.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::port::is_open;
use super::process::Process;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LONGEST_START: Duration = Duration::from_secs(60);
/// Ends the server when the test run ends, and itself when the server does.
const GUARD: &str = r#"("$@"; kill $$) & cat >/dev/null; kill -- -$$"#;

/// What nginx passes on to Home Assistant, WebSockets included.
pub(crate) const PASS: &str = "\
proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection \"upgrade\";
";

/// A reverse proxy, gone when dropped.
pub(crate) struct ReverseProxy {
    // Dropped before the folder.
    process: Option<Process>,
    command: Vec<String>,
    port: u16,
    folder: TempDir,
}

impl ReverseProxy {
    /// nginx with these `server` blocks, one of which listens on the port.
    #[track_caller]
    pub(crate) fn nginx(port: u16, servers: &str) -> Self {
        let (program, folder) = (program("usr/sbin/nginx"), folder());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let text = format!(
            "daemon off;\nmaster_process off;\npid {};\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{servers}}}\n",
            at("pid")
        );
        fs::write(folder.path().join("nginx.conf"), text).unwrap();
        let command =
            [program, "-e".to_owned(), "stderr".to_owned(), "-c".to_owned(), at("nginx.conf")];
        Self::start(command.into(), port, folder)
    }

    /// Caddy with this site, which listens on the port.
    #[track_caller]
    pub(crate) fn caddy(port: u16, site: &str) -> Self {
        let (program, folder) = (program("usr/bin/caddy"), folder());
        let file = folder.path().join("Caddyfile");
        fs::write(&file, format!("{{\nadmin off\nauto_https off\n}}\n{site}")).unwrap();
        let file = file.display().to_string();
        let words = ["run", "--adapter", "caddyfile", "--config", &file].map(str::to_owned);
        Self::start([program].into_iter().chain(words).collect(), port, folder)
    }

    #[track_caller]
    fn start(command: Vec<String>, port: u16, folder: TempDir) -> Self {
        let mut proxy = Self { process: None, command, port, folder };
        proxy.start_again();
        proxy
    }

    /// Ends it, with all its connections.
    pub(crate) fn stop(&mut self) {
        drop(self.process.take().expect("the proxy runs"));
    }

    /// Starts it after a [`stop`](Self::stop).
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        let log = self.folder.path().join("log");
        let mut process = Process::spawn(
            Command::new("sh")
                .args(["-c", GUARD, "sh"])
                .args(&self.command)
                .env("HOME", self.folder.path())
                .env("XDG_DATA_HOME", self.folder.path())
                .stdout(Stdio::null())
                .stderr(File::create(&log).unwrap()),
        );
        let begin = Instant::now();
        while !is_open(self.port) {
            let is_late = begin.elapsed() > LONGEST_START;
            if is_late || process.ended().is_some() {
                panic!("the proxy does not start: {}", fs::read_to_string(&log).unwrap());
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.process = Some(process);
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("appcred-proxy-").tempdir().unwrap()
}

#[track_caller]
fn program(path: &str) -> String {
    let program: PathBuf = Path::new(ROOT).join("target/proxies/current").join(path);
    assert!(program.exists(), "there is no reverse proxy to test with: run tests/run");
    program.display().to_string()
}
