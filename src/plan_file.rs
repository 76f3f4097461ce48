//! A saved plan: what was planned, in a file without secrets, so that exactly that is applied or nothing.
//!
//! `apply` plans again from the present manifests and targets, and goes on only if the result is the same.
//! So the file can hold an apply back, but never make it do anything else: whoever
//! changes the file gets a refusal. What an argument of `plan` held back stays so; an argument that allowed
//! more must be given to `apply` as well. A step that creates a credential carries a digest of the ciphertext
//! that its secret is decrypted from.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codes::{ActionCode, ReasonCode};
use crate::model::{Held, Key, Seal, TargetName, Wave, counted, to_json};
use crate::plan::{Action, Plan, Reason, Step, Withheld};

/// What a saved plan says that it is.
pub const KIND: &str = "appcred plan";
const FORMAT_VERSION: u32 = 1;

/// What is to be applied, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "appcred saved plan")]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// `appcred plan`.
    kind: String,
    /// Changes whenever the form does.
    format_version: u32,
    /// The arguments that shaped the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<String>,
    /// The targets that were planned for.
    targets: Vec<PlannedTarget>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PlannedTarget {
    /// Its name in the project file.
    name: String,
    /// The number of its wave; left out where all targets are changed at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wave: Option<usize>,
    /// What is done, in order.
    steps: Vec<PlannedChange>,
    /// What would be done but is not.
    withheld: Vec<PlannedChange>,
}

/// One thing that is done, or is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PlannedChange {
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
}

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PlannedCredential {
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

/// What is planned for one target.
pub struct TargetPlan<'a> {
    /// Its name in the project file.
    pub name: &'a TargetName,
    /// Its wave; none where all targets are changed at once.
    pub wave: Option<Wave>,
    /// The plan.
    pub plan: &'a Plan,
    /// The digests of the ciphertexts of its entries' secrets.
    pub seals: BTreeMap<Key, Seal>,
}

impl TargetPlan<'_> {
    /// The entries whose secrets have no digest.
    fn unsealed(&self) -> impl Iterator<Item = &Key> {
        let wanted = self.plan.steps.iter().filter_map(|step| step.action.created());
        wanted.map(|wanted| &wanted.key).filter(|key| !self.seals.contains_key(*key))
    }
}

/// Why a plan cannot be saved.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "a saved plan could not detect a change of a secret that is not encrypted in the manifest itself: encrypt it there, or apply without a saved plan. This affects {}",
    .0.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
)]
pub struct SecretsNotEncrypted(pub Vec<Key>);

/// Why a file is not a saved plan. It never repeats what is in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanFileError {
    /// It cannot be understood.
    #[error("it is not a saved plan, or it was changed (line {line}, column {column})")]
    Form {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It is something else, or of another appcred.
    #[error(
        "it is not a saved plan of this version of appcred: make one with `appcred plan --out`"
    )]
    Kind,
}

impl PlanFile {
    /// What is planned now.
    ///
    /// # Errors
    /// Where secrets have no digest.
    pub fn of(
        planned: &[TargetPlan<'_>],
        arguments: Vec<String>,
    ) -> Result<Self, SecretsNotEncrypted> {
        let unsealed: BTreeSet<&Key> = planned.iter().flat_map(TargetPlan::unsealed).collect();
        if !unsealed.is_empty() {
            return Err(SecretsNotEncrypted(unsealed.into_iter().cloned().collect()));
        }
        let targets = planned.iter().map(|planned| PlannedTarget {
            name: planned.name.to_string(),
            wave: planned.wave.map(|wave| wave.number),
            steps: planned.plan.steps.iter().map(|step| step_of(step, &planned.seals)).collect(),
            withheld: planned.plan.withheld.iter().map(withheld_of).collect(),
        });
        let targets = targets.collect();
        Ok(Self { kind: KIND.to_owned(), format_version: FORMAT_VERSION, arguments, targets })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Where it is not a saved plan.
    pub fn parse(text: &str) -> Result<Self, PlanFileError> {
        // serde's own message repeats values.
        let saved: Self = serde_json::from_str(text)
            .map_err(|error| PlanFileError::Form { line: error.line(), column: error.column() })?;
        match saved.kind == KIND && saved.format_version == FORMAT_VERSION {
            true => Ok(saved),
            false => Err(PlanFileError::Kind),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    pub fn to_text(&self) -> serde_json::Result<String> {
        to_json(self)
    }

    /// The targets that were planned for.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.name.as_str())
    }

    /// The arguments that shaped the plan.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// What is planned now and was not, and the other way round, a line each; none where both are one.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let (was, is) = (self.lines(), now.lines());
        let mut differences = Vec::new();
        for (line, other, when) in [(&was, &is, "was planned"), (&is, &was, "is needed now")] {
            for (change, words) in line.iter().filter(|line| !other.contains(line)) {
                // The same step for another reason, or with another secret.
                let is_twin = |(_, of_other): &(_, String)| of_other == words;
                let details = other.iter().any(is_twin).then(|| change.details());
                differences.push(format!("{when}: {words}{}", details.unwrap_or_default()));
            }
        }
        differences.extend(self.moved(now));
        if differences.is_empty() && self.targets != now.targets {
            differences.push("the order of the steps is different".to_owned());
        }
        differences
    }

    /// The targets that are in another wave now.
    fn moved(&self, now: &Self) -> Vec<String> {
        let waves = now.targets.iter().map(|target| (&target.name, target.wave));
        let waves: BTreeMap<&String, Option<usize>> = waves.collect();
        let mut moved: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for PlannedTarget { name, wave, .. } in &self.targets {
            if let Some(now) = waves.get(name).filter(|now| *now != wave) {
                moved.entry((*wave, *now)).or_default().push(name);
            }
        }
        let wave = |wave: Option<usize>| match wave {
            Some(number) => format!("in wave {number}"),
            None => "without waves".to_owned(),
        };
        let line = |((was, is), names): (_, Vec<&str>)| {
            let others = match names.len() - 1 {
                0 => String::new(),
                others => format!(" and {}", counted(others, "other target")),
            };
            let (was, is) = (wave(was), wave(is));
            format!("{}{others}: was planned {was}, and would be changed {is} now", names[0])
        };
        moved.into_iter().map(line).collect()
    }

    fn lines(&self) -> Vec<(&PlannedChange, String)> {
        let of = |target: &PlannedTarget, change: &PlannedChange, what: &str| {
            format!("{}: {what}{}", target.name, change.in_words())
        };
        let mut lines = Vec::new();
        for target in &self.targets {
            lines.extend(target.steps.iter().map(|change| (change, of(target, change, ""))));
            let withheld = target.withheld.iter();
            lines.extend(withheld.map(|change| (change, of(target, change, "not done: "))));
        }
        lines
    }
}

/// The form of the file.
pub fn schema() -> Schema {
    crate::schema::of_output::<PlanFile>()
}

impl PlannedChange {
    fn in_words(&self) -> String {
        let credential = self.new.as_ref().or(self.old.first());
        let named = credential.map(|credential| {
            let name = credential.name.as_deref().unwrap_or(&credential.client_id);
            format!(" {} \"{name}\"", credential.domain)
        });
        let entry = self.key.as_ref().filter(|_| named.is_none());
        let entry = entry.map(|key| format!(" for `{key}`"));
        format!(
            "{}{}{}",
            spaced(self.action.as_str()),
            named.unwrap_or_default(),
            entry.unwrap_or_default()
        )
    }

    fn details(&self) -> String {
        let secret = self.client_secret_ciphertext.as_deref().and_then(|text| text.get(..8));
        let secret =
            secret.map(|start| format!("with the secret whose ciphertext has the digest {start}…"));
        let reasons = self.reasons.iter().map(|reason| spaced(reason.as_str()));
        let details: Vec<String> = reasons.chain(secret).collect();
        format!(" ({})", details.join(", "))
    }
}

/// A code in words.
fn spaced(code: &str) -> String {
    code.replace('_', " ")
}

fn step_of(step: &Step, seals: &BTreeMap<Key, Seal>) -> PlannedChange {
    let ciphertext = step.action.created().and_then(|wanted| seals.get(&wanted.key));
    PlannedChange {
        client_secret_ciphertext: ciphertext.map(|seal| seal.to_string()),
        reasons: step.reasons.iter().map(|reason| code(*reason)).collect(),
        reloads: step.reload.iter().map(|entry| entry.id.as_str().to_owned()).collect(),
        ..change_of(&step.action)
    }
}

fn withheld_of(withheld: &Withheld) -> PlannedChange {
    change_of(&withheld.action)
}

fn change_of(action: &Action) -> PlannedChange {
    let old = action.old();
    let accounts = match action {
        Action::SetUp { account: Some(account), .. }
        | Action::Reload { account, .. }
        | Action::NoteAccount { account, .. } => std::slice::from_ref(account),
        other => other.removed(),
    };
    let wanted = action.created();
    PlannedChange {
        action: action.code(),
        key: action.for_entry().map(|wanted| wanted.key.to_string()),
        new: wanted.map(|wanted| PlannedCredential {
            id: None,
            domain: wanted.domain.as_str().to_owned(),
            client_id: wanted.client_id.as_str().to_owned(),
            name: Some(wanted.name.to_string()),
            auth_domain: Some(wanted.auth_domain.as_str().to_owned()),
        }),
        client_secret_ciphertext: None,
        old: old.iter().map(held_of).collect(),
        reasons: Vec::new(),
        reloads: Vec::new(),
        accounts: accounts.iter().map(|account| account.id.as_str().to_owned()).collect(),
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
