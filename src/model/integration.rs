//! What becomes of an integration once its credential exists.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::AccountName;

/// What to fill into the forms of a set-up, by step and field.
pub type Answers = BTreeMap<String, BTreeMap<String, Value>>;

/// What an entry says of its integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// Whether its set-up is started.
    pub setup: bool,
    /// The accounts that are linked through the one credential; any one where there is none.
    pub accounts: Vec<AccountName>,
    /// By which account linking.
    pub implementation: Implementation,
    /// What to fill into the forms of its set-up.
    pub answers: Answers,
    /// What happens to it when the entry is gone.
    pub on_delete: OnDelete,
    /// Where the provider can be asked whether client id and secret are right.
    pub token_url: Option<String>,
    /// Where it can be asked whether client id and redirect URI are registered.
    pub authorize_url: Option<String>,
}

impl Default for Integration {
    fn default() -> Self {
        Self {
            setup: true,
            accounts: Vec::new(),
            implementation: Implementation::Credential,
            answers: BTreeMap::new(),
            on_delete: OnDelete::Keep,
            token_url: None,
            authorize_url: None,
        }
    }
}

/// The implementation that links an account where Home Assistant offers several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Implementation {
    /// The entry's own credential.
    #[serde(skip)]
    Credential,
    /// Home Assistant Cloud.
    Cloud,
    /// The answer to `pick_implementation` under `answers`; the set-up waits for it.
    Ask,
}

/// What happens to the linked account when its entry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// It stays.
    #[serde(skip)]
    Keep,
    /// It is removed from Home Assistant before its credential is.
    RemoveIntegration,
}
