//! What `import` found is written and taken over, once somebody has agreed.

use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::codes::ChangeCode;
use crate::files::change_all;
use crate::model::{Key, Visible as _, counted};
use crate::reconcile::Verdicts;
use crate::report::changes::MadeChange;
use crate::report::{outcomes, text};
use crate::workspace::{ImportDraft, ManifestDraft, Reach, TargetView};

use super::apply::{agreed, arrived, carry_out};
use super::exit::ExitStatus;
use super::gather::reported;
use super::import::{ImportArgs, check_recipients};
use super::links::LinkArgs;
use super::look_again::look_again;
use super::new_entries::remove_first_manifest;
use super::{Global, console};

/// What is taken over.
pub(super) struct TakeOver {
    pub(super) views: Vec<TargetView>,
    /// Of each view, the entries that are meant.
    pub(super) keys: Vec<BTreeSet<Key>>,
    pub(super) reach: Reach,
    /// To whom the files were encrypted, where they were.
    pub(super) recipients: Option<Vec<String>>,
}

/// Shows what is taken over, where something is, and asks; looks then whether it is so still.
async fn agreed_to(
    global: &Global,
    verb: &ImportArgs,
    TakeOver { views, keys, reach, .. }: &mut TakeOver,
    files: &[ManifestDraft],
) -> anyhow::Result<bool> {
    if verb.no_adopt {
        return Ok(true);
    }
    console::say(&format!("{}\n", text::plan(&reported(views), global.details())))?;
    if verb.yes || !views.iter().any(TargetView::has_work) {
        return Ok(true);
    }
    let instead = "--yes to go on without asking, or --no-adopt to write manifests only";
    let question = match files {
        [] => "All of these are declared already. Apply these changes?",
        _ => "Write these entries and apply these changes?",
    };
    if !agreed(question, instead).await? {
        console::note_failure("it was not agreed to");
        return Ok(false);
    }
    look_again(views, reach, |at, plan| plan.only_credentials_of(&keys[at])).await
}

/// Writes the files and takes over what they declare.
pub(super) async fn take_over(
    global: &Global,
    verb: &ImportArgs,
    mut taken: TakeOver,
    (files, draft): (&[ManifestDraft], &ImportDraft),
    changes: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    if !agreed_to(global, verb, &mut taken, files).await? {
        console::message("Nothing was changed.");
        return Ok(ExitStatus::Failure);
    }
    check_recipients(global, verb, taken.recipients)?;
    let mut views = taken.views;
    let links = LinkArgs::default().printed();
    let adopts = !verb.no_adopt && views.iter().any(TargetView::has_work);
    let written: Vec<_> = files.iter().map(ManifestDraft::change).collect();
    change_all(&written).context("nothing was taken over: run `appcred import` again")?;
    for file in files {
        let keys = file.entries.iter().filter_map(|at| Key::new(&draft.made[*at].1.key));
        changes.extend(
            keys.map(|key| MadeChange::new(ChangeCode::EntryAdded).key(&key).file(&file.path)),
        );
    }
    remove_first_manifest(global, files)?;
    if !draft.made.is_empty() {
        let names: Vec<_> = files.iter().map(|file| file.path.visible()).collect();
        let entries = counted(draft.made.len(), "entry");
        console::say(&format!("Wrote {entries} to {}.\n", names.join(", ")))?;
    }
    if adopts {
        carry_out(&mut views, Verdicts::default(), None).await?;
        console::say(&outcomes::outcomes(&reported(&views), links))?;
    }
    let arrived = verb.no_adopt || views.iter().all(arrived);
    if !arrived {
        console::error("not all was taken over: `appcred plan` shows what is left");
    }
    Ok(if arrived { ExitStatus::Success } else { ExitStatus::Failure })
}
