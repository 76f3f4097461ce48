//! `version`

use std::sync::LazyLock;

use crate::report::version::AppcredVersion;

use super::OutputFormat;
use super::exit::ExitStatus;

/// Print the version, with the commit and the day that it is of
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred version
  appcred version --format json")]
pub(super) struct VersionArgs {
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: OutputFormat,
}

/// What was built.
static BUILT: LazyLock<AppcredVersion> = LazyLock::new(|| {
    let [commit, seconds] = [env!("APPCRED_BUILT_COMMIT"), env!("APPCRED_BUILT_SECONDS")];
    AppcredVersion::new(env!("CARGO_PKG_VERSION"), commit, seconds)
});
static TEXT: LazyLock<String> = LazyLock::new(|| BUILT.to_string());

/// As `--version` prints it behind the name.
pub(super) fn text() -> &'static str {
    TEXT.as_str()
}

pub(super) fn run(verb: &VersionArgs) -> anyhow::Result<ExitStatus> {
    let line = || format!("appcred {}\n", text());
    verb.format.print(line, || BUILT.to_json())?;
    Ok(ExitStatus::Success)
}
