//! `list`

use crate::diagnostic::ProblemCode;
use crate::model::PolicyOverrides;
use crate::report::{json, list};
use crate::workspace::OnError;

use super::exit::ExitStatus;
use super::gather::{ask_about_troubles, gather_loaded, load, reported, show_unknown};
use super::selection::TargetArgs;
use super::{Global, OutputFormat, console};

/// List the credentials that targets hold, and how each compares with the manifests
///
/// States: in sync, drifted (differs from its entry), shadowed (made by hand, in use, and replaced by
/// another one), claim (names the owner of a shadow), superseded (left over beside a newer one),
/// undeclared (ours, and no entry declares it), another owner's, foreign (of no owner), unknown.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred list
  appcred list --target home --format json")]
pub(super) struct ListArgs {
    #[command(flatten)]
    selection: TargetArgs,
    /// How to write the list
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: OutputFormat,
}

pub(super) async fn run(global: &Global, verb: &ListArgs) -> anyhow::Result<ExitStatus> {
    // What a target holds can be asked before anything is written.
    let mut loaded = load(global);
    loaded.problems = loaded.problems.without(ProblemCode::NoManifest);
    let is_whole = !loaded.problems.has_errors();
    let mut gathered = gather_loaded(
        global,
        loaded,
        &verb.selection,
        &PolicyOverrides::default(),
        OnError::Continue,
    )
    .await?;
    ask_about_troubles(&mut gathered.targets).await;
    let Some(views) = gathered.targets else { return Ok(ExitStatus::Failure) };
    match verb.format {
        OutputFormat::Text => console::print(&list::text(&reported(&views)))?,
        OutputFormat::Json => {
            console::print(&json::list(&reported(&views))?)?;
            show_unknown(&views);
        }
    }
    let all_known = views.iter().all(|view| view.comparison.is_ok());
    Ok(if is_whole && all_known { ExitStatus::Success } else { ExitStatus::Failure })
}
