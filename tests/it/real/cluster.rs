//! A Kubernetes control plane of one's own for a test.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use serde_json::Value;
use tempfile::TempDir;

use super::port::{free_port, is_open};
use super::process::Process;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LONGEST_START: Duration = Duration::from_secs(180);
/// The group of those who may do everything.
const MASTERS: &str = "system:masters";

/// An API server with its store, gone when dropped.
pub(crate) struct Cluster {
    // Dropped before the folder.
    api_server: Option<Process>,
    etcd: Process,
    etcd_port: u16,
    port: u16,
    folder: TempDir,
}

/// A program of the control plane.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(ROOT).join("target/kubernetes/current/bin").join(name)
}

impl Cluster {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("appcred-cluster-").tempdir().unwrap();
        let (etcd_port, port) = (free_port(), free_port());
        give_certificates(folder.path(), port);
        let etcd = start_etcd(folder.path(), etcd_port);
        let mut new = Self { api_server: None, etcd, etcd_port, port, folder };
        new.start_again();
        new
    }

    /// Starts its API server, after a [`stop`](Self::stop).
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        let file = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(program("kube-apiserver"));
        command.arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port));
        command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
        command.args(["--endpoint-reconciler-type=none", "--authorization-mode=RBAC"]);
        command.arg("--service-cluster-ip-range=10.0.0.0/24");
        command.arg("--service-account-issuer=https://kubernetes.default.svc");
        command.arg(format!("--secure-port={}", self.port));
        for (option, name) in [
            ("client-ca-file", "ca.crt"),
            ("tls-cert-file", "server.crt"),
            ("tls-private-key-file", "server.key"),
            ("service-account-key-file", "accounts.pub"),
            ("service-account-signing-key-file", "accounts.key"),
            ("cert-dir", "certificates"),
        ] {
            command.arg(format!("--{option}={}", file(name).display()));
        }
        let log = File::create(file("apiserver.log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        let mut process = Process::spawn(&mut command);
        let is_ready =
            || self.command(["get", "--raw", "/readyz"]).output().unwrap().status.success();
        let is_up = wait_for(|| process.ended().is_some() || is_ready());
        let log = || fs::read_to_string(file("apiserver.log")).unwrap_or_default();
        assert!(is_up && process.ended().is_none(), "the API server does not start: {}", log());
        self.api_server = Some(process);
    }

    /// Kills its API server where it stands; what it stored stays.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        drop(self.api_server.take().expect("the API server runs"));
        assert!(self.etcd.ended().is_none());
    }

    /// A kubeconfig of this user, whose rights are what the cluster says.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.path().join(format!("{user}.kubeconfig"))
    }

    /// The address of its API server.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The same for one that reaches the API server at another address.
    pub(crate) fn kubeconfig_at(&self, user: &str, url: &str) -> PathBuf {
        let text = fs::read_to_string(self.kubeconfig(user)).unwrap();
        let place: String = url.chars().filter(char::is_ascii_alphanumeric).collect();
        let file = self.folder.path().join(format!("{user}_{place}.kubeconfig"));
        fs::write(&file, text.replace(&self.url(), url)).unwrap();
        file
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(program("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig("admin")).args(arguments);
        command.env("HOME", self.folder.path()).stdin(Stdio::piped());
        command
    }

    /// What kubectl prints, which must succeed.
    #[track_caller]
    pub(crate) fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        self.try_kubectl(arguments, "").unwrap()
    }

    /// Declares what this YAML says.
    #[track_caller]
    pub(crate) fn apply(&self, yaml: &str) -> String {
        // This server knows no CEL, and would refuse what has such rules.
        self.try_kubectl(["apply", "--validate=false", "-f", "-"], yaml).unwrap()
    }

    /// The same, or what kubectl says where it fails.
    pub(crate) fn try_kubectl<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        stdin: &str,
    ) -> Result<String, String> {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(format!("{command:?}: {}", text(output.stderr))),
        }
    }

    /// An object, or a list of them.
    #[track_caller]
    pub(crate) fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.kubectl(["get", what, "-o", "json"])).unwrap()
    }
}

fn wait_for(mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < LONGEST_START {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(100));
    }
    false
}

fn start_etcd(folder: &Path, port: u16) -> Process {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), free_port());
    let peer = format!("http://127.0.0.1:{peer}");
    let mut command = Command::new(program("etcd"));
    command.args(["--name", "test", "--data-dir"]).arg(folder.join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("test={peer}")]);
    let log = File::create(folder.join("etcd.log")).unwrap();
    command.stdout(Stdio::null()).stderr(log);
    let process = Process::spawn(&mut command);
    assert!(wait_for(|| is_open(port)), "etcd does not start");
    process
}

/// An authority, the server's certificate, those of two users, and a kubeconfig for each of them.
fn give_certificates(folder: &Path, port: u16) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    write("ca.crt", &authority.pem());
    let accounts = KeyPair::generate().unwrap();
    write("accounts.key", &accounts.serialize_pem());
    write("accounts.pub", &accounts.public_key_pem());
    let users = [("server", "", true), ("admin", MASTERS, false), ("appcred", "", false)];
    for (name, group, is_server) in users {
        let names = if is_server { vec!["127.0.0.1".to_owned()] } else { Vec::new() };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        if !group.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![match is_server {
            true => ExtendedKeyUsagePurpose::ServerAuth,
            false => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        write(&format!("{name}.crt"), &certificate.pem());
        write(&format!("{name}.key"), &key.serialize_pem());
        let file = |name: String| folder.join(name).display().to_string();
        let (authority, certificate, key) =
            (file("ca.crt".to_owned()), file(format!("{name}.crt")), file(format!("{name}.key")));
        write(
            &format!("{name}.kubeconfig"),
            &format!(
                "\
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: {name}, namespace: smart-home}}}}]
clusters: [{{name: test, cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority: {authority}}}}}]
users: [{{name: {name}, user: {{client-certificate: {certificate}, client-key: {key}}}}}]
"
            ),
        );
    }
}
