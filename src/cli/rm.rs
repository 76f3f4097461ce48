//! `rm`

use std::collections::BTreeSet;

use crate::codes::ChangeCode;
use crate::model::{Key, Visible};
use crate::report::changes::MadeChange;
use crate::yaml_edit::remove_entry;

use super::change::{ThenApply, change, entry, in_order};
use super::exit::ExitStatus;
use super::{Global, candidates, console};

/// Remove entries from their manifests
///
/// The lines of each entry go, and every other byte stays, comments beside it too. What targets hold of it is
/// deleted by the next `apply`, which --apply runs for these entries alone; a linked account keeps it, as
/// for every entry that is gone.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred rm spotify-kids
  appcred rm spotify-kids netatmo --apply")]
pub(super) struct Rm {
    /// The entries, by key, name or the id of their credential
    #[arg(value_name = "KEY", required = true, add = candidates::keys())]
    named: Vec<String>,
    #[command(flatten)]
    pub(super) then: ThenApply,
}

pub(super) async fn run(
    global: &Global,
    verb: &Rm,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    verb.then.check()?;
    let Some(loaded) = in_order(global) else { return Ok(ExitStatus::Failure) };
    // A wrong name changes nothing.
    let keys = verb.named.iter().map(|name| Ok(entry(&loaded, name)?.key.value.clone()));
    let keys: BTreeSet<Key> = keys.collect::<anyhow::Result<_>>()?;
    // Targets may hold something that is still under an earlier key.
    let mut all: Vec<Key> = Vec::new();
    let mut read = Some(loaded);
    for key in &keys {
        // What was removed before has moved the others.
        let read = read.take().or_else(|| in_order(global));
        let Some(loaded) = read else { return Ok(ExitStatus::Failure) };
        let entry = entry(&loaded, key.as_str())?;
        change(global, &loaded, &entry, remove_entry)?;
        all.extend(entry.keys().cloned());
        let file = entry.key.spot.file.path();
        console::say(&format!("Removed `{key}` from {}.\n", file.visible()))?;
        made.push(MadeChange::new(ChangeCode::EntryRemoved).key(key).file(file));
    }
    if verb.then.is_wanted() {
        return verb.then.run(global, &all).await;
    }
    console::message("`appcred apply` deletes what targets hold of it.");
    Ok(ExitStatus::Success)
}
