//! What is asked about a whole plan.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, ComparedCredential, CredentialState, Plan, Step, StepId, Wanted};
use super::reason::Reason;
use super::withheld::{Why, Withheld};
use crate::model::{ClientId, Domain, Held, Key};

impl Plan {
    /// Whether there is nothing to do and nothing that keeps the target from what is wanted.
    pub fn is_in_sync(&self) -> bool {
        self.is_in_sync_once(|_| false)
    }

    /// The same once these steps are done.
    pub fn is_in_sync_once(&self, is_done: impl Fn(StepId) -> bool) -> bool {
        self.steps.iter().all(|step| is_done(step.id))
            && self.unknown.is_empty()
            && self.withheld.iter().all(|withheld| match withheld.why {
                Why::PruneOff | Why::Suspended => true,
                Why::UnreadableMark { .. } => !withheld.is_error(),
                _ => false,
            })
    }

    /// The entries whose credential was made by hand and is still to be taken over, in whole or in part.
    pub fn to_be_adopted(&self) -> BTreeSet<Key> {
        let adopted = self.steps.iter().filter_map(|step| match &step.action {
            Action::Adopt { wanted, .. } => Some(wanted.key.clone()),
            _ => None,
        });
        let left_over = self.credential_states.iter().filter_map(|of| match &of.state {
            CredentialState::Superseded(key) => Some(key.clone()),
            _ => None,
        });
        adopted.chain(left_over).collect()
    }

    /// What entries want of which the target holds nothing, one an entry.
    pub fn missing(&self) -> Vec<&Wanted> {
        let states = self.credential_states.iter();
        let held: BTreeSet<&Key> = states.filter_map(|of| of.state.key()).collect();
        let withheld = self.withheld.iter().map(|withheld| &withheld.action);
        let actions = self.steps.iter().map(|step| &step.action).chain(withheld);
        let wanted = actions.filter_map(Action::created);
        let missing = wanted.filter(|wanted| !held.contains(&wanted.key));
        // The last of an entry has its mark.
        let missing: BTreeMap<&Key, &Wanted> =
            missing.map(|wanted| (&wanted.key, wanted)).collect();
        missing.into_values().collect()
    }

    /// The same with no steps but those by which these entries get their credentials.
    #[must_use]
    pub fn only_credentials_of(mut self, keys: &BTreeSet<Key>) -> Self {
        let credential_states = &self.credential_states;
        let is_left_over = |old: &Held| {
            credential_states.iter().any(|of| {
                of.held == *old
                    && matches!(&of.state, CredentialState::Superseded(key) if keys.contains(key))
            })
        };
        let is_meant = |action: &Action| match action {
            Action::Delete { old, .. } => is_left_over(old),
            other => other.created().is_some_and(|wanted| keys.contains(&wanted.key)),
        };
        self.steps.retain(|step| is_meant(&step.action));
        self.withheld.retain(|withheld| is_meant(&withheld.action));
        self.unknown.retain(|unknown| keys.contains(&unknown.key));
        self.setup_states.clear();
        self.undeclared_accounts.clear();
        self
    }

    /// Gives what is missing its reason where it is drift: the target held it, and somebody deleted it there.
    pub fn mark_drift(&mut self, is_drift: impl Fn(&Action) -> bool) {
        let drifted = self.steps.iter_mut().filter(|step| is_drift(&step.action));
        for reason in drifted.flat_map(|step| &mut step.reasons) {
            if *reason == Reason::NotObserved {
                *reason = Reason::DeletedThere;
            }
        }
    }

    /// Leaves for later the steps that are meant, but no set-up that is open, which somebody may have consented to.
    /// Answers whether there was something.
    pub fn postpone(&mut self, why: &Why, is_meant: impl Fn(&Step) -> bool) -> bool {
        let is_open = |action: &Action| matches!(action, Action::SetUp { open: Some(_), .. });
        let count = self.steps.len();
        self.withhold_steps(|step, _| {
            (is_meant(step) && !is_open(&step.action)).then(|| why.clone())
        });
        self.steps.len() < count
    }

    /// The first of what keeps targets of later waves from being changed.
    pub fn stop_of_waves(&self) -> Option<&Withheld> {
        self.withheld.iter().find(|withheld| withheld.stops_waves())
    }

    /// Whether something waits for the waves before that of the target.
    pub fn waits_for_wave(&self) -> bool {
        self.withheld.iter().any(|withheld| matches!(withheld.why, Why::EarlierWave { .. }))
    }

    /// Whether something is deleted, or would be, since its entry is for other targets.
    pub fn loses_entries(&self) -> bool {
        self.steps.iter().any(|step| step.reasons.contains(&Reason::NotForTarget))
            || self.withheld.iter().any(|of| matches!(of.why, Why::LostBySlip { .. }))
    }

    /// How many credentials would be deleted once what keeps them for now is over: entries that could not be read,
    /// empty manifests, a limit.
    pub fn deferred_deletes(&self) -> usize {
        let is_deferred = |withheld: &&Withheld| {
            let is_for_now = matches!(
                withheld.why,
                Why::Unread
                    | Why::Unidentified { .. }
                    | Why::Emptied { .. }
                    | Why::NothingDesired
                    | Why::TooManyDeletes { .. }
            );
            is_for_now && matches!(withheld.action, Action::Delete { .. })
        };
        self.withheld.iter().filter(is_deferred).count()
    }

    /// How many credentials it deletes with no other of this owner in their place, or that were
    /// not this owner's.
    pub fn deletes(&self) -> usize {
        self.steps.iter().map(Step::deletes).sum()
    }

    /// The linked accounts of its credentials: each client, and the title of an account.
    pub fn linked_accounts(&self) -> impl Iterator<Item = (&Domain, &ClientId, &str)> {
        self.credential_states.iter().flat_map(|ComparedCredential { held, users, .. }| {
            users.iter().map(|account| (&held.domain, &held.client_id, account.title.as_str()))
        })
    }

    /// How many linked accounts it removes.
    pub fn removed_accounts(&self) -> usize {
        self.steps.iter().map(|step| step.action.removed().len()).sum()
    }

    /// The credentials that stay although no entry wants them, since the policy says that their keys are forgotten.
    pub fn forgotten(&self) -> impl Iterator<Item = &Held> {
        let is_it = |of: &&ComparedCredential| of.state == CredentialState::Forgotten;
        self.credential_states.iter().filter(is_it).map(|of| &of.held)
    }

    /// How many credentials of no owner stay as they are.
    pub fn foreign(&self) -> usize {
        self.left_alone(|of| of.state == CredentialState::Foreign)
    }

    /// The same without those that would be deleted: what is withheld counts as that.
    pub fn foreign_left_alone(&self) -> usize {
        let withheld = self.withheld.iter().filter_map(|withheld| match &withheld.action {
            Action::Delete { old, .. } => Some(&old.id),
            _ => None,
        });
        let withheld: BTreeSet<_> = withheld.collect();
        self.left_alone(|of| {
            of.state == CredentialState::Foreign && !withheld.contains(&of.held.id)
        })
    }

    /// How many credentials of other owners there are.
    pub fn of_other_owners(&self) -> usize {
        self.left_alone(|of| matches!(of.state, CredentialState::OtherOwner(_)))
    }

    fn left_alone(&self, is_meant: impl Fn(&ComparedCredential) -> bool) -> usize {
        let outgoing = self.steps.iter().flat_map(|step| step.action.outgoing());
        let outgoing: BTreeSet<_> = outgoing.map(|held| &held.id).collect();
        let is_left = |of: &&ComparedCredential| is_meant(of) && !outgoing.contains(&of.held.id);
        self.credential_states.iter().filter(is_left).count()
    }

    /// How many credentials of this owner are not as their entries want them.
    pub fn differing(&self) -> usize {
        let differs = |state: &CredentialState| {
            matches!(state, CredentialState::Differs(_) | CredentialState::Superseded(_))
        };
        self.credential_states.iter().filter(|of| differs(&of.state)).count()
    }

    /// How many credentials nobody manages, with those that were made by hand for an entry's client.
    pub fn unmanaged(&self) -> usize {
        let states = self.credential_states.iter();
        let unmanaged = states.filter(|of| of.state == CredentialState::Foreign);
        let by_hand = self.withheld.iter().flat_map(|withheld| match &withheld.why {
            Why::Foreign { held, .. } => std::slice::from_ref(held),
            Why::SeveralByHand { held } => held,
            _ => &[],
        });
        let ids: BTreeSet<_> =
            unmanaged.map(|of| &of.held.id).chain(by_hand.map(|held| &held.id)).collect();
        ids.len()
    }

    /// How much it leaves undone that a person must decide.
    pub fn blocked(&self) -> usize {
        self.withheld.iter().filter(|withheld| withheld.is_error()).count()
    }

    /// Whether the target lacks the integration of an entry: a mistake in a manifest, although all else is
    /// planned.
    pub fn has_unknown_integration(&self) -> bool {
        self.withheld.iter().any(|withheld| matches!(withheld.why, Why::UnknownIntegration { .. }))
    }

    /// Whether the policy forbids to apply any of it.
    pub fn is_stopped(&self) -> bool {
        self.withheld.iter().any(|withheld| matches!(withheld.why, Why::TooManyDeletes { .. }))
    }
}
