//! Changing a manifest in place, and what comes after that.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;

use crate::diagnostic::ProblemCode;
use crate::files::{self, TEXT_LIMIT};
use crate::manifest::{Entry, Loaded, PlainSecrets, check};
use crate::model::{Key, Visible};
use crate::secret::OpenedSopsDocument;
use crate::workspace::find_entry;
use crate::yaml_edit::YamlEditError;

use super::apply::{self, ApplyArgs};
use super::exit::ExitStatus;
use super::gather::{load, request, resolver, show};
use super::locks::lock_project;
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
/// Where none or several are.
pub(super) fn entry(loaded: &Loaded, name: &str) -> anyhow::Result<Arc<Entry>> {
    let key = find_entry(name, loaded.entries.iter().map(Arc::as_ref))?;
    let found = loaded.entries.iter().find(|entry| entry.key.value == key);
    found.cloned().context("the entry is gone")
}

/// Changes the manifest that an entry is in: `change` gets its text and the line and column at which the
/// entry begins. What comes out must be as it should be, or nothing is written.
///
/// # Errors
/// Where it cannot be changed in place.
pub(super) fn change(
    global: &Global,
    loaded: &Loaded,
    entry: &Entry,
    change: impl Fn(&str, (u32, u32)) -> Result<String, YamlEditError>,
) -> anyhow::Result<()> {
    let file = entry.key.spot.file.path();
    let shown = file.visible();
    let _lock = lock_project(global)?;
    let before =
        files::read_text(file, TEXT_LIMIT).with_context(|| format!("cannot read {shown}"))?;
    let is_read = |text: &str| text == entry.key.spot.file.text().as_str();
    if !is_read(&before) {
        bail!("{shown} was changed elsewhere in the meantime: try again");
    }
    let (resolver, _) = resolver(global, &loaded.project);
    let cannot = || format!("cannot change {shown}");
    let place = (entry.place.line, entry.place.column);
    let after = match OpenedSopsDocument::open(&before, &resolver).with_context(cannot)? {
        Some(document) => {
            let body = change(document.body().with_context(cannot)?, place).with_context(cannot)?;
            let now = environment::timestamp();
            document.seal(&Zeroizing::new(body), &now).with_context(cannot)?
        }
        None => change(&before, place).with_context(cannot)?,
    };
    replace(global, file, before.as_bytes(), after.as_bytes())
}

/// Writes a file of the project, where what is in it then is as it should be.
///
/// # Errors
/// Where it is not, which is shown, or it cannot be written.
pub(super) fn replace(
    global: &Global,
    file: &Path,
    before: &[u8],
    after: &[u8],
) -> anyhow::Result<()> {
    let shown = file.visible();
    if let Ok(text) = std::str::from_utf8(after) {
        let problems = check(&request(global), file, text, PlainSecrets::AsUsual);
        // What integrations there are is known to targets, and no matter here.
        let problems = problems.without(ProblemCode::UnknownIntegration);
        if problems.has_errors() {
            show(&problems);
            bail!("{shown} was not changed: it would have the errors above");
        }
    }
    files::replace(file, before, after).with_context(|| format!("cannot write {shown}"))
}
