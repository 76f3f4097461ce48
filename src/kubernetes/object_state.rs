//! How an object is, by what was declared and by what the targets' tasks found. Pure.
//!
//! Ready means that all is done that can be done without a person: consent is a condition of its own, since no pipeline
//! should wait until somebody has clicked. Reconciling, Stalled and ConsentRequired are there while they are so, as
//! kstatus reads them. A link for consent is in no object: whoever may read that could link an account of their own.

use indexmap::{IndexMap, IndexSet};

use super::assignment::{ClusterAssignment, CredentialAssignment, InstanceAssignment};
use super::conditions::find;
use super::declared::{Declared, ObjectName};
use super::departure::Unsettled;
use super::fault::Fault;
use super::finalizer::Finalizer;
use super::listed::{
    CONSENT_REQUIRED, PENDING, SUSPENDED, SYNCED, StoredInstances, WITHHELD, set_up_error,
    written_state,
};
use super::resources::{CredentialSpec, FINALIZER, InstanceObject, TargetCounts};
use super::untitled::{untitled, untitled_by};
use crate::model::{Key, counted};
use crate::plan::Why;
use crate::status::{Difference, EntryStatus, Holding, Link, TargetStatus};

/// So many Home Assistants are named in one message.
const MOST_NAMED: usize = 3;

/// Where an object is on its way, without times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectState {
    pub(super) is_ready: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) phase: ObjectPhase,
    /// For whose consent is waited, in words.
    pub(super) consent: Option<String>,
}

/// Whether it goes on without anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectPhase {
    /// Nothing is left to do.
    Done,
    /// It is being worked on, or tried again.
    Reconciling,
    /// It goes on when somebody has changed something.
    Stalled,
}

impl ObjectState {
    fn done(reason: &'static str, message: String) -> Self {
        Self { is_ready: true, reason, message, phase: ObjectPhase::Done, consent: None }
    }

    fn open(reason: &'static str, message: String, phase: ObjectPhase) -> Self {
        Self { is_ready: false, reason, message, phase, consent: None }
    }

    /// The mark that keeps it cannot be set, for this reason.
    pub(super) fn unmarked(why: &str) -> Self {
        let message = format!(
            "the finalizer {FINALIZER} cannot be set, and nothing is created before that: {why}"
        );
        Self::open("FinalizerRefused", message, ObjectPhase::Reconciling)
    }

    /// Nothing is known of it yet.
    pub(super) fn begun() -> Self {
        Self::open("Progressing", "it is being looked at".to_owned(), ObjectPhase::Reconciling)
    }
}

impl From<&Fault> for ObjectState {
    fn from(Fault { reason, message, is_final }: &Fault) -> Self {
        let phase = if *is_final { ObjectPhase::Stalled } else { ObjectPhase::Reconciling };
        Self::open(reason, message.clone(), phase)
    }
}

/// What an object that is being deleted says instead of how it is otherwise.
pub(super) const DELETING: &str = "Deleting";

/// What is to be done goes wrong: at a Home Assistant itself, or at some of those of a credential.
pub(super) const FAILED: &str = "Failed";

/// Where something is left, and why.
pub(super) fn left_at(instances: &[ObjectName], why: impl Fn(&ObjectName) -> String) -> String {
    let lines: Vec<String> =
        instances.iter().map(|instance| format!("{instance}: {}", why(instance))).collect();
    some(&lines)
}

/// How an object is by what becomes of its mark: one that is being deleted says what it waits for, and nothing else.
/// `left` is where something of it is left, and why.
pub(super) fn unless_deleted(
    otherwise: Option<ObjectState>,
    is_deleted: bool,
    finalizer: &Finalizer,
    left: &str,
) -> Option<ObjectState> {
    if !matches!(finalizer, Finalizer::Waits(_)) {
        return otherwise.filter(|_| !is_deleted);
    }
    let message = match left {
        "" => "looking up which credential it represents".to_owned(),
        left => format!("waiting until Home Assistant no longer holds what it represents: {left}"),
    };
    Some(ObjectState::open(DELETING, message, ObjectPhase::Reconciling))
}

/// How a Home Assistant is; none as long as nothing is known of what is declared now, or its status has not all of that yet.
pub(super) fn of_instance(
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
) -> Option<ObjectState> {
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
    let state = of_target(assigned, target);
    let message = untitled_by(state.message, target);
    Some(ObjectState { consent, message, ..state })
}

fn of_target(assigned: &InstanceAssignment, target: &TargetStatus) -> ObjectState {
    if target.link == Link::Suspended {
        return ObjectState::done("Suspended", "nothing is done there for now".to_owned());
    }
    if let Some(why) = &target.error {
        let is_tried_again = target.next_reconcile.is_some();
        let phase = if is_tried_again { ObjectPhase::Reconciling } else { ObjectPhase::Stalled };
        let (reason, phase) = match target.link {
            Link::NoAccess { .. } => ("AccessDenied", ObjectPhase::Stalled),
            Link::Up { .. } => (FAILED, phase),
            _ => ("Unreachable", phase),
        };
        return ObjectState::open(reason, untitled(why), phase);
    }
    if !target.differences.is_empty() {
        return ObjectState::open("Withheld", withheld(assigned, target), ObjectPhase::Stalled);
    }
    let failed: Vec<String> = target.entries.iter().filter_map(set_up_error).collect();
    if !failed.is_empty() {
        return ObjectState::open("SetUpFailed", failed.join("; "), ObjectPhase::Reconciling);
    }
    ObjectState::done("Synced", as_wanted(assigned, target))
}

/// How many credentials are as wanted there, and apart from these, of how many that is not known or not asked for.
fn as_wanted(assigned: &InstanceAssignment, target: &TargetStatus) -> String {
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
pub(super) fn withheld(assigned: &InstanceAssignment, target: &TargetStatus) -> String {
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
pub(super) fn of_why(why: &Why, assigned: &InstanceAssignment) -> String {
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
    instances: &StoredInstances,
) -> (Option<ObjectState>, TargetCounts) {
    let mut counts = TargetCounts { total: assigned.instances.len(), ..TargetCounts::default() };
    let key = Key::new(&credential.0.name);
    let (mut failed, mut is_pending, mut is_stalled) = (Vec::new(), false, true);
    for instance in &assigned.instances {
        let Some(of_instance) = all.instances.get(instance) else { continue };
        let stored = instances.get(instance).map(AsRef::as_ref);
        let unsettled = key.as_ref().and_then(|key| of_instance.unsettled.get(key));
        let (state, message) = match unsettled {
            Some(Unsettled::InError(why)) => (PENDING, Some(why.as_str())),
            _ => written_state(credential, of_instance, stored),
        };
        let line = || format!("{instance}: {}", message.unwrap_or(state));
        match state {
            SYNCED => counts.synced += 1,
            SUSPENDED => counts.suspended += 1,
            CONSENT_REQUIRED => {
                counts.synced += 1;
                counts.consent_required += 1;
            }
            PENDING if message.is_none() => is_pending = true,
            _ => {
                is_stalled &= state == WITHHELD
                    || state == PENDING && instance_is_stalled(of_instance, stored);
                failed.push(line());
            }
        }
    }
    counts.failed = failed.len();
    if let Some(fault) = &assigned.fault {
        return (Some(fault.into()), counts);
    }
    if let Some(why) = &assigned.withheld {
        return (Some(ObjectState::open("Withheld", why.clone(), ObjectPhase::Stalled)), counts);
    }
    if is_pending && failed.is_empty() {
        return (None, counts);
    }
    let phase =
        if is_stalled && !is_pending { ObjectPhase::Stalled } else { ObjectPhase::Reconciling };
    let state = of_counts(&counts, &failed, phase);
    let consent = (counts.consent_required > 0).then(|| {
        let instances = counted(counts.consent_required, "Home Assistant");
        format!(
            "an account is to be linked on {instances}: the status page of appcred has the links"
        )
    });
    (Some(ObjectState { consent, ..state }), counts)
}

/// Whether nothing goes on at a Home Assistant before somebody has changed something.
fn instance_is_stalled(assigned: &InstanceAssignment, stored: Option<&InstanceObject>) -> bool {
    match (&assigned.fault, stored.and_then(|instance| instance.status.as_ref())) {
        (Some(fault), _) => fault.is_final,
        (None, Some(status)) => find(&status.conditions, "Stalled").is_some(),
        (None, None) => false,
    }
}

/// `phase` is that of what has failed.
fn of_counts(counts: &TargetCounts, failed: &[String], phase: ObjectPhase) -> ObjectState {
    let TargetCounts { total, synced, suspended, .. } = counts;
    if *total == 0 {
        let message = "no HomeAssistant of this namespace has the labels of targetSelector; where the credential is, it stays until this object is deleted";
        return ObjectState::open("NoTargets", message.to_owned(), ObjectPhase::Reconciling);
    }
    let number = match suspended {
        0 => format!("{synced} of {} as wanted", counted(*total, "Home Assistant")),
        _ => format!(
            "{synced} of {} as wanted, {suspended} suspended",
            counted(*total, "Home Assistant")
        ),
    };
    if !failed.is_empty() {
        return ObjectState::open(FAILED, format!("{number}; {}", some(failed)), phase);
    }
    ObjectState::done("Synced", number)
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
        Finalizer, ObjectPhase, ObjectState, left_at, of_credential, of_instance, of_why,
        unless_deleted, withheld,
    };
    use crate::kubernetes::assignment::InstanceAssignment;
    use crate::kubernetes::assignment::tests::{assigned, declarations, name};
    use crate::kubernetes::declared::Declarations;
    use crate::kubernetes::listed::tests::status;
    use crate::kubernetes::listed::why_left;
    use crate::kubernetes::resources::{InstanceObject, InstanceStatus};
    use crate::model::{ClientId, CredentialId, Domain, Held, KnownDomains, Observed, Owner};
    use crate::plan::{Why, plan};
    use crate::status::{Difference, Link, Mode, TargetStatus, entries};

    #[test]
    fn an_object_that_is_being_deleted_says_what_it_waits_for() {
        let mut target = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        target.error = Some("refused".to_owned());
        let of = |is_deleted, finalizer: Finalizer| {
            let begun = Some(ObjectState::begun());
            let why = |_: &_| why_left(&InstanceAssignment::default(), Some(&target));
            let left = left_at(finalizer.left(), why);
            unless_deleted(begun, is_deleted, &finalizer, &left)
                .map(|state| (state.reason, state.message))
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
        let (instance, mut target) = (InstanceAssignment::default(), up());
        target.error = Some("refused".to_owned());
        let phase = |target: &TargetStatus| of_instance(&instance, Some(target)).unwrap().phase;
        assert_eq!(phase(&target), ObjectPhase::Stalled);
        target.next_reconcile = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(phase(&target), ObjectPhase::Reconciling);
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
            let instance =
                assigned(&declarations(&[("a", changes)])).instances[&name("cabin")].clone();
            of_why(why, &instance)
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
    fn a_client_that_is_twice_on_one_instance_takes_nothing_from_the_others() {
        let mut all = declarations(&[("a", json!({})), ("b", json!({"clientId": "a"}))]);
        let labels = json!({"matchLabels": {"other": "1"}});
        let of = all.credentials.get_mut(&name("a")).unwrap();
        of.spec.target_selector = serde_json::from_value(labels).unwrap();
        let mut stored = BTreeMap::new();
        for number in 0..10 {
            let mut instance = all.instances[&name("cabin")].clone();
            instance.spec.url = format!("http://house{number}:8123");
            let labels =
                if number == 0 { &[("other", "1"), ("ring", "1")][..] } else { &[("ring", "1")] };
            let owned = labels.iter().map(|(label, value)| (label.to_string(), value.to_string()));
            instance.labels = owned.collect();
            let name = name(&number.to_string());
            stored.insert(name.clone(), with_status(&said_of("b")));
            all.instances.insert(name, instance);
        }
        all.instances.remove(&name("cabin"));
        let assigned = assigned(&all);
        let (of, entry) = (name("b"), &assigned.credentials[&name("b")]);
        let credential = (&of, &all.credentials[&of]);
        let (state, counts) = of_credential(credential, entry, &assigned, &stored);
        assert_eq!(state.unwrap().reason, "SameClient");
        assert_eq!((counts.total, counts.synced, counts.failed), (10, 9, 1));
    }

    #[test]
    fn a_credential_that_goes_on_when_somebody_has_changed_something_alone_is_stalled() {
        let mut all = declarations(&[("a", json!({}))]);
        all.instances.insert(name("barn"), all.instances[&name("cabin")].clone());
        all.instances.get_mut(&name("barn")).unwrap().spec.url = "http://barn:8123".to_owned();
        let assigned = assigned(&all);
        let phase = |cabin: &InstanceStatus, barn: &InstanceStatus| {
            let instances = [("cabin", cabin), ("barn", barn)];
            let stored = instances.map(|(of, status)| (name(of), with_status(status))).into();
            let (of, entry) = (name("a"), &assigned.credentials[&name("a")]);
            let credential = (&of, &all.credentials[&of]);
            of_credential(credential, entry, &assigned, &stored).0.unwrap().phase
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
        assert_eq!(phase(&synced, &synced), ObjectPhase::Done);
        assert_eq!(phase(&synced, &withheld), ObjectPhase::Stalled);
        assert_eq!(phase(&denied, &withheld), ObjectPhase::Stalled);
        assert_eq!(phase(&unreachable, &withheld), ObjectPhase::Reconciling);
        assert_eq!(phase(&unreachable, &synced), ObjectPhase::Reconciling);
        assert_eq!(phase(&said("Pending", None, "Ready"), &withheld), ObjectPhase::Reconciling);
    }

    #[test]
    fn what_rests_or_is_in_error_is_not_counted_as_wanted() {
        let suspended = json!({"suspend": true});
        let in_error = json!({"clientSecretRef": {"name": "none", "key": "secret"}});
        let all = declarations(&[("a", json!({})), ("b", suspended), ("c", in_error)]);
        let assigned = assigned(&all);
        let (instance, spec) =
            (&assigned.instances[&name("cabin")], &assigned.specs[&name("cabin").target()]);
        let domains = KnownDomains::Listed([Domain::new("spotify")].into());
        let observed = Observed { domains, ..Observed::example() };
        let plan = plan(&spec.desired, &observed, &spec.policy);
        let entries = entries(&spec.desired, &plan, &spec.policy);
        let target = TargetStatus { entries, revisions: instance.revisions.clone(), ..up() };
        let said = of_instance(instance, Some(&target)).unwrap().message;
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
        let said = withheld(&InstanceAssignment::default(), &target);
        assert_eq!(said.matches("raise maxDeletes").count(), 1, "{said}");
        assert!(said.starts_with("delete a, delete b: 2 deletes planned, 1 allowed"), "{said}");
        assert!(said.contains("; replace c: "), "{said}");
    }

    fn said_of(credential: &str) -> InstanceStatus {
        let mut status = status(&[(credential, Some(1))]);
        status.credentials[0].state = "Synced".to_owned();
        status
    }

    fn with_status(status: &InstanceStatus) -> Arc<InstanceObject> {
        let instance = json!({
            "apiVersion": "appcred.io/v1alpha1",
            "kind": "HomeAssistant",
            "metadata": {"name": "cabin", "namespace": "ns", "generation": 1},
            "spec": {"url": "http://cabin:8123", "tokenSecretRef": {"name": "t", "key": "t"}},
            "status": status,
        });
        Arc::new(serde_json::from_value(instance).unwrap())
    }

    #[test]
    fn a_credential_is_as_the_statuses_of_its_instances_say_once_they_are_of_now() {
        let mut all = declarations(&[("a", json!({}))]);
        let of = |all: &Declarations, status: &InstanceStatus| {
            let assigned = assigned(all);
            let stored = BTreeMap::from([(name("cabin"), with_status(status))]);
            let (name, entry) = (name("a"), &assigned.credentials[&name("a")]);
            let credential = (&name, &all.credentials[&name]);
            let (state, counts) = of_credential(credential, entry, &assigned, &stored);
            (state.map(|state| (state.reason, state.message)), counts.synced)
        };
        let said = |generation, state: &str| {
            let mut status = status(&[("a", generation)]);
            status.credentials[0].state = state.to_owned();
            status
        };
        let synced = ("Synced", "1 of 1 Home Assistant as wanted".to_owned());
        assert_eq!(of(&all, &said(Some(1), "Synced")), (Some(synced.clone()), 1));
        assert_eq!(of(&all, &said(Some(1), "Pending")).0, None);
        let (state, synced_count) = of(&all, &said(Some(1), "SetUpFailed"));
        assert_eq!((state.unwrap().0, synced_count), ("Failed", 0));
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
