//! Changing a manifest in place, and what comes after that.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;

use crate::diagnostic::{ProblemCode, SourceFile};
use crate::files::{self, FileChange, TEXT_LIMIT};
use crate::manifest::{Entry, Loaded, PlainSecrets, check};
use crate::model::{Key, PROJECT_FILE, Visible};
use crate::secret::OpenedSopsDocument;
use crate::workspace::find_entry;
use crate::yaml_edit::YamlEditError;

use super::apply::{self, ApplyArgs};
use super::exit::ExitStatus;
use super::gather::{load, request, resolver, show};
use super::{ChangesArgs, Global, OutputFormat, console, environment};

/// Whether a change of a manifest is applied.
#[derive(clap::Args, Debug)]
pub(super) struct ThenApply {
    /// Apply the change as well, and nothing else, after showing it and asking
    #[arg(long)]
    apply: bool,
    /// With --apply, do not ask
    #[arg(short, long, requires = "apply")]
    yes: bool,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

impl ThenApply {
    pub(super) fn is_wanted(&self) -> bool {
        self.apply
    }

    /// Refuses what would be changed and then not applied, before anything is changed.
    ///
    /// # Errors
    /// Where nobody can be asked, or a program would read two reports.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.apply && self.changes.format != OutputFormat::Text {
            bail!(
                "--apply and --format do not go together: run `appcred apply --format json` after it, with the keys that it prints"
            );
        }
        if self.apply && !self.yes && !console::can_ask() {
            bail!("there is no terminal to ask on: pass --yes too, to apply without asking");
        }
        Ok(())
    }

    /// Applies what was changed of these entries, or says how.
    ///
    /// # Errors
    /// Where it cannot be applied.
    pub(super) async fn run(&self, global: &Global, keys: &[Key]) -> anyhow::Result<ExitStatus> {
        if self.apply {
            return apply::run(global, &ApplyArgs::of(keys, self.yes)).await;
        }
        let keys: Vec<&str> = keys.iter().map(Key::as_str).collect();
        let keys = keys.join(",");
        console::message(format_args!("`appcred apply --key {keys}` applies it to the targets."));
        Ok(ExitStatus::Success)
    }
}

/// Reads the project; none where it is in error, which is shown: nothing is changed then.
pub(super) fn in_order(global: &Global) -> Option<Loaded> {
    let loaded = load(global);
    show(&loaded.problems);
    if loaded.problems.has_errors() {
        console::message("Nothing was changed: correct the errors above first.");
        return None;
    }
    Some(loaded)
}

/// The entry that is called so.
///
/// # Errors
/// Where none or several are, also where several have that key.
pub(super) fn entry(loaded: &Loaded, name: &str) -> anyhow::Result<Arc<Entry>> {
    let key = find_entry(name, loaded.entries.iter().map(Arc::as_ref))?;
    let mut found = loaded.entries.iter().filter(|entry| entry.key.value == key);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(Arc::clone(only)),
        // They are for different targets, and a key does not say which one is meant.
        (Some(first), Some(second)) => bail!(
            "several entries have the key `{key}` ({} and {}): change them in the file",
            first.place,
            second.place
        ),
        (None, _) => bail!("the entry is gone"),
    }
}

/// Changes the manifests that entries are in, in a project that was locked before it was read: `change` gets the
/// text of one and the line and column at which the entry begins. Nothing is written where one of the changes cannot
/// be made, or what comes out is not as it should be.
///
/// # Errors
/// Where that is so.
pub(super) fn change(
    global: &Global,
    loaded: &Loaded,
    entries: &[Arc<Entry>],
    change: impl Fn(&str, &Entry) -> Result<String, YamlEditError>,
) -> anyhow::Result<()> {
    write(global, &of_manifests(global, loaded, entries, change)?)
}

/// The entries that are meant, each once, by key.
///
/// # Errors
/// Where one of them is not there.
pub(super) fn entries(loaded: &Loaded, named: &[String]) -> anyhow::Result<Vec<Arc<Entry>>> {
    let named = named.iter().map(|name| {
        let entry = entry(loaded, name)?;
        Ok((entry.key.value.clone(), entry))
    });
    let by_key: BTreeMap<Key, Arc<Entry>> = named.collect::<anyhow::Result<_>>()?;
    Ok(by_key.into_values().collect())
}

/// The changes of the manifests that entries are in. The project is locked.
///
/// # Errors
/// Where one of them cannot be made.
pub(super) fn of_manifests(
    global: &Global,
    loaded: &Loaded,
    entries: &[Arc<Entry>],
    change: impl Fn(&str, &Entry) -> Result<String, YamlEditError>,
) -> anyhow::Result<Vec<FileChange>> {
    let mut of_files: BTreeMap<&Path, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        of_files.entry(entry.key.spot.file.path()).or_default().push(entry);
    }
    let changes = of_files.into_iter().map(|(file, mut entries)| {
        // From the end, so that the others stay where they are.
        entries.sort_by_key(|entry| Reverse((entry.place.line, entry.place.column)));
        let change_all = |text: &str| {
            entries.iter().try_fold(text.to_owned(), |text, entry| {
                let key = &entry.key.value;
                change(&text, entry).with_context(|| format!("the entry `{key}`"))
            })
        };
        changed(global, loaded, &entries[0].key.spot.file, change_all)
            .with_context(|| format!("cannot change {}", file.visible()))
    });
    changes.collect()
}

/// The change of the project file, which is made where there is none. The project is locked.
///
/// # Errors
/// Where it cannot be made.
pub(super) fn of_project(
    global: &Global,
    loaded: &Loaded,
    change: impl Fn(&str) -> Result<String, YamlEditError>,
) -> anyhow::Result<FileChange> {
    let Some(path) = &loaded.project.file else {
        let after = change("")?.into_bytes();
        return Ok(FileChange { path: global.folder.join(PROJECT_FILE), before: None, after });
    };
    let file = loaded.files.iter().find(|file| file.path() == path);
    let file = file.context("the project file is gone")?;
    changed(global, loaded, file, |text| Ok(change(text)?))
        .with_context(|| format!("cannot change {}", path.visible()))
}

/// A file with this change of its text.
fn changed(
    global: &Global,
    loaded: &Loaded,
    file: &SourceFile,
    change: impl Fn(&str) -> anyhow::Result<String>,
) -> anyhow::Result<FileChange> {
    let before = files::read_text(file.path(), TEXT_LIMIT)?;
    if *before != *file.text().as_str() {
        bail!("it was changed elsewhere in the meantime: try again");
    }
    let (resolver, _) = resolver(global, &loaded.project);
    let after = match OpenedSopsDocument::open(&before, &resolver)? {
        Some(document) => {
            let body = Zeroizing::new(change(document.body()?)?);
            document.seal(&body, &environment::timestamp())?
        }
        None => change(&before)?,
    };
    let before = Some(Zeroizing::new(before.as_bytes().to_vec()));
    Ok(FileChange { path: file.path().to_owned(), before, after: after.into_bytes() })
}

/// Writes files of the project, where what is in them then is as it should be.
///
/// # Errors
/// Where it is not, which is shown, or they cannot be written.
pub(super) fn write(global: &Global, changes: &[FileChange]) -> anyhow::Result<()> {
    for FileChange { path, after, .. } in changes {
        let Ok(text) = std::str::from_utf8(after) else { continue };
        let problems = check(&request(global), path, text, PlainSecrets::AsUsual);
        // What integrations there are is known to targets, and no matter here.
        let problems = problems.without(ProblemCode::UnknownIntegration);
        if problems.has_errors() {
            show(&problems);
            bail!("{} was not changed: it would have the errors above", path.visible());
        }
    }
    Ok(files::change_all(changes)?)
}
