//! One entry, and what is asked about it again and again.

use std::collections::BTreeSet;

use crate::model::{
    Claim, ClientId, ConfigEntry, Desired, DesiredCredential, Held, Mark, Owner, Policy, Prune,
};

use super::action::{Action, CredentialState, Reason, StepId, Wanted};
use super::draft::PlanDraft;
use super::index::Index;
use super::ownership::{Assignment, Proof};

/// Everything that concerns one entry.
pub(super) struct EntryCase<'a> {
    pub(super) entry: &'a DesiredCredential,
    pub(super) mark: Mark,
    pub(super) index: &'a Index<'a>,
    /// The credentials that belong to it.
    pub(super) owned: &'a [usize],
    pub(super) assignment: &'a Assignment,
    /// Those of its client that belong to nobody.
    pub(super) by_hand: Vec<usize>,
    pub(super) adopt: bool,
    /// Whether one of its client has a key that may be declared where it cannot be read.
    pub(super) is_unsure: bool,
    pub(super) previous_owners: &'a BTreeSet<Owner>,
}

impl<'a> EntryCase<'a> {
    pub(super) fn new(
        entry: &'a DesiredCredential,
        number: usize,
        desired: &'a Desired,
        policy: &Policy,
        assignment: &'a Assignment,
        index: &'a Index<'a>,
    ) -> Self {
        let of_client = index.of_client(&entry.domain, &entry.client_id);
        Self {
            entry,
            mark: desired.mark(&entry.key),
            index,
            owned: assignment.of_entry(number),
            assignment,
            by_hand: of_client
                .iter()
                .copied()
                .filter(|at| index.ownership(*at).is_none())
                .collect(),
            adopt: entry.adopt || policy.adopt_all || policy.prune == Prune::All,
            is_unsure: assignment.is_unsure(number),
            previous_owners: &desired.previous_owners,
        }
    }

    pub(super) fn mark_text(&self) -> String {
        self.mark.to_string()
    }

    pub(super) fn is_ours(&self, mark: &Mark) -> bool {
        mark.owner == self.mark.owner || self.previous_owners.contains(&mark.owner)
    }

    /// The claim of an implementation.
    pub(super) fn claim_text(&self, implementation: &str) -> String {
        Claim { mark: self.mark.clone(), implementation: implementation.into() }.to_string()
    }

    pub(super) fn is_claim(&self, at: usize) -> bool {
        let ownership = self.index.ownership(at);
        ownership.is_some_and(|ownership| matches!(ownership.proof, Proof::Claim(_)))
    }

    /// Whether a text is a claim under the present key.
    pub(super) fn is_own_claim(&self, text: &str) -> bool {
        Claim::parse(text).is_some_and(|claim| claim.mark == self.mark)
    }

    pub(super) fn is_referenced_by_id(&self, at: usize) -> bool {
        self.index.is_referenced_by_id(self.index.get(at))
    }

    /// The accounts to reload: a new name changes nothing for them.
    pub(super) fn users_if_changed(&self, name: &str, reasons: &[Reason]) -> Vec<ConfigEntry> {
        match reasons {
            [Reason::NameDiffers] => Vec::new(),
            _ => self.index.users(&self.entry.domain, name),
        }
    }

    pub(super) fn members(&self, name: &str) -> Vec<usize> {
        self.index.implementing(&self.entry.domain, name).to_vec()
    }

    pub(super) fn with_text(&self, group: &[usize], auth_domain: &str) -> Vec<usize> {
        let has_text = |at: &usize| self.index.get(*at).auth_domain.as_deref() == Some(auth_domain);
        group.iter().copied().filter(has_text).collect()
    }

    /// The clients of those that Home Assistant does not let go: their claims stay as well. The
    /// claim for the client that is wanted is another matter.
    pub(super) fn clients_that_stay(&self, members: &[usize]) -> BTreeSet<ClientId> {
        let stay = members.iter().filter(|at| self.is_referenced_by_id(**at));
        stay.map(|at| self.index.get(*at).client_id.clone()).collect()
    }

    /// The claims that cover nothing which stays, and that no account names themselves.
    pub(super) fn unneeded(&self, claims: Vec<usize>, needed: &BTreeSet<ClientId>) -> Vec<usize> {
        let is_unneeded = |at: &usize| {
            let claim = self.index.get(*at);
            !needed.contains(&claim.client_id)
                && !self.index.is_used(&claim.domain, claim.implementation())
        };
        let mut unneeded: Vec<usize> = claims.into_iter().filter(is_unneeded).collect();
        // A claim of a claim is longer than that, and goes after it.
        unneeded.sort_by_key(|at| self.index.get(*at).implementation().len());
        unneeded
    }

    /// Deletes one after the other what can be deleted; answers the last step.
    pub(super) fn clear_away(
        &self,
        group: Vec<usize>,
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        self.clear_away_reloading(group, &[], after, draft)
    }

    pub(super) fn clear_away_reloading(
        &self,
        group: Vec<usize>,
        users: &[ConfigEntry],
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let mut last = None;
        for at in group {
            if self.is_referenced_by_id(at) {
                continue;
            }
            draft.stand(at, CredentialState::Superseded(self.entry.key.clone()));
            let reason = if self.is_claim(at) { Reason::Unclaimed } else { Reason::Superseded };
            let action = Action::Delete { old: self.index.get(at).held(), remove: Vec::new() };
            let after = last.or(after);
            last = Some(draft.step(action, vec![reason], users.to_vec(), after));
        }
        last
    }

    pub(super) fn stand(
        &self,
        group: &[usize],
        state: &CredentialState,
        draft: &mut PlanDraft<'_>,
    ) {
        for at in group {
            draft.stand(*at, state.clone());
        }
    }

    pub(super) fn held(&self, group: &[usize]) -> Vec<Held> {
        group.iter().map(|at| self.index.get(*at).held()).collect()
    }

    pub(super) fn wanted(&self, auth_domain: &str) -> Wanted {
        Wanted::of(self.entry, auth_domain.into())
    }
}
