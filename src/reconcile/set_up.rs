//! Has accounts linked, as far as that is possible without a person.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use crate::model::{
    ConfigEntry, Desired, DesiredCredential, EntryState, Implementation, Key, Mark, Observed,
    Owner, SetUpOf,
};
use crate::plan::{Action, Plan, Step, Wanted, linked_account};
use crate::setup::Guide;
use crate::setup::drive::{self, FlowState, SetUpTask};
use crate::target::home_assistant::HomeAssistant;
use crate::target::{Refusal, Stop};

use super::outcome::{Outcome, StepOutcome, outcome_of};

/// Set-ups that go on side by side.
const OPEN_SET_UPS: usize = 8;

/// Carries out the steps of a plan that concern set-ups, and adds the result of each.
///
/// Flows that are left over are ended first. A set-up goes on until a person is needed, which is no
/// failure; it is not begun where the step that it builds on was not done.
pub(super) async fn set_up(
    plan: &Plan,
    desired: &Desired,
    ha: &HomeAssistant,
    stop: &Stop,
    outcomes: &mut Vec<StepOutcome>,
) {
    let (abandons, set_ups): (Vec<&Step>, Vec<&Step>) = plan
        .steps
        .iter()
        .filter(|step| step.action.is_set_up())
        .partition(|step| matches!(step.action, Action::Abandon { .. }));
    if abandons.is_empty() && set_ups.is_empty() {
        return;
    }
    let entries = by_key(desired);
    let mut run = SetUpRun { desired, ha, stop, base: ha.frontend_base(), entries, now: None };
    for steps in [abandons, set_ups] {
        if steps.iter().any(|step| matches!(step.action, Action::SetUp { account: None, .. })) {
            run.now = Some(ha.observed().await);
        }
        let begun: Vec<_> =
            steps.into_iter().map(|step| run.one(step, blocker(step, outcomes))).collect();
        let mut done: Vec<StepOutcome> =
            stream::iter(begun).buffer_unordered(OPEN_SET_UPS).collect().await;
        outcomes.append(&mut done);
        outcomes.sort_by_key(|outcome| outcome.step);
    }
}

fn by_key(desired: &Desired) -> BTreeMap<&Key, &DesiredCredential> {
    desired.credentials.iter().map(|entry| (&entry.key, entry)).collect()
}

/// Why a step cannot be begun: what it builds on was not done.
fn blocker(step: &Step, outcomes: &[StepOutcome]) -> Option<Outcome> {
    let before = outcome_of(outcomes, step.after?)?;
    let is_there = matches!(before.outcome, Outcome::Done | Outcome::Unfinished(_));
    (!is_there).then(|| Outcome::NotBegun("its credential is not there".to_owned()))
}

struct SetUpRun<'a> {
    desired: &'a Desired,
    ha: &'a HomeAssistant,
    stop: &'a Stop,
    base: &'a str,
    entries: BTreeMap<&'a Key, &'a DesiredCredential>,
    /// What HA holds right before new accounts are linked.
    now: Option<Result<Observed, Refusal>>,
}

impl SetUpRun<'_> {
    async fn one(&self, step: &Step, blocker: Option<Outcome>) -> StepOutcome {
        let outcome = self.carry_out(step, blocker).await;
        let linked = match &step.action {
            Action::SetUp { wanted, .. } if outcome.is_done() => {
                self.linked(step, &wanted.key).await
            }
            Action::NoteAccount { account, .. } if outcome.is_done() => Some(account.clone()),
            _ => None,
        };
        StepOutcome { linked, ..StepOutcome::of_set_up(step.id, outcome) }
    }

    /// The account that a set-up has linked. It is linked, whether Home Assistant names it or not.
    async fn linked(&self, step: &Step, key: &Key) -> Option<ConfigEntry> {
        let mark = self.desired.mark(key);
        let task = task(&step.action, self.entries.get(key)?, &mark)?;
        drive::account_of(self.ha, &task).await.unwrap_or_default()
    }

    async fn carry_out(&self, step: &Step, blocker: Option<Outcome>) -> Outcome {
        match (blocker, &step.action) {
            (Some(blocker), _) => blocker,
            _ if self.stop.is_cancelled() => Outcome::NotBegun(Refusal::Stopped.to_string()),
            (None, Action::Abandon { flow }) => match drive::give_up(self.ha, &flow.id).await {
                Ok(()) => Outcome::Done,
                Err(refusal) => refusal.into(),
            },
            (None, Action::SetUp { wanted, .. }) => match self.entries.get(&wanted.key) {
                Some(entry) => self.link(step, entry).await,
                None => Outcome::NotBegun(format!("no entry `{}`", wanted.key)),
            },
            (None, Action::Reload { account, .. }) => reload(self.ha, account).await,
            (None, Action::SetDeletePolicy { wanted, removes }) => {
                let mark = self.desired.mark(&wanted.key);
                match self.ha.remember_delete_policy(&mark, *removes).await {
                    Ok(()) => Outcome::Done,
                    Err(refusal) => refusal.into(),
                }
            }
            (None, Action::NoteAccount { wanted, name, account }) => {
                let mark = self.desired.mark(&wanted.key);
                match self.ha.note_account(&mark, name, &account.id).await {
                    Ok(()) => Outcome::Done,
                    Err(refusal) => refusal.into(),
                }
            }
            (None, Action::RemoveAccount { wanted, name, account }) => {
                let mark = self.desired.mark(&wanted.key);
                let of = (&mark, &self.desired.previous_owners);
                match self.ha.remove_named_account(of, name, account).await {
                    Ok(()) => Outcome::Done,
                    Err(refusal) => refusal.into(),
                }
            }
            (
                None,
                Action::Create { .. }
                | Action::Replace { .. }
                | Action::Adopt { .. }
                | Action::Claim { .. }
                | Action::Delete { .. },
            ) => Outcome::NotBegun("it is no set-up".to_owned()),
        }
    }

    async fn link(&self, step: &Step, entry: &DesiredCredential) -> Outcome {
        let mark = self.desired.mark(&entry.key);
        let Some(task) = task(&step.action, entry, &mark) else {
            return Outcome::NotBegun(format!("no secret for `{}`", entry.key));
        };
        let now = match &self.now {
            Some(Ok(now)) => Some(now),
            Some(Err(refusal)) => return refusal.clone().into(),
            None => None,
        };
        let of = (entry, &self.desired.previous_owners);
        match begin(self.ha, &task, &step.action, of, now, self.base, self.stop).await {
            // One that runs although its credential was gone has a copy of that.
            Ok(Begun::Before(account))
                if step.after.is_none() && account.state == EntryState::Loaded =>
            {
                Outcome::Done
            }
            Ok(Begun::Before(account)) => reload(self.ha, account).await,
            Ok(Begun::Now(FlowState::Linked)) => Outcome::Done,
            Ok(Begun::Now(FlowState::Waits(_, step))) => Outcome::Waits(step),
            Ok(Begun::Now(FlowState::Failed(why))) => Outcome::Failed(why),
            Ok(Begun::Now(FlowState::CannotAskYet)) => {
                Outcome::Unfinished(CANNOT_ASK_YET.to_owned())
            }
            Err(refusal) => refusal.into(),
        }
    }
}

/// Reloads an account that is to run then.
pub(super) async fn reload(ha: &HomeAssistant, account: &ConfigEntry) -> Outcome {
    match ha.reload(&account.id).await {
        Ok(EntryState::Loaded) => Outcome::Done,
        Ok(state) => Outcome::Failed(format!(
            "the linked account \"{}\" does not run ({state}); Home Assistant's log may say why",
            account.title
        )),
        Err(refusal @ Refusal::Denied(_)) => refusal.into(),
        Err(refusal) => Outcome::Failed(format!(
            "the linked account \"{}\" could not be reloaded: {refusal}",
            account.title
        )),
    }
}

/// What a person is shown where HA cannot ask for consent at once.
pub(super) const CANNOT_ASK_YET: &str = "Home Assistant asks for consent again once the account's token is out of date, and not before: run `appcred authorize` then";

/// What has come of a set-up that was to be begun.
pub(super) enum Begun<'n> {
    /// An account was linked before.
    Before(&'n ConfigEntry),
    /// It has come so far.
    Now(FlowState),
}

/// Begins a set-up or goes on with it.
///
/// `of` is the entry and the owners before this one. `now` is what HA holds right before a new account is linked: a linked
/// account whose credential was deleted finds it again once that is created.
///
/// # Errors
/// Where HA does not answer, or when stopped.
pub(super) async fn begin<'n>(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    action: &Action,
    of: (&DesiredCredential, &BTreeSet<Owner>),
    now: Option<&'n Observed>,
    base: &str,
    stop: &Stop,
) -> Result<Begun<'n>, Refusal> {
    let Action::SetUp { wanted, account, open, .. } = action else {
        return Ok(Begun::Now(FlowState::Failed("it is no set-up".to_owned())));
    };
    if let (None, Some(now)) = (account, now)
        && let Some(account) = linked(now, of, task.of, wanted)
    {
        return Ok(Begun::Before(account));
    }
    drive::begin(ha, task, open.as_ref(), base, stop).await.map(Begun::Now)
}

/// The account that is linked with an entry's own credential.
pub(super) fn linked<'n>(
    now: &'n Observed,
    (entry, previous_owners): (&DesiredCredential, &BTreeSet<Owner>),
    of: SetUpOf<'_>,
    wanted: &Wanted,
) -> Option<&'n ConfigEntry> {
    if entry.integration.implementation == Implementation::Cloud {
        return None;
    }
    let notes = &now.live.as_ref()?.accounts;
    let users = now.users(&wanted.domain, &wanted.auth_domain);
    linked_account((entry, previous_owners), of, users, notes)
}

/// What a set-up is about; none where the action is another one, or the secret is not known.
pub(super) fn task<'a>(
    action: &'a Action,
    entry: &'a DesiredCredential,
    mark: &'a Mark,
) -> Option<SetUpTask<'a>> {
    let Action::SetUp { wanted, name, account, .. } = action else { return None };
    Some(SetUpTask {
        of: SetUpOf { mark, account: name.as_ref() },
        domain: &wanted.domain,
        guide: Guide {
            credential: &wanted.auth_domain,
            client_id: &wanted.client_id,
            choice: entry.integration.implementation,
            answers: &entry.integration.answers,
        },
        secret: entry.client_secret.clear()?,
        account: account.as_ref(),
    })
}

#[cfg(test)]
mod tests {
    use super::{
        Action, BTreeSet, DesiredCredential, Implementation, Key, Mark, Observed, Outcome, Owner,
        SetUpOf, Step, StepOutcome, Wanted, blocker, linked,
    };
    use crate::model::{
        AccountName, ConfigEntry, Domain, EntryId, EntryState, FlowId, Live, NotedAccount,
        OpenFlow, Purpose,
    };
    use crate::plan::StepId;

    fn wanted() -> Wanted {
        let DesiredCredential { key, domain, client_id, .. } = DesiredCredential::example("a");
        Wanted { key, domain, client_id, name: "a".into(), auth_domain: "appcred:house:a".into() }
    }

    fn mark() -> Mark {
        Mark::parse("appcred:house:a").unwrap()
    }

    /// One account of the entry.
    fn observed() -> Observed {
        let Wanted { domain, auth_domain, .. } = wanted();
        let account = ConfigEntry {
            id: EntryId::new("account"),
            domain,
            title: "Anna".into(),
            state: EntryState::Loaded,
            reason: None,
            implementation: Some(auth_domain),
        };
        Observed {
            config_entries: vec![account],
            live: Some(Live::default()),
            ..Observed::example()
        }
    }

    #[test]
    fn a_set_up_is_begun_only_where_what_it_builds_on_is_there() {
        let purpose = Purpose::Entry(mark());
        let flow = OpenFlow { id: FlowId::new("flow"), domain: wanted().domain, purpose };
        let step =
            |after| Step { after, ..Step::new(StepId(1), Action::Abandon { flow: flow.clone() }) };
        let why = |after, outcome| blocker(&step(after), &[StepOutcome::new(StepId(0), outcome)]);
        let not_there = Some(Outcome::NotBegun("its credential is not there".to_owned()));
        assert_eq!(why(Some(StepId(0)), Outcome::Failed("no".to_owned())), not_there);
        assert_eq!(why(Some(StepId(0)), Outcome::Done), None);
        assert_eq!(why(Some(StepId(0)), Outcome::Unfinished("yet".to_owned())), None);
        assert_eq!(why(None, Outcome::Failed("no".to_owned())), None);
    }

    #[test]
    fn an_account_that_was_linked_meanwhile_is_the_entrys_where_it_is_of_its_credential() {
        let (now, mark) = (observed(), mark());
        let mut entry =
            DesiredCredential { key: Key::new("a").unwrap(), ..DesiredCredential::example("a") };
        let of = |mark| SetUpOf { mark, account: None };
        let elsewhere = Wanted { domain: Domain::new("twitch"), ..wanted() };
        let none = BTreeSet::new();
        assert_eq!(linked(&now, (&entry, &none), of(&mark), &wanted()), now.config_entries.first());
        assert_eq!(linked(&now, (&entry, &none), of(&mark), &elsewhere), None);
        entry.integration.implementation = Implementation::Cloud;
        assert_eq!(
            linked(&now, (&entry, &none), of(&mark), &wanted()),
            None,
            "the account is not of Home Assistant Cloud"
        );
    }

    #[test]
    fn a_named_account_is_the_entrys_where_an_owner_before_has_noted_it() {
        let (mut now, mark) = (observed(), mark());
        let name = AccountName::new("Ann").unwrap();
        let before = Owner::new("before").unwrap();
        let noted_by = Mark { owner: before.clone(), key: mark.key.clone() };
        let note =
            NotedAccount { mark: noted_by, name: name.clone(), account: EntryId::new("account") };
        now.live.as_mut().unwrap().accounts.insert(note);
        let mut entry = DesiredCredential::example("a");
        entry.integration.accounts = vec![name.clone()];
        let found = |previous: &[Owner]| {
            let previous = previous.iter().cloned().collect();
            let of = SetUpOf { mark: &mark, account: Some(&name) };
            linked(&now, (&entry, &previous), of, &wanted()).is_some()
        };
        assert_eq!([found(&[before]), found(&[])], [true, false]);
    }
}
