//! Whose each credential is: read from what is written at the target, never from its looks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use smol_str::SmolStr;

use crate::model::{ClientId, Credential, Desired, DesiredCredential, Domain, Key, Mark, Owner};

use super::guard;
use super::index::Index;

/// What a target says of whose a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnedBy {
    /// Nothing: a person or another program made it.
    Nobody,
    /// It has a text like a mark that cannot be read: another version or a person wrote it.
    Unreadable,
    /// It is of one owner.
    One(Ownership),
    /// Several owners have claimed it, so nobody may change it.
    Several(BTreeSet<Mark>),
}

impl OwnedBy {
    /// The marks that can be read, one an owner and key.
    pub(super) fn marks(&self) -> impl Iterator<Item = &Mark> {
        let (one, several) = match self {
            Self::One(ownership) => (Some(&ownership.mark), None),
            Self::Several(by) => (None, Some(by)),
            Self::Nobody | Self::Unreadable => (None, None),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

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

/// The entry of each client: there is one.
pub(super) type EntriesByClient<'a> = IndexMap<(&'a Domain, &'a ClientId), &'a DesiredCredential>;

/// The claims of each implementation, for whichever clients.
pub(super) type Claims<'a> = IndexMap<(&'a Domain, SmolStr), Vec<usize>>;

/// Whose each credential is, and the claims that say so. A claim is stronger than a mark: it is
/// written when an entry or an owner gets another name. But a mark or claim of the entry that wants the
/// client is stronger than what other entries of this owner claim: one of them gives that up, and
/// what is created until then must not become its own. The order of claims says nothing.
pub(super) fn read<'a>(
    all: &'a [Credential],
    desired: &'a Desired,
    entries: &EntriesByClient<'a>,
) -> (Vec<OwnedBy>, Claims<'a>) {
    let mut owned_by = vec![OwnedBy::Nobody; all.len()];
    let mut claims = Claims::new();
    let mut sorted: Vec<&DesiredCredential> = desired.credentials.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut names: BTreeMap<(&Domain, &Key), &Key> = BTreeMap::new();
    for entry in sorted.iter().rev() {
        names.extend(entry.formerly.iter().map(|key| ((&entry.domain, key), &entry.key)));
    }
    names.extend(sorted.iter().map(|entry| ((&entry.domain, &entry.key), &entry.key)));
    // A claim is longer than what it claims, so that what claims a credential is read before it.
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|at| Reverse(all[*at].implementation().len()));
    for at in order {
        let credential = &all[at];
        let (domain, client_id) = (&credential.domain, &credential.client_id);
        let by = claims.get(&(domain, credential.implementation().into())).into_iter().flatten();
        let by = by.filter(|by| all[**by].client_id == *client_id);
        let mut marks: BTreeSet<Mark> = by.flat_map(|by| owned_by[*by].marks()).cloned().collect();
        let claim = credential.claim();
        let own_mark = claim.as_ref().map(|claim| claim.mark.clone()).or_else(|| credential.mark());
        let proof = match &claim {
            Some(claim) => Proof::Claim(claim.implementation.clone()),
            None if marks.is_empty() => Proof::Mark,
            None => Proof::Claimed,
        };
        if marks.is_empty() {
            marks.extend(own_mark.clone());
        }
        let entry = entries.get(&(domain, client_id)).copied();
        let is_own = |mark: &Mark| {
            mark.owner == desired.owner && entry.is_some_and(|entry| entry.key == mark.key)
        };
        let is_present = |mark: &Mark| *desired.present_name(&mark.owner) == desired.owner;
        if marks.iter().all(is_present) {
            marks.extend(own_mark.filter(is_own));
        }
        let key_of = |mark: &Mark| names.get(&(domain, &mark.key)).copied();
        owned_by[at] = match first_of(&marks, entry, key_of, desired) {
            _ if credential.has_unreadable_mark() => OwnedBy::Unreadable,
            Some(mark) => OwnedBy::One(Ownership { mark, proof }),
            None if marks.is_empty() => OwnedBy::Nobody,
            None => OwnedBy::Several(marks),
        };
        if let Some(claim) = claim {
            claims.entry((domain, claim.implementation)).or_default().push(at);
        }
    }
    (owned_by, claims)
}

/// The mark that counts where all are of one owner. With a client that an entry wants, what this
/// owner was called before is this owner. First comes the key of that entry, then an earlier name:
/// what is under that is the entry's for its client alone. A key that no entry has was most likely
/// the entry's; where none wants the client, a key that one has counts for more. `key_of` says which
/// entry has or had the key of a mark.
fn first_of<'a>(
    marks: &BTreeSet<Mark>,
    entry: Option<&DesiredCredential>,
    key_of: impl Fn(&Mark) -> Option<&'a Key>,
    desired: &Desired,
) -> Option<Mark> {
    if marks.len() < 2 {
        return marks.first().cloned();
    }
    let present = |mark: &'_ Mark| match entry {
        Some(_) => desired.present_name(&mark.owner).clone(),
        None => mark.owner.clone(),
    };
    let owners: BTreeSet<Owner> = marks.iter().map(present).collect();
    let rank = |mark: &&Mark| {
        let is_present = mark.owner == desired.owner;
        let is_own = is_present && entry.is_some_and(|entry| entry.key == mark.key);
        let key = key_of(mark);
        let is_earlier = !is_present || key.is_some() && key == entry.map(|entry| &entry.key);
        (!is_own, !is_earlier, key.is_some() == entry.is_some())
    };
    marks.iter().min_by_key(rank).filter(|_| owners.len() == 1).cloned()
}

/// Which credentials belong to which entries.
pub(super) struct Assignment {
    clients: Vec<ClientId>,
    of_entries: Vec<Vec<usize>>,
    entries_of: Vec<Option<usize>>,
    /// Of which of these it is no manifest but the client that says so.
    guessed: BTreeSet<usize>,
    unsure: BTreeSet<usize>,
    /// By entry: credentials of several keys without an entry, each of which it may have had.
    doubtful: BTreeMap<usize, Vec<usize>>,
}

/// What this owner has of a client under each key that no entry has.
type UndeclaredKeys<'a> = IndexMap<(&'a Domain, &'a ClientId), IndexMap<&'a Key, Vec<usize>>>;

impl Assignment {
    /// `wanted` are the entries in the order of their keys.
    pub(super) fn new(desired: &Desired, wanted: &[&DesiredCredential], index: &Index<'_>) -> Self {
        let mut made = Self {
            clients: wanted.iter().map(|entry| entry.client_id.clone()).collect(),
            of_entries: vec![Vec::new(); wanted.len()],
            entries_of: vec![None; index.all().len()],
            guessed: BTreeSet::new(),
            unsure: BTreeSet::new(),
            doubtful: BTreeMap::new(),
        };
        let heirs = Heirs::new(desired, wanted);
        let mut undeclared = UndeclaredKeys::new();
        for (at, credential) in index.all().iter().enumerate() {
            let Some(ownership) = index.ownership(at) else { continue };
            match heirs.of(&ownership.mark, credential) {
                Heir::Entry(entry) => made.assign(at, entry),
                Heir::Undeclared => {
                    let client = (&credential.domain, &credential.client_id);
                    let keys = undeclared.entry(client).or_default();
                    keys.entry(&ownership.mark.key).or_default().push(at);
                }
                Heir::Nobody => {}
            }
        }
        for (number, entry) in wanted.iter().enumerate() {
            made.take_renamed(number, entry, desired, &undeclared, index);
        }
        made
    }

    fn assign(&mut self, at: usize, entry: usize) {
        self.entries_of[at] = Some(entry);
        self.of_entries[entry].push(at);
    }

    /// An entry that has nothing yet is what is undeclared under one key and of its client: it was
    /// renamed. One that has something only goes on with a rename that is written down.
    fn take_renamed(
        &mut self,
        number: usize,
        entry: &DesiredCredential,
        desired: &Desired,
        undeclared: &UndeclaredKeys<'_>,
        index: &Index<'_>,
    ) {
        let Some(groups) = undeclared.get(&(&entry.domain, &entry.client_id)) else { return };
        if guard::may_want(desired, &entry.domain).is_some() {
            self.unsure.insert(number);
            return;
        }
        let is_claim = |at: &usize| index.get(*at).claim().is_some();
        let is_used = |group: &[usize]| group.iter().any(|at| index.is_in_use(*at));
        // Claims of nothing are left over from anything, and so are those of the entry's own mark.
        let mark = desired.mark(&entry.key);
        let is_idle =
            |at: &usize| is_claim(at) || index.get(*at).mark().is_some_and(|of| of == mark);
        // A key that has claimed the entry's mark is one that the entry had.
        let own_mark = mark.to_string();
        let claims_mark =
            |at: &usize| index.get(*at).claim().is_some_and(|of| of.implementation == own_mark);
        let (idle, groups): (Vec<_>, Vec<_>) = groups.iter().partition(|(_, group)| {
            group.iter().any(claims_mark) || group.iter().all(is_idle) && !is_used(group)
        });
        // An account may name the id that Home Assistant gave a claim; that says nothing of it.
        let is_named = |at: &usize| {
            let credential = index.get(*at);
            index.is_used(&credential.domain, credential.implementation())
        };
        let says_nothing = |at: &usize| is_claim(at) && !is_named(at);
        let is_new = self.of_entries[number].iter().all(says_nothing);
        if is_new && groups.len() > 1 {
            let all = groups.into_iter().flat_map(|(_, group)| group);
            self.doubtful.insert(number, all.copied().collect());
            return;
        }
        let (mut taken, mut left) = (idle, groups);
        loop {
            for at in taken.iter().flat_map(|(_, group)| *group) {
                self.assign(*at, number);
                self.guessed.insert(*at);
            }
            let written = written_keys(&self.of_entries[number], entry, desired, index);
            // What is taken may have more keys written on it.
            (taken, left) =
                left.into_iter().partition(|(key, _)| is_new || written.contains(**key));
            if taken.is_empty() {
                break;
            }
        }
        self.of_entries[number].sort_unstable();
    }

    /// The credentials of an entry, in the target's order.
    pub(super) fn of_entry(&self, entry: usize) -> &[usize] {
        &self.of_entries[entry]
    }

    /// The entry to which a credential belongs.
    pub(super) fn entry_of(&self, at: usize) -> Option<usize> {
        self.entries_of[at]
    }

    /// Whether a credential belongs to an entry.
    pub(super) fn is_assigned(&self, at: usize) -> bool {
        self.entry_of(at).is_some()
    }

    /// The client that the entry wants to which a credential belongs.
    pub(super) fn client_of(&self, at: usize) -> Option<&ClientId> {
        self.clients.get(self.entry_of(at)?)
    }

    /// Whether only its client says to which entry a credential belongs.
    pub(super) fn is_guessed(&self, at: usize) -> bool {
        self.guessed.contains(&at)
    }

    /// Whether a credential of this client has a key that some manifest which could not be read may
    /// declare.
    pub(super) fn is_unsure(&self, entry: usize) -> bool {
        self.unsure.contains(&entry)
    }

    /// What an entry may have been called before, where that is more than one key.
    pub(super) fn doubtful(&self, entry: usize) -> &[usize] {
        self.doubtful.get(&entry).map_or(&[], Vec::as_slice)
    }

    /// Whether it is asked which entry a credential belongs to.
    pub(super) fn is_doubtful(&self, at: usize) -> bool {
        self.doubtful.values().any(|of_entry| of_entry.contains(&at))
    }
}

/// The keys that an entry had, as its claims say: of a mark with such a key, or of what is claimed
/// under such a key as well.
fn written_keys(
    of_entry: &[usize],
    entry: &DesiredCredential,
    desired: &Desired,
    index: &Index<'_>,
) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for claim in of_entry.iter().filter_map(|at| index.get(*at).claim()) {
        let beside = index.claims(&entry.domain, &claim.implementation, &entry.client_id);
        let beside = beside.filter_map(|at| index.get(at).claim());
        let marks = beside.map(|claim| claim.mark).chain(Mark::of_text(&claim.implementation));
        let of_owner = marks.filter(|mark| mark.owner == desired.owner);
        keys.extend(of_owner.map(|mark| mark.key));
    }
    keys
}

/// Which entry what is written under a key belongs to.
enum Heir {
    Entry(usize),
    /// It is this owner's, and no entry has the key.
    Undeclared,
    /// It is another owner's, or of an entry of which it is not known for which client that is.
    Nobody,
}

/// The entries by what a credential of them may say.
pub(super) struct Heirs<'a> {
    desired: &'a Desired,
    /// Of present and earlier keys; of none where it is not known for which client that is.
    by_key: IndexMap<(&'a Key, &'a Domain), Option<usize>>,
    by_client: IndexMap<(&'a Domain, &'a ClientId), usize>,
}

impl<'a> Heirs<'a> {
    pub(super) fn new(desired: &'a Desired, wanted: &[&'a DesiredCredential]) -> Self {
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

    /// The entry that has a key, or had it and no other one has it now; none where its client is not known.
    pub(super) fn of_key(&self, key: &Key, domain: &Domain) -> Option<usize> {
        self.by_key.get(&(key, domain)).copied().flatten()
    }

    fn of(&self, mark: &Mark, credential: &Credential) -> Heir {
        if mark.owner == self.desired.owner {
            return match self.by_key.get(&(&mark.key, &credential.domain)) {
                Some(Some(entry)) => Heir::Entry(*entry),
                Some(None) => Heir::Nobody,
                None => Heir::Undeclared,
            };
        }
        // Another project may still be called what this one was called before, and have the same
        // keys: of its credentials only one of the same client is an entry's.
        let of_client = self.by_client.get(&(&credential.domain, &credential.client_id));
        match of_client.filter(|_| self.desired.previous_owners.contains(&mark.owner)) {
            Some(entry) => Heir::Entry(*entry),
            None => Heir::Nobody,
        }
    }
}
