//! Where a verb reads its project from, if not from a folder.

use clap::Args;
use tokio::runtime::Runtime;

use crate::target::Stop;

#[cfg(feature = "kubernetes")]
use super::cluster_source::{self, ClusterArgs};
use super::git_source::{FetchedProject, GitArgs};
use super::{Cli, VerbArgs};

/// Read the project from elsewhere
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub(super) struct SourceArgs {
    #[command(flatten)]
    pub(super) git: GitArgs,
    #[cfg(feature = "kubernetes")]
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
}

impl SourceArgs {
    /// Those of a verb; none where it reads folders alone.
    fn of(verb: &VerbArgs) -> Option<&Self> {
        match verb {
            VerbArgs::Validate(verb) => Some(&verb.source),
            VerbArgs::Plan(verb) => Some(&verb.source),
            VerbArgs::Apply(verb) => Some(&verb.source),
            VerbArgs::List(verb) => Some(&verb.source),
            VerbArgs::Verify(verb) => Some(&verb.source),
            VerbArgs::Watch(verb) => Some(&verb.source),
            _ => None,
        }
    }
}

/// Fetches the project of a verb, where it is not in a folder.
///
/// # Errors
/// Where it cannot be fetched, or a folder is named too.
#[cfg_attr(
    not(feature = "kubernetes"),
    expect(unused_variables, reason = "only a cluster is read by a task")
)]
pub(super) fn fetch(
    cli: &Cli,
    runtime: &Runtime,
    stop: &Stop,
) -> anyhow::Result<Option<FetchedProject>> {
    let folder = &cli.global.folder;
    let Some(source) = SourceArgs::of(&cli.verb) else { return Ok(None) };
    let is_watched = matches!(cli.verb, VerbArgs::Watch(_));
    let fetched = match is_watched {
        true => source.git.keep(folder, stop)?,
        false => source.git.fetch(folder)?,
    };
    #[cfg(feature = "kubernetes")]
    if fetched.is_none() {
        let of_cluster = cluster_source::fetch(&source.cluster, is_watched, folder, stop);
        return runtime.block_on(of_cluster);
    }
    Ok(fetched)
}
