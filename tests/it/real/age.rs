//! The real age 1.3.

use std::process::Command;

/// The folder of programs that `tests/real/age/set_up` brought.
pub(crate) const AGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/age/current/usr/bin");

/// Runs one of them: whether it ends well, and what it prints.
#[track_caller]
pub(crate) fn age(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(format!("{AGE}/{program}")).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `tests/run` brings it"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}
