//! Where a provider's redirect arrives, when our address was given to Home Assistant as its own.
//!
//! Whoever knows the state of a consent link that is pending may answer it, once; nothing else is
//! passed on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::model::{FlowStep, TargetName};
use crate::setup::{Answer, state};
use crate::status::Status;
use crate::watch::CallbackRequest;

use super::{House, page};

/// How long Home Assistant may take to ask the provider in its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answered states that are told from forged ones, though their set-up is over.
const MOST_REMEMBERED: usize = 64;

const TAKEN: &str = "Thank you. Home Assistant has taken it; you can close this page.";
const SLOW: &str = "Thank you. Home Assistant is still at work; the status page tells the rest.";
const AGAIN: &str = "This was answered already. You can close this page.";
const UNEXPECTED: &str =
    "Nobody waits for this. If you have just consented, follow the newest link on the status page.";
const NOT_WHOLE: &str = "The provider's answer is not whole: follow the link once more.";
const BUSY: &str = "appcred cannot take it now. Reload this page in a moment.";

/// Takes answers, one for each state.
pub(super) struct Desk {
    /// In the order in which they came.
    answered: Mutex<Vec<String>>,
    consents: mpsc::Sender<CallbackRequest>,
}

impl Desk {
    pub(super) fn new(consents: mpsc::Sender<CallbackRequest>) -> Self {
        Self { answered: Mutex::default(), consents }
    }

    fn was_answered(&self, state: &str) -> bool {
        self.answered().iter().any(|answered| answered == state)
    }

    /// Whether nobody was quicker. Old ones that are pending no more are forgotten.
    fn claim(&self, state: &str, status: &Status) -> bool {
        let mut answered = self.answered();
        if answered.iter().any(|answered| answered == state) {
            return false;
        }
        let mut old = answered.len().saturating_sub(MOST_REMEMBERED);
        answered.retain(|state| {
            let is_old = old > 0;
            old = old.saturating_sub(1);
            !is_old || pending(status, state).is_some()
        });
        answered.push(state.to_owned());
        true
    }

    fn release(&self, state: &str) {
        self.answered().retain(|answered| answered != state);
    }

    /// Nothing can panic while this is held, and if so the list would still be whole.
    fn answered(&self) -> MutexGuard<'_, Vec<String>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn arrive(State(house): State<House>, RawQuery(query): RawQuery) -> Response {
    let (status, sentence) = take(&house, query.unwrap_or_default()).await;
    page::sentence(status, &sentence)
}

async fn take(house: &House, query: String) -> (StatusCode, String) {
    let told = |status: StatusCode, sentence: &str| (status, sentence.to_owned());
    let status = house.status();
    let answer = Answer::read(&query);
    let Some(state) = answer.state else { return told(StatusCode::BAD_REQUEST, UNEXPECTED) };
    if house.desk.was_answered(&state) {
        return told(StatusCode::GONE, AGAIN);
    }
    let Some(target) = pending(&status, &state) else {
        tracing::warn!("a provider's answer that nobody waits for was refused");
        return told(StatusCode::BAD_REQUEST, UNEXPECTED);
    };
    if !answer.is_whole {
        return told(StatusCode::BAD_REQUEST, NOT_WHOLE);
    }
    if !house.desk.claim(&state, &status) {
        return told(StatusCode::GONE, AGAIN);
    }
    let (taken, told_back) = oneshot::channel();
    if house
        .desk
        .consents
        .try_send(CallbackRequest { target: target.clone(), query, taken })
        .is_err()
    {
        house.desk.release(&state);
        return told(StatusCode::SERVICE_UNAVAILABLE, BUSY);
    }
    match timeout(PATIENCE, told_back).await {
        Ok(Ok(Ok(()))) => told(StatusCode::OK, TAKEN),
        Ok(Ok(Err(why))) => {
            (StatusCode::BAD_GATEWAY, format!("Home Assistant has not taken it: {why}"))
        }
        // Whoever had it has stopped.
        Ok(Err(_)) => {
            house.desk.release(&state);
            told(StatusCode::SERVICE_UNAVAILABLE, BUSY)
        }
        Err(_) => told(StatusCode::ACCEPTED, SLOW),
    }
}

/// The target whose set-up waits for an answer with this state.
fn pending<'a>(status: &'a Status, wanted: &str) -> Option<&'a TargetName> {
    let is_it = |step: &FlowStep| match step {
        FlowStep::Consent(link) => {
            state(link).is_some_and(|state| bool::from(state.as_bytes().ct_eq(wanted.as_bytes())))
        }
        _ => false,
    };
    let waits = status
        .targets
        .iter()
        .find(|(_, target)| target.entries.iter().filter_map(|entry| entry.waits_for()).any(is_it));
    waits.map(|(name, _)| name)
}
