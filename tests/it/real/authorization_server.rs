//! Authorization servers on loopback, each with one client, `known`, and one redirect URI.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use super::process::Process;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A server. Gone when dropped.
pub(crate) struct AuthorizationServer {
    /// Its authorize endpoint.
    pub(crate) url: String,
    _process: Process,
    _output: BufReader<ChildStdout>,
}

impl AuthorizationServer {
    /// `oidc-provider` of npm: all is checked before login.
    #[track_caller]
    pub(crate) fn oidc_provider(redirect_uri: &str) -> Self {
        Self::of_npm("oidc_provider.mjs", redirect_uri)
    }

    /// `@node-oauth/oauth2-server` of npm: all is checked before login.
    #[track_caller]
    pub(crate) fn node_oauth2_server(redirect_uri: &str) -> Self {
        Self::of_npm("node_oauth2_server.mjs", redirect_uri)
    }

    /// `django-oauth-toolkit` of PyPI: nothing is checked before login.
    #[track_caller]
    pub(crate) fn django_toolkit(redirect_uri: &str) -> Self {
        let python = brought("python/current/bin/python");
        let mut command = Command::new(python);
        Self::start(command.args(["-B", "-P"]).arg(program("django_toolkit.py")).arg(redirect_uri))
    }

    #[track_caller]
    fn of_npm(name: &str, redirect_uri: &str) -> Self {
        let mut command = Command::new("node");
        command.current_dir(brought("npm/current")).arg(program(name)).arg(redirect_uri);
        Self::start(&mut command)
    }

    #[track_caller]
    fn start(command: &mut Command) -> Self {
        let quiet = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::spawn(quiet);
        let mut output = process.output();
        let mut url = String::new();
        output.read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{quiet:?} does not start");
        Self { url: url.trim_end().to_owned(), _process: process, _output: output }
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/real/authorization_servers").join(name)
}

#[track_caller]
fn brought(path: &str) -> PathBuf {
    let path = Path::new(ROOT).join("target/authorization_servers").join(path);
    assert!(path.exists(), "there are no authorization servers to test with: run tests/run");
    path
}
