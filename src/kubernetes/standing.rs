//! How an object is, by what was declared and by what the targets' tasks found. Pure.
//!
//! Ready means that all is done that can be done without a person: consent is a condition of its own, since no pipeline
//! should wait until somebody has clicked. Reconciling, Stalled and ConsentRequired are there while they are so, as
//! kstatus reads them. A link for consent is in no object: whoever may read that could link an account of their own.

use super::assignment::{ClusterAssignment, CredentialAssignment, Fault, HouseAssignment};
use super::declared::{Declared, ObjectName};
use super::farewell::Finalizer;
use super::held::{
    CONSENT_REQUIRED, PENDING, SUSPENDED, SYNCED, StoredHouses, set_up_error, written_state,
};
use super::resources::{CredentialSpec, FINALIZER, TargetCounts};
use super::untitled::untitled;
use crate::model::{Key, counted};
use crate::plan::Why;
use crate::status::{Link, TargetStatus};

/// So many Home Assistants are named in one message.
const MOST_NAMED: usize = 3;

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
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;

    use super::{Finalizer, ObjectStanding, of_credential, unless_deleted};
    use crate::kubernetes::assignment::HouseAssignment;
    use crate::kubernetes::assignment::tests::{assigned, declarations, name};
    use crate::kubernetes::declared::Declarations;
    use crate::kubernetes::held::tests::status;
    use crate::kubernetes::held::why_left;
    use crate::kubernetes::resources::HouseStatus;
    use crate::status::{Mode, TargetStatus};

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
