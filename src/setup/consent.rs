//! Waits for a person's consent, however HA learns of it.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::callback::{Arrival, Delivery, Loopback};
use crate::model::{FlowId, FlowStep};
use crate::target::Stop;
use crate::target::home_assistant::FlowEvents;

use super::step::state;

/// How often a flow is looked at that waits for a code to be typed in.
const LOOK_SECONDS: u64 = 2;

/// How the wait ended.
pub enum Wait {
    /// The provider sent the browser to us.
    Answered(Delivery),
    /// The browser went to HA directly, or HA may have gone on.
    MovedOn,
    /// The connection to HA was lost.
    Lost,
    /// Nobody consented in time.
    TimedOut,
    /// Asked to stop.
    Stopped,
}

/// Waits for what a flow's step asks of a person.
///
/// Without a `loopback`, the browser goes to HA. An answer with a wrong state calls `forged` and changes
/// nothing.
pub async fn wait(
    flow: &FlowId,
    step: &FlowStep,
    mut loopback: Option<&mut Loopback>,
    events: &mut FlowEvents,
    until: Instant,
    stop: &Stop,
    forged: &mut (dyn FnMut() + Send),
) -> Wait {
    if let FlowStep::Consent(link) = step
        && let Some(state) = state(link)
        && let Some(loopback) = &mut loopback
    {
        loopback.expect(&state);
    }
    let look = async {
        match step {
            FlowStep::Progress(_) => sleep(Duration::from_secs(LOOK_SECONDS)).await,
            _ => std::future::pending().await,
        }
    };
    tokio::pin!(look);
    loop {
        let arrival = async {
            match &mut loopback {
                Some(loopback) => loopback.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            arrival = arrival => match arrival {
                Arrival::Answer(delivery) => return Wait::Answered(delivery),
                Arrival::Forged => forged(),
            },
            moved_on = events.moved_on(flow) => {
                return if moved_on { Wait::MovedOn } else { Wait::Lost };
            }
            () = &mut look => return Wait::MovedOn,
            () = sleep_until(until) => return Wait::TimedOut,
            () = stop.cancelled() => return Wait::Stopped,
        }
    }
}
