//! What the status of a HomeAssistant has of each credential, and what that means for the credential. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignment::{InstanceAssignment, WantedVersion};
use super::conditions::cut;
use super::declared::{Declared, ObjectName};
use super::departure::Unsettled;
use super::finalizer;
use super::object_state::{self, DELETING};
use super::resources::{CredentialSpec, InstanceObject, InstanceStatus, ListedAs, ListedStatus};
use super::target_spec::SAME_ADDRESS;
use super::untitled::{untitled, untitled_by};
use crate::model::Key;
use crate::status::{EntryStatus, Holding, Link, TargetStatus};

/// The HomeAssistants, as they were stored last.
pub(super) type StoredInstances = BTreeMap<ObjectName, Arc<InstanceObject>>;

/// How the credentials that are wanted at a Home Assistant are there, and those that may be there, after what its status
/// had before.
pub(super) fn credentials(
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
    before: &InstanceStatus,
) -> Vec<ListedStatus> {
    let one = |(key, version): (&Key, &WantedVersion)| {
        let (state, message) = state(key, assigned, target);
        let message = message.map(|message| match target {
            Some(target) => untitled_by(message, target),
            None => message,
        });
        ListedStatus {
            name: key.as_str().to_owned(),
            observed_generation: Some(version.generation),
            last_handled_reconcile_at: version.reconcile_at.clone(),
            state: state.to_owned(),
            message,
        }
    };
    let wanted = assigned.wanted.iter().map(one);
    let listed = before.listed();
    let unsettled = assigned.unsettled.iter().filter_map(|(key, of)| {
        let listed = listed.get(key.as_str());
        // Of what is wanted it is written first that it is not: whoever read it as wanted may still create it.
        let is_wanted = listed == Some(&ListedAs::Wanted);
        if !is_wanted && is_known_to_be_gone(key, of, assigned, target) {
            return None;
        }
        // A status that was lost may have had it.
        let may_be_there = listed.is_some() || !before.is_written() || is_seen(key, target);
        if *of == Unsettled::Deleted && !may_be_there {
            return None;
        }
        let (state, message) = unsettled((key, of), assigned, target);
        let (name, state) = (key.as_str().to_owned(), state.to_owned());
        Some(ListedStatus { name, state, message, ..ListedStatus::default() })
    });
    // Where another object looks after the Home Assistant, nothing is created for this one: it has what it had.
    let is_never_there = |of: &ListedStatus| {
        let fault = assigned.fault.as_ref();
        fault.is_some_and(|fault| fault.reason == SAME_ADDRESS) && !listed.contains_key(&of.name)
    };
    wanted.chain(unsettled).filter(|of| !is_never_there(of)).collect()
}

/// Whether it was there when it was looked last.
fn is_seen(key: &Key, target: Option<&TargetStatus>) -> bool {
    target.is_some_and(|target| target.held.as_ref().is_some_and(|held| held.contains(key)))
}

/// What a status has before it is known how all is that is declared: `before`, and what is to be created. What was done
/// already is in it as soon as a round knew of all else: who waits for that must not wait for the rest.
pub(super) fn underway(
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
    before: &InstanceStatus,
) -> Option<InstanceStatus> {
    match target.filter(|target| target.revisions == assigned.revisions) {
        Some(target) => {
            let credentials = credentials(assigned, Some(target), before);
            Some(InstanceStatus { credentials, ..before.clone() })
        }
        None => announced(assigned, before),
    }
}

/// `before`, and what is to be created.
pub(super) fn announced(
    assigned: &InstanceAssignment,
    before: &InstanceStatus,
) -> Option<InstanceStatus> {
    if assigned.unlisted.is_empty() {
        return None;
    }
    let is_new = |name: &str| assigned.unlisted.iter().any(|key| key.as_str() == name);
    let listed = before.credentials.iter().filter(|of| !is_new(&of.name)).cloned();
    let new = assigned.unlisted.iter().map(|key| ListedStatus {
        name: key.as_str().to_owned(),
        observed_generation: assigned.wanted.get(key).map(|version| version.generation),
        state: PENDING.to_owned(),
        ..ListedStatus::default()
    });
    Some(InstanceStatus { credentials: listed.chain(new).collect(), ..before.clone() })
}

fn is_known_to_be_gone(
    key: &Key,
    of: &Unsettled,
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
) -> bool {
    !matches!(of, Unsettled::InError(_)) && finalizer::is_gone(key, assigned, target)
}

/// How a credential is that is not wanted, or cannot be now.
fn unsettled(
    (key, of): (&Key, &Unsettled),
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
) -> (&'static str, Option<String>) {
    let fault = assigned.fault.as_ref().map(|fault| fault.message.clone());
    match of {
        Unsettled::InError(why) => (PENDING, Some(why.clone())),
        Unsettled::Suspended => (SUSPENDED, None),
        Unsettled::Stays(why) | Unsettled::TooMany(why) => (WITHHELD, Some(why.clone())),
        Unsettled::Deleted => match assigned.awaits.get(key) {
            Some(why) if is_free(assigned, target) => (DELETING, Some(why.clone())),
            _ => (DELETING, Some(why_left(assigned, target))),
        },
        Unsettled::Leaving => (DELETING, fault.or_else(|| error_of(target?))),
    }
}

pub(super) const SYNCED: &str = "Synced";
pub(super) const CONSENT_REQUIRED: &str = "ConsentRequired";
pub(super) const PENDING: &str = "Pending";
pub(super) const SUSPENDED: &str = "Suspended";
pub(super) const WITHHELD: &str = "Withheld";
const SET_UP_FAILED: &str = "SetUpFailed";

/// How the credential of a key is at a Home Assistant, and why.
fn state(
    key: &Key,
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
) -> (&'static str, Option<String>) {
    if let Some(fault) = &assigned.fault {
        return (PENDING, Some(fault.message.clone()));
    }
    let is_now = |target: &&TargetStatus| {
        target.revisions.target == assigned.revisions.target
            && target.revisions.entries.get(key) == assigned.revisions.entries.get(key)
    };
    let Some(target) = target.filter(is_now) else { return (PENDING, None) };
    // Nothing is to be done for one that is suspended, whether or not its Home Assistant lets anybody in.
    if target.link == Link::Suspended || assigned.suspended.contains(key) {
        return (SUSPENDED, None);
    }
    let Some(entry) = target.entries.iter().find(|entry| entry.key == *key) else {
        return (PENDING, error_of(target));
    };
    match &entry.holding {
        _ if !target.is_connected() => (PENDING, error_of(target)),
        Holding::Withheld(why) => (WITHHELD, Some(object_state::of_why(why, assigned))),
        Holding::Suspended => (SUSPENDED, None),
        Holding::Differs | Holding::Missing | Holding::Unknown => (PENDING, error_of(target)),
        Holding::InSync => match set_up_error(entry) {
            Some(why) => (SET_UP_FAILED, Some(why)),
            None if entry.waiting().next().is_some() => (CONSENT_REQUIRED, None),
            None => (SYNCED, None),
        },
    }
}

/// The error of a whole Home Assistant. Its own condition has all of that: here it is once for each credential.
fn error_of(target: &TargetStatus) -> Option<String> {
    let error = untitled_by(untitled(target.error.as_deref()?), target);
    Some(cut(error, LONGEST_ERROR))
}

/// So much of the error of a whole Home Assistant is said of each credential, in bytes.
const LONGEST_ERROR: usize = 300;

/// As what the status of a Home Assistant has a credential, and why; as pending without a reason where that is not of what
/// is declared now.
pub(super) fn written_state<'s>(
    credential: (&ObjectName, &Declared<CredentialSpec>),
    assigned: &'s InstanceAssignment,
    instance: Option<&'s InstanceObject>,
) -> (&'s str, Option<&'s str>) {
    if let Some(fault) = &assigned.fault {
        return (PENDING, Some(&fault.message));
    }
    let (name, of) = credential;
    let is_now = |held: &&ListedStatus| {
        held.observed_generation == Some(of.generation)
            && held.last_handled_reconcile_at == of.reconcile_at
    };
    let held = instance.and_then(|instance| {
        let status = instance.status.as_ref()?;
        let is_now = status.observed_generation == instance.metadata.generation;
        status.of(&name.name).filter(|_| is_now)
    });
    let held = held.filter(is_now);
    held.map_or((PENDING, None), |held| (held.state.as_str(), held.message.as_deref()))
}

/// Whether nothing that is about all of a Home Assistant keeps anything from being deleted there.
fn is_free(assigned: &InstanceAssignment, target: Option<&TargetStatus>) -> bool {
    let is_up = |of: &TargetStatus| of.link != Link::Suspended && of.error.is_none();
    assigned.fault.is_none() && target.is_none_or(is_up)
}

/// Why what is deleted at a Home Assistant may be there still.
pub(super) fn why_left(assigned: &InstanceAssignment, target: Option<&TargetStatus>) -> String {
    if let Some(fault) = &assigned.fault {
        return fault.message.clone();
    }
    let Some(target) = target else { return NOT_LOOKED_AT.to_owned() };
    if target.link == Link::Suspended {
        return "the HomeAssistant is suspended".to_owned();
    }
    if let Some(why) = error_of(target) {
        return why;
    }
    match target.is_connected() && !target.differences.is_empty() {
        true => cut(untitled_by(object_state::withheld(assigned, target), target), LONGEST_ERROR),
        false => NOT_LOOKED_AT.to_owned(),
    }
}

/// Why a credential that is being deleted may be at a Home Assistant still, by the status of that.
pub(super) fn why_listed(credential: &str, instance: Option<&InstanceObject>) -> String {
    let held = instance.and_then(|instance| instance.status.as_ref()?.of(credential));
    let why = held.and_then(|held| held.message.clone());
    why.unwrap_or_else(|| NOT_LOOKED_AT.to_owned())
}

const NOT_LOOKED_AT: &str = "not looked at yet";

pub(super) fn set_up_error(entry: &EntryStatus) -> Option<String> {
    let why = entry.fault_of_client()?;
    Some(format!("{}: {}", entry.key, untitled(&why)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;
    use serde_json::json;

    use super::{credentials, underway, why_left};
    use crate::kubernetes::assignment::InstanceAssignment;
    use crate::kubernetes::assignment::tests::{assigned, declarations, name};
    use crate::kubernetes::declared::Listing;
    use crate::kubernetes::departure::Unsettled;
    use crate::kubernetes::resources::{InstanceStatus, ListedAs, ListedStatus};
    use crate::model::Key;
    use crate::plan::Why;
    use crate::status::{AccessFault, Difference, Link, Mode, TargetStatus};

    /// A status that was written, with credentials of these names and generations.
    pub(in crate::kubernetes) fn status(credentials: &[(&str, Option<i64>)]) -> InstanceStatus {
        let of = |(name, generation): &(&str, Option<i64>)| ListedStatus {
            name: name.to_string(),
            observed_generation: *generation,
            ..ListedStatus::default()
        };
        let credentials = credentials.iter().map(of).collect();
        InstanceStatus { observed_generation: Some(1), credentials, ..InstanceStatus::default() }
    }

    #[test]
    fn what_leaves_is_forgotten_once_its_status_says_so_and_a_round_that_knew_of_it_saw_it_gone() {
        let elsewhere = json!({"targetSelector": {"matchLabels": {"ring": "2"}}});
        let mut all = declarations(&[("a", elsewhere)]);
        let mut other = all.instances[&name("cabin")].clone();
        other.labels.insert("ring".to_owned(), "2".to_owned());
        all.instances.insert(name("other"), other);
        let instance = assigned(&all).instances[&name("cabin")].clone();
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let target = TargetStatus { link, held: Some(BTreeSet::new()), ..new };
        let seen = TargetStatus { revisions: instance.revisions.clone(), ..target.clone() };
        let left = |target, generation| {
            let held = credentials(&instance, Some(target), &status(&[("a", generation)]));
            held.into_iter().map(|of| (of.state, of.observed_generation)).collect::<Vec<_>>()
        };
        let leaves = vec![("Deleting".to_owned(), None)];
        assert_eq!(left(&seen, Some(1)), leaves, "somebody may create it by that");
        assert_eq!(left(&target, None), leaves, "the round before may create it");
        assert_eq!(left(&seen, None), []);
    }

    #[test]
    fn what_is_gone_is_forgotten_while_something_else_is_announced() {
        let elsewhere = json!({"targetSelector": {"matchLabels": {"ring": "2"}}});
        let mut all = declarations(&[("a", elsewhere), ("b", json!({}))]);
        let mut other = all.instances[&name("cabin")].clone();
        other.labels.insert("ring".to_owned(), "2".to_owned());
        all.instances.insert(name("other"), other);
        let listed = all.listed.get_mut(&name("cabin")).unwrap();
        listed.insert("b".to_owned(), Listing::Announced);
        let instance = assigned(&all).instances[&name("cabin")].clone();
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let earlier = TargetStatus { link, held: Some(BTreeSet::new()), ..new };
        let seen = TargetStatus { revisions: instance.revisions.clone(), ..earlier.clone() };
        let before = status(&[("a", None), ("b", Some(1))]);
        let listed = |target| underway(&instance, Some(target), &before).map(|of| of.listed());
        assert_eq!(listed(&seen), Some([("b".to_owned(), ListedAs::Wanted)].into()));
        assert_eq!(listed(&earlier), None, "it is not known yet that it is gone");
    }

    #[test]
    fn an_object_that_goes_says_for_which_other_one_it_waits_where_nothing_else_is_the_matter() {
        let mut all = declarations(&[("old", json!({})), ("new", json!({"clientId": "old"}))]);
        all.credentials.get_mut(&name("old")).unwrap().deleted = Some(Timestamp::UNIX_EPOCH);
        all.credentials.get_mut(&name("new")).unwrap().spec.client_secret_ref.name = "none".into();
        let instance = assigned(&all).instances[&name("cabin")].clone();
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let up = TargetStatus { link, revisions: instance.revisions.clone(), ..new };
        let said = |target: &TargetStatus| {
            let before = status(&[("old", Some(1)), ("new", None)]);
            let held = credentials(&instance, Some(target), &before).into_iter();
            let old = held.filter(|of| of.name == "old").map(|of| of.message.unwrap_or_default());
            old.collect::<String>()
        };
        let why = "the ApplicationCredential ns/new, which is for the same client and is to take this credential over, is in error: there is no Secret ns/none";
        assert_eq!(said(&up), why);
        let refused = TargetStatus { error: Some("no access".to_owned()), ..up };
        assert_eq!(said(&refused), "no access");
    }

    #[test]
    fn one_that_is_suspended_is_so_where_the_token_is_refused_too() {
        let all = declarations(&[("a", json!({"suspend": true})), ("b", json!({}))]);
        let instance = assigned(&all).instances[&name("cabin")].clone();
        let since = Timestamp::UNIX_EPOCH;
        let link = Link::NoAccess { since, why: AccessFault::TokenRefused };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let error = Some("the token is refused".to_owned());
        let target = TargetStatus { link, error, revisions: instance.revisions.clone(), ..new };
        let held = credentials(&instance, Some(&target), &status(&[]));
        let states: Vec<_> = held.iter().map(|of| (of.name.as_str(), of.state.as_str())).collect();
        assert_eq!(states, [("a", "Suspended"), ("b", "Pending")]);
    }

    #[test]
    fn an_instance_that_another_object_looks_after_has_what_it_had_and_nothing_else() {
        let mut all = declarations(&[("a", json!({})), ("b", json!({}))]);
        all.instances.insert(name("barn"), all.instances[&name("cabin")].clone());
        let instance = assigned(&all).instances[&name("cabin")].clone();
        assert_eq!(instance.fault.as_ref().unwrap().reason, "SameAddress");
        let names = |before: &InstanceStatus| {
            let held = credentials(&instance, None, before);
            held.into_iter().map(|of| of.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&InstanceStatus::default()), [""; 0]);
        assert_eq!(names(&status(&[("b", Some(1))])), ["b"], "it may be there");
    }

    #[test]
    fn what_is_left_has_its_real_reason_and_the_error_of_a_instance_is_short() {
        let instance = InstanceAssignment::default();
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let up = TargetStatus { link, ..new.clone() };
        let why = |target: &TargetStatus| why_left(&instance, Some(target));
        assert_eq!(why(&new), "not looked at yet");
        let suspended = TargetStatus { link: Link::Suspended, ..new };
        assert_eq!(why(&suspended), "the HomeAssistant is suspended");
        let too_many = Why::TooManyDeletes { planned: 1, allowed: 0 };
        let what = "delete a".to_owned();
        let difference = Difference { what, why: Some(too_many), is_drift: false };
        let withheld = TargetStatus { differences: vec![difference], ..up.clone() };
        let said = why(&withheld);
        assert!(said.starts_with("delete a: 1 delete planned, 0 allowed"), "{said}");
        assert!(said.ends_with("raise maxDeletes"), "{said}");
        let failed = TargetStatus { error: Some("no".repeat(10_000)), ..up };
        assert!(why(&failed).len() < 310);
        let mut all = declarations(&[("a", json!({}))]);
        all.listed.clear();
        let instance = assigned(&all).instances[&name("cabin")].clone();
        let failed = TargetStatus { revisions: instance.revisions.clone(), ..failed };
        let held = credentials(&instance, Some(&failed), &status(&[]));
        assert!(held[0].message.as_ref().unwrap().len() < 310);
    }

    #[test]
    fn what_is_deleted_is_in_a_status_as_long_as_it_may_be_there() {
        let key = Key::new("a").unwrap();
        let unsettled = BTreeMap::from([(key.clone(), Unsettled::Deleted)]);
        let instance = InstanceAssignment { unsettled, ..InstanceAssignment::default() };
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let seen = |keys: &[&Key]| TargetStatus {
            link: link.clone(),
            held: Some(keys.iter().map(|key| (*key).clone()).collect()),
            ..new.clone()
        };
        let is_listed = |target: &TargetStatus, before| {
            !credentials(&instance, Some(target), &before).is_empty()
        };
        let (never, without) = (InstanceStatus::default(), status(&[]));
        assert!(is_listed(&new, status(&[("a", None)])));
        assert!(!is_listed(&seen(&[]), status(&[("a", None)])), "it is gone");
        assert!(is_listed(&seen(&[&key]), without.clone()), "somebody has lost it");
        assert!(!is_listed(&new, without), "it was not in it, so nobody has created it");
        assert!(is_listed(&new, never), "nobody knows what it had");
    }
}
