//! `doctor`

use crate::codes::HealthCode;
use crate::doctor::{DoctorRequest, HealthCheck, examine};
use crate::report::doctor;

use super::exit::ExitStatus;
use super::gather::workspace;
use super::selection::TargetArgs;
use super::{Global, OutputFormat, environment};

/// Check whether everything that is needed is there, and say what to do about the rest
///
/// Looks at the project file and the manifests, at identities, recipients and what they open, at what Git keeps,
/// at this machine, and at each target: whether it is reached, its certificate and clock, the access token
/// and its right, the release, the redirect URI; of a configuration folder, whether it can be written. All is
/// looked at although something fails. Nothing is changed, and no source's program is started.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred doctor
  appcred doctor --target home --strict
  appcred doctor --format json")]
pub(super) struct Doctor {
    #[command(flatten)]
    selection: TargetArgs,
    /// End with 1 also where there is only a warning
    #[arg(long)]
    strict: bool,
    /// How to write what was seen
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: OutputFormat,
}

pub(super) async fn run(global: &Global, verb: Doctor) -> anyhow::Result<ExitStatus> {
    let checks = examine(DoctorRequest {
        workspace: workspace(global),
        targets: verb.selection.selection(),
        program_folders: environment::program_folders(),
    })
    .await?;
    let text = || doctor::text(&checks, global.details());
    verb.format.print(text, || doctor::json(&checks))?;
    let is_bad = |check: &HealthCheck| match check.health {
        HealthCode::Error => true,
        HealthCode::Warning => verb.strict,
        HealthCode::Ok | HealthCode::Skipped => false,
    };
    Ok(if checks.iter().any(is_bad) { ExitStatus::Failure } else { ExitStatus::Success })
}
