//! `snapshot`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::desired;
use crate::model::{Likeness, Policy, Seals};
use crate::plan::Standing;
use crate::target::snapshot::{self, Seen};

use super::exit::ExitStatus;
use super::gather::{OnError, Sides, Site, sites};
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
    let mut seen = Vec::new();
    for site in &sites {
        match &site.sides {
            Ok(sides) => seen.push(Seen {
                name: &site.name,
                observed: &sides.observed,
                seals: seals(site, sides),
            }),
            Err(why) => console::tell(&format!("error: {}: {why}\n", site.name)),
        }
    }
    if seen.len() < sites.len() {
        console::tell("No snapshot was taken: choose targets that can be reached with --target.\n");
        return Ok(ExitStatus::Failure);
    }
    let text = snapshot::write(environment::now(), &seen)?;
    match &verb.output {
        None => console::print(&text)?,
        Some(file) => {
            replace(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(ExitStatus::Success)
}

/// For each credential, the ciphertexts of its entry that were found to hold what it has.
fn seals(site: &Site, sides: &Sides) -> Vec<Seals> {
    let wanted: std::collections::BTreeMap<_, _> =
        sides.desired.credentials.iter().map(|wanted| (&wanted.key, wanted)).collect();
    let held = sides.observed.credentials.iter();
    held.zip(&sides.plan.standings)
        .map(|(held, (_, standing, _))| {
            let key = match standing {
                Standing::InSync(key)
                | Standing::Drifted(key)
                | Standing::Shadowed(key)
                | Standing::Superseded(key) => key,
                _ => return Seals::default(),
            };
            let (Some(wanted), Some(entry)) = (wanted.get(key), site.entries.get(key)) else {
                return Seals::default();
            };
            let same_secret = held.client_secret.compare(&wanted.client_secret) == Likeness::Same;
            let seals = desired::seals(entry);
            Seals {
                client_id: seals.client_id.filter(|_| held.client_id == wanted.client_id),
                client_secret: seals.client_secret.filter(|_| same_secret),
            }
        })
        .collect()
}

/// Whoever reads the file meanwhile finds the old one or the new one, whole.
pub(super) fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut new = tempfile::Builder::new().permissions(readable()).tempfile_in(folder)?;
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
