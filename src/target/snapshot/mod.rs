//! A snapshot: what was known of targets at one moment, in a file that holds no secret, so that a
//! plan can be made where there is neither a key nor a token. It can only be read.
//!
//! Of a secret it holds at most a digest of the *ciphertext* that was found to hold it: the manifest's
//! own text, which is public and made with fresh randomness, so that no guess can be confirmed.

mod fetch;
mod format;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::Schema;

pub use fetch::SnapshotLocation;

use super::TargetError;
use crate::http::Network;
use crate::model::{Observed, SealedClients, Seals, Secret, TargetName};

/// What was known of targets at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub taken_at: Timestamp,
    targets: BTreeMap<TargetName, Recorded>,
}

/// What was known of one target.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What it held.
    pub observed: Observed,
    /// Client ids by the ciphertexts that were found to hold them.
    pub clients: SealedClients,
}

/// A target that is to go into a snapshot.
pub struct Seen<'a> {
    /// Its name in the project file.
    pub name: &'a TargetName,
    /// What it holds.
    pub observed: &'a Observed,
    /// For each of its credentials, in order, what was found to be the same as in a manifest.
    pub seals: Vec<Seals>,
}

impl Snapshot {
    /// The targets that it knows.
    pub fn names(&self) -> impl Iterator<Item = &TargetName> {
        self.targets.keys()
    }

    /// Takes one of them out.
    pub fn take(&mut self, name: &TargetName) -> Option<Recorded> {
        self.targets.remove(name)
    }
}

/// Reads a snapshot; `token` is for an address that asks for one, and `network` is the way to it.
///
/// # Errors
/// Where it cannot be had, or is none.
pub async fn load(
    source: &SnapshotLocation,
    token: Option<&Secret>,
    network: &Network,
) -> Result<Snapshot, TargetError> {
    let text = fetch::text(source, token, network).await?;
    format::read(&text)
        .map_err(|damage| TargetError::Storage(format!("cannot use {source}: {damage}")))
}

/// What a snapshot says of one target, without any secret.
#[derive(Debug)]
pub struct Page(format::SnapshotTarget);

impl Page {
    /// What was found there.
    pub fn of(seen: &Seen<'_>) -> Self {
        Self(format::target(seen))
    }
}

/// The file of a snapshot.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn bind<'p>(
    taken_at: Timestamp,
    pages: impl Iterator<Item = &'p Page>,
) -> serde_json::Result<String> {
    format::write(taken_at, pages.map(|Page(target)| target))
}

/// The form of the file.
pub fn schema() -> Schema {
    crate::schema::of_output::<format::SnapshotDocument>()
}
