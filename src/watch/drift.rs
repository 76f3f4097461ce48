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

/// What somebody else has changed at a target, as of the last look, and what of it nobody was notified of.
#[derive(Default)]
pub(super) struct Drift {
    to_do: BTreeSet<String>,
    news: DriftNews,
}

/// What was to be done about drift of which nobody was notified, and whether it still is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DriftNews(BTreeMap<String, bool>);

impl Drift {
    /// Takes in what is to be done about it now, and answers what of that is new. What a plan withholds is not done either.
    pub(super) fn look(&mut self, to_do: BTreeSet<String>, plan: &Plan) -> BTreeSet<String> {
        let new: BTreeSet<String> = to_do.difference(&self.to_do).cloned().collect();
        self.news.0.extend(new.iter().map(|what| (what.clone(), true)));
        if !self.news.0.is_empty() {
            let withheld = plan.withheld.iter().map(|withheld| &withheld.action);
            let open = plan.steps.iter().map(|step| &step.action).chain(withheld);
            let open: BTreeSet<String> = open.map(Action::summary).collect();
            for (what, is_to_do) in &mut self.news.0 {
                *is_to_do = open.contains(what);
            }
        }
        self.to_do = to_do;
        new
    }

    /// What nobody was notified of so far.
    pub(super) fn take_news(&mut self) -> DriftNews {
        std::mem::take(&mut self.news)
    }
}

impl DriftNews {
    /// What is said of it; none where there is nothing.
    pub(super) fn message(&self) -> Option<String> {
        let of = |is_to_do: bool| {
            let all = self.0.iter().filter(|(_, of)| **of == is_to_do);
            all.map(|(what, _)| what.as_str()).collect::<Vec<_>>().join("; ")
        };
        let said = [("repaired", of(false)), ("to do", of(true))];
        let said = said.iter().filter(|(_, what)| !what.is_empty());
        let said: Vec<String> = said.map(|(state, what)| format!("{state}: {what}")).collect();
        let said = (!said.is_empty()).then(|| said.join("; "))?;
        Some(format!("the target was changed, not by a manifest; {said}"))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Drift, DriftNews};
    use crate::model::DesiredCredential;
    use crate::plan::{Action, Plan, Step, StepId, Wanted, Why, Withheld};

    fn create(key: &str) -> Action {
        let DesiredCredential { key, domain, client_id, name, .. } =
            DesiredCredential::example(key);
        let auth_domain = format!("appcred:house:{key}").into();
        Action::Create { wanted: Wanted { key, domain, client_id, name, auth_domain } }
    }

    fn plan_of(keys: &[&str]) -> Plan {
        let steps = (0..).map(StepId).zip(keys).map(|(id, key)| Step::new(id, create(key)));
        Plan { steps: steps.collect(), ..Plan::default() }
    }

    fn what(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| create(key).summary()).collect()
    }

    #[test]
    fn a_notice_says_of_each_drift_whether_it_is_repaired_after_the_steps() {
        let said = |keys: &[&str], last: &Plan, rest: &[&str]| {
            let mut drift = Drift::default();
            assert_eq!(drift.look(what(keys), &plan_of(keys)), what(keys));
            assert_eq!(drift.look(what(rest), last), BTreeSet::new());
            drift.take_news().message().unwrap()
        };
        let was = "the target was changed, not by a manifest; ";
        let (a, b) = (create("a").summary(), create("b").summary());
        assert_eq!(said(&["a"], &plan_of(&[]), &[]), format!("{was}repaired: {a}"));
        assert_eq!(said(&["a"], &plan_of(&["a"]), &["a"]), format!("{was}to do: {a}"));
        let some = said(&["a", "b"], &plan_of(&["b"]), &["b"]);
        assert_eq!(some, format!("{was}repaired: {a}; to do: {b}"));
        let withheld = Withheld { action: create("a"), why: Why::PruneOff };
        let withheld = Plan { withheld: vec![withheld], ..Plan::default() };
        assert_eq!(said(&["a"], &withheld, &[]), format!("{was}to do: {a}"));
    }

    #[test]
    fn drift_is_news_once_until_it_is_repaired_and_what_two_looks_found_is_in_one_notice() {
        let mut drift = Drift::default();
        drift.look(what(&["a"]), &plan_of(&["a"]));
        drift.look(what(&["b"]), &plan_of(&["b"]));
        let message = drift.take_news().message().unwrap();
        assert!(message.contains("\"a\"") && message.contains("\"b\""), "{message}");
        assert_eq!(drift.look(what(&["b"]), &plan_of(&["b"])), BTreeSet::new());
        assert_eq!(drift.take_news(), DriftNews::default());
        assert_eq!(DriftNews::default().message(), None);
        drift.look(what(&[]), &plan_of(&[]));
        assert_eq!(drift.look(what(&["b"]), &plan_of(&["b"])), what(&["b"]));
    }
}
