//! What one step does, all of it, as a saved plan has it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codes::{ActionCode, ReasonCode};
use crate::model::{AccountName, ConfigEntry, Held, Key, Seal};
use crate::plan::{Action, Adoption, Reason, Step, Wanted, Withheld};

/// One thing that is done, or is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedChange {
    /// What is done.
    action: ActionCode,
    /// The entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The credential that is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new: Option<PlannedCredential>,
    /// A digest of the ciphertext of its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret_ciphertext: Option<String>,
    /// The credentials that go, or that are shadowed.
    old: Vec<PlannedCredential>,
    /// Why.
    reasons: Vec<ReasonCode>,
    /// The config entries that are reloaded.
    reloads: Vec<String>,
    /// The config entries that are removed, or that need consent again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<String>,
    /// The credential that a linked account uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uses: Option<PlannedCredential>,
    /// What the entry calls the linked account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_name: Option<String>,
    /// The config flow that is aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// Whether linked accounts go with the entry from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removes_accounts: Option<bool>,
}

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlannedCredential {
    /// Home Assistant's id; a new one has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The integration.
    domain: String,
    /// The OAuth2 client id.
    client_id: String,
    /// As Home Assistant shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The key by which linked accounts find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_domain: Option<String>,
}

impl PlannedChange {
    pub(super) fn in_words(&self) -> String {
        let credential = self.new.as_ref().or(self.uses.as_ref()).or(self.old.first());
        let named = credential.map(|credential| {
            let name = credential.name.as_deref().unwrap_or(&credential.client_id);
            format!(" {} \"{name}\"", credential.domain)
        });
        let entry = self.key.as_ref().filter(|_| named.is_none());
        let entry = entry.map(|key| format!(" for `{key}`"));
        let account = self.account_name.as_ref().map(|name| format!(" for {name}"));
        let parts = [named, entry, account].into_iter().flatten();
        parts.fold(spaced(self.action.as_str()), |words, part| words + &part)
    }

    /// What it has that another of the same words has not.
    pub(super) fn details_beside(&self, other: &Self) -> String {
        let of_other = other.details();
        let own = self.details().into_iter().filter(|detail| !of_other.contains(detail));
        let own: Vec<String> = own.collect();
        if own.is_empty() { String::new() } else { format!(" ({})", own.join(", ")) }
    }

    fn details(&self) -> Vec<String> {
        let entry = self.key.as_ref().map(|key| format!("entry `{key}`"));
        let credential = self.new.as_ref().or(self.uses.as_ref());
        let client = credential.map(|credential| format!("client id {}", credential.client_id));
        let accounts = self.accounts.iter().map(|id| format!("config entry {id}"));
        let flow = self.flow.as_ref().map(|id| format!("config flow {id}"));
        let policy = self.removes_accounts.map(|removes| match removes {
            true => "linked accounts go with the entry".to_owned(),
            false => "linked accounts stay".to_owned(),
        });
        let secret = self.client_secret_ciphertext.as_deref().and_then(|text| text.get(..8));
        let secret =
            secret.map(|start| format!("with the secret whose ciphertext has the digest {start}…"));
        let reasons = self.reasons.iter().map(|reason| spaced(reason.as_str()));
        let of_step = entry.into_iter().chain(client).chain(accounts).chain(flow).chain(policy);
        of_step.chain(reasons).chain(secret).collect()
    }
}

/// A code in words.
fn spaced(code: &str) -> String {
    code.replace('_', " ")
}

pub(super) fn step_of(step: &Step, seals: &BTreeMap<Key, Seal>) -> PlannedChange {
    let ciphertext = step.action.created().and_then(|wanted| seals.get(&wanted.key));
    PlannedChange {
        client_secret_ciphertext: ciphertext.map(|seal| seal.to_string()),
        reasons: step.reasons.iter().map(|reason| code(*reason)).collect(),
        reloads: step.reload.iter().map(|entry| entry.id.as_str().to_owned()).collect(),
        ..change_of(&step.action)
    }
}

pub(super) fn withheld_of(withheld: &Withheld) -> PlannedChange {
    change_of(&withheld.action)
}

/// All that an action does. It names each field of each action, so that a new one cannot be left out.
fn change_of(action: &Action) -> PlannedChange {
    let change = PlannedChange {
        action: action.code(),
        key: action.for_entry().map(|wanted| wanted.key.to_string()),
        new: None,
        client_secret_ciphertext: None,
        old: Vec::new(),
        reasons: Vec::new(),
        reloads: Vec::new(),
        accounts: Vec::new(),
        uses: None,
        account_name: None,
        flow: None,
        removes_accounts: None,
    };
    let of_account =
        |wanted: &Wanted, name: Option<&AccountName>, account: Option<&ConfigEntry>| {
            PlannedChange {
                uses: Some(wanted_of(wanted)),
                account_name: name.map(|name| name.as_str().to_owned()),
                accounts: account.map(id_of).into_iter().collect(),
                ..change.clone()
            }
        };
    match action {
        Action::Create { wanted } => PlannedChange { new: Some(wanted_of(wanted)), ..change },
        // How one is adopted is in the code of the action.
        Action::Replace { wanted, old }
        | Action::Claim { wanted, old }
        | Action::Adopt { wanted, old, how: Adoption::TakeOver | Adoption::Shadow } => {
            let (new, old) = (Some(wanted_of(wanted)), old.iter().map(held_of).collect());
            PlannedChange { new, old, ..change }
        }
        Action::Delete { old, remove } => PlannedChange {
            old: vec![held_of(old)],
            accounts: remove.iter().map(id_of).collect(),
            ..change
        },
        // Whether an open flow goes on or a new one is begun is the same to who links the account.
        Action::SetUp { wanted, name, account, open: _ } => {
            of_account(wanted, name.as_ref(), account.as_ref())
        }
        Action::Reload { wanted, account } => of_account(wanted, None, Some(account)),
        Action::NoteAccount { wanted, name, account }
        | Action::RemoveAccount { wanted, name, account } => {
            of_account(wanted, Some(name), Some(account))
        }
        Action::SetDeletePolicy { wanted, removes } => {
            PlannedChange { removes_accounts: Some(*removes), ..of_account(wanted, None, None) }
        }
        Action::Abandon { flow } => {
            let of = action.set_up_id();
            let account = of.as_ref().and_then(|of| of.account.as_ref());
            PlannedChange {
                key: of.as_ref().map(|of| of.key.to_string()),
                account_name: account.map(|name| name.as_str().to_owned()),
                flow: Some(flow.id.as_str().to_owned()),
                ..change
            }
        }
    }
}

fn id_of(account: &ConfigEntry) -> String {
    account.id.as_str().to_owned()
}

fn wanted_of(wanted: &Wanted) -> PlannedCredential {
    PlannedCredential {
        id: None,
        domain: wanted.domain.as_str().to_owned(),
        client_id: wanted.client_id.as_str().to_owned(),
        name: Some(wanted.name.to_string()),
        auth_domain: Some(wanted.auth_domain.as_str().to_owned()),
    }
}

fn held_of(held: &Held) -> PlannedCredential {
    PlannedCredential {
        id: Some(held.id.as_str().to_owned()),
        domain: held.domain.as_str().to_owned(),
        client_id: held.client_id.as_str().to_owned(),
        name: held.name.as_ref().map(ToString::to_string),
        auth_domain: held.auth_domain.as_ref().map(ToString::to_string),
    }
}

/// Without a key it is not known whether a secret that was encrypted again is another one: a plan
/// that was made with a key must hold beside one that was not.
fn code(reason: Reason) -> ReasonCode {
    match reason {
        Reason::SecretReencrypted => ReasonCode::SecretDiffers,
        other => other.code(),
    }
}
