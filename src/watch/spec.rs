//! What one target should hold and how it is reached: a plain value, so that two of them can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::diagnostic::Spot;
use crate::files::Stamp;
use crate::lock::{TargetLock, WriteLock};
use crate::model::{Desired, Key, Labels, Lifetime, Policy, Rollout, Seals, TargetName};
use crate::status::{EntryStatus, ManifestStatus, Mode, Revisions};
use crate::target::Endpoint;

use super::Notices;

/// What one target should hold, and how it is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// Where it is and how to authenticate there.
    pub endpoint: Endpoint,
    /// Its labels.
    pub labels: Labels,
    /// Every file and program that connecting reads, as it was when the project was read.
    pub inputs: BTreeMap<PathBuf, Option<Stamp>>,
    /// Of which versions of what declares it this is.
    pub revisions: Revisions,
    /// What it should hold.
    pub desired: Desired,
    /// The ciphertexts of its entries.
    pub seals: BTreeMap<Key, Seals>,
    /// Until when the clients of its entries may be used. What is due changes with the day.
    pub lifetimes: BTreeMap<Key, Lifetime>,
    /// Where the integration of each entry is written.
    pub domains: BTreeMap<Key, Spot>,
    /// What a plan may do.
    pub policy: Policy,
    /// Whether nothing is done there: it is not even connected to.
    pub is_suspended: bool,
    /// What is done about differences.
    pub mode: Mode,
    /// Who is notified.
    pub notices: Notices,
    /// What keeps other watchers away from it.
    pub lock: TargetLock,
    /// What keeps other writers away from it during a round.
    pub writing: WriteLock,
}

impl TargetSpec {
    /// Whether both mean the same target and owner, so that what is known of one holds for the other.
    pub(super) fn is_same_target(&self, other: &Self) -> bool {
        self.endpoint.address() == other.endpoint.address()
            && self.lock.file == other.lock.file
            && self.desired.owner == other.desired.owner
    }

    /// Where its rounds are: no two may be there at once.
    pub(super) fn place(&self) -> PathBuf {
        let lock = self.lock.file.clone();
        lock.unwrap_or_else(|| PathBuf::from(&self.writing.place))
    }

    /// The entries that are selected, with the days until when their clients may be used.
    pub(super) fn dated(&self, mut entries: Vec<EntryStatus>) -> Vec<EntryStatus> {
        let includes = |entry: &EntryStatus| {
            let desired = self.desired.credential(&entry.key);
            let earlier = desired.into_iter().flat_map(|desired| &desired.formerly);
            let keys = std::iter::once(&entry.key).chain(earlier);
            self.policy.selection.includes(keys, &entry.domain)
        };
        entries.retain(includes);
        for entry in &mut entries {
            entry.lifetime = self.lifetimes.get(&entry.key).copied().unwrap_or_default();
        }
        entries
    }

    /// Whether a connection that was made for one serves the other.
    pub(super) fn is_reached_the_same_way(&self, other: &Self) -> bool {
        let is_same_term = self.writing.fence == other.writing.fence;
        is_same_term && self.endpoint == other.endpoint && self.inputs == other.inputs
    }
}

/// What the manifests say at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What each target should hold; none where a manifest is in error.
    pub specs: Option<BTreeMap<TargetName, TargetSpec>>,
    /// In which order the targets are changed.
    pub rollout: Rollout,
    /// The files and folders that were read.
    pub places: BTreeSet<PathBuf>,
    /// How the manifests were found.
    pub manifests: ManifestStatus,
}

/// Reads the project, again and again.
pub trait ReadSpecs: Send + 'static {
    /// Reads everything that may have changed.
    fn read(&mut self) -> Reading;

    /// What notifies of changes beside the places that are read.
    fn changes(&self) -> Option<Arc<Notify>> {
        None
    }

    /// Forgets all that was kept from earlier readings, after one of them has crashed.
    fn restart(&mut self);
}
