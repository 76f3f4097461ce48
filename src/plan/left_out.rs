//! What of a target an import makes no entry of.

use crate::model::{CredentialId, Held, Key, Owner};

/// A credential that becomes no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// That one.
    pub of: Held,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why a credential becomes no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyLeftOut {
    /// There is an entry for its client already.
    Declared(Key),
    /// The new entry is made from another credential of its client.
    SameClient(CredentialId),
    /// This project manages another credential of its client.
    BesideManaged(CredentialId),
    /// Linked accounts use several credentials of its client, with different secrets.
    SeveralInUse,
    /// It is another owner's.
    OtherOwner(Owner),
    /// Accounts find another client's by its `auth_domain`, or by its id, too.
    SharedName,
    /// The target does not know its integration.
    UnknownIntegration,
    /// It has no client secret.
    NoSecret,
    /// This owner had entries of several keys for its client.
    SeveralKeys,
    /// It has a mark that cannot be read.
    UnreadableMark,
    /// Others of its client that were made by hand have the same `auth_domain`.
    SharedByHand,
    /// This owner has forgotten the entry of this key that it is of.
    Forgotten(Key),
    /// An entry for it would be refused, for this reason.
    Refused(String),
}
