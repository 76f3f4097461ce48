//! A Home Assistant configuration folder at rest: credentials are read from and written to HA's own
//! `.storage/application_credentials`, so that a house can be provisioned before its first start.
//!
//! Guarantees: a batch is one read and one write; whatever is not ours is not changed; a kill at
//! any moment leaves the old file or the new one, whole; nothing is written while Home Assistant
//! runs there, as far as that can be seen (`running.rs` says how far).

mod endpoint;
mod examine;
mod lock;
mod owner;
mod place;
mod running;
mod storage;
#[cfg(test)]
mod tests;

pub use endpoint::{ConfigDirEndpoint, ConfigDirInput};
pub use examine::{FolderContent, FolderExamination};

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use storage::CredentialStorage;
use tokio::task::spawn_blocking;

use super::collapsed::Collapsed;
use super::in_use::{ByName, refuse_used};
use super::unreadable::{Accounts, UnreadableLog};
use super::{Done, Execute, Observe, Operation, Refusal, Stop, TargetError};
use crate::files::{self, DATA_LIMIT};
use crate::integrations::{self, Release};
use crate::model::{
    ConfigEntry, Credential, Domain, EntryState, Held, KnownDomains, Observed, UnreadAccounts,
    Visible,
};

/// Where Home Assistant keeps what it stores, in its configuration folder.
pub const STORAGE: &str = ".storage";
const CREDENTIALS: &str = "application_credentials";
const CONFIG_ENTRIES: &str = "core.config_entries";

/// How long to wait for another appcred that changes the folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// A configuration folder. One that does not exist yet is a Home Assistant without anything in it, and is
/// made by the first [`Execute::execute`].
#[derive(Clone, Debug)]
pub struct ConfigDir {
    folder: PathBuf,
    unreadable: Arc<UnreadableLog>,
}

impl ConfigDir {
    /// The folder that holds `configuration.yaml`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let folder = files::folder(&folder).to_owned();
        Self { folder, unreadable: Arc::default() }
    }
}

impl ConfigDir {
    /// The Home Assistant that runs on the folder, as far as that can be seen.
    pub fn running(&self) -> Option<String> {
        lock::unless_running(&self.folder).err().map(|running| running.to_string())
    }
}

impl Observe for ConfigDir {
    /// Reads the folder, also while Home Assistant runs there; what that holds in memory may be ten
    /// seconds ahead.
    async fn observe(&mut self) -> Result<Observed, TargetError> {
        let Self { folder, unreadable } = self.clone();
        let reading = spawn_blocking(move || read(&folder, &unreadable));
        reading.await.unwrap_or_else(|why| Err(why.to_string())).map_err(TargetError::Storage)
    }
}

impl Execute for ConfigDir {
    /// The whole batch is one change: everything is reported after the new file is in its place, and
    /// where that fails, or Home Assistant runs there, all of it is refused for that reason.
    ///
    /// A reload is done at once: nothing runs, and the next start takes the credential in force.
    async fn execute(
        &mut self,
        operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        let count = operations.len();
        let (folder, stop) = (self.folder.clone(), stop.clone());
        let outcomes = spawn_blocking(move || change(&folder, &operations, &stop))
            .await
            .unwrap_or_else(|why| Err(Refusal::Failed(why.to_string())))
            .unwrap_or_else(|refusal| vec![Err(refusal); count]);
        for (index, outcome) in outcomes.into_iter().enumerate() {
            done(index, outcome);
        }
    }
}

fn read(folder: &Path, log: &UnreadableLog) -> Result<Observed, String> {
    if let Some(fault) = place::fault(folder) {
        return Err(fault);
    }
    let path = credentials_file(folder);
    let text = text_of(&path)?;
    let credentials = credentials(&path, &text)?.into_credentials();
    let version = version(folder)?;
    let release = Release::of(version.as_deref());
    let mut entries = accounts(folder, &credentials.items, release)?;
    if credentials.items.is_empty() || !has_run(folder).map_err(|why| unusable(folder, why))? {
        entries.unreadable.retain(|unread| *unread != UnreadAccounts::All);
    }
    log.warn(&folder.visible(), credentials.unreadable);
    Ok(Observed {
        version,
        is_new: fs::symlink_metadata(folder)
            .is_err_and(|missing| missing.kind() == io::ErrorKind::NotFound),
        domains: KnownDomains::Assumed(domains(folder, release)?),
        credentials: credentials.items,
        config_entries: entries.items,
        unread_accounts: entries.unreadable,
        live: None,
    })
}

fn change(
    folder: &Path,
    operations: &[Operation],
    stop: &Stop,
) -> Result<Vec<Result<Done, Refusal>>, Refusal> {
    if stop.is_cancelled() {
        return Err(Refusal::Stopped);
    }
    let storage = folder.join(STORAGE);
    let file = credentials_file(folder);
    let cannot_write =
        |why: &dyn Display| Refusal::Failed(format!("cannot write {}: {why}", file.visible()));
    owner::make_folder(&storage).map_err(|why| cannot_write(&files::reason(&storage, &why)))?;
    for place in [&storage, &file] {
        let failed = |why: io::Error| Refusal::Failed(unusable(place, files::reason(place, &why)));
        owner::check_link(place).map_err(failed)?;
    }
    let _guard = lock::acquire(folder, LOCK_TIMEOUT, stop)?;
    // Nobody else writes there now.
    files::remove_leftovers(&file, Duration::ZERO)
        .map_err(|why| cannot_write(&files::reason(&file, &why)))?;

    let text = text_of(&file).map_err(Refusal::Failed)?;
    let mut store = credentials(&file, &text).map_err(Refusal::Failed)?;
    let version = version(folder).map_err(Refusal::Failed)?;
    let release = Release::of(version.as_deref());
    let accounts = accounts(folder, store.credentials(), release).map_err(Refusal::Failed)?;
    let there = There { by_name: ByName::of(store.credentials()), accounts };
    let outcomes =
        operations.iter().map(|operation| apply(operation, &mut store, &there)).collect();
    if store.is_changed() {
        let text = store.to_text().map_err(|why| cannot_write(&why))?;
        if stop.is_cancelled() {
            return Err(Refusal::Stopped);
        }
        files::write_private(&file, &text).map_err(|why| cannot_write(&why))?;
    }
    Ok(outcomes)
}

/// What is in the folder right before a batch.
struct There {
    by_name: ByName,
    accounts: Accounts<ConfigEntry>,
}

impl There {
    fn may_go(&self, operation: &Operation, held: &Held) -> Result<(), Refusal> {
        // HA looks for the credential's own id alone (`async_delete_item`).
        let names_id = |account: &ConfigEntry| {
            account.domain == held.domain
                && account.implementation.as_deref() == Some(held.id.as_str())
        };
        if self.accounts.items.iter().any(names_id) {
            return Err(Refusal::InUse { domain: held.domain.clone() });
        }
        match self.by_name.is_taken_by(operation) {
            true => refuse_used(held, &self.accounts),
            false => Ok(()),
        }
    }
}

fn apply(
    operation: &Operation,
    store: &mut CredentialStorage<'_>,
    there: &There,
) -> Result<Done, Refusal> {
    match operation {
        Operation::Create(new) => Ok(Done::Created(store.create(new))),
        Operation::Delete(held) | Operation::TakeBack(held) => {
            store.delete(held, || there.may_go(operation, held)).map(|()| Done::Deleted)
        }
        Operation::RemoveAccount(_) => Err(Refusal::Unsupported),
        Operation::Reload(_) => Ok(Done::Reloaded(EntryState::AtRest)),
    }
}

fn credentials_file(folder: &Path) -> PathBuf {
    folder.join(STORAGE).join(CREDENTIALS)
}

fn credentials<'a>(
    path: &Path,
    text: &'a Option<Zeroizing<String>>,
) -> Result<CredentialStorage<'a>, String> {
    let text = text.as_deref().map(String::as_str);
    CredentialStorage::parse(text).map_err(|damage| unusable(path, damage))
}

fn config_entries(folder: &Path) -> Result<Accounts<ConfigEntry>, String> {
    let path = folder.join(STORAGE).join(CONFIG_ENTRIES);
    storage::config_entries(text_of(&path)?.as_deref().map(String::as_str))
        .map_err(|damage| unusable(&path, damage))
}

/// Home Assistant's version, as it has written it there.
fn version(folder: &Path) -> Result<Option<String>, String> {
    let version = text_of(&folder.join(".HA_VERSION"))?;
    Ok(version.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// The linked accounts, each with what it finds of these credentials.
fn accounts<'c>(
    folder: &Path,
    credentials: impl IntoIterator<Item = &'c Credential>,
    release: Option<Release>,
) -> Result<Accounts<ConfigEntry>, String> {
    let mut entries = config_entries(folder)?;
    let collapsed = Collapsed::of(credentials, release);
    for ConfigEntry { domain, implementation, .. } in &mut entries.items {
        if let Some(named) = implementation.as_deref()
            && let Some(in_force) = collapsed.in_force(domain, Some(named))
        {
            *implementation = Some(in_force.into());
        }
    }
    Ok(entries)
}

/// Whether HA has run on a folder, so that it has a list of accounts: it writes its version there, and more
/// beside the credentials.
fn has_run(folder: &Path) -> io::Result<bool> {
    if folder.join(".HA_VERSION").exists() {
        return Ok(true);
    }
    let stored = match fs::read_dir(folder.join(STORAGE)) {
        Ok(stored) => stored,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(why) => return Err(why),
    };
    for file in stored {
        let name = file?.file_name();
        let name = name.to_string_lossy();
        if ["auth", "core.", "onboarding"].iter().any(|beginning| name.starts_with(beginning)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// HA's own integrations that take credentials, and the custom ones that are installed there.
fn domains(folder: &Path, release: Option<Release>) -> Result<BTreeSet<Domain>, String> {
    let mut domains = integrations::known_in(release);
    let custom = folder.join("custom_components");
    let cannot_read = |why: io::Error| unusable(&custom, files::reason(&custom, &why));
    let installed = match fs::read_dir(&custom) {
        Ok(installed) => installed,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(domains),
        Err(why) => return Err(cannot_read(why)),
    };
    for integration in installed {
        let integration = integration.map_err(cannot_read)?;
        let platform = integration.path().join(CREDENTIALS);
        if platform.with_extension("py").is_file() || platform.join("__init__.py").is_file() {
            domains.insert(Domain::new(integration.file_name().to_string_lossy()));
        }
    }
    Ok(domains)
}

/// A file's text; none where there is no file. What a symbolic link led to may hold anything, so that
/// one to nothing is an error.
fn text_of(path: &Path) -> Result<Option<Zeroizing<String>>, String> {
    let text = files::optional(files::read_text(path, DATA_LIMIT));
    let text = text.map_err(|why| unusable(path, why))?;
    let mut dangling = path.ancestors().filter(|link| link.is_symlink() && !link.exists());
    match dangling.next().filter(|_| text.is_none()) {
        Some(link) => Err(unusable(link, "it is a symbolic link to nothing")),
        None => Ok(text),
    }
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> String {
    format!("cannot use {}: {why}", path.visible())
}
