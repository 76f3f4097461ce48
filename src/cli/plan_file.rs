//! Saved plans: `plan --out` and `apply FILE`.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use crate::desired;
use crate::files::{self, DATA_LIMIT};
use crate::model::{Key, Seal, visible};
use crate::plan_file::{Planned, Saved};

use super::console;
use super::gather::Site;

/// Writes what is planned for all targets.
///
/// # Errors
/// Where a target is not known, a secret has nothing to stand for it, or the file cannot be written.
pub(super) fn write(sites: &[Site], file: &Path) -> anyhow::Result<()> {
    let text = planned(sites)?.to_text()?;
    files::write(file, &text, 0o644).with_context(|| format!("cannot write {}", file.display()))
}

/// Reads a saved plan.
///
/// # Errors
/// Where it is none.
pub(super) fn read(file: &Path) -> anyhow::Result<Saved> {
    let named = file.display();
    let text =
        files::read_text(file, DATA_LIMIT).with_context(|| format!("cannot read {named}"))?;
    Saved::parse(&text).map_err(|damage| anyhow!("cannot use {named}: {damage}"))
}

/// Whether exactly what was saved would be done now; what is different is told.
///
/// # Errors
/// Where a target is not known.
pub(super) fn still_holds(saved: &Saved, sites: &[Site]) -> anyhow::Result<bool> {
    let differences = saved.differences(&planned(sites)?);
    if !differences.is_empty() {
        console::tell("error: the saved plan does not hold any more, so nothing was changed\n");
        for difference in &differences {
            console::tell(&format!("  {}\n", visible(difference)));
        }
        console::tell("Plan again with `appcred plan --out FILE`.\n");
    }
    Ok(differences.is_empty())
}

fn planned(sites: &[Site]) -> anyhow::Result<Saved> {
    let seals: Vec<_> = sites.iter().map(|site| move |key: &Key| seal(site, key)).collect();
    let mut planned = Vec::new();
    for (site, seal) in sites.iter().zip(&seals) {
        match &site.sides {
            Ok(sides) => planned.push(Planned { name: &site.name, plan: &sides.plan, seal }),
            Err(why) => bail!("{}: {why}", site.name),
        }
    }
    Ok(Saved::of(&planned)?)
}

fn seal(site: &Site, key: &Key) -> Option<Seal> {
    desired::seals(site.entries.get(key)?).client_secret
}
