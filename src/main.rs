//! The `appcred` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    appcred::cli::run().into()
}
