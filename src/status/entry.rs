//! The status of one entry at one target.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use smol_str::SmolStr;

use crate::codes::EntryCode;
use crate::model::{
    AccountName, Adopt, ClientId, Desired, DesiredCredential, Domain, FlowStep, Key, KnownSecret,
    Lifetime, Mark, Owner, Place, Policy, SetUpId,
};
use crate::plan::{CredentialState, EntrySetup, Plan, SetupState, Trouble, Why};

/// The status of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryStatus {
    /// Its key.
    pub key: Key,
    /// The integration.
    pub domain: Domain,
    /// As HA shows it.
    pub name: SmolStr,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// What credential it wanted when this was found.
    pub wanted: WantedDigest,
    /// Where it is written.
    pub place: Place,
    /// Until when its client may be used.
    pub lifetime: Lifetime,
    /// Whether the target holds its credential.
    pub holding: Holding,
    /// Its set-ups, one for each account that it names; none at a target at rest.
    pub set_ups: Vec<SetUpStatus>,
}

/// What distinguishes a wanted credential from all others, its secret included. Nothing can be read from it, or be
/// found by guessing: it is made with a random key of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedDigest(u64);

impl WantedDigest {
    /// Of all that [`DesiredCredential::wants_same_credential`] compares.
    fn of(wanted: &DesiredCredential) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let DesiredCredential {
            key, formerly, domain, client_id, client_secret, name, adopt, ..
        } = wanted;
        let secret = match client_secret {
            KnownSecret::Clear(secret) => (0, Some(secret.expose()), None),
            KnownSecret::Sealed(seal) => (1, None, Some(seal)),
            KnownSecret::Unknown => (2, None, None),
        };
        let adopt = match adopt {
            Adopt::No => (0, None),
            Adopt::Only => (1, None),
            Adopt::Id(id) => (2, Some(id)),
        };
        Self(KEY.hash_one((key, formerly, domain, client_id, secret, name, adopt)))
    }
}

/// The status of one set-up of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUpStatus {
    /// The account, where the entry names its accounts.
    pub account: Option<AccountName>,
    /// How far it is.
    pub state: SetupState,
    /// What is wrong with its account.
    pub trouble: Option<Trouble>,
    /// What it waits for. On the heap, since most wait for nothing and all are kept.
    pub waits_for: Option<Box<FlowStep>>,
    /// Why the last attempt failed, until another one has got further than what it waited for at first.
    pub error: Option<String>,
}

impl SetUpStatus {
    /// Whether the last attempt got further, or why it failed; nothing as long as that is not known.
    pub fn result(&self) -> Option<Result<(), &str>> {
        match (&self.error, &self.state, &self.waits_for) {
            (Some(why), ..) => Some(Err(why)),
            (None, SetupState::Linked(_) | SetupState::Cloud(_), _) | (None, _, Some(_)) => {
                Some(Ok(()))
            }
            (None, _, None) => None,
        }
    }
}

impl EntryStatus {
    /// What went wrong with its client: a set-up that failed, or an account that does not run because of it.
    pub fn fault_of_client(&self) -> Option<String> {
        self.set_ups.iter().find_map(|set_up| {
            if let Some(why) = &set_up.error {
                return Some(format!("the set-up of {} failed: {why}", self.name_of(set_up)));
            }
            let trouble = set_up.trouble.as_ref().filter(|trouble| trouble.is_clients_fault())?;
            Some(format!(
                "the account of {} does not run: {}",
                self.name_of(set_up),
                trouble.seen()
            ))
        })
    }

    fn name_of(&self, set_up: &SetUpStatus) -> String {
        named(&self.name, set_up.account.as_ref())
    }
}

/// A set-up that waits for a person.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Its entry.
    pub entry: &'a EntryStatus,
    /// The set-up.
    pub set_up: &'a SetUpStatus,
    /// What it waits for.
    pub step: &'a FlowStep,
}

impl Waiting<'_> {
    /// Which it is.
    pub fn id(&self) -> SetUpId {
        SetUpId { key: self.entry.key.clone(), account: self.set_up.account.clone() }
    }

    /// Whose consent is waited for, as in `Family` or `Family (Ann)`.
    pub fn name(&self) -> String {
        named(&self.entry.name, self.set_up.account.as_ref())
    }
}

/// An entry's name, and that of one of its accounts where it names them.
pub fn named(name: &str, account: Option<&AccountName>) -> String {
    account.map_or_else(|| name.to_owned(), |account| format!("{name} ({account})"))
}

/// Whether a target holds an entry's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// As it is wanted.
    InSync,
    /// Not as it is wanted.
    Differs,
    /// Not at all.
    Missing,
    /// The target could not be observed since this was declared.
    Unknown,
    /// Its entry is suspended.
    Suspended,
    /// It is not created or changed, for this reason.
    Withheld(Why),
}

impl Holding {
    /// As programs read it.
    pub fn code(&self) -> EntryCode {
        match self {
            Self::InSync => EntryCode::InSync,
            Self::Differs => EntryCode::Differs,
            Self::Missing => EntryCode::Missing,
            Self::Unknown => EntryCode::Unknown,
            Self::Suspended => EntryCode::Suspended,
            Self::Withheld(_) => EntryCode::Withheld,
        }
    }

    /// Whether somebody has said that nothing is changed of it.
    pub fn is_kept_on_purpose(&self) -> bool {
        matches!(self, Self::Suspended | Self::Withheld(Why::Protected { .. }))
    }
}

impl EntryStatus {
    fn of(wanted: &DesiredCredential, holding: Holding, set_ups: Vec<SetUpStatus>) -> Self {
        Self {
            key: wanted.key.clone(),
            domain: wanted.domain.clone(),
            name: wanted.name.clone(),
            client_id: wanted.client_id.clone(),
            wanted: WantedDigest::of(wanted),
            place: wanted.place.clone(),
            lifetime: Lifetime::default(),
            holding,
            set_ups,
        }
    }

    /// Its set-ups that wait for a person.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting<'_>> {
        // Without its credential Home Assistant cannot finish a set-up.
        let is_there = self.holding != Holding::Missing;
        self.set_ups.iter().filter(move |_| is_there).filter_map(move |set_up| {
            let step = set_up.waits_for.as_deref().filter(|step| step.needs_person())?;
            Some(Waiting { entry: self, set_up, step })
        })
    }
}

/// The entries of a target that cannot be looked at now: as it was found last, where an entry is still
/// the same.
pub fn unseen(desired: &Desired, last: &[EntryStatus]) -> Vec<EntryStatus> {
    let last: BTreeMap<&Key, &EntryStatus> = last.iter().map(|entry| (&entry.key, entry)).collect();
    let entry = |wanted: &DesiredCredential| {
        let unseen = EntryStatus::of(wanted, Holding::Unknown, Vec::new());
        match last.get(&wanted.key) {
            Some(last) if last.wanted == unseen.wanted => {
                EntryStatus { place: unseen.place, ..(*last).clone() }
            }
            _ => unseen,
        }
    };
    let mut entries: Vec<EntryStatus> = desired.credentials.iter().map(entry).collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// The status of each entry by a plan of which nothing was done, by key.
pub fn entries(desired: &Desired, plan: &Plan, policy: &Policy) -> Vec<EntryStatus> {
    let mut holdings: BTreeMap<&Key, Holding> = BTreeMap::new();
    for compared in &plan.credential_states {
        match &compared.state {
            CredentialState::InSync(key) => drop(holdings.entry(key).or_insert(Holding::InSync)),
            CredentialState::Differs(key) => drop(holdings.insert(key, Holding::Differs)),
            _ => {}
        }
    }
    for withheld in &plan.withheld {
        if let Some(wanted) = withheld.action.created() {
            holdings.insert(&wanted.key, Holding::Withheld(withheld.why.clone()));
        }
    }
    let mut set_ups: BTreeMap<&Key, Vec<SetUpStatus>> = BTreeMap::new();
    for EntrySetup { id, state, trouble } in &plan.setup_states {
        let (account, state, trouble) = (id.account.clone(), state.clone(), trouble.clone());
        let set_up = SetUpStatus { account, state, trouble, waits_for: None, error: None };
        set_ups.entry(&id.key).or_default().push(set_up);
    }
    let mut set_ups_of = |key| {
        let mut set_ups = set_ups.remove(key).unwrap_or_default();
        // Nearly all have one, and a list that grew has room for four.
        set_ups.shrink_to_fit();
        set_ups
    };
    let mut entries: Vec<EntryStatus> = desired
        .credentials
        .iter()
        .map(|wanted| {
            let holding = match policy.suspended.contains(&wanted.key) {
                true => Holding::Suspended,
                false => holdings.remove(&wanted.key).unwrap_or(Holding::Missing),
            };
            EntryStatus::of(wanted, holding, set_ups_of(&wanted.key))
        })
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// The keys of which a target holds something of this owner's, by a plan for it.
pub fn held(plan: &Plan, owner: &Owner) -> BTreeSet<Key> {
    let marks = plan.credential_states.iter().filter_map(|of| {
        // What has gone over to an entry of another key is that one's, by its claim.
        let own_mark = || Mark::of_text(of.held.auth_domain.as_deref()?);
        let mark = of.owned_by.clone().or_else(own_mark)?;
        (mark.owner == *owner).then_some(mark.key)
    });
    marks.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{EntryStatus, Holding, SetUpStatus, held, unseen};
    use crate::model::{
        Adopt, ClientId, Credential, CredentialId, Desired, DesiredCredential, FlowStep,
        KnownDomains, Observed, Owner, Place, Policy, Secret,
    };
    use crate::plan::{SetupState, plan};

    fn wanted(key: &str, client_id: &str, line: u32) -> DesiredCredential {
        let example = DesiredCredential::example(key);
        let place = Place { line, ..example.place.clone() };
        DesiredCredential { client_id: ClientId::new(client_id), place, ..example }
    }

    #[test]
    fn what_has_gone_over_to_an_entry_of_another_key_is_held_under_that_key_alone() {
        let (entry, owner) = (wanted("new", "1", 1), Owner::new("house").unwrap());
        let desired = Desired::example(vec![entry.clone()]);
        let of = |id: &str, auth_domain: &str| Credential {
            id: CredentialId::new(id),
            domain: entry.domain.clone(),
            client_id: entry.client_id.clone(),
            client_secret: entry.client_secret.clone(),
            name: None,
            auth_domain: Some(auth_domain.into()),
        };
        let observed = |credentials| Observed {
            domains: KnownDomains::Listed(BTreeSet::from([entry.domain.clone()])),
            credentials,
            ..Observed::example()
        };
        let keys = |credentials| {
            let plan = plan(&desired, &observed(credentials), &Policy::default());
            let keys = held(&plan, &owner).into_iter().map(|key| key.to_string());
            keys.collect::<Vec<_>>()
        };
        let old = || of("old", "appcred:house:old");
        assert_eq!(keys(vec![old()]), ["old"], "nothing at the target says so yet");
        let claim = of("claim", "appcred:house:new:appcred:house:old");
        assert_eq!(keys(vec![old(), claim]), ["new"]);
        let theirs = of("theirs", "appcred:other:old");
        assert!(keys(vec![theirs]).is_empty());
    }

    #[test]
    fn nobody_is_asked_to_finish_a_set_up_whose_credential_is_gone() {
        let set_up = SetUpStatus {
            account: None,
            state: SetupState::InProgress,
            trouble: None,
            waits_for: Some(Box::new(FlowStep::Menu {
                step: "pick".to_owned(),
                options: Vec::new(),
            })),
            error: None,
        };
        let waiting = |holding| {
            let status = EntryStatus::of(&wanted("a", "1", 1), holding, vec![set_up.clone()]);
            status.waiting().count()
        };
        assert_eq!([waiting(Holding::InSync), waiting(Holding::Missing)], [1, 0]);
    }

    #[test]
    fn what_was_seen_of_an_entry_holds_until_the_entry_is_another_one() {
        let seen =
            |wanted: &DesiredCredential| EntryStatus::of(wanted, Holding::InSync, Vec::new());
        let renewed = DesiredCredential {
            client_secret: Secret::new("another").into(),
            ..wanted("renewed", "1", 4)
        };
        let adopting = DesiredCredential { adopt: Adopt::Only, ..wanted("adopting", "1", 5) };
        let last = ["a", "b", "gone", "renewed", "adopting"].map(|key| wanted(key, "1", 3));
        let last: Vec<EntryStatus> = last.iter().map(seen).collect();
        let desired = Desired {
            owner: Owner::default(),
            ..Desired::example(vec![
                wanted("new", "1", 1),
                wanted("b", "2", 2),
                wanted("a", "1", 9),
                renewed,
                adopting,
            ])
        };
        let now = unseen(&desired, &last);
        let found: Vec<_> = now
            .iter()
            .map(|entry| (entry.key.as_str(), &entry.holding, entry.place.line))
            .collect();
        let expected = [
            ("a", &Holding::InSync, 9),
            ("adopting", &Holding::Unknown, 5),
            ("b", &Holding::Unknown, 2),
            ("new", &Holding::Unknown, 1),
            ("renewed", &Holding::Unknown, 4),
        ];
        assert_eq!(found, expected);
    }
}
