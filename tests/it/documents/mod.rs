//! README and docs: every console block runs, every block of YAML is valid, and links lead somewhere.
//!
//! The blocks of a document run in order, in one home of their own. A block of `text` after them is what they print,
//! where a line `...` is any number of lines. Comments of HTML, which readers do not see, say what a test must know:
//!
//! - `<!-- test: run`, and a script: it runs as a block does
//! - `<!-- test: exits 2 -->`: how the next block ends
//! - `<!-- test: typed WORDS -->`: the next block has a terminal, where this is typed
//! - `<!-- test: writes PATH -->`, `<!-- test: shows PATH -->`: the next block is written to a file, or is in it
//! - `<!-- test: is compose -->`: the next block of YAML is of another program

mod book;
mod console;
mod generated;
mod links;
mod markdown;
mod messages;
mod pictures;
mod session;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use markdown::{Part, parts};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and what it leads to, as paths from the root.
pub(crate) fn documents() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|file| file.extension().is_some_and(|end| end == "md"));
    let pages = pages.map(|file| file.strip_prefix(root()).unwrap().to_owned());
    let mut all: Vec<PathBuf> = pages.chain([PathBuf::from("README.md")]).collect();
    all.sort();
    all
}

/// What users read beside the examples and in the store of Home Assistant.
fn of_examples() -> impl Iterator<Item = PathBuf> {
    ["examples/README.md", "packaging/app/DOCS.md"].map(PathBuf::from).into_iter()
}

/// What is for those who work on it.
pub(crate) fn of_repository() -> impl Iterator<Item = PathBuf> {
    let files = ["CODE_OF_CONDUCT.md", "pull_request_template.md"];
    let of_github = files.map(|file| Path::new(".github").join(file));
    let at_top = ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(PathBuf::from);
    at_top.into_iter().chain(of_github)
}

/// The fenced blocks of a language in a document.
pub(crate) fn blocks(document: &str, language: &str) -> Vec<String> {
    let parts = parts(Path::new(document)).into_iter();
    parts.filter(|part| part.language == language).map(|part| part.text).collect()
}
