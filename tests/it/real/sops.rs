//! The real SOPS.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// The binary that `tests/real/sops/set_up` brought.
pub(crate) const SOPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sops/current/bin/sops");

/// Runs it in a folder with an age key and gives back what it prints.
#[track_caller]
pub(crate) fn sops<A: AsRef<OsStr>>(
    folder: &Path,
    key: &str,
    arguments: impl IntoIterator<Item = A>,
) -> String {
    let output = Command::new(SOPS)
        .arg("--disable-version-check")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("SOPS_AGE_KEY", key)
        .output()
        .unwrap_or_else(|error| panic!("{SOPS}: {error}; `tests/run` brings it"));
    assert!(output.status.success(), "sops: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Where `tests/real/sops_age/set_up` brought another reader of SOPS documents.
pub(crate) const SOPS_AGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sops_age/current");

/// What sops-age, of npm, decrypts, as JSON.
#[track_caller]
pub(crate) fn sops_age(file: &Path, key: &str) -> serde_json::Value {
    const READ: &str =
        "import('sops-age').then(async ({decryptSops}) => console.log(JSON.stringify(
        await decryptSops({path: process.argv[1], secretKey: process.env.KEY}))))";
    let output = Command::new("node")
        .args(["-e", READ])
        .arg(file)
        .current_dir(SOPS_AGE)
        .env("KEY", key)
        .output()
        .unwrap_or_else(|error| panic!("node: {error}; `tests/run` brings it"));
    assert!(output.status.success(), "sops-age: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
