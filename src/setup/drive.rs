//! Begins and ends flows: at most one is open for an entry.

use crate::model::{
    ConfigEntry, EntryId, EntryState, FlowId, FlowStep, Implementation, NotedAccount, Secret,
    SetUpOf,
};
use crate::target::home_assistant::{FlowSide, HomeAssistant, TurnOf};
use crate::target::{Refusal, Stop};

use super::accounts;
use super::step::{BROKEN, Guide};
use super::walk::{LiveFlow, Reached, go_on};

const LOST: &str = "Home Assistant no longer has this set-up: it was restarted, or the set-up was cancelled; start it again";
const AGAIN_LOST: &str = "Home Assistant no longer has this set-up: it was restarted, or the set-up was cancelled; the account was not linked again";

/// What is to be linked.
#[derive(Clone, Copy, Debug)]
pub struct SetUpTask<'a> {
    /// Whose set-up.
    pub of: SetUpOf<'a>,
    /// The integration.
    pub domain: &'a crate::model::Domain,
    /// What the entry answers.
    pub guide: Guide<'a>,
    /// Its secret, which no link may show.
    pub secret: &'a Secret,
    /// The account that needs consent again; none for a new one.
    pub account: Option<&'a ConfigEntry>,
}

impl SetUpTask<'_> {
    fn turn(&self) -> TurnOf<'_> {
        TurnOf { of: self.of, account: self.account.map(|account| &account.id) }
    }
}

/// How far a set-up came.
#[derive(Clone, Debug, PartialEq)]
pub enum FlowState {
    /// A person is needed, or HA works on it for long: the flow, and what it shows.
    Waits(FlowId, FlowStep),
    /// HA runs the account.
    Linked,
    /// HA cannot ask for consent now.
    CannotAskYet,
    /// It failed, for this reason.
    Failed(String),
}

/// Goes on with a flow, or starts one, as far as that is possible without a person.
///
/// `base` is where the provider's redirect is to arrive. Whatever comes of it, at most one flow is open afterwards, and
/// that one is noted in HA: no other run is at this set-up meanwhile, and what others have done before is looked for.
/// HA may take minutes to start a flow, and that is waited for even when stopped. Whoever ends the process before leaves
/// a flow that nobody knows, until HA is restarted, and so does an HA that starts one after we have given up to wait for
/// it: it does not list the flows that somebody else started.
///
/// # Errors
/// Where HA does not answer, or when stopped; what is noted is found by the next run.
pub async fn begin(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    open: Option<&FlowId>,
    base: &str,
    stop: &Stop,
) -> Result<FlowState, Refusal> {
    let secrets = [task.secret];
    let side = FlowSide { domain: task.domain, base, secrets: &secrets };
    let begun = async |stop: &Stop| {
        // HA lists the flow by which it asks for consent again, so that one is not noted.
        let asked = match (open, task.account) {
            (None, Some(account)) => ha.reauth_flow(&account.id).await?,
            _ => None,
        };
        if let Some(flow) = open.or(asked.as_ref()) {
            match resume(ha, task, flow, &side, stop).await? {
                Resumed::State(state) => return Ok(state),
                Resumed::Gone if task.account.is_some() => return Ok(lost(task)),
                Resumed::Gone | Resumed::Broken => {}
            }
        }
        // Another run may have started one, or linked the account, since this one has looked.
        while let Some(flow) = ha.noted_flow(task.turn(), task.domain).await? {
            if let Resumed::State(state) = resume(ha, task, &flow, &side, stop).await? {
                return Ok(state);
            }
        }
        // That an account has no credential does not say that it is one of Home Assistant Cloud.
        let linked = match task.guide.choice {
            Implementation::Cloud => None,
            Implementation::Credential | Implementation::Ask => linked_meanwhile(ha, task).await?,
        };
        match linked {
            Some(state) => Ok(state),
            None => start(ha, task, &side, stop).await,
        }
    };
    ha.in_turn(task.turn(), stop, begun).await
}

/// Starts a flow, notes it, and goes on with it.
async fn start(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    side: &FlowSide<'_>,
    stop: &Stop,
) -> Result<FlowState, Refusal> {
    if stop.is_cancelled() {
        return Err(Refusal::Stopped);
    }
    let (flow, step) = match task.account {
        None => ha.start_flow(side).await?,
        Some(account) => match ha.start_reconfigure_flow(&account.id, side).await? {
            Some(started) => started,
            None => return Ok(FlowState::CannotAskYet),
        },
    };
    if !step.is_last() {
        let noted = async {
            // The start may have taken minutes, in which this run may have been suspended.
            ha.check_turn(task.turn()).await?;
            ha.note_flow(task.turn(), task.domain, &flow).await
        };
        end_unless_noted(ha, &flow, noted.await).await?;
    }
    walk(ha, task, flow, step, side, stop).await
}

/// Goes on with a flow after a person has done what it waited for.
///
/// # Errors
/// Where HA does not answer, or when stopped.
pub async fn follow(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
    base: &str,
    stop: &Stop,
) -> Result<FlowState, Refusal> {
    let secrets = [task.secret];
    let side = FlowSide { domain: task.domain, base, secrets: &secrets };
    let resumed = async |stop: &Stop| resume(ha, task, flow, &side, stop).await;
    Ok(match ha.in_turn(task.turn(), stop, resumed).await? {
        Resumed::State(state) => state,
        Resumed::Broken => FlowState::Failed(BROKEN.to_owned()),
        Resumed::Gone => lost(task),
    })
}

/// How far a flow came that was open already.
enum Resumed {
    State(FlowState),
    /// HA failed to process it, and it is ended.
    Broken,
    /// HA no longer has it, and no account was seen to be linked by it.
    Gone,
}

/// Goes on with an open flow. To look at one after consent takes the provider's code, which holds once,
/// so only the run that has the turn may.
async fn resume(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
    side: &FlowSide<'_>,
    stop: &Stop,
) -> Result<Resumed, Refusal> {
    match ha.look_at_flow(flow, side).await? {
        Some(FlowStep::Broken) => {
            give_up(ha, flow).await?;
            Ok(Resumed::Broken)
        }
        Some(step) => Ok(Resumed::State(walk(ha, task, flow.clone(), step, side, stop).await?)),
        None => {
            let ended = ended_unseen(ha, task, flow).await?;
            Ok(ended.map_or(Resumed::Gone, Resumed::State))
        }
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

/// Ends a flow that was just started if it could not be noted, since nobody would find it again.
async fn end_unless_noted(
    ha: &HomeAssistant,
    flow: &FlowId,
    noted: Result<(), Refusal>,
) -> Result<(), Refusal> {
    if noted.is_err()
        && let Err(why) = ha.abort_flow(flow).await
    {
        tracing::warn!(
            "a set-up that was just started could not be ended ({why}): Home Assistant keeps it until it is restarted"
        );
    }
    noted
}

async fn walk(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: FlowId,
    step: FlowStep,
    side: &FlowSide<'_>,
    stop: &Stop,
) -> Result<FlowState, Refusal> {
    let credential = ha.offered_as(task.domain, task.guide.credential);
    let guide = Guide { credential, ..task.guide };
    match go_on(&LiveFlow { ha, flow: &flow, side }, &guide, step, stop).await? {
        Reached::Waits(step) => Ok(FlowState::Waits(flow, step)),
        Reached::Done(linked) => finish(ha, task, &flow, linked).await,
        Reached::Gone => {
            let ended = ended_unseen(ha, task, &flow).await?;
            Ok(ended.unwrap_or_else(|| lost(task)))
        }
        Reached::Failed(why) => {
            give_up(ha, &flow).await?;
            // Where another run has taken the provider's code as well, only one of the two is given a token.
            let linked = linked_meanwhile(ha, task).await?;
            Ok(linked.unwrap_or(FlowState::Failed(why)))
        }
        Reached::LinkedAlready(why) => {
            give_up(ha, &flow).await?;
            match (linked_meanwhile(ha, task).await?, task.of.account) {
                (Some(linked), _) => Ok(linked),
                (None, Some(name)) => {
                    Ok(FlowState::Failed(accounts::linked_already(ha, task, name, &why).await?))
                }
                (None, None) => Ok(FlowState::Failed(why)),
            }
        }
    }
}

/// How a set-up ended that HA no longer has and that linked no account.
fn lost(task: &SetUpTask<'_>) -> FlowState {
    let why = if task.account.is_some() { AGAIN_LOST } else { LOST };
    FlowState::Failed(why.to_owned())
}

async fn finish(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
    linked: Option<EntryId>,
) -> Result<FlowState, Refusal> {
    if let (Some(linked), Some(name), None) = (&linked, task.of.account, task.account) {
        ha.note_account(task.of.mark, name, linked).await?;
    }
    ha.forget_flow(flow).await?;
    let state = match (linked, task.account) {
        (Some(linked), _) => ha.settled(&linked).await?,
        (None, Some(account)) => ha.running(&account.id).await?,
        (None, None) => EntryState::Loaded,
    };
    Ok(state_of_linked(&state))
}

/// How a set-up ended whose account is linked, by the state of that.
pub fn state_of_linked(state: &EntryState) -> FlowState {
    match state {
        EntryState::Loaded => FlowState::Linked,
        other => FlowState::Failed(format!(
            "the account is linked, but does not run ({other}); Home Assistant's log may say why"
        )),
    }
}

/// A flow that is gone was finished by another client, was cancelled, or was lost when HA stopped: the
/// accounts show which. None where no account was linked by it.
async fn ended_unseen(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
) -> Result<Option<FlowState>, Refusal> {
    let Some(account) = task.account else {
        accounts::note_unseen(ha, task, flow).await?;
        ha.forget_flow(flow).await?;
        return linked_meanwhile(ha, task).await;
    };
    // What was never changed was not linked again, whether it runs or not.
    let is_unchanged = ha.is_changed_since(&account.id, flow).await? == Some(false);
    ha.forget_flow(flow).await?;
    if is_unchanged {
        return Ok(None);
    }
    // An account goes on with its old token until HA sets it up again, and asks for consent then.
    let state = ha.reload(&account.id).await?;
    let asks_again = ha.reauth_flow(&account.id).await?.is_some();
    Ok((!asks_again).then(|| state_of_linked(&state)))
}

/// The state of a new account that was linked as the entry wants it, by whatever run.
async fn linked_meanwhile(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
) -> Result<Option<FlowState>, Refusal> {
    if task.account.is_some() {
        return Ok(None);
    }
    Ok(match account_of(ha, task).await? {
        Some(account) => Some(state_of_linked(&ha.settled(&account.id).await?)),
        None => None,
    })
}

/// The account of a set-up, where one is linked.
///
/// # Errors
/// Where HA does not answer.
pub async fn account_of(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
) -> Result<Option<ConfigEntry>, Refusal> {
    if let Some(account) = task.account {
        return Ok(Some(account.clone()));
    }
    let mut accounts = accounts::of_credential(ha, task).await?;
    if let Some(name) = task.of.account {
        // Which one it is shows only what was noted by the run that saw it being linked.
        let notes = ha.noted_accounts(task.of.mark).await?;
        let noted = |of: &ConfigEntry| NotedAccount::name_of(&notes, &of.id, task.of.mark);
        accounts.retain(|account| noted(account).is_some_and(|of| of.is_called(name.as_str())));
    }
    Ok(accounts.pop())
}

#[cfg(test)]
mod tests {
    use super::{FlowState, SetUpTask, lost};
    use crate::model::{
        Answers, ClientId, ConfigEntry, Domain, EntryId, EntryState, Implementation, Key, Mark,
        Owner, Secret, SetUpOf,
    };
    use crate::setup::Guide;

    #[test]
    fn what_is_lost_is_started_again_only_where_that_is_to_be_done() {
        let (domain, secret) = (Domain::new("spotify"), Secret::new("s"));
        let (answers, client_id) = (Answers::default(), ClientId::new("ours"));
        let choice = Implementation::Credential;
        let guide = Guide {
            credential: "appcred:house:a",
            client_id: &client_id,
            choice,
            answers: &answers,
        };
        let mark = Mark { owner: Owner::new("house").unwrap(), key: Key::new("a").unwrap() };
        let account = ConfigEntry {
            id: EntryId::new("e"),
            domain: domain.clone(),
            title: "A".into(),
            state: EntryState::Loaded,
            reason: None,
            implementation: None,
        };
        for (account, what) in
            [(None, "start it again"), (Some(&account), "the account was not linked again")]
        {
            let of = SetUpOf { mark: &mark, account: None };
            let task = SetUpTask { of, domain: &domain, guide, secret: &secret, account };
            let FlowState::Failed(why) = lost(&task) else { panic!("it did not fail") };
            assert!(why.ends_with(what), "{why}");
        }
    }
}
