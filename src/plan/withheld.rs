//! What a plan does not do, each with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use smol_str::SmolStr;

use super::action::Action;
use crate::model::{
    ConfigEntry, CredentialId, Domain, Held, Key, Mark, Owner, Slip, UnreadAccounts, Visible, Wave,
    counted,
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

fn with_ids((key, held): (&Key, &Vec<Held>)) -> String {
    let ids: Vec<&str> = held.iter().map(|held| held.id.as_str()).collect();
    format!("`{key}` ({})", ids.join(", "))
}

fn entry_of(mark: &Mark) -> String {
    format!("entry `{}` of owner `{}`", mark.key, mark.owner)
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

impl fmt::Display for Why {
    #[expect(clippy::too_many_lines, reason = "a table: a text for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { by } => write!(f, "used by {}", linked_accounts(by)),
            Self::MayBeCloud { by } => write!(
                f,
                "Home Assistant does not show whether {} uses it or Home Assistant Cloud",
                linked_accounts(by)
            ),
            Self::UnreadAccounts { unread } => {
                let unread: Vec<String> = unread.iter().map(ToString::to_string).collect();
                write!(f, "an account may use it: {}", unread.join(", "))
            }
            Self::Foreign { held, asked } => {
                write!(f, "{} is a credential of this client that was made by hand", held.id)?;
                asked.as_ref().map_or(Ok(()), |asked| {
                    write!(f, ", and `{}`, which `adopt` names, is none", asked.as_str().visible())
                })
            }
            Self::SeveralByHand { held } => {
                let (count, held) = (held.len(), listed(held.iter().map(described), ", "));
                write!(f, "{count} credentials of this client were made by hand: {held}")
            }
            Self::SeveralRenamed { keys } => write!(
                f,
                "the entry may have been renamed from any of these keys, which no entry has: {}",
                listed(keys.iter().map(with_ids), " and ")
            ),
            Self::ReusedName { reused, key, by } => write!(
                f,
                "{} uses `{reused}` with the client that the entry `{key}` has now",
                linked_accounts(by)
            ),
            Self::UnreadableMark { held } => write!(
                f,
                "{} has a mark that cannot be read, `{}`, so it may be another owner's",
                held.id,
                held.auth_domain.as_deref().unwrap_or_default()
            ),
            Self::Disputed { by } => {
                let by = listed(by.iter().map(entry_of), " and ");
                write!(f, "{by} have claimed it: none of them changes it")
            }
            Self::OtherEntry { key } => write!(
                f,
                "the entry `{key}` has it: accounts that were linked under this key are now linked through that entry"
            ),
            Self::OtherOwner { by } => write!(f, "{} manages it", entry_of(by)),
            Self::OwnerDiffers { held, owner } => write!(
                f,
                "{} has the same key and client, and the owner `{owner}`; if this project made it, `previous_owners: [{owner}]` in appcred.yaml takes it over",
                held.id
            ),
            Self::SeveralEntries { id, keys } => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                write!(
                    f,
                    "an account is linked with `{}`, which no credential has; it may have been of the entry {}",
                    id.visible(),
                    keys.join(" or ")
                )
            }
            Self::NotOwned => f.write_str(
                "internal error: the plan would have changed a credential that is not ours",
            ),
            Self::Emptied { places } => {
                let places =
                    listed(places.iter().map(|place| format!("`{}`", place.visible())), ", ");
                write!(f, "no entry is left in {places}")
            }
            Self::Protected { keys } => {
                let keys = listed(keys.iter().map(|key| format!("`{key}`")), " and ");
                write!(f, "{keys} is protected")
            }
            Self::Suspended => f.write_str("the entry is suspended"),
            Self::OutsideWindows { next } => {
                write!(f, "changes are made only in windows, the next of which begins on {next}")
            }
            Self::EarlierWave { wave, wait } => write!(f, "the target is in {wave}: {wait}"),
            Self::PruneOff => f.write_str("the policy says `prune: none`"),
            Self::TooManyDeletes { planned, allowed } => write!(
                f,
                "{} planned, {allowed} allowed: nothing of this plan is applied",
                counted(*planned, "delete")
            ),
            Self::NothingDesired => f.write_str("no entry is left for this target"),
            Self::LostBySlip { key, slip } => {
                write!(f, "the entry `{key}` {slip}")
            }
            Self::Unread => {
                f.write_str("an entry that could not be read or planned may want this one")
            }
            Self::Unidentified { keys } => {
                let keys = listed(keys.iter().map(|key| format!("`{key}`")), " and ");
                write!(
                    f,
                    "the client id of {keys} is not known here, and that entry may want this one"
                )
            }
            Self::NeedsCloud => f.write_str(
                "its set-up needs Home Assistant's integration `cloud`, which is not loaded there",
            ),
            Self::IgnoresClient => f.write_str(
                "the integration uses a client of its own, whatever this credential says",
            ),
            Self::SeveralAccounts { accounts } => write!(
                f,
                "it may be any of {} ({})",
                linked_accounts(accounts),
                listed(accounts.iter().map(|account| account.id.to_string()), ", ")
            ),
            Self::OneAccount => {
                f.write_str("this Home Assistant links only one account of the integration")
            }
            Self::UnknownIntegration { domain, suggestion, .. } => {
                let near = suggestion.iter().map(|near| format!(": did you mean `{near}`?"));
                write!(f, "unknown integration `{domain}`{}", near.collect::<String>())
            }
            Self::NotSelected { needed } => {
                write!(f, "it needs `{needed}`, which is not selected")
            }
        }
    }
}

fn listed(texts: impl Iterator<Item = String>, between: &str) -> String {
    texts.collect::<Vec<_>>().join(between)
}

/// `spotify_a "Family"`, with what else distinguishes it from others of its client.
fn described(held: &Held) -> String {
    let name = held.name.as_deref().unwrap_or("without a name");
    match &held.auth_domain {
        Some(auth_domain) => format!("{} \"{name}\" (auth_domain `{auth_domain}`)", held.id),
        None => format!("{} \"{name}\"", held.id),
    }
}

/// `the linked account "Anna"`, `the linked accounts "Anna" and "Ben"`.
pub fn linked_accounts(entries: &[ConfigEntry]) -> String {
    let titles: Vec<String> = entries.iter().map(|entry| format!("\"{}\"", entry.title)).collect();
    match titles.as_slice() {
        [] => "no linked account".to_owned(),
        [one] => format!("the linked account {one}"),
        [all @ .., last] => format!("the linked accounts {} and {last}", all.join(", ")),
    }
}
