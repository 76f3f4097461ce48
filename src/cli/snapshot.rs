//! `snapshot`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::desired;
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
            replace(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
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

/// Whoever reads the file meanwhile finds the old one or the new one, whole.
pub(super) fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // The kind says all: the rest would name the file that was to take this one's place.
    let new = tempfile::Builder::new().permissions(readable()).tempfile_in(folder);
    let mut new = new.map_err(|error| std::io::Error::from(error.kind()))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(())
}

/// It holds no secret, and is there to be read.
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o644)
}
