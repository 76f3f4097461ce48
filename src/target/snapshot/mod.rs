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
pub use format::{KIND, SnapshotTarget, write};

use super::TargetError;
use crate::http::Network;
use crate::model::{Observed, SealedClients, Secret, TargetName};

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
    /// Since when it could not be reached when the snapshot was taken.
    pub unreachable_since: Option<Timestamp>,
    /// Client ids by the ciphertexts that were found to hold them.
    pub clients: SealedClients,
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
/// Where it cannot be read, or is none.
pub async fn load(
    source: &SnapshotLocation,
    token: Option<&Secret>,
    network: &Network,
) -> Result<Snapshot, TargetError> {
    let text = fetch::text(source, token, network).await?;
    format::read(&text)
        .map_err(|damage| TargetError::Storage(format!("cannot use {source}: {damage}")))
}

/// The form of the file.
pub fn schema() -> Schema {
    crate::schema::of_output::<format::SnapshotDocument>()
}
