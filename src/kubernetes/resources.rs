//! The custom resources: from these types objects are read, and the cluster's definitions are made, with the fields'
//! documentation. What a manifest has as well means the same here.
#![allow(clippy::duplicated_attributes, reason = "each column of a table has a type")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::as_stored::MayBeUnreadable;
use crate::field::{BaseUrl, Text, TokenUrl};
use crate::model::{AccountName, Domain};

/// An annotation: where its value changes, the object is looked at at once.
pub(super) const RECONCILE_AT: &str = "appcred.io/reconcile-at";
/// What keeps an object until what it represents is deleted.
pub(super) const FINALIZER: &str = "appcred.io/finalizer";

/// A running Home Assistant, and how it is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "appcred.io",
    version = "v1alpha1",
    kind = "HomeAssistant",
    doc = "A running Home Assistant, and how it is reached.",
    root = "InstanceObject",
    plural = "homeassistants",
    namespaced,
    status = "InstanceStatus",
    shortname = "hass",
    category = "appcred",
    derive = "PartialEq",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceSpec {
    /// Its address, as in `https://ha.example:8123`.
    #[schemars(with = "Text<BaseUrl>")]
    pub(super) url: String,
    /// The Secret with a long-lived access token of an administrator.
    pub(super) token_secret_ref: SecretKeyRef,
    /// The Secret with certificates (PEM) of authorities that are trusted beside the system's, as of a server that has
    /// its certificate from one of your own.
    pub(super) ca_secret_ref: Option<SecretKeyRef>,
    /// Whether nothing is changed there for now: it is not even connected to.
    #[serde(default)]
    pub(super) suspend: bool,
    /// What happens there to the credentials of the namespace once this object is deleted.
    #[serde(default = "retain")]
    pub(super) deletion_policy: DeletionPolicy,
    /// How many credentials may be deleted there at once, as in `3` or `20%`, and linked accounts with them; where it
    /// would be more, none is. Default: any number, but labels alone never take the last one away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "number_or_percentage")]
    pub(super) max_deletes: Option<IntOrString>,
    /// Why it cannot be read. Then all else is as if nothing were wanted.
    #[serde(skip)]
    pub(super) unreadable: Option<String>,
}

impl MayBeUnreadable for InstanceSpec {
    fn unreadable(why: String) -> Self {
        Self {
            url: String::new(),
            token_secret_ref: SecretKeyRef::default(),
            ca_secret_ref: None,
            suspend: true,
            deletion_policy: DeletionPolicy::Retain,
            max_deletes: None,
            unreadable: Some(why),
        }
    }
}

/// One wanted credential of an integration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "appcred.io",
    version = "v1alpha1",
    kind = "ApplicationCredential",
    doc = "One wanted credential of an integration.",
    root = "CredentialObject",
    plural = "applicationcredentials",
    namespaced,
    status = "CredentialStatus",
    shortname = "acred",
    category = "appcred",
    derive = "PartialEq",
    validation = Rule::new("self.spec.domain == oldSelf.spec.domain")
        .message("domain cannot be changed: delete the object, and create another one"),
    validation = Rule::new("size(self.metadata.name) <= 100")
        .message("the name is the key of the credential, and has 100 characters at most"),
    printcolumn(name = "Integration", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets.total"),
    printcolumn(name = "Synced", type_ = "integer", json_path = ".status.targets.synced"),
    printcolumn(name = "Consent", type_ = "integer", json_path = ".status.targets.consentRequired"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub(super) struct CredentialSpec {
    /// The integration, by the name that Home Assistant gives it, as in `spotify` or `home_connect`.
    #[schemars(with = "Text<Domain>")]
    pub(super) domain: String,
    /// What Home Assistant shows. Default: the domain.
    pub(super) name: Option<String>,
    /// The OAuth client id, as the provider shows it.
    #[schemars(length(min = 1))]
    pub(super) client_id: String,
    /// The Secret with the OAuth client secret.
    pub(super) client_secret_ref: SecretKeyRef,
    /// The HomeAssistants of this namespace on which the credential is wanted, by their labels; `{}` means all of them.
    pub(super) target_selector: LabelSelector,
    /// Whether a credential of this client that was created by hand is taken over.
    #[serde(default)]
    pub(super) adopt: bool,
    /// Whether its credential is neither deleted nor replaced.
    #[serde(default)]
    pub(super) protect: bool,
    /// Whether nothing of it is changed for now.
    #[serde(default)]
    pub(super) suspend: bool,
    /// What happens to the credential once this object is deleted, or no longer selects a HomeAssistant.
    #[serde(default = "delete")]
    pub(super) deletion_policy: DeletionPolicy,
    /// How many of the HomeAssistants that have the credential may lose it at once, since a label or `targetSelector`
    /// was changed, as in `3` or `20%`. Where it would be more, none does, and no other one gets it. Default: `25%`,
    /// rounded up. It is no limit once this object is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "number_or_percentage")]
    pub(super) max_deletes: Option<IntOrString>,
    /// The accounts that are linked through this credential, each by a consent of its own. Default: one account,
    /// whichever that is.
    #[serde(default)]
    #[schemars(with = "Vec<Text<AccountName>>")]
    pub(super) accounts: Vec<String>,
    /// What to do with the integration once its credential exists.
    #[serde(default)]
    pub(super) integration: IntegrationSpec,
    /// Why it cannot be read. Then all else is as if nothing were wanted.
    #[serde(skip)]
    pub(super) unreadable: Option<String>,
}

impl CredentialSpec {
    /// The client id, as Home Assistant keeps it: without the white space around it.
    pub(super) fn client_id(&self) -> &str {
        self.client_id.trim()
    }
}

impl MayBeUnreadable for CredentialSpec {
    fn unreadable(why: String) -> Self {
        Self {
            domain: String::new(),
            name: None,
            client_id: String::new(),
            client_secret_ref: SecretKeyRef::default(),
            target_selector: LabelSelector::default(),
            adopt: false,
            protect: true,
            suspend: true,
            deletion_policy: DeletionPolicy::Delete,
            max_deletes: None,
            accounts: Vec::new(),
            integration: IntegrationSpec::default(),
            unreadable: Some(why),
        }
    }
}

/// What to do with the integration once its credential exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct IntegrationSpec {
    /// Whether the integration's set-up is started.
    pub(super) setup: bool,
    /// What links the account where Home Assistant offers several ways.
    pub(super) implementation: LinkedThrough,
    /// What to fill into the forms of the set-up: by step, then by field.
    #[schemars(schema_with = "answers")]
    pub(super) answers: BTreeMap<String, BTreeMap<String, Json>>,
    /// What happens to the linked account when this object is deleted.
    pub(super) on_delete: AccountFate,
    /// The provider's token endpoint, where client id and secret can be tried before anybody consents.
    #[schemars(with = "Option<Text<TokenUrl>>")]
    pub(super) token_url: Option<String>,
    /// The provider's authorize endpoint, where client id and redirect URI can be tried before anybody consents.
    #[schemars(with = "Option<Text<TokenUrl>>")]
    pub(super) authorize_url: Option<String>,
}

impl Default for IntegrationSpec {
    fn default() -> Self {
        Self {
            setup: true,
            implementation: LinkedThrough::default(),
            answers: BTreeMap::new(),
            on_delete: AccountFate::default(),
            token_url: None,
            authorize_url: None,
        }
    }
}

/// A value of a Secret in the same namespace.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub(super) struct SecretKeyRef {
    /// The Secret.
    #[schemars(length(min = 1))]
    pub(super) name: String,
    /// The key in it.
    #[schemars(length(min = 1))]
    pub(super) key: String,
}

/// What happens to what an object represents once it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum DeletionPolicy {
    /// It is deleted in Home Assistant.
    Delete,
    /// It stays there.
    Retain,
}

fn retain() -> DeletionPolicy {
    DeletionPolicy::Retain
}

fn delete() -> DeletionPolicy {
    DeletionPolicy::Delete
}

/// What links an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum LinkedThrough {
    /// The object's own credential.
    #[default]
    Credential,
    /// Home Assistant Cloud.
    Cloud,
    /// The answer to `pick_implementation` under `answers`; the set-up waits for it.
    Ask,
}

/// What happens to a linked account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum AccountFate {
    /// It stays.
    #[default]
    Keep,
    /// It is removed from Home Assistant before its credential is.
    RemoveIntegration,
}

/// Values of any kind, by step and field: a schema of a cluster must say so in its own way.
fn answers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    })
}

/// A number, or a text with a percentage.
fn number_or_percentage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "minimum": 0, "maximum": i32::MAX})
}

/// How a Home Assistant is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InstanceStatus {
    /// Of which generation this is.
    pub(super) observed_generation: Option<i64>,
    /// The annotation `appcred.io/reconcile-at` of which this is.
    pub(super) last_handled_reconcile_at: Option<String>,
    /// Home Assistant's version.
    pub(super) version: Option<String>,
    /// The credentials that are wanted there, and those that are not and may be there still. None is created before it is
    /// here.
    pub(super) credentials: Vec<ListedStatus>,
    /// Ready, and while it is so: Reconciling, Stalled and ConsentRequired.
    pub(super) conditions: Vec<Condition>,
}

impl InstanceStatus {
    /// The credentials in it, by name.
    pub(super) fn listed(&self) -> BTreeMap<String, ListedAs> {
        self.credentials.iter().map(|of| (of.name.clone(), of.listed_as())).collect()
    }

    /// What it has of the credential of this name.
    pub(super) fn of(&self, credential: &str) -> Option<&ListedStatus> {
        self.credentials.iter().find(|of| of.name == credential)
    }

    /// Whether it says how the Home Assistant is; one that was lost, or never written, does not.
    pub(super) fn is_written(&self) -> bool {
        self.observed_generation.is_some()
    }
}

/// How a credential is in one Home Assistant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListedStatus {
    /// The ApplicationCredential.
    pub(super) name: String,
    /// Of which generation of that this is; nothing where it is not wanted there, or cannot be.
    pub(super) observed_generation: Option<i64>,
    /// The annotation `appcred.io/reconcile-at` of that of which this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_handled_reconcile_at: Option<String>,
    /// `Synced`, `ConsentRequired`, `Pending`, `Deleting`, `Suspended`, `Withheld` or `SetUpFailed`.
    pub(super) state: String,
    /// Why, where there is more to say.
    pub(super) message: Option<String>,
}

/// As what a HomeAssistant's status has a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListedAs {
    /// It is wanted there, and may be created.
    Wanted,
    /// It is not, or cannot be now, and may be there.
    Unsettled,
}

impl ListedStatus {
    fn listed_as(&self) -> ListedAs {
        match self.observed_generation {
            Some(_) => ListedAs::Wanted,
            None => ListedAs::Unsettled,
        }
    }
}

/// How a credential is in all of its Home Assistants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CredentialStatus {
    /// Of which generation this is.
    pub(super) observed_generation: Option<i64>,
    /// The annotation `appcred.io/reconcile-at` of which this is.
    pub(super) last_handled_reconcile_at: Option<String>,
    /// In how many Home Assistants it is how.
    pub(super) targets: TargetCounts,
    /// Ready, and while it is so: Reconciling, Stalled and ConsentRequired.
    pub(super) conditions: Vec<Condition>,
}

/// In how many Home Assistants a credential is how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TargetCounts {
    /// In how many it is wanted.
    pub(super) total: usize,
    /// In how many it is as it is wanted.
    pub(super) synced: usize,
    /// In how many nothing is changed for now.
    pub(super) suspended: usize,
    /// In how many somebody's consent is waited for.
    pub(super) consent_required: usize,
    /// In how many something failed, or a person must decide.
    pub(super) failed: usize,
}
