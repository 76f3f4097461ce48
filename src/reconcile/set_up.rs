//! Has accounts linked, as far as that is possible without a person.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};

use crate::model::{Desired, DesiredCredential, FlowId, Key, Mark, Purpose};
use crate::plan::{Action, Plan, Step};
use crate::setup::Guide;
use crate::setup::drive::{self, FlowState, Task};
use crate::target::home_assistant::HomeAssistant;
use crate::target::{Refusal, Stop};

use super::outcome::{Outcome, StepOutcome};

/// Set-ups that go on side by side.
const OPEN_SET_UPS: usize = 8;

/// Carries out the steps of a plan that concern set-ups, and adds what each came to.
///
/// Flows that are left over are ended first. A set-up goes on until a person is needed, which is no
/// failure; it is not begun where the step that it builds on was not done.
pub async fn set_up(
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
    let round = Round { desired, ha, stop, base: ha.frontend_base(), entries: by_key(desired) };
    for steps in [abandons, set_ups] {
        let begun: Vec<_> = steps
            .into_iter()
            .map(|step| round.carry_out(step, hindrance(step, outcomes)))
            .collect();
        let mut done: Vec<StepOutcome> =
            stream::iter(begun).buffer_unordered(OPEN_SET_UPS).collect().await;
        done.sort_by_key(|done| done.step);
        outcomes.append(&mut done);
    }
}

fn by_key(desired: &Desired) -> BTreeMap<&Key, &DesiredCredential> {
    desired.credentials.iter().map(|entry| (&entry.key, entry)).collect()
}

/// Why a step cannot be begun: what it builds on was not done.
fn hindrance(step: &Step, outcomes: &[StepOutcome]) -> Option<Outcome> {
    let before = outcomes.iter().find(|outcome| Some(outcome.step) == step.after)?;
    let is_there = matches!(before.outcome, Outcome::Done | Outcome::Unfinished(_));
    (!is_there).then(|| Outcome::NotBegun("its credential is not there".to_owned()))
}

fn outcome(step: &Step, outcome: Outcome) -> StepOutcome {
    StepOutcome { step: step.id, outcome }
}

struct Round<'a> {
    desired: &'a Desired,
    ha: &'a HomeAssistant,
    stop: &'a Stop,
    base: &'a str,
    entries: BTreeMap<&'a Key, &'a DesiredCredential>,
}

impl Round<'_> {
    async fn carry_out(&self, step: &Step, hindrance: Option<Outcome>) -> StepOutcome {
        let came_to = match (hindrance, &step.action) {
            (Some(hindrance), _) => hindrance,
            _ if self.stop.is_cancelled() => Outcome::NotBegun(Refusal::Stopped.to_string()),
            (None, Action::Abandon { flow }) => {
                match abandon(self.ha, &flow.id, &flow.purpose).await {
                    Ok(()) => Outcome::Done,
                    Err(refusal) => Outcome::Failed(refusal.to_string()),
                }
            }
            (None, Action::SetUp { wanted, open, .. }) => match self.entries.get(&wanted.key) {
                Some(entry) => self.begin(step, entry, open.as_ref()).await,
                None => Outcome::NotBegun(format!("no entry `{}`", wanted.key)),
            },
            (None, Action::Tie { wanted, tied }) => {
                let mark = self.desired.mark(&wanted.key);
                match self.ha.remember_tie(&mark, *tied).await {
                    Ok(()) => Outcome::Done,
                    Err(refusal) => Outcome::Failed(refusal.to_string()),
                }
            }
            (None, _) => Outcome::Done,
        };
        outcome(step, came_to)
    }

    async fn begin(
        &self,
        step: &Step,
        entry: &DesiredCredential,
        open: Option<&FlowId>,
    ) -> Outcome {
        let mark = self.desired.mark(&entry.key);
        let Some(task) = task(&step.action, entry, &mark) else {
            return Outcome::NotBegun(format!("no secret for `{}`", entry.key));
        };
        match drive::begin(self.ha, &task, open, self.base).await {
            Ok(FlowState::Linked) => Outcome::Done,
            Ok(FlowState::Waits(_, step)) => Outcome::Waits(step),
            Ok(FlowState::Failed(why)) => Outcome::Failed(why),
            Ok(FlowState::Later) => Outcome::Unfinished(LATER.to_owned()),
            Err(refusal) => Outcome::Failed(refusal.to_string()),
        }
    }
}

/// What a person must know where HA offers no way to ask for consent at once.
pub const LATER: &str = "Home Assistant asks for consent again once the account's token is out of date, and not before: run `appcred authorize` then";

/// What a set-up is about; none where the action is another one, or the secret is not known.
pub fn task<'a>(
    action: &'a Action,
    entry: &'a DesiredCredential,
    mark: &'a Mark,
) -> Option<Task<'a>> {
    let Action::SetUp { wanted, account, .. } = action else { return None };
    Some(Task {
        mark,
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

async fn abandon(ha: &HomeAssistant, flow: &FlowId, purpose: &Purpose) -> Result<(), Refusal> {
    ha.abort_flow(flow).await?;
    match purpose {
        Purpose::Entry(mark) => ha.forget_flow(mark, None).await,
        Purpose::Again(_) => Ok(()),
    }
}
