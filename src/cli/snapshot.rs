//! `snapshot`

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::files;
use crate::model::{Key, PolicyOverrides, Visible, counted};
use crate::plan::found_same;
use crate::target::snapshot::{self, SnapshotTarget};
use crate::workspace::{Comparison, TargetView};

use super::exit::ExitStatus;
use super::gather::{gather, show_unknown};
use super::inputs::{OutputKind, refuse_inputs};
use super::selection::TargetArgs;
use super::{Global, console, environment};

/// Record what targets hold, without any secret, for plans in CI
///
/// `appcred plan --against FILE` then plans where there is neither a key nor a token. The file holds
/// ids, names, client ids, owners and linked accounts with their titles and states. Of a secret it
/// holds at most a digest of the ciphertext in the manifest, where that was found to be the secret
/// that the target holds.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred snapshot -o snapshot.json
  appcred snapshot --target home | jq .targets[].credentials")]
pub(super) struct SnapshotArgs {
    #[command(flatten)]
    selection: TargetArgs,
    /// Write it to this file instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(global: &Global, verb: &SnapshotArgs) -> anyhow::Result<ExitStatus> {
    let output = verb.output.as_deref().filter(|file| *file != Path::new("-"));
    refuse_inputs(global, output.map(|file| (OutputKind::Snapshot, file)).into_iter())?;
    let gathered = gather(global, &verb.selection.selection(), &PolicyOverrides::default()).await?;
    let Some(views) = gathered.targets else { return Ok(ExitStatus::Failure) };
    let known = views.iter().filter_map(|view| Some((view, view.comparison.as_ref().ok()?)));
    let targets: Vec<_> = known.map(|(view, comparison)| recorded(view, comparison)).collect();
    show_unknown(&views);
    if targets.len() < views.len() {
        console::message(
            "No snapshot was written: with --target, choose targets that can be reached.",
        );
        return Ok(ExitStatus::Failure);
    }
    let text = snapshot::write(environment::now(), targets.iter())?;
    match output {
        None => console::print(&text)?,
        Some(file) => {
            // It holds no secret.
            files::write(file, &text, 0o644)
                .with_context(|| format!("cannot write {}", file.visible()))?;
            let targets = counted(targets.len(), "target");
            console::message(format_args!(
                "Wrote the snapshot of {targets} to {}.",
                file.visible()
            ));
        }
    }
    Ok(ExitStatus::Success)
}

fn recorded(view: &TargetView, comparison: &Comparison) -> SnapshotTarget {
    let Comparison { desired, observed, plan, .. } = comparison;
    let sealed = |key: &Key| view.seals(key).unwrap_or_default();
    let seals = found_same(plan, desired, observed, sealed);
    SnapshotTarget::of(&view.name, observed, &seals)
}
