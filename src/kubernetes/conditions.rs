//! How an object is -> its conditions, as the conventions of Kubernetes and kstatus want them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::object_state::{ObjectPhase, ObjectState};

/// The longest message, in bytes.
const LONGEST_MESSAGE: usize = 4096;

/// The conditions of an object. The time of one is that of its last change, also over a restart of ours.
pub(super) fn conditions(
    of: &ObjectState,
    generation: i64,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let condition = |kind: &str, is_so: bool, reason: &str, message: &str| {
        let status = if is_so { "True" } else { "False" };
        let before = before.iter().find(|before| before.type_ == kind && before.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: cut(message.to_owned(), LONGEST_MESSAGE),
            observed_generation: Some(generation),
            last_transition_time: before
                .map_or(Time(now), |before| before.last_transition_time.clone()),
        }
    };
    let mut all = vec![condition("Ready", of.is_ready, of.reason, &of.message)];
    match of.phase {
        ObjectPhase::Done => {}
        ObjectPhase::Reconciling => {
            all.push(condition("Reconciling", true, of.reason, &of.message))
        }
        ObjectPhase::Stalled => all.push(condition("Stalled", true, of.reason, &of.message)),
    }
    if let Some(consent) = &of.consent {
        all.push(condition("ConsentRequired", true, "ConsentRequired", consent));
    }
    all
}

/// The condition of a kind.
pub(super) fn find<'c>(all: &'c [Condition], kind: &str) -> Option<&'c Condition> {
    all.iter().find(|condition| condition.type_ == kind)
}

/// A text of so many bytes at most.
pub(super) fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}
