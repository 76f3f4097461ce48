//! Labels of targets, and what chooses targets by them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use smol_str::SmolStr;

use super::Key;

/// The labels of a target: names with a value each.
pub type Labels = BTreeMap<SmolStr, SmolStr>;

/// Which targets a run is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSelection {
    /// Those with one of these names, which may be patterns; all where there is none.
    pub names: Vec<String>,
    /// And with labels that fit.
    pub labels: LabelSelector,
}

impl TargetSelection {
    /// Those with these names; all where there is none.
    pub fn of_names(names: Vec<String>) -> Self {
        Self { names, labels: LabelSelector::default() }
    }
}

/// What labels must be, in the words of `kubectl`: all parts of it hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    label: SmolStr,
    fits: Fits,
}

/// What the value of a label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fits {
    OneOf(BTreeSet<SmolStr>),
    /// Also where there is no such label.
    NoneOf(BTreeSet<SmolStr>),
    Any,
    Absent,
}

const FORM: &str = "write it as in `ring=1`, `site!=oslo`, `ring in (1,2)`, `ring notin (3)`, `ring` or `!ring`, several with commas between";

impl LabelSelector {
    /// Reads what `kubectl` calls a label selector.
    ///
    /// # Errors
    /// Where it cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = split(text).ok_or_else(|| format!("its parentheses do not match: {FORM}"))?;
        let read = |part: &str| {
            requirement(part.trim()).ok_or_else(|| {
                let what = if part.trim().is_empty() {
                    "a part of it is empty"
                } else if part.contains(['*', '?']) {
                    "it has a pattern, and labels are compared without patterns"
                } else {
                    "it is no label selector"
                };
                format!("{what}: {FORM}")
            })
        };
        parts.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it leaves nothing out.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels are as it says.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|of| of.matches(labels))
    }

    /// The first of its labels that must be there and is among none of these, with the values of the label that are
    /// there, where it is the value that is not.
    pub fn unmet<'l>(&self, all: impl Iterator<Item = &'l Labels> + Clone) -> Option<UnmetLabel> {
        let unmet = |of: &Requirement| {
            let values: BTreeSet<&SmolStr> =
                all.clone().filter_map(|labels| labels.get(&of.label)).collect();
            if values.is_empty() {
                return Some(UnmetLabel::Name(of.label.clone()));
            }
            let (Fits::OneOf(wanted) | Fits::NoneOf(wanted)) = &of.fits else { return None };
            let value = wanted.iter().find(|value| !values.contains(value))?;
            Some(UnmetLabel::Value(of.label.clone(), value.clone()))
        };
        self.0.iter().find_map(unmet)
    }
}

/// What of a selector no target has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnmetLabel {
    /// A label.
    Name(SmolStr),
    /// A label with this value.
    Value(SmolStr, SmolStr),
}

impl FromIterator<(SmolStr, BTreeSet<SmolStr>)> for LabelSelector {
    /// Of labels that have one of these values each.
    fn from_iter<I: IntoIterator<Item = (SmolStr, BTreeSet<SmolStr>)>>(labels: I) -> Self {
        let of = |(label, values)| Requirement { label, fits: Fits::OneOf(values) };
        Self(labels.into_iter().map(of).collect())
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.label);
        match &self.fits {
            Fits::OneOf(values) => value.is_some_and(|value| values.contains(value)),
            Fits::NoneOf(values) => value.is_none_or(|value| !values.contains(value)),
            Fits::Any => value.is_some(),
            Fits::Absent => value.is_none(),
        }
    }
}

/// The parts between commas that are in no parentheses.
fn split(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut begin, mut is_inside) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '(' | ')' if is_inside == (character == '(') => return None,
            '(' | ')' => is_inside = !is_inside,
            ',' if !is_inside => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    (!is_inside).then_some(parts)
}

fn requirement(part: &str) -> Option<Requirement> {
    let one = |label: &str, value: &str, fits: fn(BTreeSet<SmolStr>) -> Fits| {
        Some(Requirement { label: word(label)?, fits: fits([word(value)?].into()) })
    };
    if let Some((label, value)) = part.split_once("!=") {
        return one(label, value, Fits::NoneOf);
    }
    if let Some((label, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return one(label, value, Fits::OneOf);
    }
    if let Some(label) = part.strip_prefix('!') {
        return Some(Requirement { label: word(label)?, fits: Fits::Absent });
    }
    if let Some((before, values)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values = values.split(',').map(word).collect::<Option<_>>()?;
        let (label, operator) = before.trim().rsplit_once(char::is_whitespace)?;
        let fits = match operator {
            "in" => Fits::OneOf(values),
            "notin" => Fits::NoneOf(values),
            _ => return None,
        };
        return Some(Requirement { label: word(label)?, fits });
    }
    Some(Requirement { label: word(part)?, fits: Fits::Any })
}

/// What labels and their values are made of.
fn word(text: &str) -> Option<SmolStr> {
    Key::new(text.trim()).map(|word| word.as_str().into())
}

/// As it is written.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |values: &BTreeSet<SmolStr>| {
            values.iter().map(SmolStr::as_str).collect::<Vec<_>>().join(",")
        };
        for (at, Requirement { label, fits }) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            match fits {
                Fits::OneOf(values) if values.len() == 1 => write!(f, "{label}={}", joined(values)),
                Fits::NoneOf(values) if values.len() == 1 => {
                    write!(f, "{label}!={}", joined(values))
                }
                Fits::OneOf(values) => write!(f, "{label} in ({})", joined(values)),
                Fits::NoneOf(values) => write!(f, "{label} notin ({})", joined(values)),
                Fits::Any => f.write_str(label),
                Fits::Absent => write!(f, "!{label}"),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{LabelSelector, Labels, UnmetLabel};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(label, value)| ((*label).into(), (*value).into())).collect()
    }

    #[test]
    fn selectors_mean_what_they_mean_to_kubectl() {
        let target = labels(&[("ring", "1"), ("site", "oslo")]);
        for (selector, is_met) in [
            ("ring=1", true),
            ("ring==1", true),
            ("ring = 2", false),
            ("ring!=2", true),
            ("ring!=1", false),
            ("zone!=north", true),
            ("ring in (1, 2)", true),
            ("ring in (2,3),site", false),
            ("ring notin (2,3) , site=oslo", true),
            ("zone notin (north)", true),
            ("site", true),
            ("zone", false),
            ("!zone", true),
            ("!site", false),
        ] {
            let parsed = LabelSelector::parse(selector).unwrap();
            assert_eq!(parsed.matches(&target), is_met, "{selector}");
            assert_eq!(LabelSelector::parse(&parsed.to_string()), Ok(parsed), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_with_its_form() {
        for wrong in [
            "",
            ",",
            "ring=",
            "=1",
            "ring=1,",
            "ring in 1",
            "ring in (1",
            "ring in 1)",
            "ring in ((1))",
            "ring in ()",
            "ring of (1)",
            "ring > 1",
            "a b",
            "!",
            "rïng=1",
            "ring!=",
        ] {
            let error = LabelSelector::parse(wrong).unwrap_err();
            assert!(error.ends_with("several with commas between"), "{wrong}: {error}");
        }
        for pattern in ["site=os*", "site in (oslo, b?rgen)", "si*"] {
            let error = LabelSelector::parse(pattern).unwrap_err();
            assert!(error.starts_with("it has a pattern, and labels"), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_label_that_no_target_has_is_found_whether_it_is_wanted_or_not() {
        let all = [labels(&[("ring", "1")]), labels(&[("ring", "2")])];
        let unmet = |selector: &str| LabelSelector::parse(selector).unwrap().unmet(all.iter());
        assert_eq!(unmet("ring=1,ring!=2,ring"), None);
        assert_eq!(unmet("rign"), Some(UnmetLabel::Name("rign".into())));
        assert_eq!(unmet("!rign"), Some(UnmetLabel::Name("rign".into())));
        let value = |value: &str| Some(UnmetLabel::Value("ring".into(), value.into()));
        assert_eq!(unmet("ring in (1,3)"), value("3"));
        assert_eq!(unmet("ring!=4"), value("4"));
    }
}
