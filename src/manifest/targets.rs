//! Which targets want an entry: it names them, by patterns too, or says what labels they have.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::decode::{Decoder, Site, plain_text, wrong_kind};
use super::project::Project;
use super::schema::{LabelValuesInput, LabelledInput, TargetsInput};
use crate::diagnostic::{Located, ProblemCode};
use crate::field::{Field, FieldRefusal, Meaning, Pairs, Raw, Text};
use crate::model::{Glob, Key, LabelSelector, Labels, TargetName, is_name};
use crate::suggest::{self, listed, nearest};
use crate::yaml::Value;

/// How many targets a message names at most.
const MOST_COMMON: usize = 5;

/// On which targets an entry is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// On every one.
    All,
    /// On these alone.
    Only(BTreeSet<TargetName>),
}

impl Targets {
    /// Whether this target is one of them.
    pub fn include(&self, target: &TargetName) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(target),
        }
    }

    /// Whether one of these targets is one of them.
    pub fn include_any<'t>(&self, targets: impl IntoIterator<Item = &'t TargetName>) -> bool {
        targets.into_iter().any(|target| self.include(target))
    }

    /// Whether there is a target that is among both.
    pub fn overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Only(these), Self::Only(those)) => !these.is_disjoint(those),
            _ => true,
        }
    }

    /// The targets that are among both.
    fn common(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, these) | (these, Self::All) => these.clone(),
            (Self::Only(these), Self::Only(those)) => {
                Self::Only(these.intersection(those).cloned().collect())
            }
        }
    }

    /// The targets that are among both, as a message says them, unless both are for all.
    pub(super) fn said_common(&self, other: &Self) -> Option<String> {
        let Self::Only(names) = self.common(other) else { return None };
        let listed = listed(names.iter().take(MOST_COMMON).map(TargetName::as_str));
        Some(match names.len() {
            1 => format!("target {listed}"),
            2..=MOST_COMMON => format!("targets {listed}"),
            several => format!("{several} targets, such as {listed}"),
        })
    }
}

/// The values that an entry asks for, by their labels.
pub type AskedLabels = BTreeMap<SmolStr, BTreeSet<SmolStr>>;

/// How an entry chooses targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ChosenBy {
    /// It names each, or is for all.
    #[default]
    Names,
    /// Also by these patterns.
    Patterns(Vec<Glob>),
    /// By their labels.
    Labels(AskedLabels),
}

/// Reads the fields of a manifest that choose targets.
pub(super) struct TargetChoice<'d, 'n, 'p> {
    pub(super) decoder: &'d Decoder<'n>,
    pub(super) project: &'p Project,
}

impl<'n> TargetChoice<'_, 'n, '_> {
    /// The targets that a field names or describes, or all where it is left out, and by what it does.
    pub(super) fn of(
        &self,
        field: Option<Field<Raw<TargetsInput>>>,
    ) -> Option<(Targets, ChosenBy)> {
        match field {
            Some(field) => self.read(self.decoder.raw(&field)?),
            None => Some((Targets::All, ChosenBy::Names)),
        }
    }

    fn read(&self, site: Site<'n>) -> Option<(Targets, ChosenBy)> {
        match &site.node.value {
            Value::Mapping(_) if site.node.tag.is_none() => self.labelled(site),
            Value::Sequence(_) if site.node.tag.is_none() => self.named(site),
            _ => {
                self.decoder.refuse(site, wrong_kind(site.node, "a list"));
                None
            }
        }
    }

    fn named(&self, site: Site<'n>) -> Option<(Targets, ChosenBy)> {
        let items: Vec<Field<Text<TargetName>>> = self.decoder.read(site)?;
        if items.is_empty() {
            let why = "is empty, so no target gets the entry";
            let refusal = FieldRefusal::new(ProblemCode::NoTarget, why);
            let help = "leave it out if the entry is for every target";
            self.decoder.refuse(site, refusal.help(help));
            return None;
        }
        let (mut all, mut patterns) = (BTreeSet::new(), Vec::new());
        for name in items.into_iter().filter_map(|item| self.decoder.text(item)) {
            if self.project.target_spots.contains_key(&name.value) || !self.project.knows_targets()
            {
                all.insert(name.value);
                continue;
            }
            let glob =
                Glob::new(name.value.as_str()).filter(|glob| glob.as_str().contains(['*', '?']));
            let matched: Vec<_> = glob.iter().flat_map(|glob| self.matched(glob)).collect();
            if matched.is_empty() {
                self.unknown_target(&name, glob.is_some());
            }
            all.extend(matched);
            patterns.extend(glob);
        }
        let chosen_by = match patterns.is_empty() {
            true => ChosenBy::Names,
            false => ChosenBy::Patterns(patterns),
        };
        Some((Targets::Only(all), chosen_by))
    }

    fn matched(&self, glob: &Glob) -> impl Iterator<Item = TargetName> {
        let names = self.project.target_spots.keys();
        names.filter(|name| glob.matches(name.as_str())).cloned()
    }

    fn unknown_target(&self, target: &Located<TargetName>, is_glob: bool) {
        let known = || self.project.target_spots.keys().map(TargetName::as_str);
        let name = target.value.as_str();
        // What is left without the pattern has the form of a name, or is not repeated.
        let mut words = name.split(['*', '?', '-', '.', '_']);
        let is_shown = words.all(|word| word.is_empty() || is_name(word));
        let message = match is_glob {
            true if is_shown => suggest::missing("target", name, known()),
            true => "no target has a name like this".to_owned(),
            false => suggest::unknown("target", name, known()),
        };
        let help = match self.project.target_spots.len() {
            0 => "appcred.yaml names no targets: name them there, or leave `targets` out here"
                .to_owned(),
            // The message names it.
            1 if message.ends_with('?') => {
                let problem =
                    self.decoder.error(ProblemCode::UnknownTarget, target.spot.span, message);
                return self.decoder.report(problem);
            }
            _ if is_glob && is_shown => "`*` means any characters, and `?` any one".to_owned(),
            _ => format!("appcred.yaml has {}", some(known())),
        };
        let problem = self.decoder.error(ProblemCode::UnknownTarget, target.spot.span, message);
        self.decoder.report(problem.help(help));
    }

    fn labelled(&self, site: Site<'n>) -> Option<(Targets, ChosenBy)> {
        let labels = self.decoder.read::<LabelledInput>(site)?.r#match;
        let (chosen, asked) =
            self.matching(labels, "leave `targets` out if the entry is for every target")?;
        Some((Targets::Only(chosen), ChosenBy::Labels(asked)))
    }

    /// The targets that have these labels; `all` says what to do where all are meant.
    pub(super) fn matching(
        &self,
        labels: Field<Pairs<Raw<LabelValuesInput>>>,
        all: &str,
    ) -> Option<(BTreeSet<TargetName>, AskedLabels)> {
        let decoder = self.decoder;
        let at = decoder.site(&labels);
        let labels = labels.value?.0;
        if labels.is_empty() {
            let refusal = FieldRefusal::new(ProblemCode::NoTarget, "names no label");
            let help = format!("name one, as in `match: {{ring: \"1\"}}`; {all}");
            decoder.refuse(at, refusal.help(help));
            return None;
        }
        let number = labels.len();
        let mut asked = AskedLabels::new();
        for label in labels.iter().filter_map(|label| decoder.raw(label)) {
            if let Some(values) = self.values(label) {
                asked.insert(label.key_text().into(), values);
            }
        }
        if asked.len() < number {
            return None;
        }
        let is_unread = |label: &SmolStr| self.project.unread_labels.contains(label);
        if !self.project.knows_targets() || asked.keys().any(is_unread) {
            return Some((BTreeSet::new(), asked));
        }
        let selector = LabelSelector::from_iter(asked.clone());
        let chosen = self.project.labels.iter().filter(|(_, labels)| selector.matches(labels));
        let chosen: BTreeSet<TargetName> = chosen.map(|(name, _)| name.clone()).collect();
        if chosen.is_empty() {
            let refusal = FieldRefusal::new(
                ProblemCode::NoTarget,
                "matches no target: none has all of these labels",
            );
            decoder.refuse(
                at,
                refusal.help("give a target in appcred.yaml these labels, or remove the entry"),
            );
            return None;
        }
        Some((chosen, asked))
    }

    /// The values that a label may have. One that no target has is reported.
    fn values(&self, label: Site<'n>) -> Option<BTreeSet<SmolStr>> {
        let decoder = self.decoder;
        let items: Vec<Site<'n>> = match label.items() {
            Some(items) => items.collect(),
            None => vec![label],
        };
        if items.is_empty() {
            let refusal = FieldRefusal::new(
                ProblemCode::NoTarget,
                "is empty, so no target has one of its values",
            );
            decoder.refuse(label, refusal.help("name a value, as in `ring: \"1\"`"));
            return None;
        }
        let read = |item: &Site<'n>| decoder.accept(*item, plain_text(item.node).and_then(chosen));
        let values: Vec<_> = items.iter().filter_map(read).collect();
        let name = label.key_text();
        let is_known = self.project.knows_targets() && !self.project.unread_labels.contains(name);
        if values.len() < items.len() || !is_known {
            return (values.len() == items.len()).then(|| texts(values));
        }
        let all = || self.project.labels.values();
        let known: BTreeSet<&str> =
            all().filter_map(|labels| labels.get(name)).map(SmolStr::as_str).collect();
        if known.is_empty() {
            let names: BTreeSet<&str> = all().flat_map(Labels::keys).map(SmolStr::as_str).collect();
            let help = match names.is_empty() {
                true => "no target in appcred.yaml has `labels`".to_owned(),
                false => format!("targets have {}", some(names.iter().copied())),
            };
            let message = no_such("label", name, &names);
            decoder.report(
                decoder.error(ProblemCode::UnknownLabel, label.key_span(), message).help(help),
            );
            return None;
        }
        let unknown: Vec<_> =
            values.iter().filter(|value| !known.contains(value.value.as_str())).collect();
        for value in &unknown {
            let message =
                no_such(&format!("label `{name}` with the value"), value.value.as_str(), &known);
            let problem = decoder.error(ProblemCode::UnknownLabel, value.spot.span, message);
            decoder.report(problem.help(format!("targets have {}", some(known.iter().copied()))));
        }
        unknown.is_empty().then(|| texts(values))
    }
}

/// The value of a label.
pub(super) fn label_value(text: &str) -> Result<Key, FieldRefusal> {
    Key::of(text).map_err(|refusal| FieldRefusal {
        why: "has a value that is not a valid name".into(),
        ..refusal
    })
}

/// The value of a label by which targets are chosen: no pattern, as names of targets may be.
fn chosen(text: &str) -> Result<Key, FieldRefusal> {
    label_value(text).map_err(|refusal| match text.contains(['*', '?']) {
        true => {
            let why = "has a pattern, and the values of labels are compared without patterns";
            FieldRefusal { why: why.into(), ..refusal }.help("list each value that is meant, as in `site: [oslo, bergen]`; patterns choose targets by their names, as in `targets: [lab-*]`")
        }
        false => refusal,
    })
}

fn texts(values: Vec<Located<Key>>) -> BTreeSet<SmolStr> {
    values.into_iter().map(|value| value.value.as_str().into()).collect()
}

fn no_such(kind: &str, name: &str, known: &BTreeSet<&str>) -> String {
    let is_shown = is_name(name) || name.bytes().all(|byte| byte.is_ascii_digit());
    let shown = if is_shown { format!(" `{name}`") } else { String::new() };
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("no target has the {kind}{shown}: did you mean `{near}`?"),
        None => format!("no target has the {kind}{shown}"),
    }
}

/// How many names are listed at most.
const MOST_LISTED: usize = 20;

fn some<'c>(names: impl Iterator<Item = &'c str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len().checked_sub(MOST_LISTED) {
        None | Some(0) => listed(names),
        Some(more) => {
            let shown: Vec<_> =
                names[..MOST_LISTED].iter().map(|name| format!("`{name}`")).collect();
            format!("{} and {more} more", shown.join(", "))
        }
    }
}
