//! `explain`

use anyhow::anyhow;

use crate::manifest::schema;
use crate::report::explained;

use super::exit::ExitStatus;
use super::{candidates, console};

/// Say what a field of a manifest or of appcred.yaml means
///
/// Dots lead to what is below a field. Without FIELD all are listed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred explain
  appcred explain entry.client_secret
  appcred explain policy.prune
  appcred explain targets")]
pub(super) struct Explain {
    /// The field
    #[arg(value_name = "FIELD", add = candidates::fields())]
    field: Option<String>,
}

pub(super) fn run(verb: &Explain) -> anyhow::Result<ExitStatus> {
    let (manifest, project) = (schema::manifest().into(), schema::project().into());
    let text = explained::explain(verb.field.as_deref(), &manifest, &project);
    console::print(&text.map_err(|why| anyhow!(why))?)?;
    Ok(ExitStatus::Success)
}
