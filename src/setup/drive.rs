//! Asks HA, until a person is needed or it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::model::{
    ConfigEntry, CreatedAccount, EntryState, FlowId, FlowStep, Implementation, Mark, Secret,
};
use crate::target::Refusal;
use crate::target::home_assistant::{FlowAnswer, FlowSide, HomeAssistant};

use super::step::{Guide, Move, next};

/// More questions than this are no set-up any more.
const MAX_MOVES: usize = 50;
/// Between two looks at a flow in which HA is at work.
const PAUSE_SECONDS: u64 = 1;

/// What is to be linked.
#[derive(Clone, Copy, Debug)]
pub struct SetUpTask<'a> {
    /// The entry.
    pub mark: &'a Mark,
    /// The integration.
    pub domain: &'a crate::model::Domain,
    /// What the entry answers.
    pub guide: Guide<'a>,
    /// Its secret, which no link may show.
    pub secret: &'a Secret,
    /// The account that needs consent again; none for a new one.
    pub account: Option<&'a ConfigEntry>,
}

/// How far a set-up came.
#[derive(Clone, Debug, PartialEq)]
pub enum FlowState {
    /// A person is needed: the flow, and what it shows.
    Waits(FlowId, FlowStep),
    /// HA runs the account.
    Linked,
    /// HA cannot ask for consent now.
    Later,
    /// It failed, for this reason.
    Failed(String),
}

/// Goes on with a flow, or starts one, as far as that is possible without a person.
///
/// `base` is where the provider's redirect is to arrive. Whatever comes of it, at most one flow is
/// open afterwards, and that one is noted in HA.
///
/// # Errors
/// Where HA does not answer; what is open then is found by the next run.
pub async fn begin(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    open: Option<&FlowId>,
    base: &str,
) -> Result<FlowState, Refusal> {
    let secrets = [task.secret];
    let side = FlowSide { domain: task.domain, base, secrets: &secrets };
    if let Some(flow) = open {
        match ha.look_at_flow(flow, &side).await? {
            Some(FlowStep::Broken) => give_up(ha, flow).await?,
            Some(step) => return walk(ha, task, flow.clone(), step, &side).await,
            None if task.account.is_some() => return ended_unseen(ha, task, flow).await,
            None => ha.forget_flow(flow).await?,
        }
    }
    let (flow, step) = match task.account {
        None => ha.start_flow(&side).await?,
        Some(account) => {
            // HA lists this flow itself, so there is nothing to note.
            if let Some(flow) = ha.reauth_flow(&account.id).await?
                && let Some(step) = ha.look_at_flow(&flow, &side).await?
            {
                return walk(ha, task, flow, step, &side).await;
            }
            match ha.start_reconfigure_flow(&account.id, &side).await? {
                Some(started) => started,
                None => return Ok(FlowState::Later),
            }
        }
    };
    let (flow, step) = settle(ha, task, flow, step, &side).await?;
    walk(ha, task, flow, step, &side).await
}

/// Goes on with a flow after a person has done what it waited for.
///
/// # Errors
/// Where HA does not answer.
pub async fn follow(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
    base: &str,
) -> Result<FlowState, Refusal> {
    let secrets = [task.secret];
    let side = FlowSide { domain: task.domain, base, secrets: &secrets };
    match ha.look_at_flow(flow, &side).await? {
        Some(step) => walk(ha, task, flow.clone(), step, &side).await,
        None => ended_unseen(ha, task, flow).await,
    }
}

/// Ends a flow that is not needed any more.
///
/// # Errors
/// Where HA does not answer.
pub async fn give_up(ha: &HomeAssistant, flow: &FlowId) -> Result<(), Refusal> {
    ha.abort_flow(flow).await?;
    ha.forget_flow(flow).await
}

/// Notes a flow that was just started, and answers the one that goes on: that of another run where
/// both have started one at the same moment. A flow that cannot be found again is not left behind.
async fn settle(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: FlowId,
    step: FlowStep,
    side: &FlowSide<'_>,
) -> Result<(FlowId, FlowStep), Refusal> {
    let account = task.account.map(|account| &account.id);
    let first = match ha.remember_flow(task.mark, account, task.domain, &flow).await {
        Ok(first) => first,
        Err(refusal) => {
            ha.abort_flow(&flow).await?;
            return Err(refusal);
        }
    };
    if first == flow {
        return Ok((flow, step));
    }
    match ha.look_at_flow(&first, side).await? {
        Some(of_first) if of_first != FlowStep::Broken => {
            tracing::warn!(
                "another appcred has started the set-up of {} for {} at the same moment: that one goes on, this one is ended",
                task.domain,
                task.mark
            );
            give_up(ha, &flow).await?;
            Ok((first, of_first))
        }
        _ => {
            give_up(ha, &first).await?;
            Ok((flow, step))
        }
    }
}

async fn walk(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: FlowId,
    mut step: FlowStep,
    side: &FlowSide<'_>,
) -> Result<FlowState, Refusal> {
    let mut answered = BTreeSet::new();
    for _ in 0..MAX_MOVES {
        let shown = step.clone();
        let seen = match next(step, &task.guide, &answered) {
            Move::Answer(answer) => {
                answered.extend(name(&shown));
                let waiting = || shown.clone();
                answer_with(ha, &flow, &answer, side, waiting).await?
            }
            Move::Look => ha.look_at_flow(&flow, side).await?,
            Move::Pause => {
                sleep(Duration::from_secs(PAUSE_SECONDS)).await;
                ha.look_at_flow(&flow, side).await?
            }
            Move::Wait(step) => return Ok(FlowState::Waits(flow, step)),
            Move::Done(linked) => return finish(ha, task, &flow, linked).await,
            Move::Failed(why) => {
                give_up(ha, &flow).await?;
                return Ok(FlowState::Failed(why));
            }
        };
        match seen {
            Some(next) => step = next,
            None => return ended_unseen(ha, task, &flow).await,
        }
    }
    give_up(ha, &flow).await?;
    Ok(FlowState::Failed("Home Assistant asked too many questions".to_owned()))
}

/// The next step; none where HA no longer has the flow. What HA does not take is shown as it was.
async fn answer_with(
    ha: &HomeAssistant,
    flow: &FlowId,
    answer: &Map<String, Value>,
    side: &FlowSide<'_>,
    shown: impl FnOnce() -> FlowStep,
) -> Result<Option<FlowStep>, Refusal> {
    Ok(match ha.answer_flow(flow, answer, side).await? {
        FlowAnswer::Step(step) => Some(step),
        FlowAnswer::Gone => None,
        FlowAnswer::Unfit(errors) => Some(match shown() {
            FlowStep::Form(mut form) => {
                form.errors = errors;
                FlowStep::Form(form)
            }
            other => other,
        }),
    })
}

fn name(step: &FlowStep) -> Option<String> {
    match step {
        FlowStep::Form(form) => Some(form.step.clone()),
        FlowStep::Menu { step, .. } => Some(step.clone()),
        _ => None,
    }
}

async fn finish(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
    linked: Option<CreatedAccount>,
) -> Result<FlowState, Refusal> {
    ha.forget_flow(flow).await?;
    let state = match (linked, task.account) {
        (Some(linked), _) => ha.settled(&linked.entry).await?,
        (None, Some(account)) => ha.running(&account.id).await?,
        (None, None) => EntryState::Loaded,
    };
    Ok(judge(&state))
}

/// What the state of a linked account means for its set-up.
pub fn judge(state: &EntryState) -> FlowState {
    match state {
        EntryState::Loaded => FlowState::Linked,
        other => FlowState::Failed(format!(
            "the account is linked, but does not run ({other}); Home Assistant's log may say why"
        )),
    }
}

/// A flow that is gone was finished by another client, or lost when HA stopped: the accounts show
/// which.
async fn ended_unseen(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
) -> Result<FlowState, Refusal> {
    ha.forget_flow(flow).await?;
    let accounts = ha.accounts().await?;
    let is_ours = |account: &&ConfigEntry| match (task.account, task.guide.choice) {
        (Some(before), _) => account.id == before.id,
        (None, Implementation::Cloud) => account.implementation.is_none(),
        (None, Implementation::Credential | Implementation::Ask) => {
            account.implementation.as_deref() == Some(task.guide.credential)
        }
    };
    let mut of_domain = accounts.iter().filter(|account| account.domain == *task.domain);
    match of_domain.rfind(is_ours) {
        Some(account) => Ok(judge(&ha.settled(&account.id).await?)),
        None => Ok(FlowState::Failed(
            "Home Assistant no longer has this set-up: it was restarted, or the set-up was cancelled; start it again"
                .to_owned(),
        )),
    }
}
