//! What both files may hold: the one list of their fields, with the fields' documentation. The JSON Schemas
//! for editors are made from these types, and what reads the files asks them which fields there are.

use std::collections::BTreeMap;

use std::sync::LazyLock;

use schemars::{JsonSchema, Schema};
use serde_json::{Value as Json, json};

use crate::schema::{field_names, of_input};
use crate::target::{KINDS, TargetInput};

/// The schema of manifests.
pub fn manifest() -> Schema {
    let mut schema = of_input::<ManifestInput>();
    // A list from which the last entry was taken is empty, which YAML writes as nothing.
    if let Some(list) = schema.pointer_mut("/properties/application_credentials") {
        list["type"] = json!(["array", "null"]);
    }
    schema
}

/// The schema of the project file.
pub fn project() -> Schema {
    of_input::<ProjectInput>()
}

/// A mapping of one of the files.
pub(super) trait FieldNames: JsonSchema {
    /// The names of its fields, in the order in which they are described.
    fn names() -> &'static [String];
}

macro_rules! fields {
    ($($mapping:ty),*) => {
        $(impl FieldNames for $mapping {
            fn names() -> &'static [String] {
                static NAMES: LazyLock<Vec<String>> = LazyLock::new(field_names::<$mapping>);
                &NAMES
            }
        })*
    };
}

fields!(
    ManifestInput,
    EntryInput,
    IntegrationInput,
    ProjectInput,
    AgeInput,
    PolicyInput,
    WebhookInput
);

impl FieldNames for TargetInput {
    fn names() -> &'static [String] {
        static NAMES: LazyLock<Vec<String>> =
            LazyLock::new(|| KINDS.iter().flat_map(|kind| (kind.fields)()).collect());
        &NAMES
    }
}

/// The OAuth credentials that Home Assistant is to hold.
#[derive(JsonSchema)]
#[schemars(title = "appcred manifest", deny_unknown_fields)]
pub struct ManifestInput {
    /// The wanted credentials, one item each.
    pub application_credentials: Option<Vec<EntryInput>>,
    /// What SOPS keeps in a file that it encrypted.
    pub sops: Option<BTreeMap<String, Json>>,
}

/// One wanted credential.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EntryInput {
    /// The integration, by the name that Home Assistant gives it, as in `spotify` or `home_connect`.
    #[schemars(regex(pattern = "^[a-z0-9_]+$"))]
    pub domain: String,
    /// What Home Assistant shows. The domain where it is left out.
    #[schemars(regex(pattern = r"\S"))]
    pub name: Option<String>,
    /// The entry's own name, which must stay the same and be the only one of its kind. A slug of the
    /// name where it is left out.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,100}$"))]
    pub key: Option<String>,
    /// Keys that the entry had before. Their credentials move to this entry, and no account has to
    /// consent again.
    pub formerly: Option<Vec<NameInput>>,
    /// The OAuth client id, as the provider shows it. Quote it if it has nothing but digits.
    #[schemars(regex(pattern = r"^\S([\s\S]*\S)?\n*$"))]
    pub client_id: String,
    /// The OAuth client secret: an armored age file behind `|`, or `!env_var NAME`, `!secret NAME` or
    /// `!file PATH`. In plain text only where the project allows it.
    #[schemars(regex(pattern = r"^\S([\s\S]*\S)?\n*$"))]
    pub client_secret: String,
    /// Whether a credential of this client that was created by hand is taken over. `false` where it is
    /// left out.
    pub adopt: Option<bool>,
    /// What to do with the integration once its credential exists.
    pub integration: Option<IntegrationInput>,
    /// The targets on which the credential is wanted. All of them where it is left out.
    #[schemars(length(min = 1))]
    pub targets: Option<Vec<String>>,
}

/// What to do with the integration once its credential exists.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IntegrationInput {
    /// Whether the integration's set-up is started. `true` where it is left out.
    pub setup: Option<bool>,
    /// The implementation that links the account where Home Assistant offers several. The entry's own credential
    /// where it is left out.
    pub implementation: Option<ImplementationInput>,
    /// What to fill into the forms of the set-up: by step, then by field.
    pub answers: Option<BTreeMap<String, BTreeMap<String, Json>>>,
    /// What happens to the linked account when this entry is gone. It stays where this is left out.
    pub on_delete: Option<OnDeleteInput>,
    /// The provider's token endpoint, where client id and secret can be tried before anybody consents.
    #[schemars(regex(pattern = r"^https?://\S+$"))]
    pub token_url: Option<String>,
}

/// The implementation that links an account.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum ImplementationInput {
    /// Home Assistant Cloud.
    Cloud,
    /// The answer to `pick_implementation` under `answers`; the set-up waits for it.
    Ask,
}

/// What happens to a linked account.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum OnDeleteInput {
    /// It is removed from Home Assistant before its credential is.
    RemoveIntegration,
}

/// The project: whose credentials these are, where they are wanted, and what a plan may do.
#[derive(JsonSchema)]
#[schemars(title = "appcred project", deny_unknown_fields)]
pub struct ProjectInput {
    /// In whose name credentials are managed. Another project for the same Home Assistant needs
    /// another owner. `default` where it is left out.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,100}$"))]
    pub owner: Option<String>,
    /// Names that `owner` had before. Their credentials move to this owner where they have an entry, and
    /// no account has to consent again.
    pub previous_owners: Option<Vec<NameInput>>,
    /// Manifests, and folders of them. Where it is left out: `credentials/`, `credentials.yaml`,
    /// `application_credentials/` and `application_credentials.yaml`, as far as they exist.
    pub manifests: Option<Vec<TextInput>>,
    /// Where credentials are provisioned, by name. Where it is left out, the environment names the only
    /// target.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9._-]{1,100}$" }))]
    pub targets: Option<BTreeMap<String, TargetInput>>,
    /// How secrets are encrypted.
    pub age: Option<AgeInput>,
    /// What a plan may do.
    pub policy: Option<PolicyInput>,
    /// Where `appcred watch` sends notifications: `home_assistant`, `{webhook: URL}`, or a list of these.
    pub notify: Option<NotifyInput>,
    /// Custom integrations that take credentials, by their domains.
    pub custom_integrations: Option<Vec<DomainInput>>,
    /// Whether secrets may be in plain text in these files. `false` where it is left out.
    pub allow_plaintext: Option<bool>,
    /// Whether `!file` may name files outside of the project. `false` where it is left out.
    pub allow_outside_files: Option<bool>,
    /// What SOPS keeps in a file that it encrypted.
    pub sops: Option<BTreeMap<String, Json>>,
}

/// A text that is not empty.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct TextInput(#[schemars(regex(pattern = r"\S"))] pub String);

/// A key or an owner.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct NameInput(#[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,100}$"))] pub String);

/// The name of an integration.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct DomainInput(#[schemars(regex(pattern = "^[a-z0-9_]+$"))] pub String);

/// How secrets are encrypted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AgeInput {
    /// To whom secrets are encrypted: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`.
    pub recipients: Option<Vec<RecipientInput>>,
    /// Files with the identities that decrypt them.
    pub identities: Option<Vec<TextInput>>,
}

/// A recipient, who can decrypt.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct RecipientInput(#[schemars(regex(pattern = "^(age1|ssh-ed25519 |ssh-rsa )"))] pub String);

/// What a plan may do.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PolicyInput {
    /// Which credentials are deleted once no entry declares them. `managed` where it is left out.
    pub prune: Option<PruneInput>,
    /// How many deletes one plan may have, as `3` or `20%`. No limit where it is left out.
    pub max_deletes: Option<MaxDeletesInput>,
    /// Whether everything may be deleted when no entry is left. `false` where it is left out.
    pub allow_empty: Option<bool>,
    /// What `appcred watch` does about changes that were made at a target by hand. `repair` where it is
    /// left out.
    pub on_drift: Option<OnDriftInput>,
}

/// What is done about a difference that no manifest has caused.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum OnDriftInput {
    /// It is repaired.
    Repair,
    /// It is only reported.
    Report,
}

/// Where a watcher sends notifications.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum NotifyInput {
    /// One recipient.
    One(NotifyTargetInput),
    /// Several recipients.
    Several(Vec<NotifyTargetInput>),
}

/// One recipient of notifications.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum NotifyTargetInput {
    /// A notification in Home Assistant while an account waits for consent.
    HomeAssistant(HomeAssistantNotify),
    /// JSON is posted to a web address.
    Webhook(WebhookInput),
}

/// Home Assistant's own notifications.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum HomeAssistantNotify {
    /// A notification in Home Assistant.
    HomeAssistant,
}

/// A web address to which JSON is posted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WebhookInput {
    /// The address in plain text, or by `!secret NAME`, `!env_var NAME` or `!file PATH`.
    #[schemars(regex(pattern = r"^\S([\s\S]*\S)?\n*$"))]
    pub webhook: String,
}

/// What may be deleted.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum PruneInput {
    /// What this owner manages.
    Managed,
    /// Nothing.
    None,
    /// What this owner manages, and what has no owner.
    All,
}

/// A limit of deletes.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum MaxDeletesInput {
    /// A number.
    Count(u32),
    /// A percentage.
    Percent(#[schemars(regex(pattern = "^(100|[0-9]{1,2})%$"))] String),
}

#[cfg(test)]
mod tests {
    use super::{AgeInput, EntryInput, FieldNames, ProjectInput, WebhookInput};
    use crate::target::TargetInput;

    #[test]
    fn the_names_of_fields_are_those_of_the_types() {
        assert_eq!(AgeInput::names(), ["recipients", "identities"]);
        assert_eq!(WebhookInput::names(), ["webhook"]);
        assert_eq!(EntryInput::names()[..3], ["domain", "name", "key"]);
        let target = TargetInput::names();
        assert!(target.iter().any(|name| name == "url"), "{target:?}");
        assert!(target.iter().any(|name| name == "config_dir"), "{target:?}");
        assert_eq!(ProjectInput::names()[0], "owner");
    }
}
