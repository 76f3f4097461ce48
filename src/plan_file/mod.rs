//! A saved plan: what was planned, in a file without secrets, so that exactly that is applied or nothing.
//!
//! `apply` plans again from the present manifests and targets, and goes on only if the result is the same.
//! So the file can hold an apply back, but never make it do anything else: whoever
//! changes the file gets a refusal. What an argument of `plan` held back stays so; an argument that allowed
//! more must be given to `apply` as well. A step that creates a credential carries a digest of the ciphertext
//! that its secret is decrypted from.

mod change;

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Key, Seal, TargetName, Wave, counted, to_json};
use crate::plan::Plan;

use change::{PlannedChange, step_of, withheld_of};

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
        Ok(Self::sealed(planned, arguments))
    }

    fn sealed(planned: &[TargetPlan<'_>], arguments: Vec<String>) -> Self {
        let targets = planned.iter().map(|planned| PlannedTarget {
            name: planned.name.to_string(),
            wave: planned.wave.map(|wave| wave.number),
            steps: planned.plan.steps.iter().map(|step| step_of(step, &planned.seals)).collect(),
            withheld: planned.plan.withheld.iter().map(withheld_of).collect(),
        });
        let targets = targets.collect();
        Self { kind: KIND.to_owned(), format_version: FORMAT_VERSION, arguments, targets }
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
                // The same in words, as for another reason or with another secret.
                let twin = other.iter().find(|(_, of_other)| of_other == words);
                let details = twin.map(|(twin, _)| change.details_beside(twin));
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

/// What was planned for a target and is not needed now, and the other way round, a line each. Both plans are of the
/// same manifests.
pub fn changed(name: &TargetName, was: &Plan, now: &Plan) -> Vec<String> {
    let file = |plan| {
        let planned = TargetPlan { name, wave: None, plan, seals: BTreeMap::new() };
        PlanFile::sealed(&[planned], Vec::new())
    };
    file(was).differences(&file(now))
}

/// The form of the file.
pub fn schema() -> Schema {
    crate::schema::of_output::<PlanFile>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{PlanFile, TargetPlan};
    use crate::model::{
        AccountName, ClientId, ConfigEntry, Domain, EntryId, EntryState, FlowId, Key, OpenFlow,
        Purpose, TargetName,
    };
    use crate::plan::{Action, Plan, Step, StepId, Wanted};

    fn saved(action: Action) -> PlanFile {
        let plan = Plan { steps: vec![Step::new(StepId(0), action)], ..Plan::default() };
        let name = TargetName::new("home");
        let planned = TargetPlan { name: &name, wave: None, plan: &plan, seals: BTreeMap::new() };
        PlanFile::of(&[planned], Vec::new()).unwrap()
    }

    fn wanted(client_id: &str) -> Wanted {
        Wanted {
            key: Key::new("family").unwrap(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new(client_id),
            name: "Family".into(),
            auth_domain: "appcred:house:family".into(),
        }
    }

    fn account(id: &str) -> ConfigEntry {
        ConfigEntry {
            id: EntryId::new(id),
            domain: Domain::new("spotify"),
            title: "Ann".into(),
            state: EntryState::Loaded,
            reason: None,
            implementation: None,
        }
    }

    #[test]
    fn a_step_that_does_something_else_is_another_plan() {
        let set_up = |client_id, name: &str, of: Option<&str>| Action::SetUp {
            wanted: wanted(client_id),
            name: AccountName::new(name),
            account: of.map(account),
            open: None,
        };
        let note = |name: &str, id| Action::NoteAccount {
            wanted: wanted("one"),
            name: AccountName::new(name).unwrap(),
            account: account(id),
        };
        let policy = |removes| Action::SetDeletePolicy { wanted: wanted("one"), removes };
        let abandon = |id: &str| Action::Abandon {
            flow: OpenFlow {
                id: FlowId::new(id),
                domain: Domain::new("spotify"),
                purpose: Purpose::Again(EntryId::new("e1")),
            },
        };
        let pairs = [
            (set_up("one", "Ann", None), set_up("one", "Bob", None)),
            (set_up("one", "Ann", None), set_up("two", "Ann", None)),
            (set_up("one", "Ann", Some("e1")), set_up("one", "Ann", Some("e2"))),
            (note("Ann", "e1"), note("Bob", "e1")),
            (note("Ann", "e1"), note("Ann", "e2")),
            (policy(true), policy(false)),
            (abandon("f1"), abandon("f2")),
        ];
        for (one, other) in pairs {
            let (was, now) = (saved(one), saved(other));
            let differences = was.differences(&now);
            assert!(differences.len() == 2 && differences[0] != differences[1], "{differences:?}");
            let words = differences.iter().map(|line| line.split_once(": ").unwrap().1);
            assert_eq!(
                words.collect::<std::collections::BTreeSet<_>>().len(),
                2,
                "{differences:?}"
            );
            assert_eq!(was.differences(&was), [""; 0]);
        }
    }
}
