//! Commands that were sent and not yet answered.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use super::connection::CommandError;
use super::messages::CommandResult;

/// Where an answer goes.
pub(super) type ResultSender = oneshot::Sender<Result<CommandResult, CommandError>>;

/// Where events go.
pub(super) enum Listener {
    /// Each with what it says.
    Events(mpsc::UnboundedSender<Box<RawValue>>),
    /// Only that there was one: what it says may hold secrets.
    Changes(mpsc::UnboundedSender<()>),
}

/// Shared by the task that writes, which adds, and the one that reads, which takes away.
#[derive(Default)]
pub(super) struct InFlight {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listening: BTreeMap<u64, Listener>,
    waiting: BTreeMap<u64, AwaitedResult>,
    /// Why no answer can come any more.
    lost: Option<String>,
}

struct AwaitedResult {
    asker: ResultSender,
    /// None where the caller sets the limit.
    since: Option<Instant>,
    /// Given back when the answer is there.
    _room: OwnedSemaphorePermit,
}

impl InFlight {
    /// Notes a command that is about to be sent.
    pub(super) fn add(
        &self,
        id: u64,
        asker: ResultSender,
        listener: Option<Listener>,
        is_slow: bool,
        room: OwnedSemaphorePermit,
    ) {
        let mut state = self.lock();
        if let Some(why) = &state.lost {
            deliver(asker, Err(CommandError::Unsent(why.clone())));
        } else {
            let since = (!is_slow).then(Instant::now);
            state.waiting.insert(id, AwaitedResult { asker, since, _room: room });
            // Newer releases send the first event before the result.
            state.listening.extend(listener.map(|listener| (id, listener)));
        }
    }

    /// Hands an answer on. HA answers twice to the delete of an unknown id; the first one counts.
    pub(super) fn answer(&self, id: u64, answer: CommandResult) {
        let mut state = self.lock();
        if let Some(waiting) = state.waiting.remove(&id) {
            if matches!(answer, CommandResult::Refused { .. }) {
                state.listening.remove(&id);
            }
            deliver(waiting.asker, Ok(answer));
        }
    }

    /// Hands an event on, as long as there is a listener.
    pub(super) fn dispatch(&self, id: u64, event: &RawValue) {
        let mut state = self.lock();
        let has_gone = |listener: &Listener| match listener {
            Listener::Events(events) => events.send(event.to_owned()).is_err(),
            Listener::Changes(changes) => changes.send(()).is_err(),
        };
        if state.listening.get(&id).is_some_and(has_gone) {
            state.listening.remove(&id);
        }
    }

    /// Whether some command has waited too long.
    pub(super) fn is_overdue(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let oldest = state.waiting.values().find_map(|waiting| waiting.since);
        oldest.is_some_and(|since| since.elapsed() > timeout)
    }

    /// Informs all who wait or listen that no answer will come. Of several reasons the first is kept.
    pub(super) fn lose(&self, why: &str) {
        let mut state = self.lock();
        state.lost.get_or_insert_with(|| why.to_owned());
        state.listening.clear();
        for waiting in mem::take(&mut state.waiting).into_values() {
            deliver(waiting.asker, Err(CommandError::Lost(why.to_owned())));
        }
    }

    /// Why nothing can be sent any more.
    pub(super) fn why_lost(&self) -> String {
        self.lock().lost.clone().unwrap_or_else(|| "the connection was closed".to_owned())
    }

    /// Nothing can panic while this is held, and if so the state would still be whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller may have gone in the meantime; then the result is dropped.
pub(super) fn deliver(asker: ResultSender, answer: Result<CommandResult, CommandError>) {
    drop(asker.send(answer));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, mpsc, oneshot};

    use super::{InFlight, Listener};
    use crate::target::home_assistant::messages::CommandResult;

    #[test]
    fn whoever_was_refused_does_not_listen() {
        let in_flight = InFlight::default();
        let room = Arc::new(Semaphore::new(2));
        let refused =
            || CommandResult::Refused { code: "unknown_command".into(), message: "no".into() };
        let success = || CommandResult::Success(Default::default());
        for (id, answer, is_left) in [(1, refused(), false), (2, success(), true)] {
            let (listener, events) = mpsc::unbounded_channel();
            let (asker, _answer) = oneshot::channel();
            let listener = Some(Listener::Changes(listener));
            let room = Arc::clone(&room).try_acquire_owned().unwrap();
            in_flight.add(id, asker, listener, false, room);
            in_flight.answer(id, answer);
            assert_eq!(!events.is_closed(), is_left, "{id}");
        }
    }
}
