//! What a target holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use smol_str::SmolStr;

use super::{Credential, Domain, EntryId, Mark, NotedAccount, OpenFlow};

/// What one target holds at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// HA's version, where it is known.
    pub version: Option<String>,
    /// Whether it is a folder that does not exist yet: the first change makes it.
    pub is_new: bool,
    /// The integrations that take credentials there.
    pub domains: KnownDomains,
    /// The credentials, in HA's order: of two with one `auth_domain` the later is in force.
    pub credentials: Vec<Credential>,
    /// The linked accounts of all integrations.
    pub config_entries: Vec<ConfigEntry>,
    /// Those that could not be read: they may use any credential of their integration.
    pub unread_accounts: Vec<UnreadAccounts>,
    /// What only a running HA reports; `None` where nothing can be set up.
    pub live: Option<Live>,
}

#[cfg(test)]
impl Observed {
    /// One for tests, that holds nothing.
    pub(crate) fn example() -> Self {
        Self {
            version: None,
            is_new: false,
            domains: KnownDomains::Assumed(BTreeSet::new()),
            credentials: Vec::new(),
            config_entries: Vec::new(),
            unread_accounts: Vec::new(),
            live: None,
        }
    }
}

/// What a running HA reports of set-ups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Whether HA has not finished starting, so that accounts may not be loaded yet.
    pub is_starting: bool,
    /// The config flows in progress that are ours to look after.
    pub flows: Vec<OpenFlow>,
    /// The entries whose linked accounts go with them, as noted there.
    pub removed_with_entry: BTreeSet<Mark>,
    /// Which accounts are those that entries name, as noted there.
    pub accounts: BTreeSet<NotedAccount>,
    /// The integrations of which HA links one account only.
    pub one_account: BTreeSet<Domain>,
    /// Where providers send browsers after consent.
    pub redirect_uri: String,
    /// The integrations of which no set-up is begun, and why.
    pub no_set_up: BTreeMap<Domain, NoSetUp>,
    /// The accounts that HA could not set up, since it did not find the credential they use.
    pub missed: BTreeSet<EntryId>,
    /// The accounts of which HA does not show whether they use a credential or HA Cloud.
    pub cloud_or_own: BTreeSet<EntryId>,
}

/// Why no set-up of an integration is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSetUp {
    /// It needs HA's integration `cloud`, without which HA runs.
    NeedsCloud,
    /// It uses a client of its own, whatever the credentials say.
    IgnoresClient,
}

impl Live {
    /// Whether all that an account needs is a reload: HA did not find its credential, which is there
    /// again. HA may ask for consent still, and stops that when it reloads the account.
    pub fn has_credential_again(&self, account: &ConfigEntry) -> bool {
        account.implementation.is_some() && self.missed.contains(&account.id)
    }
}

impl Observed {
    /// The config entries that use an implementation, in the target's order.
    pub fn users(
        &self,
        domain: &Domain,
        implementation: &str,
    ) -> impl Iterator<Item = &ConfigEntry> {
        self.config_entries.iter().filter(move |entry| {
            entry.domain == *domain && entry.implementation.as_deref() == Some(implementation)
        })
    }
}

/// Which integrations take credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownDomains {
    /// As the target lists them.
    Listed(BTreeSet<Domain>),
    /// Nobody to ask: the built-in list, and what else was found at the target.
    Assumed(BTreeSet<Domain>),
}

impl KnownDomains {
    /// The integrations.
    pub fn all(&self) -> &BTreeSet<Domain> {
        match self {
            Self::Listed(domains) | Self::Assumed(domains) => domains,
        }
    }
}

/// A linked account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// HA's id.
    pub id: EntryId,
    /// The integration.
    pub domain: Domain,
    /// What HA shows.
    pub title: SmolStr,
    /// What HA says of it.
    pub state: EntryState,
    /// Why it is in that state, in HA's words, where HA says so.
    pub reason: Option<String>,
    /// The `auth_domain` or id of its credential, where it has one.
    pub implementation: Option<SmolStr>,
}

/// Linked accounts of which it is not known what they use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnreadAccounts {
    /// One of them.
    One {
        /// Its id, or its number in the list.
        name: String,
        /// The integration, where it could be read.
        domain: Option<Domain>,
    },
    /// All of them: the target has credentials, and no list of accounts.
    All,
}

impl fmt::Display for UnreadAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { name, .. } => write!(f, "the config entry {name} cannot be read"),
            Self::All => f.write_str("the list of config entries is missing"),
        }
    }
}

/// The state of a config entry, in HA's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// Set up and running.
    Loaded,
    /// Not set up.
    NotLoaded,
    /// Not set up, since somebody disabled it.
    Disabled,
    /// On its way.
    SetupInProgress,
    /// Failed; HA tries again.
    SetupRetry,
    /// Failed for good.
    SetupError,
    /// Its integration is ending it.
    UnloadInProgress,
    /// It could not be ended: it runs with what it had until HA is restarted.
    FailedUnload,
    /// In a configuration folder, where nothing runs.
    AtRest,
    /// Any other word.
    Other(String),
}

impl EntryState {
    /// Reads HA's word.
    pub fn from_word(word: &str) -> Self {
        match word {
            "loaded" => Self::Loaded,
            "not_loaded" => Self::NotLoaded,
            "disabled" => Self::Disabled,
            "setup_in_progress" => Self::SetupInProgress,
            "setup_retry" => Self::SetupRetry,
            "setup_error" => Self::SetupError,
            "unload_in_progress" => Self::UnloadInProgress,
            "failed_unload" => Self::FailedUnload,
            "at rest" => Self::AtRest,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for EntryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loaded => "loaded",
            Self::NotLoaded => "not_loaded",
            Self::Disabled => "disabled",
            Self::SetupInProgress => "setup_in_progress",
            Self::SetupRetry => "setup_retry",
            Self::SetupError => "setup_error",
            Self::UnloadInProgress => "unload_in_progress",
            Self::FailedUnload => "failed_unload",
            Self::AtRest => "at rest",
            Self::Other(word) => word,
        })
    }
}
