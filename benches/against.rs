//! `appcred plan --against` a snapshot, without a key, over reading and parsing the same files alone.
//!
//! `cargo bench --bench against [-- 10000]`
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at what it cannot do"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use appcred::manifest::{LoadRequest, load};

/// How much longer a plan may take than reading and parsing alone.
const LIMIT: f64 = 1.2;
const ENTRIES_A_FILE: usize = 100;
const ROUNDS: usize = 15;
/// By this argument the bench runs itself to do nothing but read and parse.
const BARE: &str = "--bare";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = arguments.as_slice()
        && flag == BARE
    {
        read(Path::new(folder));
        return;
    }
    let sizes: Vec<usize> = arguments.iter().filter_map(|size| size.parse().ok()).collect();
    println!("best of {ROUNDS} rounds, both sides in turn, each a process of its own");
    for size in if sizes.is_empty() { vec![10_000] } else { sizes } {
        let folder = tempfile::tempdir().unwrap();
        write_project(folder.path(), size);
        let (mut bare, mut plan) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            bare = bare.min(run(Command::new(std::env::current_exe().unwrap())
                .arg(BARE)
                .arg(folder.path())));
            plan = plan.min(run(appcred(folder.path()).args([
                "plan",
                "--detailed-exitcode",
                "--against",
                "snapshot.json",
            ])));
        }
        let ratio = plan.as_secs_f64() / bare.as_secs_f64();
        let verdict = if ratio <= LIMIT { "ok" } else { "TOO SLOW" };
        println!(
            "{size:>7} entries: reading and parsing {:>7.4} s, plan {:>7.4} s, ratio {ratio:.2} (limit {LIMIT}) {verdict}",
            bare.as_secs_f64(),
            plan.as_secs_f64(),
        );
    }
}

fn appcred(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appcred"));
    command.current_dir(folder).env_clear();
    command
}

/// Reads and parses the manifests as appcred does, and the snapshot as JSON.
fn read(folder: &Path) {
    let loaded = load(&LoadRequest { folder: folder.to_owned(), home: None });
    assert!(!loaded.problems.has_errors());
    let text = fs::read_to_string(folder.join("snapshot.json")).unwrap();
    let snapshot: serde_json::Value = serde_json::from_str(&text).unwrap();
    std::hint::black_box((loaded, snapshot));
}

fn run(command: &mut Command) -> Duration {
    let start = Instant::now();
    let output = command.output().unwrap();
    let took = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}

/// All entries are in sync with the snapshot.
fn write_project(folder: &Path, size: usize) {
    let identity = Identity::generate();
    let recipient = identity.to_public();
    fs::write(folder.join("identity.txt"), identity.to_string().expose_secret()).unwrap();
    let project = "targets: {house: {config_dir: ha}}\nage: {identities: [identity.txt]}\n";
    fs::write(folder.join("appcred.yaml"), project).unwrap();
    fs::create_dir(folder.join("credentials")).unwrap();
    for first in (0..size).step_by(ENTRIES_A_FILE) {
        let mut text = "application_credentials:\n".to_owned();
        for number in first..(first + ENTRIES_A_FILE).min(size) {
            let secret = format!("the-secret-of-client-number-{number}");
            let armored = age::encrypt_and_armor(&recipient, secret.as_bytes()).unwrap();
            let armored = armored.trim_end().replace('\n', "\n      ");
            write!(text, "  - domain: spotify\n    name: Client {number}\n    client_id: client-{number}\n    client_secret: |\n      {armored}\n").unwrap();
        }
        fs::write(folder.join(format!("credentials/{first:07}.yaml")), text).unwrap();
    }
    for verb in [&["apply", "--yes"][..], &["snapshot", "-o", "snapshot.json"]] {
        run(appcred(folder).args(verb));
    }
    fs::remove_file(folder.join("identity.txt")).unwrap();
    fs::remove_dir_all(folder.join("ha")).unwrap();
}
