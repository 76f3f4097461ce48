//! Which Home Assistants labels take a credential off, and whether that many may lose it at once. Pure.
//!
//! What a HomeAssistant is to hold is in its status before it is created there, and until it is seen to be gone. So it is known
//! at once how many have lost a credential, also after a restart and where some cannot be reached: whoever counted what is
//! found there would begin with the first one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Selector, SelectorExt};

use super::declared::{Declarations, Declared, ObjectName};
use super::resources::{CredentialSpec, DeletionPolicy};
use crate::model::{MaxDeletes, counted};

/// How many may lose a credential at once where its object says nothing.
const MAX_DELETES: MaxDeletes = MaxDeletes::Percent(25);

/// So many Home Assistants are named in one message.
const MOST_NAMED: usize = 3;

/// The Home Assistants whose status has a credential, where some of them are no longer selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Departure {
    /// Those that are no longer selected.
    pub(super) leaving: BTreeSet<ObjectName>,
    /// Those that still are.
    pub(super) kept: BTreeSet<ObjectName>,
}

/// Why a credential is neither wanted nor known to be gone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unsettled {
    /// Its object is in error.
    InError(String),
    /// Its object is being deleted, and it is deleted there.
    Deleted,
    /// Labels no longer select the Home Assistant, and it is deleted there.
    Leaving,
    /// The same, and nothing is changed for now.
    Suspended,
    /// The same, and it stays for this reason.
    Stays(String),
    /// The same, since it would be taken off too many.
    TooMany(String),
}

impl Departure {
    /// Why nothing of this is done; none where it is within the limit.
    pub(super) fn withheld(&self, limit: Option<MaxDeletes>) -> Option<String> {
        let leaving = self.leaving.len();
        let all = leaving + self.kept.len();
        let allowed = limit.unwrap_or(MAX_DELETES).allowed(all);
        if leaving <= allowed {
            return None;
        }
        let names: Vec<String> =
            self.leaving.iter().take(MOST_NAMED).map(ToString::to_string).collect();
        let more = if leaving > MOST_NAMED { " and others" } else { "" };
        Some(format!(
            "labels take it off {leaving} of the {} that have it ({}{more}), and {allowed} may lose it at once: until targetSelector or the labels select them again, it is deleted nowhere and created nowhere else; if that is meant, set maxDeletes to {leaving} or more",
            counted(all, "HomeAssistant"),
            names.join(", "),
        ))
    }
}

/// Finds where labels take credentials off.
pub(super) fn departures(
    declared: &Declarations,
    selectors: &Selectors<'_>,
) -> BTreeMap<ObjectName, Departure> {
    let mut all: BTreeMap<ObjectName, Departure> = BTreeMap::new();
    let is_deleted_by_labels = |of: &&Declared<CredentialSpec>| {
        of.deleted.is_none() && of.spec.deletion_policy == DeletionPolicy::Delete
    };
    for (instance, listed) in &declared.listed {
        let Some(of) = declared.instances.get(instance).filter(|of| of.deleted.is_none()) else {
            continue;
        };
        for name in listed.keys() {
            let name = instance.beside(name);
            let credential = declared.credentials.get(&name);
            let selector = credential.filter(is_deleted_by_labels).and(selectors.get(&name));
            let Some(selector) = selector else { continue };
            let departure = all.entry(name).or_default();
            match selector.as_ref().is_ok_and(|selector| selector.matches(&of.labels)) {
                true => departure.kept.insert(instance.clone()),
                false => departure.leaving.insert(instance.clone()),
            };
        }
    }
    // Of one that nobody loses, who has it is no news.
    all.retain(|_, departure| !departure.leaving.is_empty());
    all
}

/// What each credential selects, or why that cannot be known.
pub(super) type Selectors<'d> = BTreeMap<&'d ObjectName, Result<Selector, String>>;

/// What all credentials select.
pub(super) fn selectors(declared: &Declarations) -> Selectors<'_> {
    let selector = |of: &CredentialSpec| match &of.unreadable {
        Some(why) => Err(unreadable(why)),
        None => selector(&of.target_selector).map_err(|why| format!("targetSelector: {why}")),
    };
    declared.credentials.iter().map(|(name, of)| (name, selector(&of.spec))).collect()
}

/// What is said of an object whose spec cannot be read.
pub(super) fn unreadable(why: &str) -> String {
    format!("the spec cannot be read, and nothing is done by it: {why}")
}

/// A selector as Kubernetes takes it: one that selects nothing by mistake would delete everywhere.
pub(super) fn selector(of: &LabelSelector) -> Result<Selector, String> {
    for expression in of.match_expressions.iter().flatten() {
        let LabelSelectorRequirement { key, operator, values } = expression;
        let has_values = values.as_ref().is_some_and(|values| !values.is_empty());
        match (operator.as_str(), has_values) {
            ("In" | "NotIn", false) => {
                return Err(format!("`{operator}` for the label `{key}` has no values"));
            }
            ("Exists" | "DoesNotExist", true) => {
                return Err(format!("`{operator}` for the label `{key}` takes no values"));
            }
            _ => {}
        }
    }
    Selector::try_from(of.clone()).map_err(|why| why.to_string())
}

/// A limit of deletes, as an object has it.
pub(super) fn max_deletes(of: Option<&IntOrString>) -> Result<Option<MaxDeletes>, String> {
    let text = match of {
        None => return Ok(None),
        Some(IntOrString::Int(count)) => count.to_string(),
        Some(IntOrString::String(text)) => text.clone(),
    };
    text.parse().map(Some).map_err(|why| format!("maxDeletes: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Departure, departures, selectors};
    use crate::kubernetes::assignment::tests::{declarations, list, name};
    use crate::model::MaxDeletes;

    fn departure(leaving: usize, kept: usize) -> Departure {
        let names =
            |prefix: &str, number| (0..number).map(|n| name(&format!("{prefix}{n}"))).collect();
        Departure { leaving: names("leaving", leaving), kept: names("kept", kept) }
    }

    #[test]
    fn a_quarter_may_lose_it_at_once_and_always_one() {
        let is_withheld = |leaving, kept, limit| departure(leaving, kept).withheld(limit).is_some();
        for (leaving, kept, expected) in
            [(1, 0, false), (1, 1, false), (2, 0, true), (2, 6, false), (3, 6, false), (4, 6, true)]
        {
            assert_eq!(is_withheld(leaving, kept, None), expected, "{leaving} of {kept}");
        }
        assert!(is_withheld(300, 0, None), "all are others now");
        assert!(is_withheld(1, 9, Some(MaxDeletes::Count(0))));
        assert!(!is_withheld(300, 0, Some(MaxDeletes::Count(300))));
        assert!(!is_withheld(300, 0, Some(MaxDeletes::Percent(100))));
        let why = departure(4, 1).withheld(None).unwrap();
        let expected = "labels take it off 4 of the 5 HomeAssistants that have it (ns/leaving0, ns/leaving1, ns/leaving2 and others), and 2 may lose it at once: ";
        assert!(why.starts_with(expected), "{why}");
        assert!(why.ends_with("set maxDeletes to 4 or more"), "{why}");
    }

    #[test]
    fn what_a_status_has_and_labels_no_longer_select_departs() {
        let elsewhere = json!({"targetSelector": {"matchLabels": {"ring": "2"}}});
        let retained = json!({
            "deletionPolicy": "Retain", "targetSelector": {"matchLabels": {"ring": "2"}}
        });
        let invalid = json!({"key": "ring", "operator": "In", "values": []});
        let invalid = json!({"targetSelector": {"matchExpressions": [invalid]}});
        let mut all = declarations(&[
            ("wanted", json!({})),
            ("elsewhere", elsewhere),
            ("retained", retained),
            ("invalid", invalid),
        ]);
        let (instance, unknown) = (name("cabin"), name("gone"));
        let listed = ["wanted", "elsewhere", "retained", "invalid", "vanished"];
        for instance in [&instance, &unknown] {
            list(&mut all, instance, &listed);
        }
        let found = departures(&all, &selectors(&all));
        let names: Vec<&str> = found.keys().map(|name| name.name.as_str()).collect();
        assert_eq!(names, ["elsewhere", "invalid"]);
        assert_eq!(found[&name("elsewhere")].leaving, [instance].into());
    }
}
