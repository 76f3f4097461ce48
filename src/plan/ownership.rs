//! Whose each credential is: read from what is written at the target, never from its looks.

use indexmap::IndexMap;
use smol_str::SmolStr;

use crate::model::{
    Claim, ClientId, Completeness, Credential, Desired, DesiredCredential, Domain, Key, Mark,
};

use super::index::Index;

/// Whose a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    /// The owner, and the entry under the key that it had when this was written.
    pub(super) mark: Mark,
    /// Where that is written.
    pub(super) proof: Proof,
}

/// Where it is written whose a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// In the credential itself.
    Mark,
    /// In the credential itself, which is there to claim this implementation.
    Claim(SmolStr),
    /// In a claim of its implementation, for its client.
    Claimed,
}

/// The first claim of each implementation for each client, in the target's order: it decides.
pub(super) type FirstClaims<'a> = IndexMap<(&'a Domain, SmolStr, &'a ClientId), usize>;

pub(super) fn first_claims(credentials: &[Credential]) -> FirstClaims<'_> {
    let mut first = FirstClaims::new();
    for (at, credential) in credentials.iter().enumerate() {
        if let Some(Claim { implementation, .. }) = credential.claim() {
            let of = (&credential.domain, implementation, &credential.client_id);
            first.entry(of).or_insert(at);
        }
    }
    first
}

/// Whose a credential is; nobody's where nothing says so. A claim is stronger than a mark: it is
/// written when an entry or an owner gets another name.
pub(super) fn read(
    credential: &Credential,
    first: &FirstClaims<'_>,
    all: &[Credential],
) -> Option<Ownership> {
    let implementation = credential.implementation().into();
    let first = first.get(&(&credential.domain, implementation, &credential.client_id));
    let claimed = first.and_then(|at| all.get(*at)?.claim()).map(|claim| claim.mark);
    if let Some(Claim { mark, implementation }) = credential.claim() {
        let proof = Proof::Claim(implementation);
        return Some(Ownership { mark: claimed.unwrap_or(mark), proof });
    }
    match claimed {
        Some(mark) => Some(Ownership { mark, proof: Proof::Claimed }),
        None => credential.mark().map(|mark| Ownership { mark, proof: Proof::Mark }),
    }
}

/// Which credentials belong to which entries.
pub(super) struct Assignment {
    of_entries: Vec<Vec<usize>>,
    entries_of: Vec<Option<usize>>,
    unsure: Vec<bool>,
}

impl Assignment {
    /// `wanted` are the entries in the order of their keys.
    pub(super) fn new(desired: &Desired, wanted: &[&DesiredCredential], index: &Index<'_>) -> Self {
        let mut made = Self {
            of_entries: vec![Vec::new(); wanted.len()],
            entries_of: vec![None; index.all().len()],
            unsure: vec![false; wanted.len()],
        };
        let heirs = Heirs::new(desired, wanted);
        for (at, credential) in index.all().iter().enumerate() {
            let Some(ownership) = index.ownership(at) else { continue };
            let Some(heir) = heirs.of(&ownership.mark, credential) else { continue };
            if heir.is_guess && desired.completeness == Completeness::Partial {
                made.unsure[heir.entry] = true;
                continue;
            }
            made.entries_of[at] = Some(heir.entry);
            made.of_entries[heir.entry].push(at);
        }
        made
    }

    /// The credentials of an entry, in the target's order.
    pub(super) fn of_entry(&self, entry: usize) -> &[usize] {
        &self.of_entries[entry]
    }

    /// Whether a credential belongs to an entry.
    pub(super) fn is_assigned(&self, at: usize) -> bool {
        self.entries_of[at].is_some()
    }

    /// Whether a credential of this client has a key that some manifest which could not be read may
    /// declare.
    pub(super) fn is_unsure(&self, entry: usize) -> bool {
        self.unsure[entry]
    }
}

/// The entry that what is written under a key belongs to.
#[derive(Clone, Copy)]
struct Heir {
    entry: usize,
    /// Whether no manifest says so: the client is the same, and the key is declared nowhere.
    is_guess: bool,
}

/// The entries by what a credential of them may say.
struct Heirs<'a> {
    desired: &'a Desired,
    /// Of present and earlier keys; of none where it is not known for which client that is.
    by_key: IndexMap<(&'a Key, &'a Domain), Option<usize>>,
    by_client: IndexMap<(&'a Domain, &'a ClientId), usize>,
}

impl<'a> Heirs<'a> {
    fn new(desired: &'a Desired, wanted: &[&'a DesiredCredential]) -> Self {
        let (mut by_key, mut by_client) = (IndexMap::new(), IndexMap::new());
        for (entry, credential) in wanted.iter().enumerate().rev() {
            by_client.insert((&credential.domain, &credential.client_id), entry);
            for key in &credential.formerly {
                by_key.insert((key, &credential.domain), Some(entry));
            }
        }
        // What is declared is no earlier key.
        for entry in &desired.unidentified {
            by_key.insert((&entry.key, &entry.domain), None);
        }
        for (entry, credential) in wanted.iter().enumerate() {
            by_key.insert((&credential.key, &credential.domain), Some(entry));
        }
        Self { desired, by_key, by_client }
    }

    fn of(&self, mark: &Mark, credential: &Credential) -> Option<Heir> {
        let is_previous = self.desired.previous_owners.contains(&mark.owner);
        if mark.owner == self.desired.owner
            && let Some(entry) = self.by_key.get(&(&mark.key, &credential.domain))
        {
            return entry.map(|entry| Heir { entry, is_guess: false });
        }
        if mark.owner != self.desired.owner && !is_previous {
            return None;
        }
        // Another project may still be called what this one was called before, and have the same
        // keys: of its credentials only one of the same client is an entry's.
        let entry = self.by_client.get(&(&credential.domain, &credential.client_id))?;
        Some(Heir { entry: *entry, is_guess: !is_previous })
    }
}
