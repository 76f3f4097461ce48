//! The status of one entry at one target.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::model::{ClientId, Desired, DesiredCredential, Domain, FlowStep, Key, Lifetime, Place};
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
    /// Where it is written.
    pub place: Place,
    /// Until when its client may be used.
    pub lifetime: Lifetime,
    /// Whether the target holds its credential.
    pub holding: Holding,
    /// How far its integration is set up; none at a target at rest.
    pub setup_state: Option<SetupState>,
    /// What is wrong with its account.
    pub trouble: Option<Trouble>,
    /// What its set-up waits for.
    pub waits_for: Option<FlowStep>,
    /// Why its last set-up failed, until another one is started.
    pub set_up_error: Option<String>,
}

/// Whether a target holds an entry's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// As it is wanted.
    InSync,
    /// Not as it is wanted.
    Drifted,
    /// Not at all.
    Missing,
    /// The target could not be observed since this was declared.
    Unknown,
    /// It is not created or changed, for this reason.
    Withheld(Why),
}

impl EntryStatus {
    fn of(wanted: &DesiredCredential, holding: Holding, set_up: Option<&EntrySetup>) -> Self {
        Self {
            key: wanted.key.clone(),
            domain: wanted.domain.clone(),
            name: wanted.name.clone(),
            client_id: wanted.client_id.clone(),
            place: wanted.place.clone(),
            lifetime: Lifetime::default(),
            holding,
            setup_state: set_up.map(|of| of.state.clone()),
            trouble: set_up.and_then(|of| of.trouble.clone()),
            waits_for: None,
            set_up_error: None,
        }
    }

    /// Whether somebody must consent.
    pub fn waits_for_consent(&self) -> bool {
        self.waits_for.as_ref().is_some_and(FlowStep::needs_consent)
    }
}

/// The entries of a target that cannot be looked at now: as it was found last, where an entry is still
/// the same.
pub fn unseen(desired: &Desired, last: &[EntryStatus]) -> Vec<EntryStatus> {
    let last: BTreeMap<&Key, &EntryStatus> = last.iter().map(|entry| (&entry.key, entry)).collect();
    let entry = |wanted: &DesiredCredential| {
        let unseen = EntryStatus::of(wanted, Holding::Unknown, None);
        match last.get(&wanted.key) {
            Some(last)
                if (&last.domain, &last.client_id, &last.name)
                    == (&unseen.domain, &unseen.client_id, &unseen.name) =>
            {
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
pub fn entries(desired: &Desired, plan: &Plan) -> Vec<EntryStatus> {
    let mut holdings: BTreeMap<&Key, Holding> = BTreeMap::new();
    for compared in &plan.credential_states {
        match &compared.state {
            CredentialState::InSync(key) => drop(holdings.entry(key).or_insert(Holding::InSync)),
            CredentialState::Drifted(key) => drop(holdings.insert(key, Holding::Drifted)),
            _ => {}
        }
    }
    for withheld in &plan.withheld {
        if let Some(wanted) = withheld.action.created() {
            holdings.insert(&wanted.key, Holding::Withheld(withheld.why.clone()));
        }
    }
    let set_ups: BTreeMap<&Key, &EntrySetup> =
        plan.setup_states.iter().map(|of| (&of.key, of)).collect();
    let mut entries: Vec<EntryStatus> = desired
        .credentials
        .iter()
        .map(|wanted| {
            let holding = holdings.remove(&wanted.key).unwrap_or(Holding::Missing);
            EntryStatus::of(wanted, holding, set_ups.get(&wanted.key).copied())
        })
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::{EntryStatus, Holding, unseen};
    use crate::model::{
        Adopt, ClientId, Completeness, Desired, DesiredCredential, Domain, Integration, Key, Owner,
        Place, Secret,
    };

    fn wanted(key: &str, client_id: &str, line: u32) -> DesiredCredential {
        DesiredCredential {
            key: Key::new(key).unwrap(),
            formerly: BTreeSet::new(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new(client_id),
            client_secret: Secret::new("s").into(),
            name: key.into(),
            adopt: Adopt::No,
            integration: Integration::default(),
            place: Place { file: Path::new("a.yaml").into(), line, column: 1 },
        }
    }

    #[test]
    fn what_was_seen_of_an_entry_holds_until_the_entry_is_another_one() {
        let seen = |wanted: &DesiredCredential| EntryStatus::of(wanted, Holding::InSync, None);
        let last = [wanted("a", "1", 1), wanted("b", "1", 2), wanted("gone", "1", 3)];
        let last: Vec<EntryStatus> = last.iter().map(seen).collect();
        let desired = Desired {
            owner: Owner::default(),
            previous_owners: BTreeSet::new(),
            credentials: vec![wanted("new", "1", 1), wanted("b", "2", 2), wanted("a", "1", 9)],
            unidentified: Vec::new(),
            completeness: Completeness::Whole,
        };
        let now = unseen(&desired, &last);
        let found: Vec<_> = now
            .iter()
            .map(|entry| (entry.key.as_str(), &entry.holding, entry.place.line))
            .collect();
        let expected = [
            ("a", &Holding::InSync, 9),
            ("b", &Holding::Unknown, 2),
            ("new", &Holding::Unknown, 1),
        ];
        assert_eq!(found, expected);
    }
}
