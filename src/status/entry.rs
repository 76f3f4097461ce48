//! How one entry stands at one target.

use std::collections::BTreeMap;

use crate::model::{ClientId, Desired, Domain, FlowStep, Key, Place};
use crate::plan::{Linkage, Plan, Standing, Why};

/// How one entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryStatus {
    /// Its key.
    pub key: Key,
    /// The integration.
    pub domain: Domain,
    /// As HA shows it.
    pub name: String,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// Where it is written.
    pub place: Place,
    /// Whether the target holds its credential.
    pub holding: Holding,
    /// How far its integration is set up; none at a target at rest.
    pub linkage: Option<Linkage>,
    /// Why its last set-up failed, as long as none is begun anew.
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
    /// It is not created or changed, for this reason.
    Withheld(Why),
}

impl EntryStatus {
    /// What its set-up waits for, if it does.
    pub fn waits_for(&self) -> Option<&FlowStep> {
        match self.linkage.as_ref()? {
            Linkage::Waits(step) => Some(step),
            Linkage::NeedsConsent(_, step) => step.as_ref(),
            _ => None,
        }
    }

    /// Whether somebody must consent.
    pub fn waits_for_consent(&self) -> bool {
        matches!(self.waits_for(), Some(FlowStep::Consent(_) | FlowStep::Progress(Some(_))))
    }
}

/// How each entry stands by a plan that nothing was done of, by key.
pub fn entries(desired: &Desired, plan: &Plan) -> Vec<EntryStatus> {
    let mut holdings: BTreeMap<&Key, Holding> = BTreeMap::new();
    for (_, standing, _) in &plan.standings {
        match standing {
            Standing::InSync(key) => drop(holdings.entry(key).or_insert(Holding::InSync)),
            Standing::Drifted(key) => drop(holdings.insert(key, Holding::Drifted)),
            _ => {}
        }
    }
    for withheld in &plan.withheld {
        if let Some(wanted) = withheld.action.wanted() {
            holdings.insert(&wanted.key, Holding::Withheld(withheld.why.clone()));
        }
    }
    let linkages: BTreeMap<&Key, &Linkage> =
        plan.linkages.iter().map(|(key, linkage)| (key, linkage)).collect();
    let mut entries: Vec<EntryStatus> = desired
        .credentials
        .iter()
        .map(|wanted| EntryStatus {
            key: wanted.key.clone(),
            domain: wanted.domain.clone(),
            name: wanted.name.clone(),
            client_id: wanted.client_id.clone(),
            place: wanted.place.clone(),
            holding: holdings.remove(&wanted.key).unwrap_or(Holding::Missing),
            linkage: linkages.get(&wanted.key).map(|linkage| (*linkage).clone()),
            set_up_error: None,
        })
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}
