//! The bare work that `benches/run` compares appcred with, each in a process of its own, and what it runs against.

mod client;
mod houses;
mod records;
mod secrets;
mod sops;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use granit_parser::{Parser, StrInput};

type Done = Result<(), Box<dyn std::error::Error>>;

fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["make", folder, entries] => secrets::make(Path::new(folder), entries.parse()?),
        ["age", folder] => secrets::by_the_crate(Path::new(folder)),
        ["bare", folder] => secrets::bare(Path::new(folder)),
        ["prepare-sops", folder] => sops::prepare(Path::new(folder)),
        ["sops", folder] => sops::open(Path::new(folder)),
        ["parse", folder] => parse(Path::new(folder)),
        ["create", url, token, count] => client::create(url, token, count.parse()?, false),
        ["create-asking", url, token, count] => client::create(url, token, count.parse()?, true),
        ["clear", url, token] => client::clear(url, token),
        ["hold", url, count] => client::hold(url, count.parse()?),
        ["houses", count] => houses::run(count.parse()?, None),
        ["houses", count, folder] => houses::run(count.parse()?, Some(Path::new(folder))),
        _ => Err("see src/main.rs".into()),
    }
}

/// Reads and parses the manifests of a project and its snapshot, and keeps nothing.
fn parse(folder: &Path) -> Done {
    for file in manifests(folder)? {
        let text = fs::read_to_string(file)?;
        for event in Parser::new(StrInput::new(&text)) {
            std::hint::black_box(event?);
        }
    }
    let snapshot: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("snapshot.json"))?)?;
    std::hint::black_box(snapshot);
    Ok(())
}

fn manifests(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let entries = fs::read_dir(folder.join("credentials"))?;
    let mut files =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.sort();
    Ok(files)
}

/// Does a part for each of the items; the cores take them by turns, so that they end together.
fn on_all_cores<T: Sync>(items: &[T], part: impl Fn(&T) + Sync) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let part = &part;
    thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || items.iter().skip(core).step_by(cores).for_each(part));
        }
    });
}
