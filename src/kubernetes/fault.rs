//! What is wrong with an object, so that nothing is done by it. Pure.

use super::declared::SecretFault;

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// A word for programs.
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Whether it stays so until somebody changes the object.
    pub(super) is_final: bool,
}

impl Fault {
    /// One that only a change of the object ends.
    pub(super) fn invalid(message: String) -> Self {
        Self { reason: "InvalidSpec", message, is_final: true }
    }
}

/// A Secret that is named is not there, or has no such key.
pub(super) const SECRET_MISSING: &str = "SecretMissing";

impl From<SecretFault> for Fault {
    fn from(fault: SecretFault) -> Self {
        let reason = match fault {
            SecretFault::Missing(_) | SecretFault::NoKey(..) => SECRET_MISSING,
            SecretFault::Unreadable(..) => "SecretUnreadable",
        };
        Self { reason, message: fault.to_string(), is_final: false }
    }
}
