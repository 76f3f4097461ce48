//! Where credentials live, and how each place is reached. A target is read through [`Observe`] and
//! changed through [`Execute`]; what can only be read implements only the first. `kinds.rs` lists the
//! kinds of targets.

mod collapsed;
pub mod config_dir;
mod connect_error;
mod fence;
mod headers;
pub mod home_assistant;
mod in_use;
mod kinds;
#[cfg(test)]
mod memory;
pub mod snapshot;
mod unreadable;
mod wiped_json;

use std::pin::Pin;

use futures_util::Stream;
use smol_str::SmolStr;
use thiserror::Error;

pub use connect_error::ConnectError;
pub use fence::{Fence, uptime};
pub use headers::{AddedHeaders, HeaderContext, added_headers};
pub use kinds::{
    Description, Endpoint, FieldContext, KINDS, LiveTarget, ReadTarget, TARGET, Target,
    TargetInput, TargetKind, meaning, meanings,
};

use crate::model::{
    ConfigEntry, CredentialId, Domain, EntryId, EntryState, Held, NewCredential, Observed,
    UnreadAccounts,
};

/// Reads a target, and changes nothing.
pub trait Observe {
    /// All that the target holds now.
    fn observe(&mut self) -> impl Future<Output = Result<Observed, TargetError>> + Send;
}

/// Changes a target.
pub trait Execute {
    /// Carries out operations that do not depend on each other, side by side where the target can.
    ///
    /// Each outcome goes to `done` with the operation's index, exactly once. When `stop` is
    /// cancelled, what is in flight is finished and the rest is [`Refusal::Stopped`].
    fn execute(
        &mut self,
        operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) -> impl Future<Output = ()> + Send;
}

/// That something at a target may have changed, not what; it never ends.
pub type ChangeEvents = Pin<Box<dyn Stream<Item = ()> + Send + Sync>>;

/// Somebody wishes to stop (Ctrl-C, SIGTERM).
pub type Stop = tokio_util::sync::CancellationToken;

/// One change of a target.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Create a credential.
    Create(NewCredential),
    /// Delete the credential, if its id still names the same one and no linked account uses it by now.
    Delete(Held),
    /// The same for one in the place of another with its name: accounts that use it find that one then.
    TakeBack(Held),
    /// Remove a linked account, if it still uses the credential that it used: it cannot be taken back.
    RemoveAccount(ConfigEntry),
    /// Set a config entry up afresh, so that it takes the credential now in force.
    Reload(EntryId),
}

impl Operation {
    /// The credential that it deletes.
    fn deleted(&self) -> Option<&Held> {
        match self {
            Self::Delete(held) | Self::TakeBack(held) => Some(held),
            Self::Create(_) | Self::RemoveAccount(_) | Self::Reload(_) => None,
        }
    }
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The new credential's id.
    Created(CredentialId),
    /// It is gone, or was gone before.
    Deleted,
    /// The linked account is gone, or was gone before.
    Removed,
    /// The state that the config entry arrived at.
    Reloaded(EntryState),
}

/// What is refused to us altogether.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Denial {
    /// The access token.
    #[error("the access token was refused")]
    Token,
    /// What only an administrator may do.
    #[error("the access token is not an administrator's")]
    Right,
    /// Everything from this machine: HA has banned it, or a proxy no longer lets it pass.
    #[error(
        "everything from this machine is refused (403): a proxy may refuse it, or Home Assistant may have banned it (ip_bans.yaml)"
    )]
    Machine,
    /// A call by HTTP, and not by HA: where the same token is accepted by the WebSocket.
    #[error(
        "something in front of Home Assistant refuses the call (401); the token is not the reason: a proxy may want a header (`headers` of the target in appcred.yaml), or may take the token away on the way"
    )]
    Proxy,
}

/// Why an operation was not done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// HA does not delete a credential that a config entry names by id.
    #[error("a linked account of {domain} still uses it")]
    InUse {
        /// The integration.
        domain: Domain,
    },
    /// The same, and the account does not find the credential by that id: HA does not say which it is.
    #[error("{}", named_by_id(accounts))]
    NamedById {
        /// The linked accounts of the integration that find no credential.
        accounts: Vec<SmolStr>,
    },
    /// Linked accounts use it that did not when that was planned.
    #[error("{} by now, and did not when this was planned", used_by(by))]
    UsedByNow {
        /// What HA shows of them.
        by: Vec<SmolStr>,
    },
    /// It cannot be seen whether a linked account uses it.
    #[error("{by}, and may use it")]
    MayBeUsed {
        /// That one.
        by: UnreadAccounts,
    },
    /// The id names another credential by now.
    #[error("it was changed elsewhere in the meantime")]
    Changed,
    /// The integration takes no credentials there.
    #[error("{domain} takes no application credentials there")]
    UnknownDomain {
        /// The integration.
        domain: Domain,
    },
    /// Asked to stop before it was begun.
    #[error("not begun: interrupted")]
    Stopped,
    /// The access token is not taken any more, or its user may not do this. That stays so until it is
    /// changed.
    #[error("{0}")]
    Denied(Denial),
    /// The target has no such thing.
    #[error("this target cannot do that")]
    Unsupported,
    /// The connection broke before the answer came; whether it was done shows the next observation.
    #[error("no answer: {0}")]
    Lost(String),
    /// Anything else, in the target's words, which hold no secret.
    #[error("{0}")]
    Failed(String),
}

fn used_by(accounts: &[SmolStr]) -> String {
    let titles: Vec<String> = accounts.iter().map(|title| format!("\"{title}\"")).collect();
    match titles.as_slice() {
        [title] => format!("the linked account {title} uses it"),
        several => format!("linked accounts use it ({})", several.join(", ")),
    }
}

fn named_by_id(accounts: &[SmolStr]) -> String {
    match accounts {
        [] => {
            "a linked account names it by its id; the next attempt takes account of that".to_owned()
        }
        [account] => format!(
            "the linked account \"{account}\" names it by its id and does not find it; the next attempt gives that account the new credential"
        ),
        several => format!(
            "one of these linked accounts names it by its id and does not find it: {}; remove the one that does not run in Home Assistant's settings, and the next attempt goes on",
            several.iter().map(|title| format!("\"{title}\"")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Why a target could not be read or reached. The kind alone says whether and when it may be tried
/// again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Nobody answers, or not in a way that could be understood.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// The address.
        address: String,
        /// The reason.
        why: String,
    },
    /// No connection is made: that machine is off, or its name is not found.
    #[error("cannot reach {address}: {why}")]
    NotConnected {
        /// The address.
        address: String,
        /// The reason, and what to do.
        why: String,
    },
    /// Nothing listens at the port.
    #[error("cannot reach {address}: {why}")]
    NotListening {
        /// The address.
        address: String,
        /// The reason, and what may be wrong.
        why: String,
    },
    /// The connection was made and then broke.
    #[error("lost the connection to {address}: {why}")]
    Lost {
        /// The address.
        address: String,
        /// The reason.
        why: String,
    },
    /// HA has not started yet, or is in recovery mode.
    #[error("{address} is not ready: {why}")]
    Starting {
        /// The address.
        address: String,
        /// What it answers, and what to do.
        why: String,
    },
    /// Everything from this machine is refused, before any token.
    #[error("{address} refuses this machine: {why}")]
    Forbidden {
        /// The address.
        address: String,
        /// What it answers, and what may be behind it.
        why: String,
    },
    /// The token is not taken.
    #[error("{address} refused the access token")]
    Unauthorized {
        /// The address.
        address: String,
    },
    /// The token is of a user who is no administrator.
    #[error("the access token at {address} is not an administrator's")]
    NotAdmin {
        /// The address.
        address: String,
    },
    /// The configuration folder is in use, damaged or not to be read.
    #[error("{0}")]
    Storage(String),
    /// HA said something that is not in its protocol as we know it.
    #[error("{address} answered unexpectedly: {why}")]
    Protocol {
        /// The address.
        address: String,
        /// What was wrong.
        why: String,
    },
}
