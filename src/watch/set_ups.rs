//! What set-ups wait for, and how they ended that linked no account. One that failed at its start is not
//! begun again at every round; one that waited for a person is, since that person may change their mind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Desired, DesiredCredential, FlowStep, Key, SetUpId};
use crate::plan::{Action, EntrySetup, Plan, SetupState, Step};
use crate::status::EntryStatus;

/// How long one that failed is left alone, unless its entry changes.
const REST: Duration = Duration::from_secs(3600);

/// The set-ups that have linked nothing yet.
#[derive(Default)]
pub(super) struct SetUps {
    /// What they wait for.
    waiting: BTreeMap<SetUpId, FlowStep>,
    ended: BTreeMap<SetUpId, Ended>,
    /// Those that are not started, since the provider would refuse them: with its reason.
    refused: BTreeMap<SetUpId, String>,
}

struct Ended {
    why: String,
    /// The entry that it was for.
    entry: DesiredCredential,
    /// Since when it rests; none where it does not.
    resting: Option<Instant>,
    /// Whether it was about a linked account for which HA did not ask for consent then.
    before_asked: bool,
}

impl SetUps {
    /// Takes the set-ups out of a plan that failed lately, and would only fail again.
    pub(super) fn take_out_resting(&self, plan: &mut Plan) {
        let rests = |id: &SetUpId| self.ended.get(id).is_some_and(|ended| ended.resting.is_some());
        plan.steps.retain(|step| match &step.action {
            // What follows a new credential is another attempt.
            // What HA has open needs no start.
            Action::SetUp { open: Some(_), .. } => true,
            Action::SetUp { .. } | Action::Reload { .. } => {
                step.after.is_some() || !step.action.set_up_id().is_some_and(|id| rests(&id))
            }
            _ => true,
        });
    }

    /// One waits for this, by what `step` found. Why the one before it failed is said until a person has done what
    /// this one waited for at first.
    pub(super) fn waits(&mut self, id: SetUpId, waited_for: &FlowStep, step: &Step) {
        self.refused.remove(&id);
        let before = self.waiting.insert(id.clone(), waited_for.clone());
        let is_further = |before: FlowStep| before.needs_person() && before != *waited_for;
        if !begins(step) && before.is_some_and(is_further) {
            self.ended.remove(&id);
        }
    }

    /// One is not started.
    pub(super) fn refused(&mut self, id: SetUpId, why: &str) {
        self.refused.insert(id, why.to_owned());
    }

    /// One has failed; it rests if it did so at its start.
    pub(super) fn failed(
        &mut self,
        id: SetUpId,
        entry: &DesiredCredential,
        why: &str,
        step: &Step,
        now: Instant,
    ) {
        self.waiting.remove(&id);
        let before_asked = matches!(
            step.action,
            Action::Reload { .. } | Action::SetUp { account: Some(_), open: None, .. }
        );
        let (why, entry) = (why.to_owned(), entry.clone());
        let resting = begins(step).then_some(now);
        self.ended.insert(id, Ended { why, entry, resting, before_asked });
    }

    /// A step was done: one of a set-up has succeeded; after any other, all those of the entry begin anew.
    pub(super) fn succeeded(&mut self, action: &Action) {
        if matches!(action, Action::Abandon { .. }) {
            // Its link leads nowhere now. Where another one is open for the same, the next look says so.
            let ended = action.set_up_id();
            self.waiting.retain(|of, _| Some(of) != ended.as_ref());
            return;
        }
        let Some(wanted) = action.for_entry() else { return };
        let id = action.set_up_id();
        let is_kept = |of: &SetUpId| match &id {
            Some(id) => of != id,
            None => of.key != wanted.key,
        };
        self.waiting.retain(|of, _| is_kept(of));
        self.ended.retain(|of, _| is_kept(of));
        self.refused.retain(|of, _| is_kept(of));
    }

    /// Forgets what is not open, or needed, any more, and why set-ups failed whose entry is another one now
    /// or that have rested.
    pub(super) fn keep(&mut self, plan: &Plan, desired: &Desired, now: Instant) {
        let entries: BTreeMap<&Key, &DesiredCredential> =
            desired.credentials.iter().map(|entry| (&entry.key, entry)).collect();
        self.ended.retain(|id, ended| {
            entries.get(&id.key).is_some_and(|entry| same(entry, &ended.entry))
                && ended.resting.is_none_or(|since| now.duration_since(since) < REST)
        });
        let mut open = BTreeSet::new();
        for EntrySetup { id, state, .. } in &plan.setup_states {
            match state {
                SetupState::Linked(_) | SetupState::Cloud(_) => drop(self.ended.remove(id)),
                SetupState::NeedsConsent => {
                    // That it did not run, or that HA did not ask yet, is no longer all there is to say.
                    if self.ended.get(id).is_some_and(|ended| ended.before_asked) {
                        self.ended.remove(id);
                    }
                    open.insert(id);
                }
                SetupState::InProgress => drop(open.insert(id)),
                SetupState::NotSetUp | SetupState::NotWanted => {}
            }
        }
        self.waiting.retain(|id, _| open.contains(id));
        let needed: BTreeSet<SetUpId> =
            plan.steps.iter().filter_map(|step| step.action.set_up_id()).collect();
        self.refused.retain(|id, _| needed.contains(id));
    }

    /// Writes into the status of an entry what its set-ups wait for, and why the last ones failed.
    pub(super) fn write(&self, entry: &mut EntryStatus) {
        for set_up in &mut entry.set_ups {
            let id = SetUpId { key: entry.key.clone(), account: set_up.account.clone() };
            set_up.waits_for = self.waiting.get(&id).cloned().map(Box::new);
            let ended = self.ended.get(&id).map(|ended| &ended.why);
            set_up.error = self.refused.get(&id).or(ended).cloned();
        }
    }
}

/// Whether a step is more than looking at a set-up that is open already.
pub(super) fn begins(step: &Step) -> bool {
    !matches!(step.action, Action::SetUp { open: Some(_), .. })
}

/// Whether nothing about an entry changed but perhaps its line.
fn same(one: &DesiredCredential, other: &DesiredCredential) -> bool {
    DesiredCredential { place: other.place.clone(), ..one.clone() } == *other
}

#[cfg(test)]
mod tests {

    use tokio::time::Instant;

    use super::SetUps;
    use crate::model::{
        ClientId, ConfigEntry, ConsentLink, Desired, DesiredCredential, Domain, EntryId,
        EntryState, FlowId, FlowStep, Key, Mark, OpenFlow, Owner, Policy, Purpose, Secret, SetUpId,
    };
    use crate::plan::{Action, EntrySetup, Plan, Reason, SetupState, Step, StepId, Wanted};
    use crate::status::{EntryStatus, unseen};

    fn plan_of(action: Action, state: SetupState) -> Plan {
        let step = Step::new(StepId(0), action);
        let step = Step { reasons: vec![Reason::ConsentLost], ..step };
        let id = step.action.set_up_id().unwrap();
        Plan {
            steps: vec![step],
            setup_states: vec![EntrySetup { id, state, trouble: None }],
            ..Plan::default()
        }
    }

    #[test]
    fn the_link_of_a_set_up_that_was_ended_is_no_longer_shown() {
        let (key, owner) = (Key::new("a").unwrap(), Owner::new("house").unwrap());
        let purpose = Purpose::Entry(Mark { owner, key: key.clone() });
        let flow = OpenFlow { id: FlowId::new("f"), domain: Domain::new("spotify"), purpose };
        let mut set_ups = SetUps::default();
        let other = SetUpId { key: Key::new("b").unwrap(), account: None };
        let link = ConsentLink::new(Secret::new("https://provider.example"), false);
        let step = Step::new(StepId(0), Action::Abandon { flow });
        for id in [SetUpId { key, account: None }, other.clone()] {
            set_ups.waits(id, &FlowStep::Consent(link.clone()), &step);
        }
        set_ups.succeeded(&step.action);
        assert_eq!(set_ups.waiting.keys().collect::<Vec<_>>(), [&other]);
    }

    #[test]
    fn consent_that_home_assistant_asks_for_is_the_only_verdict_of_an_account_that_stayed_down() {
        let (key, domain) = (Key::new("a").unwrap(), Domain::new("spotify"));
        let entry = DesiredCredential::example("a");
        let desired = Desired { owner: Owner::default(), ..Desired::example(vec![entry.clone()]) };
        let account = ConfigEntry {
            id: EntryId::new("e"),
            domain: domain.clone(),
            title: "A".into(),
            state: EntryState::SetupError,
            reason: None,
            implementation: None,
        };
        let wanted = Wanted {
            key: key.clone(),
            domain,
            client_id: ClientId::new("c"),
            name: "A".into(),
            auth_domain: "appcred:house:a".into(),
        };
        let reload = Action::Reload { wanted: wanted.clone(), account: account.clone() };
        let again = |open: Option<&str>| Action::SetUp {
            wanted: wanted.clone(),
            name: None,
            account: Some(account.clone()),
            open: open.map(FlowId::new),
        };
        for failed in [reload, again(None)] {
            let (mut set_ups, now) = (SetUps::default(), Instant::now());
            let mut down = plan_of(failed, SetupState::Linked(vec![account.clone()]));
            let id = SetUpId { key: key.clone(), account: None };
            set_ups.failed(id, &entry, "it does not run", &down.steps[0], now);
            set_ups.take_out_resting(&mut down);
            assert_eq!(down.steps, [], "it rests");

            let mut asked = plan_of(again(Some("f")), SetupState::NeedsConsent);
            set_ups.keep(&asked, &desired, now);
            set_ups.take_out_resting(&mut asked);
            assert_eq!(asked.steps.len(), 1, "consent is asked for at once");
            let mut status: Vec<EntryStatus> = unseen(&desired, &[]);
            status[0].set_ups =
                crate::status::entries(&desired, &asked, &Policy::default()).remove(0).set_ups;
            set_ups.write(&mut status[0]);
            assert_eq!(status[0].set_ups[0].error, None);
        }
    }
}
