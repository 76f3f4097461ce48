//! How far what is there is from what is wanted, and what of it is not known.

use smol_str::SmolStr;

use super::trouble::Trouble;
use crate::codes::UnknownCode;
use crate::model::{AccountName, ConfigEntry, Domain, Held, Key, Mark, Owner, SetUpId};

/// A credential of a target, and how it compares with what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedCredential {
    /// What the target holds.
    pub held: Held,
    /// Whose it is by all that is written there, claims too: none where that is nobody's, or several owners'.
    pub owned_by: Option<Mark>,
    /// How it compares.
    pub state: CredentialState,
    /// The linked accounts that use it.
    pub users: Vec<ConfigEntry>,
    /// Whether it is protected: it is neither deleted nor replaced.
    pub is_protected: bool,
    /// Whether its entry is suspended: it stays as it is.
    pub is_suspended: bool,
}

/// A set-up of an entry, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySetup {
    /// Which.
    pub id: SetUpId,
    /// How far.
    pub state: SetupState,
    /// What is wrong with its account; of several, with the first one.
    pub trouble: Option<Trouble>,
}

impl SetupState {
    /// The accounts that are linked.
    pub fn linked(&self) -> &[ConfigEntry] {
        match self {
            Self::Linked(accounts) | Self::Cloud(accounts) => accounts,
            _ => &[],
        }
    }
}

/// A linked account that uses the credential of an entry which names others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndeclaredAccount {
    /// The entry.
    pub key: Key,
    /// What the entry called it before, as noted in HA.
    pub name: Option<AccountName>,
    /// The account.
    pub account: ConfigEntry,
}

/// How a credential compares with what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// As its entry wants it.
    InSync(Key),
    /// Not as its entry wants it.
    Differs(Key),
    /// Of this entry, and it is not known whether as it wants it.
    Unknown(Key),
    /// Made by hand and still named by a linked account; a shadow of this entry is in force.
    Shadowed(Key),
    /// Says that others are of this entry.
    Claim(Key),
    /// Left over beside a newer one of this entry.
    Superseded(Key),
    /// Ours, and no longer wanted.
    Undeclared,
    /// Ours, no longer wanted, and kept since the policy says that its key is forgotten.
    Forgotten,
    /// Another owner's.
    OtherOwner(Owner),
    /// Made by hand.
    Foreign,
}

impl CredentialState {
    /// The entry whose present credential it is.
    pub fn entry(&self) -> Option<&Key> {
        match self {
            Self::InSync(key) | Self::Differs(key) => Some(key),
            _ => None,
        }
    }

    /// The entry that it is of.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::InSync(key)
            | Self::Differs(key)
            | Self::Unknown(key)
            | Self::Shadowed(key)
            | Self::Claim(key)
            | Self::Superseded(key) => Some(key),
            Self::Undeclared | Self::Forgotten | Self::OtherOwner(_) | Self::Foreign => None,
        }
    }

    /// The same, where it is known how it compares.
    pub(super) fn holder(&self) -> Option<&Key> {
        self.key().filter(|_| !matches!(self, Self::Unknown(_)))
    }
}

/// How far an entry's integration is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupState {
    /// No account is linked.
    NotSetUp,
    /// A set-up was started. How far it is shows when it is carried on.
    InProgress,
    /// These accounts are linked.
    Linked(Vec<ConfigEntry>),
    /// These accounts are linked through HA Cloud.
    Cloud(Vec<ConfigEntry>),
    /// A linked account needs consent again.
    NeedsConsent,
    /// No account is linked, and the entry does not ask for that.
    NotWanted,
}

/// Something about an entry that cannot be known without its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The entry.
    pub key: Key,
    /// The integration.
    pub domain: Domain,
    /// As HA shows it.
    pub name: SmolStr,
    /// What is not known.
    pub what: Unknowable,
}

/// What a plan without keys may not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknowable {
    /// Whether the target holds the entry's secret.
    Secret,
    /// For which client the entry is.
    ClientId,
}

impl Unknowable {
    /// As programs read it.
    pub fn code(self) -> UnknownCode {
        match self {
            Self::Secret => UnknownCode::Secret,
            Self::ClientId => UnknownCode::ClientId,
        }
    }
}
