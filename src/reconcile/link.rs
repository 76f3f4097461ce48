//! Links one account while a person waits for it: step by step, what that person is to do.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use crate::callback::{Delivery, Loopback};
use crate::lock::{HeldLock, LockError};
use crate::model::{ConfigEntry, DesiredCredential, FlowId, FlowStep, HandOverError, Mark, Owner};
use crate::plan::Action;
use crate::setup::consent::{Wait, wait};
use crate::setup::drive::{self, FlowState, SetUpTask};
use crate::target::home_assistant::{FlowEvents, HomeAssistant};
use crate::target::{Refusal, Stop};

use super::set_up::{Begun, CANNOT_ASK_YET, begin, task};

/// What comes next for the person.
pub enum Turn {
    /// The account is linked and runs; which one it is, where that is known.
    Linked(Option<ConfigEntry>),
    /// The person is to do this.
    Show(FlowStep),
    /// An answer with a wrong state was refused.
    Forged,
    /// HA cannot accept the answer now, for this reason; the browser will bring it again.
    NotNow(String),
}

/// Why an account was not linked.
#[derive(Debug, Error)]
pub enum NotLinked {
    /// HA does not answer, or the run is to stop.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Another run is changing the target.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// HA asks for consent only once the token is out of date.
    #[error("{CANNOT_ASK_YET}")]
    CannotAskYet,
    /// The connection has ended.
    #[error(
        "the connection to Home Assistant was lost; if it was restarted, the set-up is lost: start again when it is back"
    )]
    Lost,
    /// HA refused the provider's answer.
    #[error("Home Assistant refused the answer: {0}")]
    AnswerRefused(String),
    /// Nobody consented in time.
    #[error("no consent within {} s; the link is no longer valid", .0.as_secs())]
    TimedOut(Duration),
    /// The run is to stop while nobody has consented.
    #[error("interrupted; the link is no longer valid")]
    Stopped,
    /// It failed for another reason.
    #[error("{0}")]
    Failed(String),
}

/// How to link.
pub struct LinkSettings<'a, L> {
    /// Where.
    pub ha: &'a HomeAssistant,
    /// Keeps other runs from changing the target: called when the flow is started or carried on. It is not
    /// held while the person is waited for.
    pub lock: L,
    /// Where the browser comes back to.
    pub base: &'a str,
    /// How long to wait for the consent.
    pub timeout: Duration,
    /// Asks to stop.
    pub stop: &'a Stop,
}

/// An account that is being linked.
pub struct Linking<'a, L> {
    settings: LinkSettings<'a, L>,
    task: SetUpTask<'a>,
    events: FlowEvents,
    until: Instant,
    state: FlowState,
    shown: Option<FlowStep>,
}

impl<'a, L: AsyncFn() -> Result<HeldLock, LockError>> Linking<'a, L> {
    /// Starts the set-up that a plan has for this entry, or goes on with it. Accounts may be noted for the owners before.
    ///
    /// # Errors
    /// Where HA does not answer, or when stopped.
    pub async fn begin(
        settings: LinkSettings<'a, L>,
        action: &'a Action,
        (entry, previous_owners): (&'a DesiredCredential, &BTreeSet<Owner>),
        mark: &'a Mark,
    ) -> Result<Self, NotLinked> {
        let LinkSettings { ha, base, stop, .. } = settings;
        let no_secret = || NotLinked::Failed(format!("no secret for `{}`", entry.key));
        let task = task(action, entry, mark).ok_or_else(no_secret)?;
        // An event that HA sends before we subscribe would be lost.
        let events = ha.flow_events().await?;
        let _writing = locked(&settings).await?;
        // What was planned may be done by now: a watcher may have been there first.
        let now = ha.observed().await?;
        let of = (entry, previous_owners);
        let state = match begin(ha, &task, action, of, Some(&now), base, stop).await? {
            Begun::Before(account) => drive::state_of_linked(&account.state),
            Begun::Now(state) => state,
        };
        let until = Instant::now() + settings.timeout;
        Ok(Self { settings, task, events, until, state, shown: None })
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// Where the account cannot be linked now.
    pub async fn next(&mut self, mut loopback: Option<&mut Loopback>) -> Result<Turn, NotLinked> {
        loop {
            let (flow, step) = match &self.state {
                FlowState::Linked => {
                    // It is linked, whether Home Assistant names it or not.
                    let account = drive::account_of(self.settings.ha, &self.task).await;
                    return Ok(Turn::Linked(account.unwrap_or_default()));
                }
                FlowState::Failed(why) => return Err(NotLinked::Failed(why.clone())),
                FlowState::CannotAskYet => return Err(NotLinked::CannotAskYet),
                FlowState::Waits(flow, step) => (flow.clone(), step.clone()),
            };
            if self.shown.as_ref() != Some(&step) {
                self.shown = Some(step.clone());
                return Ok(Turn::Show(step));
            }
            let (until, stop) = (self.until, self.settings.stop);
            let loopback = loopback.as_deref_mut();
            match wait(&flow, &step, loopback, &mut self.events, until, stop).await {
                Wait::Forged => return Ok(Turn::Forged),
                Wait::MovedOn => self.state = self.follow(&flow).await?,
                Wait::Lost => return Err(NotLinked::Lost),
                Wait::TimedOut => {
                    return Err(self
                        .give_up(&flow, NotLinked::TimedOut(self.settings.timeout))
                        .await);
                }
                Wait::Stopped => return Err(self.give_up(&flow, NotLinked::Stopped).await),
                Wait::Answered(delivery) => {
                    if let Some(why) = self.hand_over(&flow, delivery).await? {
                        return Ok(Turn::NotNow(why));
                    }
                }
            }
        }
    }

    /// Hands a browser's answer over; answers why it is not taken now. The browser is shown what came of it;
    /// where that is not known, only that HA has accepted it.
    async fn hand_over(
        &mut self,
        flow: &FlowId,
        delivery: Delivery,
    ) -> Result<Option<String>, NotLinked> {
        let taken = self.settings.ha.hand_over(&delivery.query).await;
        match taken {
            Ok(()) => {
                let followed = self.follow(flow).await;
                delivery.taken(match &followed {
                    Ok(FlowState::Failed(why)) => Err(HandOverError::Refused(why.clone())),
                    _ => Ok(()),
                });
                self.state = followed?;
                Ok(None)
            }
            Err(HandOverError::Refused(why)) => {
                delivery.taken(Err(HandOverError::Refused(why.clone())));
                Err(self.give_up(flow, NotLinked::AnswerRefused(why)).await)
            }
            Err(HandOverError::NotNow(why)) => {
                delivery.taken(Err(HandOverError::NotNow(why.clone())));
                // If HA does not answer here either, wait for it as well.
                if let Ok(now) = self.follow(flow).await {
                    self.state = now;
                }
                Ok(Some(why))
            }
        }
    }

    async fn follow(&self, flow: &FlowId) -> Result<FlowState, NotLinked> {
        let LinkSettings { ha, base, stop, .. } = self.settings;
        let _writing = locked(&self.settings).await?;
        Ok(drive::follow(ha, &self.task, flow, base, stop).await?)
    }

    /// Ends the flow, and answers why: for this reason, or since HA does not end it.
    async fn give_up(&self, flow: &FlowId, why: NotLinked) -> NotLinked {
        drive::give_up(self.settings.ha, flow).await.err().map_or(why, NotLinked::from)
    }
}

async fn locked<L: AsyncFn() -> Result<HeldLock, LockError>>(
    settings: &LinkSettings<'_, L>,
) -> Result<HeldLock, NotLinked> {
    tokio::select! {
        held = (settings.lock)() => Ok(held?),
        // What is begun already is noted, and goes on with the next run.
        () = settings.stop.cancelled() => Err(Refusal::Stopped.into()),
    }
}
