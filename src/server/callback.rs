//! Where a provider's redirect arrives, when our address was given to Home Assistant as its own.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::callback::{AuthorizationResponse, Delivery, is_same_state, take};
use crate::model::{FlowStep, HandOverError, TargetName};
use crate::setup::state;
use crate::status::{EntryStatus, Status};
use crate::watch::CallbackRequest;

use super::{ServerState, consent, page};

/// Whose set-up waits for an answer.
pub(super) struct PendingConsent {
    pub(super) target: TargetName,
    /// The name of its entry, and of the account where the entry names those.
    pub(super) account: String,
}

pub(super) async fn arrive(
    State(server): State<ServerState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let answer = AuthorizationResponse::read(&query);
    if answer.is_complete()
        && let Some(state) = &answer.state
        && !server.access.binding.is_of(&headers, state)
        && let Some(pending) = pending(&server.status(), state)
    {
        tracing::warn!(target = %pending.target, "an answer came from a browser that did not start this consent");
        return consent::ask(&server, &pending, &query);
    }
    hand_over(&server, query).await
}

/// Hands an answer on to the target that waits for it.
pub(super) async fn hand_over(server: &ServerState, query: String) -> Response {
    let answer = AuthorizationResponse::read(&query);
    let pending = answer.state.as_deref().and_then(|state| pending(&server.status(), state));
    let is_pending = pending.is_some();
    if !is_pending {
        tracing::warn!("a provider's answer that no set-up waits for was refused");
    }
    let callbacks = server.callbacks.clone();
    let hand_over = async move || match pending {
        Some(PendingConsent { target, .. }) => {
            let addressed = |answer| CallbackRequest { target, answer };
            Delivery::hand_over(query, &callbacks, addressed).await
        }
        None => Err(HandOverError::Refused("no set-up waits for it".to_owned())),
    };
    page::reply(&take(&server.consents, &answer, |_| is_pending, hand_over).await)
}

/// Whose set-up waits for an answer with this state.
fn pending(status: &Status, wanted: &str) -> Option<PendingConsent> {
    let is_it = |step: &FlowStep| match step {
        FlowStep::Consent(link) => state(link).is_some_and(|state| is_same_state(&state, wanted)),
        _ => false,
    };
    status.targets.iter().find_map(|(target, of_target)| {
        let mut waiting = of_target.entries.iter().flat_map(EntryStatus::waiting);
        let found = waiting.find(|waiting| is_it(waiting.step))?;
        Some(PendingConsent { target: target.clone(), account: found.name() })
    })
}
