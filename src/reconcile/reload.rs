//! What the state of a reloaded account means for its credential.

use crate::model::{ConfigEntry, EntryState};
use crate::target::{Done, Refusal};

/// What a reload says of the credential that the account is to use.
pub(super) enum Reload {
    /// The account runs, or its state says nothing about the credential.
    Runs,
    /// It is not known yet whether the account runs: the old credential stays.
    Stays(String),
    /// The account ran before and does not run with it.
    Fell(String),
}

impl Reload {
    pub(super) fn judge(
        before: &ConfigEntry,
        result: Result<Done, Refusal>,
        needs_consent: bool,
    ) -> Self {
        let title = &before.title;
        match result {
            Ok(Done::Reloaded(EntryState::SetupInProgress)) => Self::Stays(format!(
                "the linked account \"{title}\" is still being set up; the next run goes on"
            )),
            Ok(Done::Reloaded(state)) if is_down(&state) && !needs_consent => {
                let why = format!("the linked account \"{title}\" does not run with it ({state})");
                if before.state == EntryState::Loaded { Self::Fell(why) } else { Self::Stays(why) }
            }
            Ok(_) => Self::Runs,
            Err(refusal @ (Refusal::Stopped | Refusal::Lost(_) | Refusal::Denied(_))) => {
                Self::Stays(format!(
                    "the linked account \"{title}\" was not seen to run: {refusal}"
                ))
            }
            Err(refusal) => Self::Fell(format!(
                "the linked account \"{title}\" could not be reloaded: {refusal}"
            )),
        }
    }
}

/// Whether a state says that the account runs with what is in force, or nothing about it.
pub(super) fn is_proof(state: &EntryState) -> bool {
    !is_down(state) && *state != EntryState::SetupInProgress
}

fn is_down(state: &EntryState) -> bool {
    matches!(state, EntryState::SetupError | EntryState::SetupRetry | EntryState::NotLoaded)
}
