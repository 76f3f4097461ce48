//! A plan while it is being made.

use std::collections::BTreeMap;

use crate::model::{
    ClientId, ConfigEntry, DesiredCredential, Domain, EntryId, Held, Key, Mark, OpenFlow, SetUpId,
    Unidentified,
};

use smol_str::ToSmolStr;

use super::action::{
    Action, ComparedCredential, CredentialState, EntrySetup, Plan, Reason, SetupState, Step,
    StepId, UndeclaredAccount, Wanted,
};
use super::index::Index;
use super::state::{Unknowable, Unknown};
use super::trouble::Trouble;
use super::withheld::{Why, Withheld};

/// A plan of all entries, of which none is left out yet.
pub(super) struct WholePlan(Plan);

impl WholePlan {
    pub(super) fn as_mut(&mut self) -> &mut Plan {
        &mut self.0
    }

    pub(super) fn into_plan(self) -> Plan {
        self.0
    }
}

/// Deletes, one after the other, that the guards may still forbid.
pub(super) struct PlannedPrune {
    pub(super) group: Vec<usize>,
    /// The key of their entry, where they are of one.
    pub(super) key: Option<Key>,
    pub(super) reason: Reason,
    /// The linked accounts that are removed before.
    pub(super) remove: Vec<ConfigEntry>,
}

pub(super) struct PlanDraft<'a> {
    index: &'a Index<'a>,
    steps: Vec<Step>,
    pruned: Vec<PlannedPrune>,
    pruned_set_ups: Vec<OpenFlow>,
    /// What removes accounts that entries name no more.
    removals: Vec<Action>,
    undeclared_accounts: Vec<UndeclaredAccount>,
    setup_states: Vec<EntrySetup>,
    withheld: Vec<Withheld>,
    unknown: Vec<Unknown>,
    credential_states: Vec<Option<CredentialState>>,
}

impl<'a> PlanDraft<'a> {
    pub(super) fn new(index: &'a Index<'a>) -> Self {
        Self {
            index,
            steps: Vec::new(),
            pruned: Vec::new(),
            pruned_set_ups: Vec::new(),
            removals: Vec::new(),
            undeclared_accounts: Vec::new(),
            setup_states: Vec::new(),
            withheld: Vec::new(),
            unknown: Vec::new(),
            credential_states: vec![None; index.all().len()],
        }
    }

    /// Does something behind the step that it needs.
    pub(super) fn step(&mut self, action: Action, reason: Reason, after: Option<StepId>) -> StepId {
        self.step_reloading(action, vec![reason], Vec::new(), after)
    }

    pub(super) fn step_reloading(
        &mut self,
        action: Action,
        reasons: Vec<Reason>,
        reload: Vec<ConfigEntry>,
        after: Option<StepId>,
    ) -> StepId {
        let id = StepId(self.steps.len());
        let index = self.index;
        let outgoing =
            || action.outgoing().iter().filter_map(|old| Some((old, index.position(old)?)));
        let is_foreign = |(_, at): &(&Held, usize)| index.is_nobodys(*at);
        let foreign = outgoing().filter(is_foreign).map(|(old, _)| old.clone()).collect();
        let old_key = outgoing()
            .next_back()
            .and_then(|(_, at)| Some(&index.ownership(at)?.mark.key))
            .filter(|key| action.created().is_some_and(|wanted| wanted.key != **key))
            .cloned();
        let step = Step::new(id, action);
        self.steps.push(Step { reasons, reload, after, foreign, old_key, ..step });
        id
    }

    /// Has a step say while it is carried out that what it replaces is taken over.
    pub(super) fn claim_meanwhile(&mut self, step: StepId, claim: Option<Wanted>) {
        if let Some(step) = self.steps.get_mut(step.0) {
            step.claim = claim;
        }
    }

    /// Deletes what no entry wants, one after the other, after the accounts that are linked with
    /// it, if the guards let it.
    pub(super) fn prune(&mut self, prune: PlannedPrune) {
        self.pruned.push(prune);
    }

    /// Ends the set-up of what no entry wants, if the guards let its credential be deleted.
    pub(super) fn prune_set_up(&mut self, flow: OpenFlow) {
        self.pruned_set_ups.push(flow);
    }

    /// Removes an account that its entry no longer names, if the guards let it.
    pub(super) fn remove_account(&mut self, removal: Action) {
        self.removals.push(removal);
    }

    pub(super) fn leave_account(&mut self, account: UndeclaredAccount) {
        self.undeclared_accounts.push(account);
    }

    pub(super) fn is_undeclared(&self, account: &EntryId) -> bool {
        self.undeclared_accounts.iter().any(|undeclared| undeclared.account.id == *account)
    }

    pub(super) fn link(&mut self, id: SetUpId, state: SetupState, trouble: Option<Trouble>) {
        self.setup_states.push(EntrySetup { id, state, trouble });
    }

    /// Gives another reason for a step that creates what the target has not.
    pub(super) fn also(&mut self, id: StepId, reason: Reason) {
        let is_it =
            |step: &&mut Step| step.id == id && matches!(step.action, Action::Create { .. });
        if let Some(step) = self.steps.iter_mut().find(is_it) {
            step.reasons.push(reason);
        }
    }

    /// The steps so far.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The credentials so far that are as an entry wants them, each with the entry's key.
    pub(super) fn in_sync(&self) -> impl Iterator<Item = (usize, &Key)> {
        self.credential_states.iter().enumerate().filter_map(|(at, state)| match state {
            Some(CredentialState::InSync(of)) => Some((at, of)),
            _ => None,
        })
    }

    /// The steps so far that create a credential which accounts use, each with what it creates.
    pub(super) fn creations(&self) -> impl Iterator<Item = (&Step, &Wanted)> {
        let steps = self.steps.iter().filter(|step| !matches!(step.action, Action::Claim { .. }));
        steps.filter_map(|step| Some((step, step.action.created()?)))
    }

    /// The credentials so far that are of an entry, right or not, each with the entry's key.
    pub(super) fn held(&self) -> impl Iterator<Item = (usize, &Key)> {
        let states = self.credential_states.iter().enumerate();
        states.filter_map(|(at, state)| Some((at, state.as_ref()?.holder()?)))
    }

    pub(super) fn withhold(&mut self, action: Action, why: Why) {
        self.withheld.push(Withheld { action, why });
    }

    pub(super) fn set_state(&mut self, at: usize, state: CredentialState) {
        self.credential_states[at] = Some(state);
    }

    /// Says that an entry's secret cannot be compared.
    pub(super) fn secret_is_unknown(&mut self, entry: &DesiredCredential) {
        self.unknown.push(Unknown {
            key: entry.key.clone(),
            domain: entry.domain.clone(),
            name: entry.name.clone(),
            what: Unknowable::Secret,
        });
    }

    fn leave(&mut self, domain: &Domain, key: &Key, mark: &Mark) {
        for at in self.index.of_mark(domain, mark) {
            self.set_state(at, CredentialState::Unknown(key.clone()));
        }
    }

    /// Leaves all that belongs to an entry as it is.
    pub(super) fn leave_unidentified(&mut self, entry: &Unidentified, mark: &Mark) {
        self.leave(&entry.domain, &entry.key, mark);
        self.unknown.push(Unknown {
            key: entry.key.clone(),
            domain: entry.domain.clone(),
            name: entry.name.clone(),
            what: Unknowable::ClientId,
        });
    }

    /// Leaves an entry alone whose integration the target does not have, and what carries its mark.
    pub(super) fn withhold_unknown(&mut self, entry: &DesiredCredential, mark: &Mark) {
        self.leave(&entry.domain, &entry.key, mark);
        let suggestion = self.index.suggestion(&entry.domain);
        let wanted = Wanted::of(entry, mark.to_smolstr());
        self.withhold(
            Action::Create { wanted },
            Why::UnknownIntegration {
                domain: entry.domain.clone(),
                suggestion,
                is_listed: self.index.lists_integrations(),
            },
        );
    }

    /// Whether it belongs to an entry, and it is not known whether it is as that wants it.
    pub(super) fn is_unknown(&self, at: usize) -> bool {
        matches!(self.credential_states[at], Some(CredentialState::Unknown(_)))
    }

    pub(super) fn is_undecided(&self, at: usize) -> bool {
        self.credential_states[at].is_none()
    }

    /// How many credentials would go that no entry wants, or that nobody manages, and how many linked accounts with them.
    pub(super) fn planned_deletes(&self) -> usize {
        // All that belongs to one entry, as shadows and claims, is one credential.
        let pruned = self.pruned.iter().map(|prune| 1 + prune.remove.len());
        pruned.sum::<usize>() + self.removals.len() + self.planned_foreign()
    }

    /// How many credentials would go that nobody manages.
    pub(super) fn planned_foreign(&self) -> usize {
        self.steps.iter().map(|step| step.foreign.len()).sum()
    }

    /// Withholds what deletes credentials that nobody manages.
    pub(super) fn withhold_foreign(&mut self, why: &Why) {
        let takes = |step: &mut Step| !step.foreign.is_empty();
        let taken: Vec<Step> = self.steps.extract_if(.., takes).collect();
        for step in taken {
            self.withhold(step.action, why.clone());
        }
    }

    /// Withholds those deletes for which there is a reason, by their integration and the key of their entry.
    /// The set-ups need no word of their own: what is said of their credentials holds for them.
    pub(super) fn withhold_prunes(&mut self, why: impl Fn(&Domain, Option<&Key>) -> Option<Why>) {
        let of_flow =
            |flow: &OpenFlow| why(&flow.domain, flow.purpose.mark().map(|mark| &mark.key));
        self.pruned_set_ups.retain(|flow| of_flow(flow).is_none());
        for removal in std::mem::take(&mut self.removals) {
            match why(removal.domain(), None) {
                Some(why) => self.withhold(removal, why),
                None => self.removals.push(removal),
            }
        }
        for mut prune in std::mem::take(&mut self.pruned) {
            // All of a group are of one integration.
            let domain = prune.group.first().map(|at| &self.index.get(*at).domain);
            let Some(why) = domain.and_then(|domain| why(domain, prune.key.as_ref())) else {
                self.pruned.push(prune);
                continue;
            };
            for at in prune.group {
                let (old, remove) = (self.index.get(at).held(), std::mem::take(&mut prune.remove));
                self.withhold(Action::Delete { old, remove }, why.clone());
            }
        }
    }

    pub(super) fn finish(mut self) -> WholePlan {
        for flow in std::mem::take(&mut self.pruned_set_ups) {
            self.step(Action::Abandon { flow }, Reason::LeftOver, None);
        }
        for removal in std::mem::take(&mut self.removals) {
            self.step(removal, Reason::AccountUndeclared, None);
        }
        let created = self.created_clients();
        for PlannedPrune { group, reason, mut remove, .. } in std::mem::take(&mut self.pruned) {
            let mut last = None;
            for at in group {
                let (old, remove) = (self.index.get(at).held(), std::mem::take(&mut remove));
                let created = created.get(&(old.domain.clone(), old.client_id.clone())).copied();
                let action = Action::Delete { old, remove };
                last = Some(self.step(action, reason, last.or(created)));
            }
        }
        let index = self.index;
        let credential_states = index
            .all()
            .iter()
            .zip(self.credential_states)
            .enumerate()
            .map(|(at, (credential, state))| ComparedCredential {
                held: credential.held(),
                owned_by: index.ownership(at).map(|ownership| ownership.mark.clone()),
                state: state.unwrap_or(CredentialState::Foreign),
                users: index.users(&credential.domain, credential.implementation()),
                is_protected: false,
                is_suspended: false,
            })
            .collect();
        WholePlan(Plan {
            steps: self.steps,
            withheld: self.withheld,
            unknown: self.unknown,
            credential_states,
            setup_states: self.setup_states,
            undeclared_accounts: self.undeclared_accounts,
        })
    }

    /// The steps that create a credential, by client: what was made by hand for a client goes only
    /// after the one of its entry has come.
    fn created_clients(&self) -> BTreeMap<(Domain, ClientId), StepId> {
        if self.pruned.is_empty() {
            return BTreeMap::new();
        }
        let created = self
            .steps
            .iter()
            .filter_map(|step| step.action.created().map(|wanted| (step.id, wanted)));
        created
            .map(|(id, wanted)| ((wanted.domain.clone(), wanted.client_id.clone()), id))
            .collect()
    }
}
