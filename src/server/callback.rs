//! Where a provider's redirect arrives, when our address was given to Home Assistant as its own.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use tokio::sync::{mpsc, oneshot};

use crate::callback::{Answer, is_same_state, take};
use crate::model::{FlowStep, HandOverError, TargetName};
use crate::setup::state;
use crate::status::Status;
use crate::watch::CallbackRequest;

use super::{House, page};

pub(super) async fn arrive(State(house): State<House>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let answer = Answer::read(&query);
    let status = house.status();
    let target = answer.state.as_deref().and_then(|state| pending(&status, state)).cloned();
    if target.is_none() {
        tracing::warn!("a provider's answer that nobody waits for was refused");
    }
    let is_pending = target.is_some();
    let hand_on = || hand_on(house.callbacks.clone(), target, query);
    page::reply(&take(&house.consents, &answer, |_| is_pending, hand_on).await)
}

async fn hand_on(
    callbacks: mpsc::Sender<CallbackRequest>,
    target: Option<TargetName>,
    query: String,
) -> Result<(), HandOverError> {
    let busy = || HandOverError::NotNow("appcred is busy".to_owned());
    let Some(target) = target else { return Err(busy()) };
    let (taken, result) = oneshot::channel();
    callbacks.try_send(CallbackRequest { target, query, taken }).map_err(|_| busy())?;
    // Whoever had it may have stopped.
    result.await.unwrap_or_else(|_| Err(busy()))
}

/// The target whose set-up waits for an answer with this state.
fn pending<'a>(status: &'a Status, wanted: &str) -> Option<&'a TargetName> {
    let is_it = |step: &FlowStep| match step {
        FlowStep::Consent(link) => state(link).is_some_and(|state| is_same_state(&state, wanted)),
        _ => false,
    };
    let waits = status
        .targets
        .iter()
        .find(|(_, target)| target.entries.iter().filter_map(|entry| entry.waits_for()).any(is_it));
    waits.map(|(name, _)| name)
}
