//! Whether everything that appcred needs is there: project, secrets, this machine, and each target. Nothing is
//! changed, no source's program is started, and nobody is asked.
//!
//! ```text
//!  mod.rs ──▶ project.rs, secrets.rs, machine.rs, targets.rs ──▶ check.rs = what each look has as its result
//! ```

mod check;
mod machine;
mod project;
mod secrets;
mod targets;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::spawn_blocking;

pub use check::HealthCheck;

use crate::model::TargetSelection;
use crate::workspace::{EvaluationError, Workspace};

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct DoctorRequest {
    /// The project, and the environment that it is used in.
    pub workspace: Workspace,
    /// Which targets.
    pub targets: TargetSelection,
    /// The folders in which programs are looked for.
    pub program_folders: Vec<PathBuf>,
}

/// Looks at everything, the targets side by side.
///
/// # Errors
/// Where there is no target of such a name.
pub async fn examine(request: DoctorRequest) -> Result<Vec<HealthCheck>, EvaluationError> {
    let request = Arc::new(request);
    let of_project = Arc::clone(&request);
    let seen = spawn_blocking(move || project::look(&of_project)).await?;
    let targets = targets::look(&request, &seen).await?;
    Ok(seen.checks.into_iter().chain(targets).collect())
}
