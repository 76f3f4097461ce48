//! Replicas of the controller at many Home Assistants, with a real API server: how soon all is as declared, what a replica
//! takes, what is written at rest, and how soon others act for the Home Assistants of a replica that is killed.
//!
//! `tests/run --no-run && cargo build --release --manifest-path benches/floors/Cargo.toml`, and then
//! `cargo bench --bench cluster --features kubernetes [-- INSTANCES REPLICAS SHARDS]`. The Home Assistants are fakes that hold one
//! connection each; they and the API server run on the same machine.
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at what it cannot do"
)]

#[allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the fixture of the tests, of which a bench needs a part"
)]
#[path = "../tests/it/real/mod.rs"]
mod real;
mod usage;

use std::fmt::Write as _;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use real::{Cluster, Process};
use usage::{processor_time, resident};

const NAMESPACE: &str = "smart-home";
/// So many objects are created at once.
const AT_ONCE: usize = 500;
/// For how long nothing is to be written.
const AT_REST: Duration = Duration::from_secs(60);
/// The longest that anything may take.
const NEVER: Duration = Duration::from_secs(1800);

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse().ok());
    let mut number = |otherwise: usize| numbers.next().unwrap_or(otherwise);
    let (houses, count, shards) = (number(10_000), number(3), number(32));
    let fakes = Fakes::start(houses);
    let cluster = declared(houses, fakes.port);
    println!("{houses} Home Assistants, {count} replicas, {shards} shards");
    let begun = Instant::now();
    let start = || replica(&cluster, shards);
    let mut replicas: Vec<Process> = (0..count).map(|_| start()).collect();
    fakes.wait("all hold it", begun, |counts| counts["holding"] == houses);
    wait("all is written back", begun, || {
        let status = cluster.get("acred/all")["status"].clone();
        status["targets"]["synced"] == houses && status["conditions"][0]["status"] == "True"
    });
    thread::sleep(AT_REST);
    let (versions, before) = (versions(&cluster), processor_of(&replicas));
    thread::sleep(AT_REST);
    let spent = (processor_of(&replicas) - before) / AT_REST.as_secs_f64();
    let written = versions.iter().zip(&self::versions(&cluster)).filter(|(a, b)| a != b).count();
    println!(
        "at rest for a minute: {written} objects written, {:.2} % of a core for all replicas",
        spent * 100.0
    );
    for (at, replica) in replicas.iter().enumerate() {
        println!("replica {at}: {:.0} MiB", resident(replica.id()) / 1024.0);
    }
    if count == 1 {
        return;
    }
    let created = fakes.counts()["created"].clone();
    let begun = Instant::now();
    drop(replicas.remove(0));
    thread::sleep(Duration::from_secs(1));
    let lost = houses
        - fakes.counts()["connected"].as_u64().and_then(|of| usize::try_from(of).ok()).unwrap();
    println!("a replica with {lost} of them is killed");
    let rest = houses - lost;
    fakes.wait("the first one is connected to again", begun, |counts| {
        counts["connected"].as_u64() > u64::try_from(rest).ok()
    });
    fakes.wait("all are", begun, |counts| counts["connected"] == houses);
    println!(
        "created since: {}",
        fakes.counts()["created"].as_u64().unwrap() - created.as_u64().unwrap()
    );
}

/// A cluster that declares one credential for so many Home Assistants.
fn declared(houses: usize, port: u16) -> Cluster {
    let cluster = Cluster::start();
    cluster.kubectl(["create", "namespace", NAMESPACE]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes/crds.yaml");
    cluster.apply(&std::fs::read_to_string(file).unwrap());
    wait("the definitions are in force", Instant::now(), || {
        cluster.try_kubectl(["get", "appcred"], "").is_ok()
    });
    let mut all = String::from(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: all}\nstringData: {token: t0k3n, secret: s3cr3t-of-all}\n---\n",
    );
    all += "apiVersion: appcred.io/v1alpha1\nkind: ApplicationCredential\nmetadata: {name: all}\nspec:\n  domain: spotify\n  clientId: all\n  clientSecretRef: {name: all, key: secret}\n  targetSelector: {}\n  integration: {setup: false}\n---\n";
    for number in 0..houses {
        write!(
            all,
            "apiVersion: appcred.io/v1alpha1\nkind: HomeAssistant\nmetadata: {{name: house-{number}}}\nspec: {{url: \"http://127.0.0.1:{port}/{number}\", tokenSecretRef: {{name: all, key: token}}}}\n---\n"
        )
        .unwrap();
        if number % AT_ONCE == AT_ONCE - 1 || number == houses - 1 {
            let some = std::mem::take(&mut all);
            cluster.try_kubectl(["create", "--validate=false", "-f", "-"], &some).unwrap();
        }
    }
    cluster
}

fn replica(cluster: &Cluster, shards: usize) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appcred"));
    command.args(["controller", "--namespace", NAMESPACE, "--listen", "off"]);
    command.args(["--shards", &shards.to_string(), "--kubeconfig"]);
    command.arg(cluster.kubeconfig("admin")).stdout(Stdio::null()).stderr(Stdio::null());
    Process::spawn(&mut command)
}

fn processor_of(replicas: &[Process]) -> f64 {
    replicas.iter().map(|replica| processor_time(replica.id())).sum()
}

/// The versions of all objects, in order.
fn versions(cluster: &Cluster) -> Vec<String> {
    let path = "-ojsonpath={.items[*].metadata.resourceVersion}";
    cluster.kubectl(["get", "hass,acred", path]).split(' ').map(str::to_owned).collect()
}

#[track_caller]
fn wait(what: &str, begun: Instant, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        assert!(begun.elapsed() < NEVER, "{what}: never");
        thread::sleep(Duration::from_millis(250));
    }
    println!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
}

/// Fakes of Home Assistants, in one process.
struct Fakes {
    _process: Process,
    port: u16,
}

impl Fakes {
    fn start(count: usize) -> Self {
        let floors = "benches/floors/target/release/floors";
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(floors));
        command.args(["houses", &count.to_string()]).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let mut line = String::new();
        process.output().read_line(&mut line).unwrap();
        Self { port: line.trim().parse().unwrap(), _process: process }
    }

    /// How many are how.
    fn counts(&self) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"GET /counts HTTP/1.1\r\nhost: fakes\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    #[track_caller]
    fn wait(&self, what: &str, begun: Instant, is_so: impl Fn(&Value) -> bool) {
        wait(what, begun, || is_so(&self.counts()));
    }
}
