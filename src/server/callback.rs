//! Where a provider's redirect arrives, when our address was given to Home Assistant as its own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::callback::{AuthorizationResponse, Delivery, is_same_state, take};
use crate::model::{FlowStep, HandOverError, SetUpId, TargetName};
use crate::setup::state;
use crate::status::{EntryStatus, Status};
use crate::watch::CallbackRequest;

use super::{ServerState, consent};

/// Within this Home Assistant has asked the provider.
const LINKING: Duration = Duration::from_secs(20);

/// Whose set-up waits for an answer.
pub(super) struct PendingConsent {
    pub(super) target: TargetName,
    id: SetUpId,
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
    // Looked up once: what is handed over is what was checked.
    let pending = answer.state.as_deref().and_then(|state| pending(&server.status(), state));
    if answer.is_complete()
        && let (Some(state), Some(pending)) = (&answer.state, &pending)
        && !server.access.binding.is_of(&headers, state)
    {
        tracing::warn!(target = %pending.target, "an answer came from a browser that did not start this consent");
        return consent::ask(&server, pending, &query);
    }
    hand_over(&server, query, pending).await
}

/// Hands an answer on to the target that waits for it, if one does.
pub(super) async fn hand_over(
    server: &ServerState,
    query: String,
    pending: Option<PendingConsent>,
) -> Response {
    let answer = AuthorizationResponse::read(&query);
    let is_pending = pending.is_some();
    if !is_pending {
        // Anybody may send one, as often as they like.
        tracing::debug!("a provider's answer that no set-up waits for was refused");
    }
    let (callbacks, status) = (server.callbacks.clone(), server.status.clone());
    let wanted = answer.state.clone().filter(|_| answer.code.is_some());
    let hand_over = async move || match pending {
        Some(PendingConsent { target, id, .. }) => {
            let addressed = |answer| CallbackRequest { target: target.clone(), answer };
            Delivery::hand_over(query, &callbacks, addressed).await?;
            match wanted {
                Some(state) => linked(status, (&target, &id), &state).await,
                None => Ok(()),
            }
        }
        None => Err(HandOverError::Refused("no set-up waits for it".to_owned())),
    };
    take(&server.consents, &answer, |_| is_pending, hand_over).await.page()
}

/// Waits until an answer that was accepted has linked the account, or has failed to: Home Assistant asks the
/// provider only afterwards. No longer than a browser waits: then all that is known is that it was accepted.
async fn linked(
    mut status: watch::Receiver<Arc<Status>>,
    (target, id): (&TargetName, &SetUpId),
    state: &str,
) -> Result<(), HandOverError> {
    let known = status.wait_for(|status| result(status, (target, id), state).is_some());
    match timeout(LINKING, known).await {
        Ok(Ok(status)) => result(&status, (target, id), state).unwrap_or(Ok(())),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// What has become of the set-up whose consent had this state; nothing as long as that is not known.
fn result(
    status: &Status,
    (target, id): (&TargetName, &SetUpId),
    state: &str,
) -> Option<Result<(), HandOverError>> {
    let entries = status.targets.get(target).into_iter().flat_map(|target| &target.entries);
    let set_up = entries
        .filter(|entry| entry.key == id.key)
        .flat_map(|entry| &entry.set_ups)
        .find(|set_up| set_up.account == id.account)?;
    if set_up.waits_for.as_deref().is_some_and(|step| has_state(step, state)) {
        return None;
    }
    set_up.result().map(|result| result.map_err(|why| HandOverError::Refused(why.to_owned())))
}

fn has_state(step: &FlowStep, wanted: &str) -> bool {
    match step {
        FlowStep::Consent(link) => state(link).is_some_and(|state| is_same_state(&state, wanted)),
        _ => false,
    }
}

/// Whose set-up waits for an answer with this state.
fn pending(status: &Status, wanted: &str) -> Option<PendingConsent> {
    status.targets.iter().find_map(|(target, of_target)| {
        let mut waiting = of_target.entries.iter().flat_map(EntryStatus::waiting);
        let found = waiting.find(|waiting| has_state(waiting.step, wanted))?;
        Some(PendingConsent { target: target.clone(), id: found.id(), account: found.name() })
    })
}
