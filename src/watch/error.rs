//! Why a round failed, and of what kind that is: the kind decides when it is tried again.

use thiserror::Error;

use crate::lock::LockError;
use crate::model::{Owner, TargetName};
use crate::secret::token::NoToken;
use crate::status::AccessFault;
use crate::target::ConnectError;
use crate::target::TargetError;
use crate::target::home_assistant::SignInError;

use super::conflict::MOST_REPEATS;

/// Why a round failed. None of it repeats a secret.
#[derive(Debug, Error)]
pub(super) enum RoundError {
    /// Another watcher has the target, or another run is changing it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Another target of this project is the same one.
    #[error(
        "the target `{0}` is the same Home Assistant, and each would delete what the other wants: keep one of the two"
    )]
    SameTarget(TargetName),
    /// It cannot be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It cannot be read.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It closes its connections soon after they were made.
    #[error("Home Assistant closed the connection {0} times in a row, soon after it was made")]
    Disconnected(u32),
    /// Steps of the plan failed.
    #[error("{}", .0.join("; "))]
    Steps(Vec<String>),
    /// Steps of the plan failed since the token, its right or this machine was refused.
    #[error("{}", .0.join("; "))]
    Denied(Vec<String>),
    /// What was done was undone each time.
    #[error(
        "something else undoes what appcred does here: {} was done {MOST_REPEATS} times and undone again. Most likely another appcred manages this target as owner `{owner}`, on another machine or in another repository: stop one of the two, or give each its own owner (`owner` in appcred.yaml, `--owner` of a controller)",
        .steps.join(", ")
    )]
    Conflict {
        /// The owner in the marks.
        owner: Owner,
        /// What was undone.
        steps: Vec<String>,
    },
    /// What may not be tried again decides, or else the first.
    #[error("{0}; {1}")]
    Both(Box<RoundError>, Box<RoundError>),
    /// A fault of appcred.
    #[error("internal error: the task of this target crashed; please report it")]
    Crashed,
    /// The process is to end.
    #[error("interrupted")]
    Stopped,
}

/// What failures have in common that are tried again in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// It fails in the same way until the project, a token or another input is changed.
    Permanent,
    /// It does not answer as expected.
    Unreachable,
    /// No connection is made.
    NotConnected,
    /// It will be ready soon: it says so, or its machine answers and nothing listens there yet.
    Starting,
    /// Something on a target that answers went wrong.
    Failed,
    /// Another process has the target.
    Locked,
    /// Somebody else changes the same credentials.
    Conflict,
    /// A fault of appcred.
    Internal,
}

impl RoundError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Lock(LockError::Held { .. } | LockError::Writing { .. }) => ErrorKind::Locked,
            Self::Lock(LockError::File { .. }) | Self::Steps(_) => ErrorKind::Failed,
            Self::SameTarget(_) | Self::Denied(_) => ErrorKind::Permanent,
            Self::Connect(error) => of_connecting(error),
            Self::Target(error) => of_target(error),
            Self::Disconnected(_) | Self::Stopped => ErrorKind::Unreachable,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Both(first, second) => match second.kind() {
                ErrorKind::Permanent => ErrorKind::Permanent,
                _ => first.kind(),
            },
            Self::Crashed => ErrorKind::Internal,
        }
    }

    /// Whether nobody answers, as while Home Assistant restarts.
    pub(super) fn is_outage(&self) -> bool {
        let kinds = [ErrorKind::Unreachable, ErrorKind::NotConnected, ErrorKind::Starting];
        kinds.contains(&self.kind())
    }

    /// Why the target denies access, where it is that.
    pub(super) fn access_fault(&self) -> Option<AccessFault> {
        let error = match self {
            Self::Target(error)
            | Self::Connect(
                ConnectError::Target(error)
                | ConnectError::Rejected { error, .. }
                | ConnectError::Session(SignInError::Target(error)),
            ) => error,
            Self::Connect(ConnectError::Session(SignInError::Over { .. })) => {
                return Some(AccessFault::TokenRefused);
            }
            Self::Connect(_) => return Some(AccessFault::Other),
            _ => return None,
        };
        match error {
            TargetError::Unauthorized { .. } => Some(AccessFault::TokenRefused),
            TargetError::NotAdmin { .. } => Some(AccessFault::NotAdministrator),
            TargetError::Forbidden { .. } => Some(AccessFault::Other),
            _ => None,
        }
    }
}

fn of_connecting(error: &ConnectError) -> ErrorKind {
    match error {
        ConnectError::Token { why, .. } | ConnectError::TokenFile { why, .. } => match why {
            NoToken::Itself
            | NoToken::File { .. }
            | NoToken::NotAToken { .. }
            | NoToken::Unfit { .. } => ErrorKind::Permanent,
            // A program may depend on what comes and goes, as on a password manager's server.
            NoToken::Program { .. } => ErrorKind::Failed,
        },
        // What keeps a file from being read may end without a change of it.
        ConnectError::File { .. } | ConnectError::Crashed(_) => ErrorKind::Failed,
        ConnectError::Reference { .. }
        | ConnectError::Setting { .. }
        | ConnectError::NotSignedIn { .. }
        | ConnectError::Store(_) => ErrorKind::Permanent,
        ConnectError::Session(SignInError::Target(error))
        | ConnectError::Target(error)
        | ConnectError::Rejected { error, .. } => of_target(error),
        ConnectError::Session(SignInError::Over { .. } | SignInError::Refused { .. }) => {
            ErrorKind::Permanent
        }
    }
}

fn of_target(error: &TargetError) -> ErrorKind {
    match error {
        // Home Assistant counts each attempt, and bans the address that makes too many.
        TargetError::Unauthorized { .. }
        | TargetError::NotAdmin { .. }
        | TargetError::Forbidden { .. } => ErrorKind::Permanent,
        TargetError::Unreachable { .. }
        | TargetError::Lost { .. }
        | TargetError::Protocol { .. } => ErrorKind::Unreachable,
        TargetError::NotConnected { .. } => ErrorKind::NotConnected,
        TargetError::NotListening { .. } | TargetError::Starting { .. } => ErrorKind::Starting,
        TargetError::Storage(_) => ErrorKind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, RoundError};
    use crate::model::Owner;
    use crate::target::TargetError;

    #[test]
    fn what_is_not_there_yet_is_no_wrong_answer() {
        let (address, why) = (String::new(), String::new());
        let kinds = [
            TargetError::NotListening { address: address.clone(), why: why.clone() },
            TargetError::NotConnected { address: address.clone(), why: why.clone() },
            TargetError::Unreachable { address, why },
        ]
        .map(|error| {
            let error = RoundError::Target(error);
            assert!(error.is_outage());
            error.kind()
        });
        let expected = [ErrorKind::Starting, ErrorKind::NotConnected, ErrorKind::Unreachable];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn what_was_refused_is_not_tried_again_whatever_else_failed() {
        let conflict = || {
            let owner = Owner::new("house").unwrap();
            Box::new(RoundError::Conflict { owner, steps: Vec::new() })
        };
        let denied = || Box::new(RoundError::Denied(Vec::new()));
        let kinds = [
            RoundError::Both(conflict(), denied()).kind(),
            RoundError::Both(denied(), conflict()).kind(),
            RoundError::Both(conflict(), Box::new(RoundError::Steps(Vec::new()))).kind(),
        ];
        assert_eq!(kinds, [ErrorKind::Permanent, ErrorKind::Permanent, ErrorKind::Conflict]);
    }
}
