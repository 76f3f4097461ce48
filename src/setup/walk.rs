//! Goes on with one open flow, until a person is needed or it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::model::{EntryId, FlowAbort, FlowForm, FlowId, FlowStep};
use crate::target::home_assistant::{FlowAnswer, FlowSide, HomeAssistant};
use crate::target::{Refusal, Stop};

use super::reasons;
use super::step::{Guide, Move, next};

/// More answers than this are no set-up any more.
const MAX_ANSWERS: usize = 50;
/// Between two looks at a flow in which HA is at work.
const PAUSE: Duration = Duration::from_secs(1);
/// How long HA may be at work before it is left to that, and looked at again later.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A flow that is open in HA.
pub(super) trait FlowPort {
    /// What it shows; none where it is gone.
    async fn look(&self) -> Result<Option<FlowStep>, Refusal>;

    async fn answer(&self, answer: &Map<String, Value>) -> Result<FlowAnswer, Refusal>;

    /// HA's own message for why it ended; none where it has none.
    async fn message(&self, reason: &str) -> Result<Option<String>, Refusal>;
}

pub(super) struct LiveFlow<'a> {
    pub(super) ha: &'a HomeAssistant,
    pub(super) flow: &'a FlowId,
    pub(super) side: &'a FlowSide<'a>,
}

impl FlowPort for LiveFlow<'_> {
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
pub(super) enum Reached {
    Waits(FlowStep),
    Done(Option<EntryId>),
    Failed(String),
    /// The account is linked already that a person has logged in with.
    LinkedAlready(String),
    Gone,
}

/// A stop ends the wait for HA's work, as its timeout does; nothing is answered after it.
pub(super) async fn go_on(
    flow: &impl FlowPort,
    guide: &Guide<'_>,
    mut step: FlowStep,
    stop: &Stop,
) -> Result<Reached, Refusal> {
    let until = Instant::now() + TIMEOUT;
    let (mut answered, mut answers) = (BTreeSet::new(), 0);
    loop {
        let shown = step.clone();
        let seen = match next(step, guide, &answered) {
            Move::Answer(_) if stop.is_cancelled() => {
                return Ok(Reached::Waits(FlowStep::Progress(None)));
            }
            Move::Answer(_) if answers == MAX_ANSWERS => {
                return Ok(Reached::Failed("Home Assistant asked too many questions".to_owned()));
            }
            Move::Answer(answer) => {
                answers += 1;
                answered.extend(name(&shown));
                answered_step(flow.answer(&answer).await?, shown)
            }
            Move::Look | Move::Pause if Instant::now() >= until || stop.is_cancelled() => {
                return Ok(Reached::Waits(FlowStep::Progress(None)));
            }
            Move::Look => flow.look().await?,
            Move::Pause => {
                stop.run_until_cancelled(sleep(PAUSE)).await;
                flow.look().await?
            }
            Move::Wait(step) => return Ok(Reached::Waits(step)),
            Move::Done(linked) => return Ok(Reached::Done(linked)),
            Move::Aborted(abort) => {
                let why = explain(flow, &abort).await;
                return Ok(match reasons::is_linked_already(&abort.reason) {
                    true => Reached::LinkedAlready(why),
                    false => Reached::Failed(why),
                });
            }
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
async fn explain(flow: &impl FlowPort, abort: &FlowAbort) -> String {
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
        (FlowAnswer::Invalid(errors), FlowStep::Form(form)) => {
            Some(FlowStep::Form(FlowForm { errors, ..form }))
        }
        (FlowAnswer::Invalid(_), other) => Some(other),
    }
}

fn name(step: &FlowStep) -> Option<String> {
    match step {
        FlowStep::Form(form) => Some(form.step.clone()),
        FlowStep::Menu { step, .. } => Some(step.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::{Map, Value};
    use tokio::time::Instant;

    use super::{FlowPort, MAX_ANSWERS, PAUSE, Reached, TIMEOUT, answered_step, go_on};
    use crate::model::{Answers, ClientId, FlowAbort, FlowForm, FlowStep, Implementation};
    use crate::setup::Guide;
    use crate::target::home_assistant::FlowAnswer;
    use crate::target::{Refusal, Stop};

    /// Works until then, and is over.
    struct Works(Instant);

    impl FlowPort for Works {
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

    impl FlowPort for Asks {
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

    async fn gone_on(flow: &impl FlowPort, step: FlowStep) -> Reached {
        gone_on_until(&Stop::new(), flow, step).await
    }

    async fn gone_on_until(stop: &Stop, flow: &impl FlowPort, step: FlowStep) -> Reached {
        let (answers, client_id) = (Answers::default(), ClientId::new("ours"));
        let choice = Implementation::Credential;
        let guide = Guide {
            credential: "appcred:house:a",
            client_id: &client_id,
            choice,
            answers: &answers,
        };
        go_on(flow, &guide, step, stop).await.unwrap()
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
        let begun = Instant::now();
        let flow = Works(begun + TIMEOUT + PAUSE);
        let waits = Reached::Waits(FlowStep::Progress(None));
        assert_eq!(gone_on(&flow, FlowStep::Progress(None)).await, waits);
        assert_eq!(begun.elapsed(), TIMEOUT, "by the paused clock");
        let flow = Works(Instant::now() + Duration::from_secs(55));
        assert_eq!(gone_on(&flow, FlowStep::Progress(None)).await, Reached::Done(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_leaves_a_flow_that_home_assistant_works_on() {
        let (flow, stop) = (Works(Instant::now() + Duration::from_secs(55)), Stop::new());
        let begun = Instant::now();
        let stops = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            stop.cancel();
        };
        let (end, ()) = tokio::join!(gone_on_until(&stop, &flow, FlowStep::Progress(None)), stops);
        assert_eq!(end, Reached::Waits(FlowStep::Progress(None)));
        assert_eq!(begun.elapsed(), Duration::from_secs(5), "by the paused clock");
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
        let known = "this account is linked already (already_configured)".to_owned();
        let known = Reached::LinkedAlready(known);
        assert_eq!(gone_on(&flow, ended("already_configured")).await, known);
    }

    /// Home Assistant has a message for each reason that we have none for.
    struct Tells;

    impl FlowPort for Tells {
        async fn look(&self) -> Result<Option<FlowStep>, Refusal> {
            panic!("it does not work")
        }

        async fn answer(&self, _: &Map<String, Value>) -> Result<FlowAnswer, Refusal> {
            panic!("it asks nothing")
        }

        async fn message(&self, reason: &str) -> Result<Option<String>, Refusal> {
            assert_eq!(reason, "moon_phase");
            Ok(Some("The moon is full.".to_owned()))
        }
    }

    #[tokio::test]
    async fn home_assistant_is_asked_for_its_message_only_where_there_is_no_other() {
        let ended = |reason: &str| {
            FlowStep::Aborted(FlowAbort { reason: reason.to_owned(), ..FlowAbort::default() })
        };
        let moon = Reached::Failed("The moon is full (moon_phase)".to_owned());
        assert_eq!(gone_on(&Tells, ended("moon_phase")).await, moon);
        let known = "this account is linked already (already_configured)".to_owned();
        assert_eq!(
            gone_on(&Tells, ended("already_configured")).await,
            Reached::LinkedAlready(known)
        );
    }

    /// Shows this again, whatever the answer.
    struct Repeats(FlowStep);

    impl FlowPort for Repeats {
        async fn look(&self) -> Result<Option<FlowStep>, Refusal> {
            panic!("it does not work")
        }

        async fn answer(&self, _: &Map<String, Value>) -> Result<FlowAnswer, Refusal> {
            Ok(FlowAnswer::Step(self.0.clone()))
        }

        async fn message(&self, _: &str) -> Result<Option<String>, Refusal> {
            panic!("it does not end")
        }
    }

    #[tokio::test]
    async fn what_is_shown_again_after_an_answer_is_left_to_a_person() {
        let options = vec!["pick_implementation".to_owned()];
        let menu = FlowStep::Menu { step: "menu".to_owned(), options };
        let form = FlowStep::Form(FlowForm {
            step: "confirm".to_owned(),
            fields: Vec::new(),
            errors: BTreeMap::new(),
        });
        for shown in [menu, form] {
            let ended = gone_on(&Repeats(shown.clone()), shown.clone()).await;
            assert_eq!(ended, Reached::Waits(shown));
        }
    }

    #[test]
    fn what_home_assistant_does_not_take_is_shown_with_its_errors() {
        let form = |errors: &BTreeMap<String, String>| {
            let (step, errors) = ("home".to_owned(), errors.clone());
            FlowStep::Form(FlowForm { step, fields: Vec::new(), errors })
        };
        let errors = BTreeMap::from([("home".to_owned(), "invalid_home".to_owned())]);
        let shown = |step| answered_step(FlowAnswer::Invalid(errors.clone()), step);
        assert_eq!(shown(form(&BTreeMap::new())), Some(form(&errors)));
        assert_eq!(shown(FlowStep::Advancing), Some(FlowStep::Advancing));
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
