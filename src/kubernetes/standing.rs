//! How an object is, by what was declared and by what the targets' tasks found. Pure.
//!
//! Ready means that all is done that can be done without a person: consent is a condition of its own, since no pipeline
//! should wait until somebody has clicked. Reconciling, Stalled and ConsentRequired are there while they are so, as
//! kstatus reads them. A link for consent is in no object: whoever may read that could link an account of their own.

use indexmap::{IndexMap, IndexSet};

use super::assignment::{ClusterAssignment, CredentialAssignment, HouseAssignment};
use super::conditions::find;
use super::declared::{Declared, ObjectName};
use super::departure::Unsettled;
use super::farewell::Finalizer;
use super::fault::Fault;
use super::held::{
    CONSENT_REQUIRED, PENDING, SUSPENDED, SYNCED, StoredHouses, WITHHELD, set_up_error,
    written_state,
};
use super::resources::{CredentialSpec, FINALIZER, HouseObject, TargetCounts};
use super::untitled::{untitled, untitled_by};
use crate::model::{Key, counted};
use crate::plan::Why;
use crate::status::{Difference, EntryStatus, Holding, Link, TargetStatus};

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

/// What is to be done goes wrong: at a Home Assistant itself, or at some of those of a credential.
pub(super) const FAILED: &str = "Failed";

/// Where something is left, and why.
pub(super) fn left_at(houses: &[ObjectName], why: impl Fn(&ObjectName) -> String) -> String {
    let lines: Vec<String> =
        houses.iter().map(|house| format!("{house}: {}", why(house))).collect();
    some(&lines)
}

/// How an object is by what becomes of its mark: one that is being deleted says what it waits for, and nothing else.
/// `left` is where something of it is left, and why.
pub(super) fn unless_deleted(
    otherwise: Option<ObjectStanding>,
    is_deleted: bool,
    finalizer: &Finalizer,
    left: &str,
) -> Option<ObjectStanding> {
    if !matches!(finalizer, Finalizer::Waits(_)) {
        return otherwise.filter(|_| !is_deleted);
    }
    let message = match left {
        "" => "looking up which credential it represents".to_owned(),
        left => format!("waiting until Home Assistant no longer holds what it represents: {left}"),
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
    let standing = of_target(assigned, target);
    let message = untitled_by(standing.message, target);
    Some(ObjectStanding { consent, message, ..standing })
}

fn of_target(assigned: &HouseAssignment, target: &TargetStatus) -> ObjectStanding {
    if target.link == Link::Suspended {
        return ObjectStanding::done("Suspended", "nothing is done there for now".to_owned());
    }
    if let Some(why) = &target.error {
        let is_tried_again = target.next_reconcile.is_some();
        let way = if is_tried_again { Way::Reconciling } else { Way::Stalled };
        let (reason, way) = match target.link {
            Link::NoAccess { .. } => ("AccessDenied", Way::Stalled),
            Link::Up { .. } => (FAILED, way),
            _ => ("Unreachable", way),
        };
        return ObjectStanding::open(reason, untitled(why), way);
    }
    if !target.differences.is_empty() {
        return ObjectStanding::open("Withheld", withheld(assigned, target), Way::Stalled);
    }
    let failed: Vec<String> = target.entries.iter().filter_map(set_up_error).collect();
    if !failed.is_empty() {
        return ObjectStanding::open("SetUpFailed", failed.join("; "), Way::Reconciling);
    }
    ObjectStanding::done("Synced", as_wanted(assigned, target))
}

/// How many credentials are as wanted there, and apart from these, of how many that is not known or not asked for.
fn as_wanted(assigned: &HouseAssignment, target: &TargetStatus) -> String {
    let is_asked_for = |key: &&Key| assigned.revisions.entries.contains_key(*key);
    let number = assigned.wanted.keys().filter(is_asked_for).count();
    let rests = |of: &&EntryStatus| {
        of.holding == Holding::Suspended && assigned.wanted.contains_key(&of.key)
    };
    let suspended = target.entries.iter().filter(rests).count();
    let is_in_error = |of: &&Unsettled| matches!(of, Unsettled::InError(_));
    let in_error = assigned.unsettled.values().filter(is_in_error).count();
    let number = number.saturating_sub(suspended);
    let are = if number == 1 { "is" } else { "are" };
    let mut text = format!("{} {are} as wanted", counted(number, "credential"));
    for (number, word) in [(suspended, "suspended"), (in_error, "in error")] {
        if number > 0 {
            text += &format!(", {number} {word}");
        }
    }
    text
}

/// What is not done there, and why: each reason once.
pub(super) fn withheld(assigned: &HouseAssignment, target: &TargetStatus) -> String {
    let mut all: IndexMap<Option<String>, IndexSet<&str>> = IndexMap::new();
    for Difference { what, why, .. } in &target.differences {
        let why = why.as_ref().map(|why| of_why(why, assigned));
        all.entry(why).or_default().insert(what);
    }
    let lines = all.into_iter().map(|(why, what)| {
        let what = what.into_iter().collect::<Vec<_>>().join(", ");
        why.map_or_else(|| what.clone(), |why| format!("{what}: {why}"))
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// Why something is withheld, with what a resource says about that.
pub(super) fn of_why(why: &Why, assigned: &HouseAssignment) -> String {
    let is_in_error = |of: &Unsettled| matches!(of, Unsettled::InError(_));
    match why {
        Why::TooManyDeletes { .. } => format!("{why}; if they are meant, raise maxDeletes"),
        Why::OwnerDiffers { held, owner } => format!(
            "{} has the same key and client, and the owner `{owner}`: hand it over with the project that made it, as the documentation of the controller says (From a project)",
            held.id
        ),
        Why::NothingDesired if assigned.unsettled.values().any(is_in_error) => {
            "each ApplicationCredential that is left for this HomeAssistant is in error: put these right, or, if all is meant to go, delete them".to_owned()
        }
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
    let key = Key::new(&credential.0.name);
    let (mut failed, mut is_pending, mut is_stalled) = (Vec::new(), false, true);
    for house in &assigned.houses {
        let Some(of_house) = all.houses.get(house) else { continue };
        let stored = houses.get(house).map(AsRef::as_ref);
        let unsettled = key.as_ref().and_then(|key| of_house.unsettled.get(key));
        let (state, message) = match unsettled {
            Some(Unsettled::InError(why)) => (PENDING, Some(why.as_str())),
            _ => written_state(credential, of_house, stored),
        };
        let line = || format!("{house}: {}", message.unwrap_or(state));
        match state {
            SYNCED => counts.synced += 1,
            SUSPENDED => counts.suspended += 1,
            CONSENT_REQUIRED => {
                counts.synced += 1;
                counts.consent_required += 1;
            }
            PENDING if message.is_none() => is_pending = true,
            _ => {
                is_stalled &=
                    state == WITHHELD || state == PENDING && house_is_stalled(of_house, stored);
                failed.push(line());
            }
        }
    }
    counts.failed = failed.len();
    if let Some(fault) = &assigned.fault {
        return (Some(fault.into()), counts);
    }
    if let Some(why) = &assigned.withheld {
        return (Some(ObjectStanding::open("Withheld", why.clone(), Way::Stalled)), counts);
    }
    if is_pending && failed.is_empty() {
        return (None, counts);
    }
    let way = if is_stalled && !is_pending { Way::Stalled } else { Way::Reconciling };
    let standing = of_counts(&counts, &failed, way);
    let consent = (counts.consent_required > 0).then(|| {
        let houses = counted(counts.consent_required, "Home Assistant");
        format!("an account is to be linked on {houses}: the status page of appcred has the links")
    });
    (Some(ObjectStanding { consent, ..standing }), counts)
}

/// Whether nothing goes on at a Home Assistant before somebody has changed something.
fn house_is_stalled(assigned: &HouseAssignment, stored: Option<&HouseObject>) -> bool {
    match (&assigned.fault, stored.and_then(|house| house.status.as_ref())) {
        (Some(fault), _) => fault.is_final,
        (None, Some(status)) => find(&status.conditions, "Stalled").is_some(),
        (None, None) => false,
    }
}

/// `way` is that of what has failed.
fn of_counts(counts: &TargetCounts, failed: &[String], way: Way) -> ObjectStanding {
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
        return ObjectStanding::open(FAILED, format!("{number}; {}", some(failed)), way);
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

    use jiff::Timestamp;
    use serde_json::json;

    use super::{
        Finalizer, ObjectStanding, Way, left_at, of_credential, of_house, of_why, unless_deleted,
        withheld,
    };
    use crate::kubernetes::assignment::HouseAssignment;
    use crate::kubernetes::assignment::tests::{assigned, declarations, name};
    use crate::kubernetes::declared::Declarations;
    use crate::kubernetes::held::tests::status;
    use crate::kubernetes::held::why_left;
    use crate::kubernetes::resources::{HouseObject, HouseStatus};
    use crate::model::{ClientId, CredentialId, Domain, Held, KnownDomains, Observed, Owner};
    use crate::plan::{Why, plan};
    use crate::status::{Difference, Link, Mode, TargetStatus, entries};

    #[test]
    fn an_object_that_is_being_deleted_says_what_it_waits_for() {
        let mut target = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        target.error = Some("refused".to_owned());
        let of = |is_deleted, finalizer: Finalizer| {
            let begun = Some(ObjectStanding::begun());
            let why = |_: &_| why_left(&HouseAssignment::default(), Some(&target));
            let left = left_at(finalizer.left(), why);
            unless_deleted(begun, is_deleted, &finalizer, &left)
                .map(|standing| (standing.reason, standing.message))
        };
        let (reason, message) = of(true, Finalizer::Waits(vec![name("cabin")])).unwrap();
        assert_eq!(reason, "Deleting");
        assert!(
            message.ends_with("no longer holds what it represents: ns/cabin: refused"),
            "{message}"
        );
        assert_eq!(of(true, Finalizer::Stays), None);
        assert_eq!(of(false, Finalizer::Stays).unwrap().0, "Progressing");
    }

    #[test]
    fn what_is_not_tried_again_is_stalled() {
        let (house, mut target) = (HouseAssignment::default(), up());
        target.error = Some("refused".to_owned());
        let way = |target: &TargetStatus| of_house(&house, Some(target)).unwrap().way;
        assert_eq!(way(&target), Way::Stalled);
        target.next_reconcile = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(way(&target), Way::Reconciling);
    }

    fn up() -> TargetStatus {
        let new = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        let link = Link::Up { version: None, since: Timestamp::UNIX_EPOCH };
        TargetStatus { link, ..new }
    }

    #[test]
    fn what_is_withheld_says_what_to_do_with_objects() {
        let invalid = json!({"clientSecretRef": {"name": "none", "key": "secret"}});
        let elsewhere = json!({"targetSelector": {"matchLabels": {"ring": "2"}}});
        let said = |changes, why: &Why| {
            let house = assigned(&declarations(&[("a", changes)])).houses[&name("cabin")].clone();
            of_why(why, &house)
        };
        let nobody = said(elsewhere, &Why::NothingDesired);
        assert!(nobody.starts_with("nothing selects this HomeAssistant any more"), "{nobody}");
        let in_error = said(invalid, &Why::NothingDesired);
        assert!(in_error.contains("is in error: put these right"), "{in_error}");
        let held = Held {
            id: CredentialId::new("spotify_a"),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("a"),
            name: None,
            auth_domain: None,
        };
        let why = Why::OwnerDiffers { held, owner: Owner::new("house").unwrap() };
        let other = said(json!({}), &why);
        assert!(other.contains("owner `house`") && !other.contains("appcred.yaml"), "{other}");
    }

    #[test]
    fn a_client_that_is_twice_on_one_house_takes_nothing_from_the_others() {
        let mut all = declarations(&[("a", json!({})), ("b", json!({"clientId": "a"}))]);
        let labels = json!({"matchLabels": {"other": "1"}});
        let of = all.credentials.get_mut(&name("a")).unwrap();
        of.spec.target_selector = serde_json::from_value(labels).unwrap();
        let mut stored = BTreeMap::new();
        for number in 0..10 {
            let mut house = all.houses[&name("cabin")].clone();
            house.spec.url = format!("http://house{number}:8123");
            let labels =
                if number == 0 { &[("other", "1"), ("ring", "1")][..] } else { &[("ring", "1")] };
            let owned = labels.iter().map(|(label, value)| (label.to_string(), value.to_string()));
            house.labels = owned.collect();
            let name = name(&number.to_string());
            stored.insert(name.clone(), with_status(&said_of("b")));
            all.houses.insert(name, house);
        }
        all.houses.remove(&name("cabin"));
        let assigned = assigned(&all);
        let (of, entry) = (name("b"), &assigned.credentials[&name("b")]);
        let credential = (&of, &all.credentials[&of]);
        let (standing, counts) = of_credential(credential, entry, &assigned, &stored);
        assert_eq!(standing.unwrap().reason, "SameClient");
        assert_eq!((counts.total, counts.synced, counts.failed), (10, 9, 1));
    }

    #[test]
    fn a_credential_that_goes_on_when_somebody_has_changed_something_alone_is_stalled() {
        let mut all = declarations(&[("a", json!({}))]);
        all.houses.insert(name("barn"), all.houses[&name("cabin")].clone());
        all.houses.get_mut(&name("barn")).unwrap().spec.url = "http://barn:8123".to_owned();
        let assigned = assigned(&all);
        let way = |cabin: &HouseStatus, barn: &HouseStatus| {
            let houses = [("cabin", cabin), ("barn", barn)];
            let stored = houses.map(|(of, status)| (name(of), with_status(status))).into();
            let (of, entry) = (name("a"), &assigned.credentials[&name("a")]);
            let credential = (&of, &all.credentials[&of]);
            of_credential(credential, entry, &assigned, &stored).0.unwrap().way
        };
        let said = |state: &str, message: Option<&str>, kind: &str| {
            let mut status = said_of("a");
            status.credentials[0].state = state.to_owned();
            status.credentials[0].message = message.map(str::to_owned);
            let condition = json!({"type": kind, "status": "True", "reason": "Any", "message": "",
                "lastTransitionTime": "1970-01-01T00:00:00Z"});
            status.conditions = vec![serde_json::from_value(condition).unwrap()];
            status
        };
        let synced = said("Synced", None, "Ready");
        let withheld = said("Withheld", Some("it is protected"), "Stalled");
        let denied = said("Pending", Some("the token is refused"), "Stalled");
        let unreachable = said("Pending", Some("no answer"), "Reconciling");
        assert_eq!(way(&synced, &synced), Way::Done);
        assert_eq!(way(&synced, &withheld), Way::Stalled);
        assert_eq!(way(&denied, &withheld), Way::Stalled);
        assert_eq!(way(&unreachable, &withheld), Way::Reconciling);
        assert_eq!(way(&unreachable, &synced), Way::Reconciling);
        assert_eq!(way(&said("Pending", None, "Ready"), &withheld), Way::Reconciling);
    }

    #[test]
    fn what_rests_or_is_in_error_is_not_counted_as_wanted() {
        let suspended = json!({"suspend": true});
        let in_error = json!({"clientSecretRef": {"name": "none", "key": "secret"}});
        let all = declarations(&[("a", json!({})), ("b", suspended), ("c", in_error)]);
        let assigned = assigned(&all);
        let (house, spec) =
            (&assigned.houses[&name("cabin")], &assigned.specs[&name("cabin").target()]);
        let domains = KnownDomains::Listed([Domain::new("spotify")].into());
        let observed = Observed { domains, ..Observed::example() };
        let plan = plan(&spec.desired, &observed, &spec.policy);
        let entries = entries(&spec.desired, &plan, &spec.policy);
        let target = TargetStatus { entries, revisions: house.revisions.clone(), ..up() };
        let said = of_house(house, Some(&target)).unwrap().message;
        assert_eq!(said, "1 credential is as wanted, 1 suspended, 1 in error");
    }

    #[test]
    fn what_is_withheld_for_one_reason_says_that_once() {
        let too_many = || Some(Why::TooManyDeletes { planned: 2, allowed: 1 });
        let of = |what: &str, why| Difference { what: what.to_owned(), why, is_drift: false };
        let differences = vec![
            of("delete a", too_many()),
            of("replace c", Some(Why::Suspended)),
            of("delete a", too_many()),
            of("delete b", too_many()),
        ];
        let target = TargetStatus { differences, ..up() };
        let said = withheld(&HouseAssignment::default(), &target);
        assert_eq!(said.matches("raise maxDeletes").count(), 1, "{said}");
        assert!(said.starts_with("delete a, delete b: 2 deletes planned, 1 allowed"), "{said}");
        assert!(said.contains("; replace c: "), "{said}");
    }

    fn said_of(credential: &str) -> HouseStatus {
        let mut status = status(&[(credential, Some(1))]);
        status.credentials[0].state = "Synced".to_owned();
        status
    }

    fn with_status(status: &HouseStatus) -> Arc<HouseObject> {
        let house = json!({
            "apiVersion": "appcred.io/v1alpha1",
            "kind": "HomeAssistant",
            "metadata": {"name": "cabin", "namespace": "ns", "generation": 1},
            "spec": {"url": "http://cabin:8123", "tokenSecretRef": {"name": "t", "key": "t"}},
            "status": status,
        });
        Arc::new(serde_json::from_value(house).unwrap())
    }

    #[test]
    fn a_credential_is_as_the_statuses_of_its_houses_say_once_they_are_of_now() {
        let mut all = declarations(&[("a", json!({}))]);
        let of = |all: &Declarations, status: &HouseStatus| {
            let assigned = assigned(all);
            let stored = BTreeMap::from([(name("cabin"), with_status(status))]);
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
