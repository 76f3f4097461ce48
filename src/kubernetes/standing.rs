//! How an object is, by what was declared and by what the targets' tasks found. Pure.
//!
//! Ready means that all is done that can be done without a person: consent is a condition of its own, since no pipeline
//! should wait until somebody has clicked. Reconciling, Stalled and ConsentRequired are there while they are so, as
//! kstatus reads them. A link for consent is in no object: whoever may read that could link an account of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignment::{
    ClusterAssignment, CredentialAssignment, Fault, HouseAssignment, WantedVersion,
};
use super::declared::{Declared, ObjectName};
use super::departure::Unsettled;
use super::farewell::{self, Finalizer};
use super::resources::{
    CredentialSpec, FINALIZER, HeldStatus, HouseObject, HouseStatus, ListedAs, TargetCounts,
};
use super::untitled::untitled;
use crate::model::{Key, counted};
use crate::plan::Why;
use crate::status::{Holding, Link, TargetStatus};

/// So many Home Assistants are named in one message.
const MOST_NAMED: usize = 3;

/// The HomeAssistants, as they were stored last.
pub(super) type StoredHouses = BTreeMap<ObjectName, Arc<HouseObject>>;

/// Where an object is on its way, without times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectStanding {
    pub(super) is_ready: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) way: Way,
    /// For whose consent is waited, in words.
    pub(super) consent: Option<String>,
}

/// Whether it goes on without anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing is left to do.
    Done,
    /// It is being worked on, or tried again.
    Reconciling,
    /// It goes on when somebody has changed something.
    Stalled,
}

impl ObjectStanding {
    fn done(reason: &'static str, message: String) -> Self {
        Self { is_ready: true, reason, message, way: Way::Done, consent: None }
    }

    fn open(reason: &'static str, message: String, way: Way) -> Self {
        Self { is_ready: false, reason, message, way, consent: None }
    }

    /// The mark that keeps it cannot be set, for this reason.
    pub(super) fn unmarked(why: &str) -> Self {
        let message = format!(
            "the finalizer {FINALIZER} cannot be set, and nothing is created before that: {why}"
        );
        Self::open("FinalizerRefused", message, Way::Reconciling)
    }

    /// Nothing is known of it yet.
    pub(super) fn begun() -> Self {
        Self::open("Progressing", "it is being looked at".to_owned(), Way::Reconciling)
    }
}

impl From<&Fault> for ObjectStanding {
    fn from(Fault { reason, message, is_final }: &Fault) -> Self {
        let way = if *is_final { Way::Stalled } else { Way::Reconciling };
        Self::open(reason, message.clone(), way)
    }
}

/// What an object that is being deleted says instead of how it is otherwise.
pub(super) const DELETING: &str = "Deleting";

/// How an object is by what becomes of its mark: one that is being deleted says what it waits for, and nothing else.
/// `why` is why something is left at a Home Assistant.
pub(super) fn unless_deleted(
    otherwise: Option<ObjectStanding>,
    is_deleted: bool,
    finalizer: &Finalizer,
    why: impl Fn(&ObjectName) -> String,
) -> Option<ObjectStanding> {
    let left = match finalizer {
        Finalizer::Waits(left) => left,
        _ => return otherwise.filter(|_| !is_deleted),
    };
    let lines: Vec<String> = left.iter().map(|house| format!("{house}: {}", why(house))).collect();
    let message = match lines.is_empty() {
        true => "where it is is being looked up".to_owned(),
        false => {
            format!("what it represents is deleted first, and is still there: {}", some(&lines))
        }
    };
    Some(ObjectStanding::open(DELETING, message, Way::Reconciling))
}

/// Why what is deleted at a Home Assistant may be there still.
pub(super) fn why_left(assigned: &HouseAssignment, target: Option<&TargetStatus>) -> String {
    if let Some(fault) = &assigned.fault {
        return fault.message.clone();
    }
    match target {
        Some(TargetStatus { error: Some(why), .. }) => untitled(why),
        Some(target) if target.is_connected() && !target.differences.is_empty() => {
            "something is withheld, as where a linked account uses the credential".to_owned()
        }
        _ => NOT_LOOKED_AT.to_owned(),
    }
}

/// Why a credential that is being deleted may be at a Home Assistant still, by the status of that.
pub(super) fn why_listed(credential: &str, house: Option<&HouseObject>) -> String {
    let held = house.and_then(|house| house.status.as_ref()?.of(credential));
    let why = held.and_then(|held| held.message.clone());
    why.unwrap_or_else(|| NOT_LOOKED_AT.to_owned())
}

const NOT_LOOKED_AT: &str = "not looked at yet";

/// How a Home Assistant is; none as long as nothing is known of what is declared now, or its status has not all of that yet.
pub(super) fn of_house(
    assigned: &HouseAssignment,
    target: Option<&TargetStatus>,
) -> Option<ObjectStanding> {
    if let Some(fault) = &assigned.fault {
        return Some(fault.into());
    }
    let target = target.filter(|target| target.revisions == assigned.revisions)?;
    if !assigned.unlisted.is_empty() || !assigned.announced.is_empty() {
        return None;
    }
    let waiting = target.waiting().count();
    let consent = (waiting > 0).then(|| {
        let accounts = counted(waiting, "account");
        format!("{accounts} to be linked: the status page of appcred has the links")
    });
    Some(ObjectStanding { consent, ..of_target(assigned, target) })
}

fn of_target(assigned: &HouseAssignment, target: &TargetStatus) -> ObjectStanding {
    if target.link == Link::Suspended {
        return ObjectStanding::done("Suspended", "nothing is done there for now".to_owned());
    }
    if let Some(why) = &target.error {
        let (reason, way) = match target.link {
            Link::NoAccess { .. } => ("AccessDenied", Way::Stalled),
            Link::Up { .. } => ("Failed", Way::Reconciling),
            _ => ("Unreachable", Way::Reconciling),
        };
        return ObjectStanding::open(reason, untitled(why), way);
    }
    if !target.differences.is_empty() {
        let all = target.differences.iter().map(|difference| match &difference.why {
            Some(why) => format!("{}: {}", difference.what, of_why(why)),
            None => difference.what.clone(),
        });
        let all: Vec<String> = all.collect();
        return ObjectStanding::open("Withheld", all.join("; "), Way::Stalled);
    }
    let failed: Vec<String> = target.entries.iter().filter_map(set_up_error).collect();
    if !failed.is_empty() {
        return ObjectStanding::open("SetUpFailed", failed.join("; "), Way::Reconciling);
    }
    let is_asked_for = |key: &&Key| assigned.revisions.entries.contains_key(*key);
    let number = assigned.wanted.keys().filter(is_asked_for).count();
    let are = if number == 1 { "is" } else { "are" };
    let number = counted(number, "credential");
    ObjectStanding::done("Synced", format!("{number} {are} as wanted"))
}

/// Why something is withheld, with what a resource says about that.
fn of_why(why: &Why) -> String {
    match why {
        Why::TooManyDeletes { .. } => format!("{why}; if they are meant, raise maxDeletes"),
        Why::NothingDesired => {
            "nothing selects this HomeAssistant any more; if all is meant to go, set maxDeletes, or delete the ApplicationCredentials".to_owned()
        }
        other => untitled(&other.to_string()),
    }
}

fn set_up_error(entry: &crate::status::EntryStatus) -> Option<String> {
    let why = entry.fault_of_client()?;
    Some(format!("{}: {}", entry.key, untitled(&why)))
}

/// How the credentials that are wanted at a Home Assistant are there, and those that may be there, after what its status
/// had before.
pub(super) fn held(
    assigned: &HouseAssignment,
    target: Option<&TargetStatus>,
    before: &HouseStatus,
) -> Vec<HeldStatus> {
    let one = |(key, version): (&Key, &WantedVersion)| {
        let (state, message) = state(key, assigned, target);
        HeldStatus {
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
        let (state, message) = unsettled(of, assigned, target);
        let (name, state) = (key.as_str().to_owned(), state.to_owned());
        Some(HeldStatus { name, state, message, ..HeldStatus::default() })
    });
    wanted.chain(unsettled).collect()
}

/// Whether it was there when it was looked last.
fn is_seen(key: &Key, target: Option<&TargetStatus>) -> bool {
    target.is_some_and(|target| target.held.as_ref().is_some_and(|held| held.contains(key)))
}

/// What a status has before anything else of what is declared is known there: `before`, and what is to be created.
pub(super) fn announced(assigned: &HouseAssignment, before: &HouseStatus) -> Option<HouseStatus> {
    if assigned.unlisted.is_empty() {
        return None;
    }
    let is_new = |name: &str| assigned.unlisted.iter().any(|key| key.as_str() == name);
    let listed = before.credentials.iter().filter(|of| !is_new(&of.name)).cloned();
    let new = assigned.unlisted.iter().map(|key| HeldStatus {
        name: key.as_str().to_owned(),
        observed_generation: assigned.wanted.get(key).map(|version| version.generation),
        state: PENDING.to_owned(),
        ..HeldStatus::default()
    });
    Some(HouseStatus { credentials: listed.chain(new).collect(), ..before.clone() })
}

fn is_known_to_be_gone(
    key: &Key,
    of: &Unsettled,
    assigned: &HouseAssignment,
    target: Option<&TargetStatus>,
) -> bool {
    !matches!(of, Unsettled::InError(_)) && farewell::is_gone(key, assigned, target)
}

/// How a credential is that is not wanted, or cannot be now.
fn unsettled(
    of: &Unsettled,
    assigned: &HouseAssignment,
    target: Option<&TargetStatus>,
) -> (&'static str, Option<String>) {
    let fault = assigned.fault.as_ref().map(|fault| fault.message.clone());
    match of {
        Unsettled::InError(why) => (PENDING, Some(why.clone())),
        Unsettled::Suspended => (SUSPENDED, None),
        Unsettled::Stays(why) | Unsettled::TooMany(why) => (WITHHELD, Some(why.clone())),
        Unsettled::Deleted => (DELETING, Some(why_left(assigned, target))),
        Unsettled::Leaving => (DELETING, fault.or_else(|| error_of(target?))),
    }
}

const SYNCED: &str = "Synced";
const CONSENT_REQUIRED: &str = "ConsentRequired";
const PENDING: &str = "Pending";
const SUSPENDED: &str = "Suspended";
const WITHHELD: &str = "Withheld";
const SET_UP_FAILED: &str = "SetUpFailed";

/// How the credential of a key is at a Home Assistant, and why.
fn state(
    key: &Key,
    assigned: &HouseAssignment,
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
    if target.link == Link::Suspended {
        return (SUSPENDED, None);
    }
    let Some(entry) = target.entries.iter().find(|entry| entry.key == *key) else {
        return (PENDING, error_of(target));
    };
    match &entry.holding {
        _ if !target.is_connected() => (PENDING, error_of(target)),
        Holding::Suspended => (SUSPENDED, None),
        Holding::Withheld(why) => (WITHHELD, Some(untitled(&why.to_string()))),
        Holding::Drifted | Holding::Missing | Holding::Unknown => (PENDING, error_of(target)),
        Holding::InSync => match set_up_error(entry) {
            Some(why) => (SET_UP_FAILED, Some(why)),
            None if entry.waiting().next().is_some() => (CONSENT_REQUIRED, None),
            None => (SYNCED, None),
        },
    }
}

fn error_of(target: &TargetStatus) -> Option<String> {
    target.error.as_deref().map(untitled)
}

/// As what the status of a Home Assistant has a credential, and why; as pending without a reason where that is not of what
/// is declared now.
fn written_state<'s>(
    credential: (&ObjectName, &Declared<CredentialSpec>),
    assigned: &'s HouseAssignment,
    house: Option<&'s HouseObject>,
) -> (&'s str, Option<&'s str>) {
    if let Some(fault) = &assigned.fault {
        return (PENDING, Some(&fault.message));
    }
    let (name, of) = credential;
    let is_now = |held: &&HeldStatus| {
        held.observed_generation == Some(of.generation)
            && held.last_handled_reconcile_at == of.reconcile_at
    };
    let held = house.and_then(|house| {
        let status = house.status.as_ref()?;
        let is_now = status.observed_generation == house.metadata.generation;
        status.of(&name.name).filter(|_| is_now)
    });
    let held = held.filter(is_now);
    held.map_or((PENDING, None), |held| (held.state.as_str(), held.message.as_deref()))
}

/// How a credential is in all Home Assistants that it selects, by their statuses, since each may be another replica's; none as
/// long as something is worked on, and nothing has failed.
pub(super) fn of_credential(
    credential: (&ObjectName, &Declared<CredentialSpec>),
    assigned: &CredentialAssignment,
    all: &ClusterAssignment,
    houses: &StoredHouses,
) -> (Option<ObjectStanding>, TargetCounts) {
    let mut counts = TargetCounts { total: assigned.houses.len(), ..TargetCounts::default() };
    if let Some(fault) = &assigned.fault {
        counts.failed = counts.total;
        return (Some(fault.into()), counts);
    }
    let (mut failed, mut is_pending) = (Vec::new(), false);
    for house in &assigned.houses {
        let Some(of_house) = all.houses.get(house) else { continue };
        let stored = houses.get(house).map(AsRef::as_ref);
        let (state, message) = written_state(credential, of_house, stored);
        let line = || format!("{house}: {}", message.unwrap_or(state));
        match state {
            SYNCED => counts.synced += 1,
            SUSPENDED => counts.suspended += 1,
            CONSENT_REQUIRED => {
                counts.synced += 1;
                counts.consent_required += 1;
            }
            PENDING if message.is_none() => is_pending = true,
            _ => failed.push(line()),
        }
    }
    counts.failed = failed.len();
    if let Some(why) = &assigned.withheld {
        return (Some(ObjectStanding::open("Withheld", why.clone(), Way::Stalled)), counts);
    }
    if is_pending && failed.is_empty() {
        return (None, counts);
    }
    let standing = of_counts(&counts, &failed);
    let consent = (counts.consent_required > 0).then(|| {
        let houses = counted(counts.consent_required, "Home Assistant");
        format!("an account is to be linked on {houses}: the status page of appcred has the links")
    });
    (Some(ObjectStanding { consent, ..standing }), counts)
}

fn of_counts(counts: &TargetCounts, failed: &[String]) -> ObjectStanding {
    let TargetCounts { total, synced, suspended, .. } = counts;
    if *total == 0 {
        let message = "no HomeAssistant of this namespace has the labels of targetSelector; where the credential is, it stays until this object is deleted";
        return ObjectStanding::open("NoTargets", message.to_owned(), Way::Reconciling);
    }
    let number = match suspended {
        0 => format!("{synced} of {} as wanted", counted(*total, "Home Assistant")),
        _ => format!(
            "{synced} of {} as wanted, {suspended} suspended",
            counted(*total, "Home Assistant")
        ),
    };
    if !failed.is_empty() {
        return ObjectStanding::open(
            "Failed",
            format!("{number}; {}", some(failed)),
            Way::Reconciling,
        );
    }
    ObjectStanding::done("Synced", number)
}

fn some(lines: &[String]) -> String {
    let shown = lines.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join("; ");
    match lines.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::json;

    use super::{Finalizer, ObjectStanding, held, of_credential, unless_deleted, why_left};
    use crate::kubernetes::assignment::HouseAssignment;
    use crate::kubernetes::assignment::tests::{assigned, declarations, name};
    use crate::kubernetes::declared::Declarations;
    use crate::kubernetes::departure::Unsettled;
    use crate::kubernetes::resources::{HeldStatus, HouseStatus};
    use crate::model::Key;
    use crate::status::{Link, Mode, TargetStatus};

    #[test]
    fn an_object_that_is_being_deleted_says_what_it_waits_for() {
        let mut target = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        target.error = Some("refused".to_owned());
        let of = |is_deleted, finalizer| {
            let begun = Some(ObjectStanding::begun());
            let why = |_: &_| why_left(&HouseAssignment::default(), Some(&target));
            unless_deleted(begun, is_deleted, &finalizer, why)
                .map(|standing| (standing.reason, standing.message))
        };
        let (reason, message) = of(true, Finalizer::Waits(vec![name("cabin")])).unwrap();
        assert_eq!(reason, "Deleting");
        assert!(message.ends_with("still there: ns/cabin: refused"), "{message}");
        assert_eq!(of(true, Finalizer::Stays), None);
        assert_eq!(of(false, Finalizer::Stays).unwrap().0, "Progressing");
    }

    #[test]
    fn what_leaves_is_forgotten_once_its_status_says_so_and_a_round_that_knew_of_it_saw_it_gone() {
        let elsewhere = json!({"targetSelector": {"matchLabels": {"ring": "2"}}});
        let mut all = declarations(&[("a", elsewhere)]);
        let mut other = all.houses[&name("cabin")].clone();
        other.labels.insert("ring".to_owned(), "2".to_owned());
        all.houses.insert(name("other"), other);
        let house = assigned(&all).houses[&name("cabin")].clone();
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let target = TargetStatus { link, held: Some(BTreeSet::new()), ..new };
        let seen = TargetStatus { revisions: house.revisions.clone(), ..target.clone() };
        let left = |target, generation| {
            let held = held(&house, Some(target), &status(&[("a", generation)]));
            held.into_iter().map(|of| (of.state, of.observed_generation)).collect::<Vec<_>>()
        };
        let leaves = vec![("Deleting".to_owned(), None)];
        assert_eq!(left(&seen, Some(1)), leaves, "somebody may create it by that");
        assert_eq!(left(&target, None), leaves, "the round before may create it");
        assert_eq!(left(&seen, None), []);
    }

    /// A status that was written, with credentials of these names and generations.
    fn status(credentials: &[(&str, Option<i64>)]) -> HouseStatus {
        let of = |(name, generation): &(&str, Option<i64>)| HeldStatus {
            name: name.to_string(),
            observed_generation: *generation,
            ..HeldStatus::default()
        };
        let credentials = credentials.iter().map(of).collect();
        HouseStatus { observed_generation: Some(1), credentials, ..HouseStatus::default() }
    }

    #[test]
    fn what_is_deleted_is_in_a_status_as_long_as_it_may_be_there() {
        let key = Key::new("a").unwrap();
        let unsettled = BTreeMap::from([(key.clone(), Unsettled::Deleted)]);
        let house = HouseAssignment { unsettled, ..HouseAssignment::default() };
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let seen = |keys: &[&Key]| TargetStatus {
            link: link.clone(),
            held: Some(keys.iter().map(|key| (*key).clone()).collect()),
            ..new.clone()
        };
        let is_listed =
            |target: &TargetStatus, before| !held(&house, Some(target), &before).is_empty();
        let (never, without) = (HouseStatus::default(), status(&[]));
        assert!(is_listed(&new, status(&[("a", None)])));
        assert!(!is_listed(&seen(&[]), status(&[("a", None)])), "it is gone");
        assert!(is_listed(&seen(&[&key]), without.clone()), "somebody has lost it");
        assert!(!is_listed(&new, without), "it was not in it, so nobody has created it");
        assert!(is_listed(&new, never), "nobody knows what it had");
    }

    #[test]
    fn a_credential_is_as_the_statuses_of_its_houses_say_once_they_are_of_now() {
        let mut all = declarations(&[("a", json!({}))]);
        let of = |all: &Declarations, status: &HouseStatus| {
            let assigned = assigned(all);
            let house = json!({
                "apiVersion": "appcred.io/v1alpha1",
                "kind": "HomeAssistant",
                "metadata": {"name": "cabin", "namespace": "ns", "generation": 1},
                "spec": {"url": "http://cabin:8123", "tokenSecretRef": {"name": "t", "key": "t"}},
                "status": status,
            });
            let stored = Arc::new(serde_json::from_value(house).unwrap());
            let stored = BTreeMap::from([(name("cabin"), stored)]);
            let (name, entry) = (name("a"), &assigned.credentials[&name("a")]);
            let credential = (&name, &all.credentials[&name]);
            let (standing, counts) = of_credential(credential, entry, &assigned, &stored);
            (standing.map(|standing| (standing.reason, standing.message)), counts.synced)
        };
        let said = |generation, state: &str| {
            let mut status = status(&[("a", generation)]);
            status.credentials[0].state = state.to_owned();
            status
        };
        let synced = ("Synced", "1 of 1 Home Assistant as wanted".to_owned());
        assert_eq!(of(&all, &said(Some(1), "Synced")), (Some(synced.clone()), 1));
        assert_eq!(of(&all, &said(Some(1), "Pending")).0, None);
        let (standing, synced_count) = of(&all, &said(Some(1), "SetUpFailed"));
        assert_eq!((standing.unwrap().0, synced_count), ("Failed", 0));
        let mut earlier = said(Some(1), "Synced");
        earlier.observed_generation = Some(0);
        assert_eq!(of(&all, &earlier).0, None, "the HomeAssistant has changed since");
        all.credentials.get_mut(&name("a")).unwrap().reconcile_at = Some("now".to_owned());
        assert_eq!(of(&all, &said(Some(1), "Synced")).0, None, "nobody has looked since");
        let mut handled = said(Some(1), "Synced");
        handled.credentials[0].last_handled_reconcile_at = Some("now".to_owned());
        assert_eq!(of(&all, &handled), (Some(synced), 1));
        all.credentials.get_mut(&name("a")).unwrap().generation = 2;
        assert_eq!(of(&all, &handled).0, None, "the object has changed since");
    }
}
