//! How far each consent is.
//!
//! ```text
//!  pending ──an answer comes──▶ handing on ──taken, or refused for good──▶ done
//!     ▲                             │
//!     └──────── not now ────────────┘
//! ```
//!
//! What is pending is known to whoever asked for consent; the other two are kept here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq;

/// Done ones that are remembered, so that a second visit gets the right answer.
const MAX_REMEMBERED: usize = 64;

/// Consents that were answered, by the state of their link.
#[derive(Clone, Default)]
pub struct Consents(Arc<Mutex<Vec<TrackedConsent>>>);

struct TrackedConsent {
    state: String,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    HandingOn,
    Done(Result<(), String>),
}

/// What an answer finds.
pub enum ConsentLookup {
    /// Its consent was pending, and now is being handed on.
    Pending(HandingOn),
    /// Another answer is being handed on.
    HandingOn,
    /// The consent is done: it was accepted, or refused for this reason.
    Done(Result<(), String>),
    /// Nobody waits for it.
    Unknown,
}

/// A consent whose answer is being handed on. Pending again once dropped, unless it is done.
pub struct HandingOn {
    consents: Consents,
    state: String,
}

impl Consents {
    /// Looks an answer's state up, and takes its consent if it is pending.
    pub fn take(&self, state: &str, is_pending: bool) -> ConsentLookup {
        let mut answered = self.lock();
        match (answered.iter().find(|it| it.state == state).map(|it| it.phase.clone()), is_pending)
        {
            (Some(Phase::HandingOn), _) => ConsentLookup::HandingOn,
            (Some(Phase::Done(result)), _) => ConsentLookup::Done(result),
            (None, false) => ConsentLookup::Unknown,
            (None, true) => {
                answered.push(TrackedConsent { state: state.to_owned(), phase: Phase::HandingOn });
                ConsentLookup::Pending(HandingOn {
                    consents: self.clone(),
                    state: state.to_owned(),
                })
            }
        }
    }

    /// Nothing can panic while this is held, and if so the list would still be whole.
    fn lock(&self) -> MutexGuard<'_, Vec<TrackedConsent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandingOn {
    /// The consent was accepted, or refused for good.
    pub fn done(self, result: Result<(), String>) {
        let mut answered = self.consents.lock();
        for it in answered.iter_mut().filter(|it| it.state == self.state) {
            it.phase = Phase::Done(result.clone());
        }
        let is_done = |it: &TrackedConsent| matches!(it.phase, Phase::Done(_));
        let done = answered.iter().filter(|it| is_done(it)).count();
        let mut surplus = done.saturating_sub(MAX_REMEMBERED);
        answered.retain(|it| {
            let is_surplus = surplus > 0 && is_done(it);
            surplus -= usize::from(is_surplus);
            !is_surplus
        });
    }
}

impl Drop for HandingOn {
    fn drop(&mut self) {
        let is_ours = |it: &TrackedConsent| it.phase == Phase::HandingOn && it.state == self.state;
        self.consents.lock().retain(|it| !is_ours(it));
    }
}

/// Compares two states in a time that says nothing of either.
pub fn is_same_state(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::{ConsentLookup, Consents, MAX_REMEMBERED};

    fn word(found: &ConsentLookup) -> &'static str {
        match found {
            ConsentLookup::Pending(_) => "pending",
            ConsentLookup::HandingOn => "handing on",
            ConsentLookup::Done(_) => "done",
            ConsentLookup::Unknown => "unknown",
        }
    }

    #[test]
    fn a_consent_is_handed_on_by_one_and_pending_again_if_that_fails() {
        let consents = Consents::default();
        assert_eq!(word(&consents.take("a", false)), "unknown");
        let ConsentLookup::Pending(first) = consents.take("a", true) else { panic!() };
        assert_eq!(word(&consents.take("a", true)), "handing on");
        drop(first);
        let ConsentLookup::Pending(second) = consents.take("a", true) else { panic!() };
        second.done(Ok(()));
        assert_eq!(word(&consents.take("a", true)), "done");
        assert_eq!(word(&consents.take("a", false)), "done", "its set-up is over");
        assert_eq!(word(&consents.take("b", true)), "pending");
    }

    #[test]
    fn those_in_progress_are_never_forgotten() {
        let consents = Consents::default();
        let ConsentLookup::Pending(_kept) = consents.take("kept", true) else { panic!() };
        for nth in 0..MAX_REMEMBERED + 10 {
            let ConsentLookup::Pending(taken) = consents.take(&nth.to_string(), true) else {
                panic!()
            };
            taken.done(Ok(()));
        }
        assert_eq!(word(&consents.take("kept", true)), "handing on");
        assert_eq!(word(&consents.take("0", false)), "unknown", "the oldest is forgotten");
        assert_eq!(consents.lock().len(), MAX_REMEMBERED + 1);
    }
}
