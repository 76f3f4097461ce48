//! `snapshot`

use std::path::PathBuf;

use anyhow::Context;

use crate::desired;
use crate::files;
use crate::model::{Key, Policy};
use crate::plan::found_same;
use crate::target::snapshot::{self, Page, Seen};

use super::exit::ExitStatus;
use super::gather::{OnError, Sides, Site, sites, tell_unknown};
use super::selection::Selection;
use super::{Global, console, environment};

/// Write down what targets hold, without any secret, for plans in CI
///
/// `appcred plan --against FILE` then plans where there is neither a key nor a token. The file holds
/// ids, names, client ids, owners and linked accounts with their titles and states. Of a secret it
/// holds at most a digest of the ciphertext in the manifest, where that was found to be the secret
/// that the target holds.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred snapshot -o snapshot.json
  appcred snapshot --target home | jq .targets[].credentials")]
pub(super) struct Snapshot {
    #[command(flatten)]
    selection: Selection,
    /// Write it into this file; else it is printed
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(global: &Global, verb: &Snapshot) -> anyhow::Result<ExitStatus> {
    let policy = |project: &Policy| project.clone();
    let Some(sites) = sites(global, &verb.selection, policy, OnError::Stop).await? else {
        return Ok(ExitStatus::Failure);
    };
    let mut pages = Vec::new();
    for site in &sites {
        if let Ok(sides) = &site.sides {
            pages.push(page(site, sides));
        }
    }
    tell_unknown(&sites);
    if pages.len() < sites.len() {
        console::tell("No snapshot was taken: choose targets that can be reached with --target.\n");
        return Ok(ExitStatus::Failure);
    }
    let text = snapshot::bind(environment::now(), pages.iter())?;
    match &verb.output {
        None => console::print(&text)?,
        Some(file) => {
            // It holds no secret, and is there to be read.
            files::write(file, &text, 0o644)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(ExitStatus::Success)
}

fn page(site: &Site, sides: &Sides) -> Page {
    let Sides { desired, observed, plan } = sides;
    let sealed = |key: &Key| site.entries.get(key).map(|entry| desired::seals(entry));
    let seals = found_same(plan, desired, observed, |key| sealed(key).unwrap_or_default());
    Page::of(&Seen { name: &site.name, observed, seals })
}
