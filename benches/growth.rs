//! How the processor time of the verbs grows with the entries of a project, whose target is a configuration folder.
//!
//! `cargo bench --bench growth [-- 1000 10000]`
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at what it cannot do"
)]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// With the number of entries raised to this, time may grow from one size to the next.
const LIMIT: f64 = 1.1;
/// Runs are repeated up to this time, since it is counted in clock ticks.
const MEASURED_SECONDS: f64 = 0.5;
const STORE: &str = "ha/.storage/application_credentials";

/// What the entries say.
#[derive(Clone, Copy)]
enum Manifest {
    Plain,
    /// Each secret is in secrets.yaml.
    Named,
    Renamed,
    OnlyTheFirst,
}

/// A verb, on what manifest, and whether Home Assistant has the credentials already.
struct Case {
    words: &'static str,
    manifest: Manifest,
    is_applied: bool,
}

const fn case(words: &'static str, manifest: Manifest, is_applied: bool) -> Case {
    Case { words, manifest, is_applied }
}

const CASES: [Case; 16] = [
    case("validate", Manifest::Plain, false),
    case("validate", Manifest::Named, false),
    case("plan", Manifest::Plain, false),
    case("plan", Manifest::Named, false),
    case("plan --format json", Manifest::Plain, false),
    case("plan --format junit", Manifest::Plain, false),
    case("plan --format markdown", Manifest::Plain, false),
    case("plan --format sarif", Manifest::Plain, false),
    case("plan", Manifest::Plain, true),
    case("list", Manifest::Plain, true),
    case("list --format json", Manifest::Plain, true),
    case("snapshot", Manifest::Plain, true),
    case("apply --yes", Manifest::Plain, false),
    case("apply --yes --format junit", Manifest::Plain, false),
    case("apply --yes", Manifest::Renamed, true),
    case("apply --yes", Manifest::OnlyTheFirst, true),
];

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000, 100_000] } else { sizes };
    let folder = tempfile::tempdir().unwrap();
    let mut seconds = vec![Vec::new(); CASES.len()];
    for size in &sizes {
        begin(folder.path());
        write(folder.path(), Manifest::Plain, *size);
        run(folder.path(), "apply --yes");
        let store = fs::read(folder.path().join(STORE)).unwrap();
        for (case, seconds) in CASES.iter().zip(&mut seconds) {
            seconds.push(measured(folder.path(), case, *size, &store));
        }
    }
    println!(
        "processor time in seconds at {sizes:?} entries, and the exponents between them (limit {LIMIT})"
    );
    for (Case { words, manifest, is_applied }, seconds) in CASES.iter().zip(&seconds) {
        let of = match (manifest, is_applied) {
            (Manifest::Plain, false) => "new",
            (Manifest::Named, _) => "new, `!secret`",
            (Manifest::Plain, true) => "in sync",
            (Manifest::Renamed, _) => "all renamed",
            (Manifest::OnlyTheFirst, _) => "all but one gone",
        };
        print!("{words:<27} {of:<17}");
        seconds.iter().for_each(|seconds| print!(" {seconds:>8.3}"));
        let exponents = seconds.windows(2).zip(sizes.windows(2)).map(|(seconds, sizes)| {
            (seconds[1] / seconds[0]).ln() / (sizes[1] as f64 / sizes[0] as f64).ln()
        });
        let exponents: Vec<f64> = exponents.collect();
        exponents.iter().for_each(|exponent| print!(" {exponent:>6.2}"));
        println!("{}", if exponents.iter().all(|it| *it <= LIMIT) { "" } else { "  TOO MUCH" });
    }
}

/// The processor time of a run; runs that are too short are repeated.
fn measured(folder: &Path, case: &Case, size: usize, store: &[u8]) -> f64 {
    write(folder, case.manifest, size);
    let (mut total, mut rounds) = (0.0, 0.0);
    while total < MEASURED_SECONDS {
        if case.is_applied {
            fs::write(folder.join(STORE), store).unwrap();
        } else {
            let _ = fs::remove_file(folder.join(STORE));
        }
        let before = of_children();
        run(folder, case.words);
        total += of_children() - before;
        rounds += 1.0;
    }
    total / rounds
}

fn begin(folder: &Path) {
    fs::create_dir_all(folder.join("ha")).unwrap();
    let project = "owner: bench\nallow_plaintext: true\npolicy: {max_deletes: 1000000}\ntargets: {home: {config_dir: ha}}\n";
    fs::write(folder.join("appcred.yaml"), project).unwrap();
}

fn write(folder: &Path, manifest: Manifest, size: usize) {
    let (mut entries, mut secrets) = ("application_credentials:\n".to_owned(), String::new());
    let size = if matches!(manifest, Manifest::OnlyTheFirst) { 1 } else { size };
    let name = if matches!(manifest, Manifest::Renamed) { "Other" } else { "Name" };
    for at in 0..size {
        let secret = match manifest {
            Manifest::Named => format!("!secret s{at}"),
            _ => format!("hidden-{at:06}-x"),
        };
        writeln!(
            entries,
            "  - {{key: k{at}, domain: netatmo, name: {name} {at}, client_id: id-{at:06}, client_secret: {secret}}}"
        )
        .unwrap();
        writeln!(secrets, "s{at}: hidden-{at:06}-x").unwrap();
    }
    fs::write(folder.join("credentials.yaml"), entries).unwrap();
    fs::write(folder.join("secrets.yaml"), secrets).unwrap();
}

fn run(folder: &Path, words: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appcred"));
    command.arg("-C").arg(folder).args(words.split(' ')).env_clear();
    let output = command.output().unwrap();
    let is_done = matches!(output.status.code(), Some(0));
    assert!(is_done, "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The processor time of all children that have ended.
fn of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap();
    ticks / rustix::param::clock_ticks_per_second() as f64
}
