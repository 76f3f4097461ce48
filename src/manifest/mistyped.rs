//! Names and labels of targets that are almost what entries choose targets by.

use std::collections::BTreeSet;
use std::sync::Arc;

use smol_str::SmolStr;

use super::entry::Entry;
use super::project::Project;
use super::targets::{AskedLabels, ChosenBy, Targets};
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::model::{Labels, Slip, TargetName};
use crate::suggest::nearest;

/// What all entries together choose targets by.
#[derive(Clone, Debug, Default)]
pub(super) struct AskedTargets {
    labels: AskedLabels,
    /// The targets that an entry names, by patterns too.
    named: BTreeSet<TargetName>,
}

impl AskedTargets {
    pub(super) fn of(entries: &[Arc<Entry>]) -> Self {
        let mut asked = Self::default();
        for entry in entries {
            match (&entry.chosen_by, &entry.targets) {
                (ChosenBy::Labels(labels), _) => {
                    for (label, values) in labels {
                        asked
                            .labels
                            .entry(label.clone())
                            .or_default()
                            .extend(values.iter().cloned());
                    }
                }
                (_, Targets::Only(names)) => asked.named.extend(names.iter().cloned()),
                (_, Targets::All) => {}
            }
        }
        asked
    }

    /// The label of a target, or its value, that no entry asks for, where it is almost what entries ask for: what is
    /// written, and the label and the value that are most likely meant.
    fn almost(&self, label: &SmolStr, labels: &Labels) -> Option<(String, &str, Option<&str>)> {
        let value = labels.get(label)?;
        match self.labels.get_key_value(label) {
            None => {
                let others = self.labels.keys().filter(|asked| !labels.contains_key(*asked));
                let meant = nearest(label, others.map(SmolStr::as_str))?;
                Some((label.to_string(), meant, None))
            }
            Some((label, values)) if !values.contains(value) => {
                let meant = nearest(value, values.iter().map(SmolStr::as_str))?;
                Some((format!("{label}: {value}"), label, Some(meant)))
            }
            Some(_) => None,
        }
    }
}

impl Project {
    /// By which slip a target that an entry does not choose was most likely lost to it: what of the target is almost
    /// what the entry chooses by, and means nothing else.
    pub fn slip(&self, entry: &Entry, target: &TargetName) -> Option<Slip> {
        match &entry.chosen_by {
            ChosenBy::Names => None,
            ChosenBy::Patterns(_) if self.asked.named.contains(target) => None,
            ChosenBy::Patterns(globs) => {
                let almost = globs.iter().find(|glob| glob.almost_matches(target.as_str()))?;
                let (name, pattern) = (target.as_str().into(), almost.as_str().into());
                Some(Slip::Name { name, pattern })
            }
            ChosenBy::Labels(asked) => {
                let labels = self.labels.get(target).filter(|labels| !labels.is_empty());
                let Some(labels) = labels else { return Some(Slip::NoLabels) };
                let almost = labels.keys().find_map(|label| {
                    let (written, label, value) = self.asked.almost(label, labels)?;
                    let values = asked.get(label)?;
                    let meant = match value {
                        Some(value) if values.contains(value) => format!("{label}: {value}"),
                        Some(_) => return None,
                        None => label.to_owned(),
                    };
                    Some(Slip::Label { written: written.into(), meant: meant.into() })
                });
                almost.or_else(|| {
                    let missing = asked.keys().find(|label| self.lacks_alone(target, label))?;
                    Some(Slip::LabelMissing { label: missing.clone() })
                })
            }
        }
    }

    /// Whether all targets have a label but this one. Of two, either may be the one that is meant.
    fn lacks_alone(&self, target: &TargetName, label: &str) -> bool {
        let has = |name: &TargetName| {
            self.labels.get(name).is_some_and(|labels| labels.contains_key(label))
        };
        self.targets.len() > 2
            && !has(target)
            && self.targets.keys().all(|name| name == target || has(name))
    }
}

/// Finds labels of targets that are most likely mistyped: no entry asks for them, no other target has them, and they
/// are almost what an entry asks for. Such a target does not get what that entry is for.
pub(super) fn check_labels(project: &Project) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let is_alone = |label: &str, value: Option<&SmolStr>| {
        let has = |labels: &&Labels| match (labels.get(label), value) {
            (Some(of), Some(value)) => of == value,
            (of, _) => of.is_some(),
        };
        project.labels.values().filter(has).nth(1).is_none()
    };
    for ((target, label), spot) in &project.label_spots {
        let Some(labels) = project.labels.get(target) else { continue };
        let Some((written, name, value)) = project.asked.almost(label, labels) else { continue };
        let own = labels.get(label).filter(|_| value.is_some());
        // Numbers are near each other, and each is meant.
        let is_number = own.into_iter().map(SmolStr::as_str).chain(value).any(has_digit);
        if !is_number && is_alone(label, own) {
            let meant = value.unwrap_or(name);
            let message = format!(
                "the target `{target}` alone has the label `{written}`, for which no entry asks: did you mean `{meant}`?"
            );
            let problem =
                Diagnostic::warning(ProblemCode::UnknownLabel, message).at(&spot.file, spot.span);
            problems.push(problem.help("entries choose targets by their labels: this one does not get what it would with that"));
        }
    }
    problems
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}
