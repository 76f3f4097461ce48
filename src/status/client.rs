//! What is known of a client whose provider is asked regularly.

use jiff::Timestamp;

use crate::model::ClientAnswer;

/// What is known of a client whose provider is asked regularly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCheck {
    /// It is not asked, for this reason.
    LeftOut(String),
    /// It was asked.
    Said {
        /// What it said last; where that was unclear, the last clear answer, if there was any.
        answer: ClientAnswer,
        /// When it said so.
        at: Timestamp,
    },
}

impl ClientCheck {
    /// Whether it is known that the provider accepts the client, or that it does not.
    pub fn is_clear(&self) -> bool {
        self.is_accepted().is_some()
    }

    /// Whether the provider accepts the client; none where that is not known.
    pub fn is_accepted(&self) -> Option<bool> {
        match self {
            Self::Said { answer: ClientAnswer::Accepted, .. } => Some(true),
            Self::Said { answer: ClientAnswer::Rejected(_), .. } => Some(false),
            Self::Said { .. } | Self::LeftOut(_) => None,
        }
    }
}
