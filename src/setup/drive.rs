//! Asks HA, until a person is needed or it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::model::{
    ConfigEntry, EntryId, EntryState, FlowAbort, FlowForm, FlowId, FlowStep, Implementation, Mark,
    Secret,
};
use crate::target::Refusal;
use crate::target::home_assistant::{FlowAnswer, FlowSide, HomeAssistant};

use super::reasons;
use super::step::{BROKEN, Guide, Move, next};

/// More answers than this are no set-up any more.
const MAX_ANSWERS: usize = 50;
/// Between two looks at a flow in which HA is at work.
const PAUSE: Duration = Duration::from_secs(1);
/// How long HA may be at work before it is left to that, and looked at again later.
const PATIENCE: Duration = Duration::from_secs(60);

const LOST: &str = "Home Assistant no longer has this set-up: it was restarted, or the set-up was cancelled; start it again";
const AGAIN_LOST: &str = "Home Assistant no longer has this set-up: it was restarted, or the set-up was cancelled; the account was not linked again";

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
    // HA lists the flow by which it asks for consent again, so that one is not noted.
    let asked = match (open, task.account) {
        (None, Some(account)) => ha.reauth_flow(&account.id).await?,
        _ => None,
    };
    if let Some(flow) = open.or(asked.as_ref()) {
        match resume(ha, task, flow, &side).await? {
            Resumed::State(state) => return Ok(state),
            Resumed::Lost if task.account.is_some() => {
                return Ok(FlowState::Failed(AGAIN_LOST.to_owned()));
            }
            Resumed::Lost | Resumed::Broken => {}
        }
    }
    let (flow, step) = match task.account {
        None => ha.start_flow(&side).await?,
        Some(account) => match ha.start_reconfigure_flow(&account.id, &side).await? {
            Some(started) => started,
            None => return Ok(FlowState::CannotAskYet),
        },
    };
    if step.is_last() {
        return walk(ha, task, flow, step, &side).await;
    }
    let walked = async {
        let (flow, step) = settle(ha, task, flow, step, &side).await?;
        walk(ha, task, flow, step, &side).await
    };
    in_turn(ha, task, walked).await
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
    Ok(match resume(ha, task, flow, &side).await? {
        Resumed::State(state) => state,
        Resumed::Broken => FlowState::Failed(BROKEN.to_owned()),
        Resumed::Lost if task.account.is_some() => FlowState::Failed(AGAIN_LOST.to_owned()),
        Resumed::Lost => FlowState::Failed(LOST.to_owned()),
    })
}

/// How far a flow came that was open already.
enum Resumed {
    State(FlowState),
    /// HA failed to process it, and it is ended.
    Broken,
    /// HA has it no more, and no account was seen to be linked by it.
    Lost,
}

/// Goes on with an open flow. To look at one after consent takes the provider's code, which holds once,
/// so no other run looks meanwhile.
async fn resume(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    flow: &FlowId,
    side: &FlowSide<'_>,
) -> Result<Resumed, Refusal> {
    ha.take_turn(task.mark).await?;
    let looked = async {
        match ha.look_at_flow(flow, side).await? {
            Some(FlowStep::Broken) => {
                give_up(ha, flow).await?;
                Ok(Resumed::Broken)
            }
            Some(step) => Ok(Resumed::State(walk(ha, task, flow.clone(), step, side).await?)),
            None => {
                let ended = ended_unseen(ha, task, flow).await?;
                Ok(ended.map_or(Resumed::Lost, Resumed::State))
            }
        }
    };
    in_turn(ha, task, looked).await
}

/// Gives the turn back after something, however that ends.
async fn in_turn<T>(
    ha: &HomeAssistant,
    task: &SetUpTask<'_>,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let done = work.await;
    let ended = ha.end_turn(task.mark).await;
    let done = done?;
    ended?;
    Ok(done)
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
    step: FlowStep,
    side: &FlowSide<'_>,
) -> Result<FlowState, Refusal> {
    let credential = ha.offered_as(task.domain, task.guide.credential);
    let guide = Guide { credential, ..task.guide };
    match go_on(&LiveFlow { ha, flow: &flow, side }, &guide, step).await? {
        Reached::Waits(step) => Ok(FlowState::Waits(flow, step)),
        Reached::Done(linked) => finish(ha, task, &flow, linked).await,
        Reached::Gone => {
            let ended = ended_unseen(ha, task, &flow).await?;
            Ok(ended.unwrap_or_else(|| FlowState::Failed(LOST.to_owned())))
        }
        Reached::Failed(why) => {
            give_up(ha, &flow).await?;
            // Where another run has taken the provider's code as well, only one of the two is given a token.
            let linked = linked_meanwhile(ha, task).await?;
            Ok(linked.unwrap_or(FlowState::Failed(why)))
        }
    }
}

/// A flow that is open in HA.
trait OpenFlow {
    /// What it shows; none where it is gone.
    async fn look(&self) -> Result<Option<FlowStep>, Refusal>;

    async fn answer(&self, answer: &Map<String, Value>) -> Result<FlowAnswer, Refusal>;

    /// HA's own message for why it ended; none where it has none.
    async fn message(&self, reason: &str) -> Result<Option<String>, Refusal>;
}

struct LiveFlow<'a> {
    ha: &'a HomeAssistant,
    flow: &'a FlowId,
    side: &'a FlowSide<'a>,
}

impl OpenFlow for LiveFlow<'_> {
    async fn look(&self) -> Result<Option<FlowStep>, Refusal> {
        self.ha.look_at_flow(self.flow, self.side).await
    }

    async fn answer(&self, answer: &Map<String, Value>) -> Result<FlowAnswer, Refusal> {
        self.ha.answer_flow(self.flow, answer, self.side).await
    }

    async fn message(&self, reason: &str) -> Result<Option<String>, Refusal> {
        self.ha.abort_message(self.side.domain, reason).await
    }
}

/// How far a flow came.
#[derive(Debug, PartialEq)]
enum Reached {
    Waits(FlowStep),
    Done(Option<EntryId>),
    Failed(String),
    Gone,
}

async fn go_on(
    flow: &impl OpenFlow,
    guide: &Guide<'_>,
    mut step: FlowStep,
) -> Result<Reached, Refusal> {
    let until = Instant::now() + PATIENCE;
    let (mut answered, mut answers) = (BTreeSet::new(), 0);
    loop {
        let shown = step.clone();
        let seen = match next(step, guide, &answered) {
            Move::Answer(_) if answers == MAX_ANSWERS => {
                return Ok(Reached::Failed("Home Assistant asked too many questions".to_owned()));
            }
            Move::Answer(answer) => {
                answers += 1;
                answered.extend(name(&shown));
                answered_step(flow.answer(&answer).await?, shown)
            }
            Move::Look | Move::Pause if Instant::now() >= until => {
                return Ok(Reached::Waits(FlowStep::Progress(None)));
            }
            Move::Look => flow.look().await?,
            Move::Pause => {
                sleep(PAUSE).await;
                flow.look().await?
            }
            Move::Wait(step) => return Ok(Reached::Waits(step)),
            Move::Done(linked) => return Ok(Reached::Done(linked)),
            Move::Aborted(abort) => return Ok(Reached::Failed(explain(flow, &abort).await)),
            Move::Failed(why) => return Ok(Reached::Failed(why)),
        };
        match seen {
            Some(next) => step = next,
            None => return Ok(Reached::Gone),
        }
    }
}

/// Why HA has ended a flow. It is asked for its own message only where we have none, and where it
/// does not answer, its word for the reason is better than nothing.
async fn explain(flow: &impl OpenFlow, abort: &FlowAbort) -> String {
    let message = match reasons::is_known(&abort.reason) {
        true => None,
        false => flow.message(&abort.reason).await.unwrap_or_else(|why| {
            tracing::debug!(%why, "cannot ask for the message of a reason");
            None
        }),
    };
    reasons::message(abort, message.as_deref())
}

/// The next step; none where HA no longer has the flow. What HA does not take is shown as it was.
fn answered_step(answer: FlowAnswer, shown: FlowStep) -> Option<FlowStep> {
    match (answer, shown) {
        (FlowAnswer::Step(step), _) => Some(step),
        (FlowAnswer::Gone, _) => None,
        (FlowAnswer::Unfit(errors), FlowStep::Form(form)) => {
            Some(FlowStep::Form(FlowForm { errors, ..form }))
        }
        (FlowAnswer::Unfit(_), other) => Some(other),
    }
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
    linked: Option<EntryId>,
) -> Result<FlowState, Refusal> {
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
    let is_ours = |account: &&ConfigEntry| match task.guide.choice {
        Implementation::Cloud => account.implementation.is_none(),
        Implementation::Credential | Implementation::Ask => {
            account.implementation.as_deref() == Some(task.guide.credential)
        }
    };
    let accounts = ha.accounts().await?;
    let mut of_domain = accounts.iter().filter(|account| account.domain == *task.domain);
    Ok(match of_domain.rfind(is_ours) {
        Some(account) => Some(state_of_linked(&ha.settled(&account.id).await?)),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::{Map, Value};
    use tokio::time::Instant;

    use super::{MAX_ANSWERS, OpenFlow, Reached, go_on};
    use crate::model::{Answers, ClientId, FlowAbort, FlowForm, FlowStep, Implementation};
    use crate::setup::Guide;
    use crate::target::Refusal;
    use crate::target::home_assistant::FlowAnswer;

    /// Works until then, and is over.
    struct Works(Instant);

    impl OpenFlow for Works {
        async fn look(&self) -> Result<Option<FlowStep>, Refusal> {
            let is_over = Instant::now() >= self.0;
            let reason = "reauth_successful".to_owned();
            Ok(Some(if is_over {
                FlowStep::Aborted(FlowAbort { reason, ..FlowAbort::default() })
            } else {
                FlowStep::Progress(None)
            }))
        }

        async fn answer(&self, _: &Map<String, Value>) -> Result<FlowAnswer, Refusal> {
            panic!("it asks nothing")
        }

        async fn message(&self, _: &str) -> Result<Option<String>, Refusal> {
            panic!("its reason is known")
        }
    }

    /// Asks one thing after another.
    struct Asks(std::cell::Cell<usize>);

    impl Asks {
        fn question(&self) -> FlowStep {
            self.0.set(self.0.get() + 1);
            let step = format!("question {}", self.0.get());
            FlowStep::Form(FlowForm { step, fields: Vec::new(), errors: BTreeMap::new() })
        }
    }

    impl OpenFlow for Asks {
        async fn look(&self) -> Result<Option<FlowStep>, Refusal> {
            panic!("it does not work")
        }

        async fn answer(&self, _: &Map<String, Value>) -> Result<FlowAnswer, Refusal> {
            Ok(FlowAnswer::Step(self.question()))
        }

        async fn message(&self, _: &str) -> Result<Option<String>, Refusal> {
            Err(Refusal::Lost("it is gone".to_owned()))
        }
    }

    async fn gone_on(flow: &impl OpenFlow, step: FlowStep) -> Reached {
        let (answers, client_id) = (Answers::default(), ClientId::new("ours"));
        let choice = Implementation::Credential;
        let guide = Guide {
            credential: "appcred:house:a",
            client_id: &client_id,
            choice,
            answers: &answers,
        };
        go_on(flow, &guide, step).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flow_that_home_assistant_works_on_for_minutes_is_finished_and_never_given_up() {
        let flow = Works(Instant::now() + Duration::from_secs(150));
        let mut waits = 0;
        let end = loop {
            match gone_on(&flow, FlowStep::Progress(None)).await {
                Reached::Waits(step) => assert_eq!(step, FlowStep::Progress(None)),
                end => break end,
            }
            waits += 1;
        };
        assert_eq!((end, waits), (Reached::Done(None), 2));
        let flow = Works(Instant::now() + Duration::from_secs(55));
        assert_eq!(gone_on(&flow, FlowStep::Progress(None)).await, Reached::Done(None));
    }

    #[tokio::test]
    async fn a_reason_without_a_message_is_reported_as_home_assistant_names_it() {
        let flow = Asks(std::cell::Cell::new(0));
        let ended = |reason: &str| {
            FlowStep::Aborted(FlowAbort { reason: reason.to_owned(), ..FlowAbort::default() })
        };
        let why = |text: &str| Reached::Failed(text.to_owned());
        let moon = why("Home Assistant ended it: moon_phase");
        assert_eq!(gone_on(&flow, ended("moon_phase")).await, moon);
        let known = why("this account is linked already (already_configured)");
        assert_eq!(gone_on(&flow, ended("already_configured")).await, known);
    }

    #[tokio::test]
    async fn a_flow_that_asks_without_end_is_given_up() {
        let flow = Asks(std::cell::Cell::new(0));
        let first = flow.question();
        let Reached::Failed(why) = gone_on(&flow, first).await else { panic!("it goes on") };
        assert!(why.contains("too many questions"), "{why}");
        assert_eq!(flow.0.get(), MAX_ANSWERS + 1);
    }
}
