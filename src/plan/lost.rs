//! What linked accounts name and no credential has: of which entry it is.

use std::collections::BTreeSet;

use crate::model::{Adopt, DesiredCredential, Key, is_id_of_client};

use super::action::Action;
use super::case::EntryCase;
use super::draft::PlanDraft;
use super::withheld::Why;

impl EntryCase<'_> {
    /// The entries that may have had an id, where this is one of them; it is that entry's where there
    /// is no other. What is written counts for more than the looks of an id.
    pub(super) fn may_have_had(&self, id: &str) -> Option<BTreeSet<&Key>> {
        let domain = &self.entry.domain;
        let claims: Vec<usize> = self.index.claims_for_any_client(domain, id).collect();
        if claims.iter().any(|at| self.is_of_others(*at)) {
            return None;
        }
        let client = self.index.of_id(domain, id).and_then(|at| self.assignment.client_of(at));
        let fits = |entry: &&DesiredCredential| {
            entry.domain == *domain
                && (client == Some(&entry.client_id)
                    || is_id_of_client(id, domain, &entry.client_id))
        };
        let is_named = |entry: &&DesiredCredential| matches!(&entry.adopt, Adopt::Id(named) if named.as_str() == id);
        let all: Vec<&DesiredCredential> = self.desired.credentials.iter().filter(fits).collect();
        let named: Vec<&DesiredCredential> = all.iter().copied().filter(is_named).collect();
        let candidates = if named.is_empty() { all } else { named };
        let keys: BTreeSet<&Key> = candidates.iter().map(|entry| &entry.key).collect();
        match claims.is_empty() {
            true => keys.contains(&self.entry.key).then_some(keys),
            false => Some(BTreeSet::from([&self.entry.key])),
        }
    }

    /// Says of which ids it is not known whether they are this entry's or another one's.
    pub(super) fn withhold_shared_ids(&self, draft: &mut PlanDraft<'_>) {
        for id in self.index.lost(&self.entry.domain).iter().copied() {
            let Some(keys) = self.may_have_had(id).filter(|keys| keys.len() > 1) else { continue };
            let keys = keys.into_iter().cloned().collect();
            let action = Action::Create { wanted: self.wanted(id) };
            draft.withhold(action, Why::SeveralEntries { id: id.into(), keys });
        }
    }
}
