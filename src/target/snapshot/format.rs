//! The file of a snapshot, and what it says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Recorded, Snapshot};
use crate::model::{
    ClientId, ConfigEntry, Credential, CredentialId, Domain, EntryId, EntryState, KnownDomains,
    KnownSecret, Observed, Seal, SealedClients, Seals, TargetName, UnreadAccounts, to_json,
};

const FORMAT_VERSION: u32 = 1;
/// What a snapshot says that it is.
pub const KIND: &str = "appcred snapshot";

/// What is known of targets at one moment, without any secret.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(title = "appcred snapshot")]
pub(super) struct SnapshotDocument<T = SnapshotTarget> {
    /// `appcred snapshot`.
    kind: String,
    /// Changes when a field changes its meaning or goes; new fields may come at any time.
    format_version: u32,
    /// When it was taken, as in `2026-11-23T22:41:48Z`.
    taken_at: String,
    /// The targets.
    targets: Vec<T>,
}

/// One target.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotTarget {
    /// Its name in the project file.
    name: String,
    /// The version of Home Assistant there, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    home_assistant_version: Option<String>,
    /// Where it could not be reached when the snapshot was taken: when that began. The rest is as it was until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreachable_since: Option<String>,
    /// Who says which integrations take credentials there.
    domains_known_by: KnownBy,
    /// The integrations that take credentials there.
    domains: Vec<String>,
    /// The credentials, in the target's order.
    credentials: Vec<SnapshotCredential>,
    /// The linked accounts that use a credential.
    config_entries: Vec<SnapshotAccount>,
    /// The linked accounts that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread_accounts: Vec<SnapshotUnread>,
}

/// Who says which integrations take credentials.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KnownBy {
    /// Home Assistant itself.
    HomeAssistant,
    /// The list that appcred has built in.
    BuiltInList,
}

/// One credential.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct SnapshotCredential {
    /// Home Assistant's id.
    #[schemars(with = "String")]
    id: SmolStr,
    /// The integration.
    #[schemars(with = "String")]
    domain: SmolStr,
    /// As Home Assistant shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    name: Option<SmolStr>,
    /// The OAuth2 client id, which is no secret.
    #[schemars(with = "String")]
    client_id: SmolStr,
    /// The key by which linked accounts find it: `appcred:OWNER:KEY` where appcred manages it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    auth_domain: Option<SmolStr>,
    /// Who manages it, read from `auth_domain` for convenience.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// The linked accounts that use it, for convenience.
    used_by: Vec<String>,
    /// A digest of the ciphertext in the manifest that was found to hold its client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id_ciphertext: Option<String>,
    /// A digest of the ciphertext in the manifest that was found to hold its secret. Nothing else of
    /// a secret is in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_ciphertext: Option<String>,
}

/// One linked account.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct SnapshotAccount {
    /// Home Assistant's id of its config entry.
    entry_id: String,
    /// The integration.
    domain: String,
    /// As Home Assistant shows it.
    #[schemars(with = "String")]
    title: SmolStr,
    /// What Home Assistant says of it, such as `loaded`.
    state: String,
    /// The `auth_domain` or id of its credential.
    #[schemars(with = "String")]
    implementation: SmolStr,
}

/// A linked account that could not be read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct SnapshotUnread {
    /// Its id, or its number in the list; none where the list itself was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The integration, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
}

impl From<&UnreadAccounts> for SnapshotUnread {
    fn from(unread: &UnreadAccounts) -> Self {
        match unread {
            UnreadAccounts::One { name, domain } => {
                let domain = domain.as_ref().map(|domain| domain.as_str().to_owned());
                Self { name: Some(name.clone()), domain }
            }
            UnreadAccounts::All => Self { name: None, domain: None },
        }
    }
}

impl From<SnapshotUnread> for UnreadAccounts {
    fn from(SnapshotUnread { name, domain }: SnapshotUnread) -> Self {
        match name {
            Some(name) => Self::One { name, domain: domain.map(Domain::new) },
            None => Self::All,
        }
    }
}

/// Why a text is no snapshot. It never repeats the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum SnapshotError {
    #[error("it is not JSON (line {line}, column {column})")]
    Syntax { line: usize, column: usize },
    #[error("it is not a snapshot: take one with `appcred snapshot`")]
    Kind,
    #[error(
        "it is a snapshot of format {0}, and this appcred reads format {FORMAT_VERSION}: use the appcred that took it, or take a new one"
    )]
    Version(u32),
    #[error("a field is missing or of the wrong kind (line {line}, column {column})")]
    Shape { line: usize, column: usize },
    #[error("`taken_at` or `unreachable_since` is not a time")]
    Time,
    #[error("a digest of a ciphertext has the wrong form")]
    Digest,
}

/// The file of a snapshot.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn write<'p>(
    taken_at: Timestamp,
    targets: impl Iterator<Item = &'p SnapshotTarget>,
) -> serde_json::Result<String> {
    let document = SnapshotDocument {
        kind: KIND.to_owned(),
        format_version: FORMAT_VERSION,
        taken_at: written(taken_at),
        targets: targets.collect(),
    };
    to_json(&document)
}

fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl SnapshotTarget {
    /// It cannot be reached at this time. Answers whether it could be before.
    pub fn set_unreachable(&mut self, now: Timestamp) -> bool {
        let was_reached = self.unreachable_since.is_none();
        self.unreachable_since.get_or_insert_with(|| written(now));
        was_reached
    }

    /// What was found there. `seals` has, for each of its credentials in order, what was found to be the same
    /// as in a manifest.
    pub fn of(name: &TargetName, observed: &Observed, seals: &[Seals]) -> Self {
        let credentials = observed.credentials.iter().enumerate().map(|(at, credential)| {
            let seals = seals.get(at).cloned().unwrap_or_default();
            let users = observed.users(&credential.domain, credential.implementation());
            SnapshotCredential {
                id: credential.id.as_str().into(),
                domain: credential.domain.as_str().into(),
                name: credential.name.clone(),
                client_id: credential.client_id.as_str().into(),
                auth_domain: credential.auth_domain.clone(),
                owner: credential.mark().map(|mark| mark.owner.to_string()),
                used_by: users.map(|entry| entry.id.as_str().to_owned()).collect(),
                client_id_ciphertext: seals.client_id.map(|seal| seal.to_string()),
                client_secret_ciphertext: seals.client_secret.map(|seal| seal.to_string()),
            }
        });
        let linked = observed.config_entries.iter().filter_map(|entry| {
            Some(SnapshotAccount {
                entry_id: entry.id.as_str().to_owned(),
                domain: entry.domain.as_str().to_owned(),
                title: entry.title.clone(),
                state: entry.state.to_string(),
                implementation: entry.implementation.clone()?,
            })
        });
        let domains = observed.domains.all();
        Self {
            name: name.as_str().to_owned(),
            home_assistant_version: observed.version.clone(),
            unreachable_since: None,
            domains_known_by: match observed.domains {
                KnownDomains::Listed(_) => KnownBy::HomeAssistant,
                KnownDomains::Assumed(_) => KnownBy::BuiltInList,
            },
            domains: domains.iter().map(ToString::to_string).collect(),
            credentials: credentials.collect(),
            config_entries: linked.collect(),
            unread_accounts: observed.unread_accounts.iter().map(SnapshotUnread::from).collect(),
        }
    }
}

pub(super) fn read(text: &str) -> Result<Snapshot, SnapshotError> {
    // It is large, so that only one that is damaged is read twice.
    let document: SnapshotDocument =
        serde_json::from_str(text).map_err(|error| damage(text, &error))?;
    check(&document.kind, document.format_version)?;
    let taken_at = document.taken_at.parse().map_err(|_| SnapshotError::Time)?;
    let mut targets = BTreeMap::new();
    for target in document.targets {
        targets.insert(TargetName::new(target.name.clone()), recorded(target)?);
    }
    Ok(Snapshot { taken_at, targets })
}

fn check(kind: &str, format_version: u32) -> Result<(), SnapshotError> {
    if kind != KIND {
        return Err(SnapshotError::Kind);
    }
    if format_version != FORMAT_VERSION {
        return Err(SnapshotError::Version(format_version));
    }
    Ok(())
}

/// Why a text is none, by its first fields; serde's own message repeats values.
fn damage(text: &str, error: &serde_json::Error) -> SnapshotError {
    #[derive(Deserialize)]
    struct Head {
        kind: String,
        format_version: u32,
    }
    match serde_json::from_str::<Head>(text) {
        Ok(Head { kind, format_version }) => check(&kind, format_version)
            .err()
            .unwrap_or(SnapshotError::Shape { line: error.line(), column: error.column() }),
        Err(error) => match error.classify() {
            serde_json::error::Category::Data => SnapshotError::Kind,
            _ => SnapshotError::Syntax { line: error.line(), column: error.column() },
        },
    }
}

fn recorded(target: SnapshotTarget) -> Result<Recorded, SnapshotError> {
    let domains = target.domains.into_iter().map(Domain::new).collect();
    let mut clients = SealedClients::new();
    let mut credentials = Vec::with_capacity(target.credentials.len());
    for held in target.credentials {
        let seal = |text: Option<String>| {
            text.map(|text| Seal::parse(&text).ok_or(SnapshotError::Digest)).transpose()
        };
        let (domain, client_id) = (Domain::new(held.domain), ClientId::new(held.client_id));
        if let Some(seal) = seal(held.client_id_ciphertext)? {
            clients.insert((domain.clone(), seal), client_id.clone());
        }
        let secret = seal(held.client_secret_ciphertext)?;
        credentials.push(Credential {
            id: CredentialId::new(held.id),
            domain,
            client_id,
            client_secret: secret.map_or(KnownSecret::Unknown, KnownSecret::Sealed),
            name: held.name,
            auth_domain: held.auth_domain,
        });
    }
    let linked = |linked: SnapshotAccount| ConfigEntry {
        id: EntryId::new(linked.entry_id),
        domain: Domain::new(linked.domain),
        title: linked.title,
        state: EntryState::from_word(&linked.state),
        implementation: Some(linked.implementation),
        reason: None,
    };
    let since = target.unreachable_since.map(|since| since.parse());
    let unreachable_since = since.transpose().map_err(|_| SnapshotError::Time)?;
    let observed = Observed {
        version: target.home_assistant_version,
        is_new: false,
        domains: match target.domains_known_by {
            KnownBy::HomeAssistant => KnownDomains::Listed(domains),
            KnownBy::BuiltInList => KnownDomains::Assumed(domains),
        },
        credentials,
        config_entries: target.config_entries.into_iter().map(linked).collect(),
        unread_accounts: target.unread_accounts.into_iter().map(UnreadAccounts::from).collect(),
        live: None,
    };
    Ok(Recorded { observed, clients, unreachable_since })
}
