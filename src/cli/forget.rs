//! `forget`

use crate::codes::ChangeCode;
use crate::files::FileChange;
use crate::model::{Key, Visible};
use crate::report::changes::MadeChange;
use crate::yaml_edit::{forget_keys, remove_entry};

use super::change::{entries, in_order, of_manifests, of_project, write};
use super::exit::ExitStatus;
use super::locks::lock_project;
use super::{ChangesArgs, Global, candidates, console};

/// Stop managing credentials without deleting them
///
/// The entries are removed from their manifests, and their keys are noted under `policy: {forgotten: [...]}` in
/// appcred.yaml: what targets hold of them stays as it is, linked accounts too, and no run changes or deletes
/// it. The keys are noted because Home Assistant cannot take the mark of this owner off a credential. An entry that
/// has such a key or client later manages that credential again.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred forget spotify-kids")]
pub(super) struct Forget {
    /// The entries, by key, name or the id of their credential
    #[arg(value_name = "KEY", required = true, add = candidates::keys())]
    named: Vec<String>,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) fn run(
    global: &Global,
    verb: &Forget,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let _lock = lock_project(global)?;
    let Some(loaded) = in_order(global) else { return Ok(ExitStatus::Failure) };
    let entries = entries(&loaded, &verb.named)?;
    // Targets may hold something that is still under an earlier key.
    let keys: Vec<&str> = entries.iter().flat_map(|entry| entry.keys()).map(Key::as_str).collect();
    let removed = of_manifests(global, &loaded, &entries, |text, entry| {
        remove_entry(text, (entry.place.line, entry.place.column))
    })?;
    let project = of_project(global, &loaded, |text| forget_keys(text, &keys))?;
    let project_file = project.path.visible().to_string();
    // First: what no manifest has and is not forgotten is deleted.
    let changes: Vec<FileChange> = [project].into_iter().chain(removed).collect();
    write(global, &changes)?;
    for entry in &entries {
        let (key, file) = (&entry.key.value, entry.key.spot.file.path());
        console::say(&format!(
            "Removed `{key}` from {}, and noted it in {project_file}: what targets hold of it stays.\n",
            file.visible()
        ))?;
        made.push(MadeChange::new(ChangeCode::EntryForgotten).key(key).file(file));
    }
    Ok(ExitStatus::Success)
}
