//! `list`

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::diagnostic::ProblemCode;
use crate::model::{Glob, PolicyOverrides};
use crate::report::list::{RowState, Rows};
use crate::report::{json, list};
use crate::workspace::OnError;

use super::exit::ExitStatus;
use super::gather::{Gathered, ask_about_troubles, gather_loaded, load, reported, show_unknown};
use super::output::names;
use super::selection::{EntryArgs, TargetArgs, glob};
use super::source_args::SourceArgs;
use super::{Global, OutputFormat, candidates, console};

/// List what targets hold and what entries want, each with the KEY that other verbs take
///
/// States: in sync, differs (from its entry), missing (wanted by an entry and not there), shadowed (made
/// by hand, in use, and replaced by another one), claim (names the owner of a shadow), superseded (left over
/// beside a newer one), undeclared (ours, and no entry declares it), forgotten (the same, and it stays), another
/// owner's, foreign (of no owner), unknown. What is protected or suspended says so beside its state, and --state takes these two as well. On a terminal,
/// what is in sync is only counted where there are more than 200 rows; --verbose and --state list all.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred list
  appcred list --state missing,differs
  appcred list --domain 'google*' --owner home-gitops
  appcred list --target home --format json")]
pub(super) struct ListArgs {
    #[command(flatten)]
    selection: TargetArgs,
    #[command(flatten)]
    entries: EntryArgs,
    /// Only what has this owner
    #[arg(long = "owner", value_name = "GLOB", value_delimiter = ',', value_parser = glob, add = candidates::owners())]
    owners: Vec<Glob>,
    /// Only what has this state
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = states())]
    states: Vec<RowState>,
    /// How to write the list
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: OutputFormat,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

/// The states by their codes.
fn states() -> impl TypedValueParser<Value = RowState> {
    let names = RowState::all().map(|(name, _)| PossibleValue::new(name));
    PossibleValuesParser::new(names.collect::<Vec<_>>()).try_map(|text| {
        let state = RowState::all().find(|(name, _)| *name == text);
        state.map(|(_, state)| state).ok_or("unknown state")
    })
}

pub(super) async fn run(global: &Global, verb: &ListArgs) -> anyhow::Result<ExitStatus> {
    // What a target holds can be asked before anything is written.
    let mut loaded = load(global);
    loaded.problems = loaded.problems.without(ProblemCode::NoManifest);
    let is_whole = !loaded.problems.has_errors();
    let mut gathered = gather_loaded(
        global,
        loaded,
        &verb.selection.selection(),
        &PolicyOverrides { selection: verb.entries.selection(), ..Default::default() },
        OnError::Continue,
    )
    .await?;
    ask_about_troubles(&mut gathered.targets).await;
    let Gathered { problems, targets, .. } = gathered;
    let Some(views) = targets else { return Ok(ExitStatus::Failure) };
    let rows = Rows { owners: verb.owners.clone(), states: verb.states.clone() };
    let targets = reported(&views);
    let text = || list::text(&targets, &rows, console::width(), global.details());
    let names = names(global);
    verb.format.print(text, || json::list(&targets, &rows, &problems, &names))?;
    if verb.format != OutputFormat::Text {
        show_unknown(&views);
    }
    let all_known = views.iter().all(|view| view.comparison.is_ok());
    Ok(if is_whole && all_known { ExitStatus::Success } else { ExitStatus::Failure })
}
