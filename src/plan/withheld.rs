//! What a plan does not do, each with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use smol_str::SmolStr;

use super::action::Action;
use crate::model::{
    ConfigEntry, CredentialId, Domain, Held, Key, Mark, Owner, Slip, UnreadAccounts, Wave,
};

/// Something that is not done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What would have been done.
    pub action: Action,
    /// The reason.
    pub why: Why,
}

impl Withheld {
    /// Whether it was asked for, and only a change of manifests, policy or target can bring it about.
    pub fn is_error(&self) -> bool {
        match &self.why {
            // No entry wants what would be pruned.
            Why::UnreadableMark { .. } => !matches!(self.action, Action::Delete { .. }),
            why => why.needs_person(),
        }
    }

    /// Whether it keeps targets of later waves from being changed: what a person has to decide, and has not decided by
    /// protecting it.
    pub(super) fn stops_waves(&self) -> bool {
        self.is_error() && !matches!(self.why, Why::Protected { .. })
    }
}

impl Why {
    /// Whether it is done later without anybody's doing.
    pub fn is_wait(&self) -> bool {
        matches!(self, Self::OutsideWindows { .. } | Self::EarlierWave { .. })
    }

    /// Whether it stays so until somebody changes or decides something.
    pub fn needs_person(&self) -> bool {
        !self.is_wait() && !matches!(self, Self::InUse { .. } | Self::PruneOff | Self::Suspended)
    }
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Linked accounts use it.
    InUse {
        /// These.
        by: Vec<ConfigEntry>,
    },
    /// Linked accounts were to go with it that may be linked through HA Cloud.
    MayBeCloud {
        /// These.
        by: Vec<ConfigEntry>,
    },
    /// Linked accounts that could not be read may use it.
    UnreadAccounts {
        /// These.
        unread: Vec<UnreadAccounts>,
    },
    /// Somebody else made a credential for this client.
    Foreign {
        /// This one.
        held: Held,
        /// The id of another one that the entry asks to adopt.
        asked: Option<CredentialId>,
    },
    /// Several credentials of this client were made by hand, and the entry does not say which it takes.
    SeveralByHand {
        /// These.
        held: Vec<Held>,
    },
    /// No entry has these keys, and this one may have had each of them: what belongs to them.
    SeveralRenamed {
        /// These.
        keys: BTreeMap<Key, Vec<Held>>,
    },
    /// Accounts are linked under a key that was made of the name of an entry, with a client that another has: that
    /// other one was most likely renamed.
    ReusedName {
        /// The key that the accounts name.
        reused: Key,
        /// The entry that has their client.
        key: Key,
        /// These.
        by: Vec<ConfigEntry>,
    },
    /// Accounts are linked under the key of an entry with another client, or with what is lost, and by its client or
    /// by what it says of itself the entry is one that had another key: most likely another entry had its key before.
    ReusedKey {
        /// What the accounts name.
        reused: Mark,
        /// What the entry was.
        former: Mark,
        /// These.
        by: Vec<ConfigEntry>,
        /// Whether they do not find their credential.
        is_lost: bool,
    },
    /// It has a text like a mark that cannot be read.
    UnreadableMark {
        /// This one.
        held: Held,
    },
    /// Several owners have claimed it, this one too.
    Disputed {
        /// These.
        by: BTreeSet<Mark>,
    },
    /// Another entry of this owner has it: linked accounts are its own that name this key.
    OtherEntry {
        /// The key of that one, or the last that had it.
        key: Key,
    },
    /// Another owner manages it.
    OtherOwner {
        /// That one.
        by: Mark,
    },
    /// There is one of the same key and client, of another owner: whether that is what this owner was
    /// called before only a person can know.
    OwnerDiffers {
        /// This one.
        held: Held,
        /// That owner.
        owner: Owner,
    },
    /// Linked accounts use one of the same key, of a previous owner and for another client: whether that is the
    /// entry's, or another project's that still has this owner, only a person can know.
    PreviousOwner {
        /// This one.
        held: Held,
        /// That owner.
        owner: Owner,
        /// These.
        by: Vec<ConfigEntry>,
    },
    /// A linked account names what no credential has, and it may be of each of these entries.
    SeveralEntries {
        /// What the account names.
        id: SmolStr,
        /// These.
        keys: BTreeSet<Key>,
    },
    /// The plan would have touched what is not this owner's: a fault of appcred.
    NotOwned,
    /// These keys are protected: what they have is neither deleted nor replaced.
    Protected {
        /// These.
        keys: BTreeSet<Key>,
    },
    /// The entry is suspended: nothing of it is changed for now.
    Suspended,
    /// A watcher changes something only in windows.
    OutsideWindows {
        /// When the next one begins.
        next: SmolStr,
    },
    /// Waves before that of the target are not done.
    EarlierWave {
        /// The target's wave.
        wave: Wave,
        /// Why it has not begun, as in "wave 1 is not done: `cabin` has failed".
        wait: SmolStr,
    },
    /// The policy says to delete nothing.
    PruneOff,
    /// More deletes than the policy allows; nothing of this plan may be applied.
    TooManyDeletes {
        /// So many are planned.
        planned: usize,
        /// So many are allowed.
        allowed: usize,
    },
    /// No entry is left, which is more often a mistake than a wish.
    NothingDesired,
    /// Its entry is for other targets, which it chooses by what this target almost is, or in a file that is not read.
    LostBySlip {
        /// The key of the entry.
        key: Key,
        /// What this target is, or where the entry is.
        slip: Slip,
    },
    /// Some entry could not be read or planned; it may want this credential.
    Unread,
    /// An entry of the integration may want this credential: its client id is not known.
    Unidentified {
        /// The keys of such entries.
        keys: BTreeSet<Key>,
    },
    /// Manifests or folders are empty or missing, which is more often an accident than a wish.
    Emptied {
        /// These.
        places: BTreeSet<PathBuf>,
    },
    /// The integration's set-up needs HA's integration `cloud`, which is not loaded.
    NeedsCloud,
    /// The integration uses a client of its own, whatever the credential says.
    IgnoresClient,
    /// Several linked accounts have the title of one that the entry names.
    SeveralAccounts {
        /// These.
        accounts: Vec<ConfigEntry>,
    },
    /// HA links one account only of the integration.
    OneAccount,
    /// The target has no such integration, and the project does not list it as a custom one.
    UnknownIntegration {
        /// The integration.
        domain: Domain,
        /// The one that was most likely meant.
        suggestion: Option<Domain>,
        /// The target itself lists its integrations, so `custom_integrations` changes nothing.
        is_listed: bool,
    },
    /// This must be done too, and is not selected.
    NotSelected {
        /// As in `create spotify "Family"`.
        needed: String,
    },
}

impl Withheld {
    /// What is deleted as soon as the policy lets it.
    pub fn kept_by_policy(&self) -> Option<&Held> {
        match (&self.action, &self.why) {
            (Action::Delete { old, .. }, Why::PruneOff) => Some(old),
            _ => None,
        }
    }
}
