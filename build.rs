//! Writes down of which commit and of which day the program is.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "cargo passes variables to a build script, and reads what it prints"
)]

use std::path::Path;
use std::process::Command;

fn main() {
    for variable in ["APPCRED_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let folder = variable("CARGO_MANIFEST_DIR").unwrap_or_default();
    // A build for tests is not made anew for each commit.
    let is_release = variable("PROFILE").is_some_and(|profile| profile == "release");
    let is_checkout = is_release
        && git(&folder, &["rev-parse", "--show-toplevel"])
            .is_some_and(|top| is_same(&top, &folder));
    let of_git = |arguments: &[&str]| git(&folder, arguments).filter(|_| is_checkout);
    for place in ["HEAD", "logs/HEAD"] {
        if let Some(file) = of_git(&["rev-parse", "--git-path", place]) {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    let commit = variable("APPCRED_COMMIT")
        .or_else(|| of_git(&["rev-parse", "HEAD"]))
        .or_else(|| published(&folder).filter(|_| is_release));
    let seconds = variable("SOURCE_DATE_EPOCH").or_else(|| of_git(&["log", "-1", "--format=%ct"]));
    println!("cargo:rustc-env=APPCRED_BUILT_COMMIT={}", commit.unwrap_or_default());
    println!("cargo:rustc-env=APPCRED_BUILT_SECONDS={}", seconds.unwrap_or_default());
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What git prints; none where it fails, or there is none.
fn git(folder: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A tarball may be unpacked in a repository of something else.
fn is_same(one: &str, other: &str) -> bool {
    let real = |path: &str| Path::new(path).canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}

/// The commit that cargo writes into a package that it publishes.
fn published(folder: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(folder).join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    rest.split('"').nth(1).map(str::to_owned)
}
