//! `rm`

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use crate::codes::ChangeCode;
use crate::manifest::Entry;
use crate::model::{Key, PROJECT_FILE, Policy, Prune, Visible};
use crate::report::changes::MadeChange;
use crate::suggest::listed;
use crate::yaml_edit::remove_entry;

use super::change::{ThenApply, change, entries, in_order};
use super::exit::ExitStatus;
use super::gather::load;
use super::locks::lock_project;
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
    let lock = lock_project(global)?;
    let Some(loaded) = in_order(global) else { return Ok(ExitStatus::Failure) };
    let entries = entries(&loaded, &verb.named)?;
    let protected = &loaded.project.policy.protected;
    if let Some(entry) = entries.iter().find(|entry| entry.has_one_of(protected)) {
        let (key, place) = (&entry.key.value, &entry.place);
        let by = match entry.protect {
            true => format!("({place}); remove `protect: true` there first"),
            false => {
                format!("by the policy in {PROJECT_FILE}; remove it from `protect` there first")
            }
        };
        bail!(
            "nothing was changed: the entry `{key}` is protected {by}, or keep what targets hold of it with `appcred forget {key}`"
        );
    }
    change(global, &loaded, &entries, |text, entry| {
        remove_entry(text, (entry.place.line, entry.place.column))
    })?;
    drop(lock);
    say_comments(&entries);
    for entry in &entries {
        let (key, file) = (&entry.key.value, entry.key.spot.file.path());
        console::say(&format!("Removed `{key}` from {}.\n", file.visible()))?;
        made.push(MadeChange::new(ChangeCode::EntryRemoved).key(key).file(file));
    }
    if verb.then.is_wanted() {
        // Targets may hold something that is still under an earlier key.
        let all: Vec<Key> = entries.iter().flat_map(|entry| entry.keys()).cloned().collect();
        return verb.then.run(global, &all).await;
    }
    let left = load(global);
    let not_read = left.project.not_read;
    let (held, gone): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| not_read.contains_key(&entry.key.value));
    for entry in &held {
        let key = &entry.key.value;
        let file = not_read[key].visible();
        console::message(format_args!(
            "`{file}`, which is not read, lists the entry `{key}` too. Its credential is kept at the targets until that file is removed, or renamed to end with `.disabled`."
        ));
    }
    if !gone.is_empty() {
        let is_last = left.entries.is_empty();
        console::message(what_becomes_of(&gone, &loaded.project.policy, is_last));
    }
    Ok(ExitStatus::Success)
}

/// Says which comments are above no entry of theirs any more: what they are about is known to who wrote them.
fn say_comments(entries: &[Arc<Entry>]) {
    let commented: Vec<_> = entries.iter().map(|entry| (entry, comments_above(entry))).collect();
    if commented.iter().all(|(_, count)| *count == 0) {
        return;
    }
    let gone = gone_above(entries);
    for (entry, count) in commented.into_iter().filter(|(_, count)| *count > 0) {
        let at @ (path, line, _) = beginning(entry);
        let first = (line as usize).saturating_sub(count + gone[&at]);
        console::message(format_args!(
            "The comment above `{}` is left ({}:{first}): remove it if it was about that entry.",
            entry.key.value,
            path.visible()
        ));
    }
}

/// The lines of the comment above an entry.
fn comments_above(entry: &Entry) -> usize {
    let above = (entry.place.line as usize).saturating_sub(1);
    let above: Vec<&str> = entry.key.spot.file.text().lines().take(above).collect();
    above.iter().rev().take_while(|line| line.trim_start().starts_with('#')).count()
}

/// Where an entry begins: its file, line and column.
type Beginning<'e> = (&'e Path, u32, u32);

fn beginning(entry: &Entry) -> Beginning<'_> {
    (entry.key.spot.file.path(), entry.place.line, entry.place.column)
}

/// How many lines above each entry are gone with others of its file.
fn gone_above(entries: &[Arc<Entry>]) -> BTreeMap<Beginning<'_>, usize> {
    let line_count = |text: &str| text.lines().count();
    let in_order: BTreeMap<_, _> = entries.iter().map(|entry| (beginning(entry), entry)).collect();
    let (mut file, mut gone) = (None, 0);
    let above = in_order.into_iter().map(|(at @ (path, line, column), entry)| {
        if file.replace(path) != Some(path) {
            gone = 0;
        }
        let above = gone;
        let text = entry.key.spot.file.text();
        if let Ok(rest) = remove_entry(text, (line, column)) {
            gone += line_count(text).saturating_sub(line_count(&rest));
        }
        (at, above)
    });
    above.collect()
}

fn what_becomes_of(entries: &[Arc<Entry>], policy: &Policy, are_last: bool) -> String {
    let of = if entries.len() == 1 { "it" } else { "them" };
    let is_forgotten = |entry: &&Arc<Entry>| entry.has_one_of(&policy.forgotten);
    let forgotten: Vec<&str> =
        entries.iter().filter(is_forgotten).map(|entry| entry.key.value.as_str()).collect();
    if policy.prune == Prune::Nothing {
        format!(
            "`appcred apply` keeps what targets hold of {of}, since the policy says `prune: none`: pass it --prune managed to delete that."
        )
    } else if forgotten.is_empty() && are_last && !policy.allow_empty {
        format!(
            "No entry is left: `appcred apply --allow-empty` deletes what targets hold of {of}."
        )
    } else if forgotten.is_empty() {
        format!("`appcred apply` deletes what targets hold of {of}.")
    } else if forgotten.len() == entries.len() {
        format!("What targets hold of {of} stays, since the policy says so under `forgotten`.")
    } else {
        format!(
            "What targets hold of {} stays, since the policy says so under `forgotten`; `appcred apply` deletes the rest.",
            listed(forgotten)
        )
    }
}
