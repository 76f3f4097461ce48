//! Which of a plan's steps undo what somebody else changed at a target, and which a manifest or the policy asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{ClientId, CredentialId, Desired, DesiredCredential, Domain, Key, Observed};
use crate::plan::{Action, Plan};

use super::TargetSpec;

/// What a target was last seen to hold. Each entry counts for itself, so that one that fails or waits hides no drift
/// of the others.
#[derive(Default)]
pub(super) struct LastSeen {
    spec: Option<Arc<TargetSpec>>,
    /// The entries whose credentials were as they are wanted now.
    fulfilled: BTreeSet<Key>,
    /// The credentials that were there; none before the first look.
    there: Option<BTreeSet<CredentialId>>,
    /// Those among them that somebody else put there.
    strange: BTreeSet<CredentialId>,
    /// The clients of which we may have created credentials since.
    created: BTreeSet<(Domain, ClientId)>,
}

impl LastSeen {
    /// From now on this is wanted. Answers whether something else was wanted before.
    pub(super) fn want(&mut self, spec: &Arc<TargetSpec>) -> bool {
        let before = self.spec.replace(Arc::clone(spec));
        let Some(before) = before else { return false };
        if Arc::ptr_eq(&before, spec) || before.desired == spec.desired {
            return false;
        }
        let same = wanted_alike(&before.desired, &spec.desired);
        self.fulfilled.retain(|key| same.contains(key));
        true
    }

    /// The credentials that this creates are not somebody else's.
    pub(super) fn carries_out(&mut self, plan: &Plan) {
        let created = plan.steps.iter().filter_map(|step| step.action.created());
        self.created
            .extend(created.map(|wanted| (wanted.domain.clone(), wanted.client_id.clone())));
    }

    /// Whether an action undoes what somebody else did to credentials. Accounts are never meant.
    pub(super) fn is_drift(&self, action: &Action) -> bool {
        match action {
            Action::Delete { old, .. } => {
                let is_new = |there: &BTreeSet<_>| !there.contains(&old.id);
                self.strange.contains(&old.id)
                    || self.there.as_ref().is_some_and(is_new)
                        && !self.created.contains(&(old.domain.clone(), old.client_id.clone()))
            }
            set_up if set_up.is_set_up() => false,
            other => other.for_entry().is_some_and(|wanted| self.fulfilled.contains(&wanted.key)),
        }
    }

    /// What a plan is to do about what somebody else has changed.
    pub(super) fn drift(&self, plan: &Plan) -> BTreeSet<String> {
        let drifted = plan.steps.iter().filter(|step| self.is_drift(&step.action));
        drifted.map(|step| step.action.summary()).collect()
    }

    /// Takes in what was found, and what is to be done about it.
    pub(super) fn look(&mut self, desired: &Desired, observed: &Observed, plan: &Plan) {
        let steps = plan.steps.iter().map(|step| &step.action);
        let to_do = steps.chain(plan.withheld.iter().map(|withheld| &withheld.action));
        let to_do: Vec<&Action> = to_do.filter(|action| !action.is_set_up()).collect();
        let strange = to_do.iter().filter_map(|action| match action {
            Action::Delete { old, .. } if self.is_drift(action) => Some(old.id.clone()),
            _ => None,
        });
        self.strange = strange.collect();
        self.created.clear();
        let ids = observed.credentials.iter().map(|credential| &credential.id);
        self.there = Some(ids.cloned().collect());
        let undone = to_do.iter().filter_map(|action| Some(&action.for_entry()?.key));
        let undone: BTreeSet<&Key> =
            undone.chain(plan.unknown.iter().map(|unknown| &unknown.key)).collect();
        let keys = desired.credentials.iter().map(|entry| &entry.key);
        self.fulfilled.extend(keys.filter(|key| !undone.contains(key)).cloned());
    }
}

/// The keys of the entries whose credentials are wanted as before.
fn wanted_alike<'a>(before: &Desired, now: &'a Desired) -> BTreeSet<&'a Key> {
    if before.owner != now.owner {
        return BTreeSet::new();
    }
    let by_key: BTreeMap<&Key, &DesiredCredential> =
        before.credentials.iter().map(|entry| (&entry.key, entry)).collect();
    let is_alike = |entry: &&DesiredCredential| {
        by_key.get(&entry.key).is_some_and(|before| before.wants_same_credential(entry))
    };
    now.credentials.iter().filter(is_alike).map(|entry| &entry.key).collect()
}
