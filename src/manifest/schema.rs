//! What both files may hold, said once: from these types the files are read, and the JSON Schemas for editors
//! are made, with the fields' documentation.

use std::collections::BTreeMap;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;

use super::rollout::{RolloutInput, WaveInput};
use crate::field::{
    Days, Field, IdentityPath, Pairs, Raw, Recipient, Seconds, SecretText, Text, Texts, TimeOfDay,
    TokenUrl, described,
};
use crate::model::{
    AccountName, Adopt, Domain, Implementation, Key, MaxDeletes, NotifyAction, OnDelete, OnDrift,
    Owner, Prune, WebhookMethod,
};
use crate::schema::of_input;
use crate::target::TargetInput;

/// The schema of manifests.
pub fn manifest() -> Schema {
    let mut schema = of_input::<ManifestInput>();
    // What an editor is shown while the list is begun. It is read as a list that may be cut short.
    if let Some(list) = schema.pointer_mut("/properties/application_credentials") {
        list["type"] = json!(["array", "null"]);
    }
    schema
}

/// The schema of the project file.
pub fn project() -> Schema {
    of_input::<ProjectInput>()
}

/// What the mapping is called, as in "an entry", that has this field. Those of targets are known elsewhere.
pub(super) fn mapping_with(field: &str) -> Option<&'static str> {
    let all = [
        described::<ProjectInput>(),
        described::<AgeInput>(),
        described::<SopsProgramInput>(),
        described::<PolicyInput>(),
        described::<WindowInput>(),
        described::<RolloutInput>(),
        described::<WaveInput>(),
        described::<EntryInput>(),
        described::<LabelledInput>(),
        described::<IntegrationInput>(),
        described::<ActionInput>(),
        described::<WebhookInput>(),
    ];
    all.into_iter().flatten().find(|(_, fields)| fields.contains(&field)).map(|(name, _)| name)
}

/// The OAuth credentials that Home Assistant is to hold.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a manifest", deny_unknown_fields)]
#[schemars(title = "appcred manifest", rename = "ManifestInput")]
pub(super) struct ManifestInput {
    /// The wanted credentials, one item each.
    pub(super) application_credentials: Option<Field<Raw<Vec<EntryInput>>>>,
    /// What SOPS keeps in a file that it encrypted.
    #[schemars(with = "Option<BTreeMap<String, Json>>")]
    #[expect(dead_code, reason = "SOPS reads its own part")]
    pub(super) sops: Option<IgnoredAny>,
}

/// One wanted credential.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "an entry", deny_unknown_fields)]
#[schemars(rename = "EntryInput")]
pub(super) struct EntryInput {
    /// The integration, by the name that Home Assistant gives it, as in `spotify` or `home_connect`.
    pub(super) domain: Field<Text<Domain>>,
    /// What Home Assistant shows, as in `Spotify (family)`. Default: the domain.
    pub(super) name: Option<Field<Text<SmolStr>>>,
    /// A unique name of the entry, as in `spotify-family`. Where it changes, `formerly` has the old one. Default: a
    /// slug of the name.
    pub(super) key: Option<Field<Text<Key>>>,
    /// Keys that the entry had before, as in `[spotify-old]`. Their credentials move to this entry, and no account has
    /// to consent again.
    pub(super) formerly: Option<Texts<Key>>,
    /// The OAuth client id, as the provider shows it: `4f5c0a7d2b9e4c61`, for one. Quote it if it has nothing but digits.
    pub(super) client_id: Field<Raw<SecretText>>,
    /// The OAuth client secret: an armored age file behind `|`, or `!env_var NAME`, `!secret NAME`,
    /// `!file PATH` or `!from SOURCE WHAT`. In plain text only where the project allows it.
    pub(super) client_secret: Field<Raw<SecretText>>,
    /// Whether a credential of this client that was created by hand is taken over: the only one, or the one with this
    /// id. Default: `false`.
    pub(super) adopt: Option<Field<Raw<Adopt>>>,
    /// The day on which the client or its secret expires at the provider, as in 2027-03-01. From its
    /// beginning in UTC the client counts as expired.
    pub(super) expires: Option<Field<Raw<DateInput>>>,
    /// The day from which on the secret is to be replaced, as in 2027-03-01, in UTC.
    pub(super) rotate_after: Option<Field<Raw<DateInput>>>,
    /// Whether its credential is neither deleted nor replaced, before that is allowed by `--allow-protected`. Default:
    /// `false`.
    pub(super) protect: Option<Field<bool>>,
    /// Whether nothing of the entry is changed for now: what targets hold of it stays as it is, and what they do not
    /// hold is not created. Default: `false`.
    pub(super) suspend: Option<Field<bool>>,
    /// The accounts that are linked through this credential, each by a consent of its own: names, such as the titles
    /// that Home Assistant shows, as in `[Anna, Bert]`. Default: one account, whichever that is.
    #[schemars(length(min = 1))]
    pub(super) accounts: Option<Texts<AccountName>>,
    /// What to do with the integration once its credential exists.
    pub(super) integration: Option<Field<IntegrationInput>>,
    /// The targets on which the credential is wanted. Default: all of them.
    pub(super) targets: Option<Field<Raw<TargetsInput>>>,
}

/// The targets on which a credential is wanted.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum TargetsInput {
    /// By their names; `*` in one means any characters, and `?` any one.
    Named(#[schemars(length(min = 1))] Vec<String>),
    /// By their labels.
    Labelled(LabelledInput),
}

/// Targets by their labels.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "`targets`", deny_unknown_fields)]
#[schemars(rename = "LabelledInput")]
pub(super) struct LabelledInput {
    /// The value that each of these labels must have, or several of which it must have one, as in
    /// `{ring: "1", site: [oslo, bergen]}`.
    #[schemars(length(min = 1))]
    pub(super) r#match: Field<Pairs<Raw<LabelValuesInput>>>,
}

/// The values that a label may have.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum LabelValuesInput {
    /// One.
    One(Text<Key>),
    /// One of these.
    OneOf(#[schemars(length(min = 1))] Vec<Text<Key>>),
}

/// A day.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct DateInput(
    #[schemars(regex(
        pattern = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T00:00:00Z)?$"
    ))]
    String,
);

/// What to do with the integration once its credential exists.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "`integration`", deny_unknown_fields)]
#[schemars(rename = "IntegrationInput")]
pub(super) struct IntegrationInput {
    /// Whether the integration's set-up is started. Default: `true`.
    pub(super) setup: Option<Field<bool>>,
    /// The implementation that links the account where Home Assistant offers several. Default: the entry's own
    /// credential.
    pub(super) implementation: Option<Field<Implementation>>,
    /// What to fill into the forms of the set-up: by step, then by field, as in `{user: {region: eu}}`.
    pub(super) answers: Option<Field<Pairs<Pairs<Raw<Json>>>>>,
    /// What happens to the linked account when this entry is gone. Default: it stays.
    pub(super) on_delete: Option<Field<OnDelete>>,
    /// The provider's token endpoint, as in `https://provider.example/oauth/token`: client id and secret are tried there
    /// before anybody consents.
    pub(super) token_url: Option<Field<Text<TokenUrl>>>,
    /// The provider's authorize endpoint, as in `https://provider.example/authorize?scope=read`, with the `scope` that it
    /// wants: client id and redirect URI are tried there before anybody consents.
    pub(super) authorize_url: Option<Field<Text<TokenUrl>>>,
}

/// The project: whose credentials these are, where they are wanted, and what a plan may do.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "the project file", deny_unknown_fields)]
#[schemars(title = "appcred project", rename = "ProjectInput")]
pub(super) struct ProjectInput {
    /// In whose name credentials are managed, as in `house`. Another project for the same Home Assistant needs another
    /// owner. Default: made from the name of the Git repository.
    pub(super) owner: Option<Field<Text<Owner>>>,
    /// Names that `owner` had before, as in `[old-house]`. Their credentials move to this owner where they have an entry, and
    /// no account has to consent again.
    pub(super) previous_owners: Option<Texts<Owner>>,
    /// Manifests, and folders of them, as in `[credentials, more.yaml]`. Default: `credentials/`, `credentials.yaml`,
    /// `application_credentials/` and `application_credentials.yaml`, as far as they exist.
    pub(super) manifests: Option<Field<Raw<Texts<String>>>>,
    /// Where credentials are provisioned: targets by name, or a list of files and folders of files that have them below
    /// `targets:`, as in `[targets]`. Default: one target, which the environment names (`HASS_SERVER`).
    pub(super) targets: Option<Field<Raw<ProjectTargetsInput>>>,
    /// How secrets are encrypted.
    pub(super) age: Option<Field<AgeInput>>,
    /// What a plan may do.
    pub(super) policy: Option<Field<PolicyInput>>,
    /// How long before its `expires` an entry is reported, in days. Default: `14d`.
    pub(super) expiring_within: Option<Field<Text<Days>>>,
    /// Where `appcred watch` sends notifications: `home_assistant`, `{action: notify.NAME}`, `{webhook: URL}`, or a list
    /// of these.
    pub(super) notify: Option<Field<Raw<NotifyInput>>>,
    /// Programs that print secrets, by the names that `!from SOURCE WHAT` uses, as in `{op: {command: [op, read, "{}"]}}`.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9._-]{1,100}$" }))]
    pub(super) sources: Option<Field<Pairs<Raw<SourceInput>>>>,
    /// SOPS, which is run for SOPS documents that no age identity opens, such as those for PGP or a key service.
    /// Without it, such a document is an error.
    pub(super) sops_program: Option<Field<SopsProgramInput>>,
    /// Custom integrations that take credentials, by their domains, as in `[my_cloud]`.
    pub(super) custom_integrations: Option<Texts<Domain>>,
    /// Whether secrets may be in plain text in these files. Default: `false`.
    pub(super) allow_plaintext: Option<Field<bool>>,
    /// Whether `!file` may name files outside of the project (`${CREDENTIALS_DIRECTORY}/NAME` is always allowed).
    /// Default: `false`.
    pub(super) allow_outside_files: Option<Field<bool>>,
    /// Whether values that look like placeholders are taken. Default: `false`.
    pub(super) allow_placeholders: Option<Field<bool>>,
    /// What SOPS keeps in a file that it encrypted.
    #[schemars(with = "Option<BTreeMap<String, Json>>")]
    #[expect(dead_code, reason = "SOPS reads its own part")]
    pub(super) sops: Option<IgnoredAny>,
}

/// The targets of a project.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum ProjectTargetsInput {
    /// By name.
    Here(
        #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9._-]{1,100}$" }))]
        Pairs<Raw<TargetInput>>,
    ),
    /// In these files and folders.
    InFiles(Vec<String>),
}

/// Targets in a file of their own.
#[derive(Deserialize)]
#[serde(rename = "a file of targets", deny_unknown_fields)]
pub(super) struct TargetFileInput {
    /// The targets by name.
    pub(super) targets: Field<Pairs<Raw<TargetInput>>>,
    /// What SOPS keeps in a file that it encrypted.
    #[expect(dead_code, reason = "SOPS reads its own part")]
    pub(super) sops: Option<IgnoredAny>,
}

/// A program that prints a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a source", deny_unknown_fields)]
#[schemars(rename = "SourceInput")]
pub(super) struct SourceInput {
    /// The program and its arguments, one of which has `{}` in the place of what a manifest asks for, as in
    /// `[op, read, "op://{}"]`. It is run without a shell.
    #[schemars(length(min = 2))]
    pub(super) command: Texts<String>,
    /// How long it may take. Default: `30s`.
    pub(super) timeout: Option<Field<Text<Seconds>>>,
    /// Variables of the environment that it gets beside the usual ones, such as `PATH` and `HOME`.
    pub(super) environment: Option<Texts<String>>,
}

/// SOPS, which decrypts what no age identity opens.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "`sops_program`", deny_unknown_fields)]
#[schemars(rename = "SopsProgramInput")]
pub(super) struct SopsProgramInput {
    /// The program, as in `[sops]`. `decrypt` and its options are added. It is run without a shell.
    #[schemars(length(min = 1))]
    pub(super) command: Texts<String>,
    /// How long it may take. Default: `30s`.
    pub(super) timeout: Option<Field<Text<Seconds>>>,
    /// Variables of the environment that it gets beside the usual ones, such as `VAULT_TOKEN`.
    pub(super) environment: Option<Texts<String>>,
}

/// How secrets are encrypted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "`age`", deny_unknown_fields)]
#[schemars(rename = "AgeInput")]
pub(super) struct AgeInput {
    /// To whom secrets are encrypted: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`.
    pub(super) recipients: Option<Texts<Recipient>>,
    /// Files with the identities that decrypt them, as in `[~/.config/appcred/identity.txt]`.
    pub(super) identities: Option<Texts<IdentityPath>>,
}

/// What a plan may do.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "`policy`", deny_unknown_fields)]
#[schemars(rename = "PolicyInput")]
pub(super) struct PolicyInput {
    /// Which credentials are deleted once no entry declares them. Default: `managed`.
    pub(super) prune: Option<Field<Prune>>,
    /// How many credentials and linked accounts one plan may delete, as `3` or `20%`; all that belongs to one entry, as
    /// shadows, is one credential. Default: no limit.
    pub(super) max_deletes: Option<Field<Raw<MaxDeletes>>>,
    /// Whether everything may be deleted when no entry is left, and what a target seems to lose by a slip in its name
    /// or labels. Default: `false`.
    pub(super) allow_empty: Option<Field<bool>>,
    /// The keys of entries whose credentials are neither deleted nor replaced, as in `[spotify-family]`. That is as with
    /// `protect: true` in the entry, and also once the entry is gone.
    pub(super) protect: Option<Texts<Key>>,
    /// The keys of entries that are gone, and whose credentials stay: `appcred forget` writes them here.
    pub(super) forgotten: Option<Texts<Key>>,
    /// When `appcred watch` may change something, as in `[{days: [sat], from: "02:00", to: "05:00"}]`. At other times
    /// it reports what is to be done. Default: at any time.
    #[schemars(length(min = 1))]
    pub(super) windows: Option<Field<Raw<Vec<WindowInput>>>>,
    /// What `appcred watch` does about changes that were made at a target by hand. Default: `repair`.
    pub(super) on_drift: Option<Field<OnDrift>>,
    /// The order in which targets are changed, as in `{waves: [{match: {ring: canary}}]}`. Default: all at once.
    pub(super) rollout: Option<Field<RolloutInput>>,
}

/// A time in which a watcher may change something.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a window", deny_unknown_fields)]
#[schemars(rename = "WindowInput")]
pub(super) struct WindowInput {
    /// The days on which it begins: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`. Default: every day.
    #[schemars(length(min = 1))]
    pub(super) days: Option<Texts<Weekday>>,
    /// When it begins, as in `"02:00"`.
    pub(super) from: Field<Text<TimeOfDay>>,
    /// When it ends, as in `"05:00"`: on the next day where that is not after its beginning, so that one
    /// that ends when it begins is open for 24 hours.
    pub(super) to: Field<Text<TimeOfDay>>,
    /// Its time zone, as in `Europe/Berlin`. Default: that of the machine.
    pub(super) time_zone: Option<Field<Text<TimeZone>>>,
}

/// Where a watcher sends notifications.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum NotifyInput {
    /// One recipient.
    One(NotifyTargetInput),
    /// Several recipients.
    Several(Vec<NotifyTargetInput>),
}

/// One recipient of notifications.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum NotifyTargetInput {
    /// A notification in Home Assistant while an account waits for consent.
    HomeAssistant(HomeAssistantNotify),
    /// An action of Home Assistant is called.
    Action(ActionInput),
    /// JSON or a text is posted to a web address.
    Webhook(WebhookInput),
}

/// Home Assistant's own notifications.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum HomeAssistantNotify {
    /// A notification in Home Assistant.
    HomeAssistant,
}

/// An action of Home Assistant that notifies somebody.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "an action of `notify`", deny_unknown_fields)]
#[schemars(rename = "ActionInput")]
pub(super) struct ActionInput {
    /// The action, called at the target that a notice is about, such as `notify.mobile_app_phone`.
    pub(super) action: Field<Text<NotifyAction>>,
}

/// A web address to which JSON or a text is posted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a webhook of `notify`", deny_unknown_fields)]
#[schemars(rename = "WebhookInput")]
pub(super) struct WebhookInput {
    /// The address in plain text, as in `https://ntfy.sh/my-house`, or by `!secret NAME`, `!env_var NAME`, `!file PATH` or `!from SOURCE WHAT`. An `{id}` in
    /// it is filled in: a text that differs for each notice, and stays for one that is posted again.
    pub(super) webhook: Field<Raw<SecretText>>,
    /// The method of HTTP. Default: `POST`.
    pub(super) method: Option<Field<WebhookMethod>>,
    /// Headers that are sent as well, in plain text or by a tag, as in `{X-Api-Key: !secret ntfy}`.
    pub(super) headers: Option<Field<Pairs<Raw<SecretText>>>>,
    /// What is posted instead of the notice (`appcred schema notice`): a text, as in `"{target}: {message}"`, or a
    /// mapping, as in `{text: "{message}"}`, which is posted as JSON. `{message}`, `{event}`, `{target}`, `{address}`
    /// and `{at}` in it are filled in; write `{{` for a literal `{`.
    #[schemars(extend("type" = ["string", "object"]))]
    pub(super) body: Option<Field<Raw<Json>>>,
}
