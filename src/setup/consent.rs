//! Waits for a person's consent, however it reaches HA.

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
    /// An answer with a wrong state came; the one that is waited for may still come.
    Forged,
    /// The browser went to HA directly, or HA may have gone on.
    MovedOn,
    /// The connection to HA was lost.
    Lost,
    /// Nobody consented in time.
    TimedOut,
    /// Asked to stop.
    Stopped,
}

/// Waits for what a flow's step asks of a person. Without a `loopback`, the browser goes to HA.
pub async fn wait(
    flow: &FlowId,
    step: &FlowStep,
    mut loopback: Option<&mut Loopback>,
    events: &mut FlowEvents,
    until: Instant,
    stop: &Stop,
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
    let arrival = async {
        match loopback {
            Some(loopback) => loopback.next().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        arrival = arrival => match arrival {
            Arrival::Answer(delivery) => Wait::Answered(delivery),
            Arrival::Forged => Wait::Forged,
        },
        moved_on = events.moved_on(flow) => if moved_on { Wait::MovedOn } else { Wait::Lost },
        () = look => Wait::MovedOn,
        () = sleep_until(until) => Wait::TimedOut,
        () = stop.cancelled() => Wait::Stopped,
    }
}
