//! `rename`

use anyhow::bail;

use crate::codes::ChangeCode;
use crate::model::{Key, Visible};
use crate::report::changes::MadeChange;
use crate::yaml_edit::rename_entry;

use super::add::key;
use super::change::{ThenApply, change, entry, in_order};
use super::exit::ExitStatus;
use super::locks::lock_project;
use super::{Global, candidates, console};

/// Give an entry another key
///
/// Writes `key`, and the old one under `formerly`, so that what targets hold moves to the new key and no
/// account has to consent again. Its name, as Home Assistant shows it, stays.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred rename spotify spotify-family
  appcred rename spotify spotify-family --apply")]
pub(super) struct Rename {
    /// The entry, by key, name or the id of its credential
    #[arg(value_name = "OLD", add = candidates::keys())]
    old: String,
    /// The new key
    #[arg(value_name = "NEW", value_parser = key)]
    new: Key,
    #[command(flatten)]
    pub(super) then: ThenApply,
}

pub(super) async fn run(
    global: &Global,
    verb: &Rename,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    verb.then.check()?;
    let lock = lock_project(global)?;
    let Some(loaded) = in_order(global) else { return Ok(ExitStatus::Failure) };
    let (entry, new) = (entry(&loaded, &verb.old)?, &verb.new);
    let old = &entry.key.value;
    if old == new {
        console::say(&format!("Nothing was changed: the key is `{new}` already.\n"))?;
        return Ok(ExitStatus::Success);
    }
    if let Some(other) = loaded.entries.iter().find(|other| other.key.value == *new) {
        bail!("the key `{new}` belongs to another entry ({})", other.place);
    }
    if let Some(forgotten) = loaded.project.policy.forgotten.iter().find(|of| *of == new) {
        bail!(
            "`{forgotten}` is under `policy.forgotten` in {}: what targets hold of it, with the accounts that use it, would become `{old}`'s; choose another key, or take it out there first",
            crate::model::PROJECT_FILE
        );
    }
    change(global, &loaded, std::slice::from_ref(&entry), |text, entry| {
        let place = (entry.place.line, entry.place.column);
        rename_entry(text, place, old.as_str(), new.as_str())
    })?;
    drop(lock);
    let file = entry.key.spot.file.path();
    console::say(&format!("Renamed `{old}` to `{new}` in {}.\n", file.visible()))?;
    made.push(MadeChange::new(ChangeCode::EntryRenamed).key(new).former_key(old).file(file));
    verb.then.run(global, std::slice::from_ref(new)).await
}
