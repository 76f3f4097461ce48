//! Why a target cannot be connected to.

use thiserror::Error;
use tokio::task::JoinError;

use super::TargetError;
use super::home_assistant::{SessionError, SignInError};
use crate::model::Place;
use crate::secret::Unreadable;
use crate::secret::token::NoToken;

/// Why a target cannot be connected to. None of it repeats a secret.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The file or program gives no token.
    #[error("no access token for {url}: {why}")]
    Token {
        /// The address.
        url: String,
        /// The reason.
        why: NoToken,
    },
    /// The file that the project file names gives no token.
    #[error("no access token for {url} (`token_file` at {place}): {why}{}", token_help(.why))]
    TokenFile {
        /// The address.
        url: String,
        /// Where the file is named.
        place: Place,
        /// The reason.
        why: NoToken,
    },
    /// A file that the project file names cannot be what it is for.
    #[error("{why} (named at {place})")]
    File {
        /// The reason.
        why: String,
        /// Where the file is named.
        place: Place,
    },
    /// A secret that the project file holds or names cannot be read.
    #[error("cannot read its {what} ({place}): {why}; {}", why.help())]
    Reference {
        /// What it is.
        what: String,
        /// Where it is written.
        place: Place,
        /// The reason.
        why: Unreadable,
    },
    /// A secret was read, and cannot be what it is for.
    #[error("its {what} ({place}) {why}")]
    Setting {
        /// What it should be.
        what: String,
        /// Where it is written.
        place: Place,
        /// The reason.
        why: String,
    },
    /// No token is named, and nobody has signed in.
    #[error(
        "no access token for {url}: sign in with `appcred login`, or set HASS_TOKEN; a target in appcred.yaml uses that only where it has `token: !env_var HASS_TOKEN`"
    )]
    NotSignedIn {
        /// The address.
        url: String,
    },
    /// The stored session cannot be read.
    #[error(transparent)]
    Store(#[from] SessionError),
    /// The stored session gives no access token.
    #[error("{0}{help}", help = sign_in_help(.0))]
    Session(#[from] SignInError),
    /// The target does not accept the token.
    #[error("{error}; {advice}")]
    Rejected {
        /// How it says so.
        error: TargetError,
        /// Where the token is from, and what to do.
        advice: String,
    },
    /// A bug.
    #[error("internal error: reading the access token crashed: {0}")]
    Crashed(#[from] JoinError),
    /// The target cannot be reached.
    #[error(transparent)]
    Target(#[from] TargetError),
}

fn token_help(why: &NoToken) -> &'static str {
    match why {
        NoToken::File { .. } => {
            "; correct the path, or make the file and write an access token into it"
        }
        NoToken::NotAToken { .. } | NoToken::Unfit { .. } => {
            "; write nothing but an access token into it"
        }
        NoToken::Itself | NoToken::Program { .. } => "",
    }
}

fn sign_in_help(error: &SignInError) -> &'static str {
    match error {
        SignInError::Over { .. } => "; sign in again with `appcred login`",
        SignInError::Refused { .. } | SignInError::Target(_) => "",
    }
}
