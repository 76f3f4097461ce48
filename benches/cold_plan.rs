//! A cold `appcred plan` against a configuration folder, over the bare decryption of the same
//! secrets on the same cores; then time and memory at 1,000, 10,000 and 100,000 entries.
//!
//! `cargo bench --bench cold_plan [-- 10000]`
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at what it cannot do"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use age::{Decryptor, Encryptor, Recipient};

/// How much longer a cold plan may take than the decryption alone.
const LIMIT: f64 = 1.3;
const ENTRIES_A_FILE: usize = 100;
const ROUNDS: usize = 5;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let identity = Identity::generate();
    let cores = thread::available_parallelism().unwrap().get();
    println!("{cores} cores, best of {ROUNDS} rounds, both sides in turn");
    for size in if sizes.is_empty() { vec![1_000, 10_000, 100_000] } else { sizes } {
        let secrets = encrypt(&identity, size, cores);
        let folder = tempfile::tempdir().unwrap();
        write_project(folder.path(), &identity, &secrets);
        let (mut bare, mut plan) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            bare = bare.min(timed(|| decrypt(&identity, &secrets, cores)));
            plan = plan.min(timed(|| run_plan(folder.path(), size)));
        }
        let memory = peak_memory(folder.path());
        let ratio = plan.as_secs_f64() / bare.as_secs_f64();
        let verdict = if ratio <= LIMIT { "ok" } else { "TOO SLOW" };
        println!(
            "{size:>7} entries: decryption {:>7.3} s, plan {:>7.3} s, ratio {ratio:.2} (limit {LIMIT}) {verdict}; {:>6} KiB, {:.2} KiB an entry",
            bare.as_secs_f64(),
            plan.as_secs_f64(),
            memory,
            memory as f64 / size as f64,
        );
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The real command, cold.
fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appcred"));
    command.args(["-C", folder.to_str().unwrap(), "plan", "--format", "json"]).env_clear();
    command
}

fn run_plan(folder: &Path, size: usize) {
    let output = command(folder).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains(&format!("\"create\": {size}")), "the plan is not what was measured");
}

/// Its peak resident memory in KiB, by looking every 2 ms in a run of its own.
fn peak_memory(folder: &Path) -> u64 {
    let mut child = command(folder).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kibibytes.unwrap_or(0));
        thread::sleep(Duration::from_millis(2));
    }
    peak
}

fn encrypt(identity: &Identity, size: usize, cores: usize) -> Vec<String> {
    let recipient = identity.to_public();
    let one = |number: usize| {
        let recipients = std::iter::once(&recipient as &dyn Recipient);
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).unwrap();
        let mut output =
            Encryptor::with_recipients(recipients).unwrap().wrap_output(armor).unwrap();
        write!(output, "the-secret-of-client-number-{number}").unwrap();
        String::from_utf8(output.finish().unwrap().finish().unwrap()).unwrap()
    };
    let numbers: Vec<usize> = (0..size).collect();
    let one = &one;
    thread::scope(|scope| {
        let parts = numbers.chunks(size.div_ceil(cores));
        let handles: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(|n| one(*n)).collect::<Vec<_>>()))
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    })
}

fn decrypt(identity: &Identity, secrets: &[String], cores: usize) {
    let one = |armored: &String| {
        let file = Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).unwrap();
        let mut text = String::new();
        file.decrypt(std::iter::once(identity as &dyn age::Identity))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        std::hint::black_box(text);
    };
    let one = &one;
    thread::scope(|scope| {
        for part in secrets.chunks(secrets.len().div_ceil(cores)) {
            scope.spawn(move || part.iter().for_each(one));
        }
    });
}

fn write_project(folder: &Path, identity: &Identity, secrets: &[String]) {
    fs::write(folder.join("identity.txt"), identity.to_string().expose_secret()).unwrap();
    let project = "targets: {house: {config_dir: ha}}\nage: {identities: [identity.txt]}\n";
    fs::write(folder.join("appcred.yaml"), project).unwrap();
    fs::create_dir(folder.join("credentials")).unwrap();
    for (file, part) in secrets.chunks(ENTRIES_A_FILE).enumerate() {
        let mut text = "application_credentials:\n".to_owned();
        for (at, secret) in part.iter().enumerate() {
            let number = file * ENTRIES_A_FILE + at;
            let secret = secret.trim_end().replace('\n', "\n      ");
            write!(text, "  - domain: spotify\n    name: Client {number}\n    client_id: client-{number}\n    client_secret: |\n      {secret}\n").unwrap();
        }
        fs::write(folder.join(format!("credentials/{file:05}.yaml")), text).unwrap();
    }
}
