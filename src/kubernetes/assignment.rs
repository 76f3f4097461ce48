//! What is declared -> what each Home Assistant should hold, and what is wrong with objects. Pure.
//!
//! An object that is in error is left out, and holds up no other. Nothing is deleted because something is missing: only
//! what an object represents that is being deleted, or that selects others than the Home Assistant.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Selector, SelectorExt};
use smol_str::{SmolStr, format_smolstr};

use super::declared::{Declarations, Declared, Listing, ObjectName};
use super::departure::{self, Departure, Unsettled};
use super::fault::Fault;
use super::resources::{CredentialSpec, DeletionPolicy, InstanceSpec, SecretKeyRef};
use super::{target_spec, wanted};
use crate::model::{
    Completeness, Desired, DesiredCredential, Key, MaxDeletes, OnDelete, Owner, Policy, TargetName,
};
use crate::status::Revisions;
use crate::watch::TargetSpec;

/// What a Home Assistant is to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct InstanceAssignment {
    /// Why nothing is done there.
    pub(super) fault: Option<Fault>,
    /// Of which versions of objects this is.
    pub(super) revisions: Revisions,
    /// The credentials that it is to hold, with the versions of their objects.
    pub(super) wanted: BTreeMap<Key, WantedVersion>,
    /// Those of them that its status does not have as wanted yet, and that are not created before.
    pub(super) unlisted: BTreeSet<Key>,
    /// Those that it has, and that are not created before it was looked whether their objects are there still.
    pub(super) announced: BTreeSet<Key>,
    /// The keys of what is to be deleted there, with what becomes of accounts that are linked through it.
    pub(super) gone: BTreeMap<Key, OnDelete>,
    /// What is not wanted there, or cannot be now, and may be there.
    pub(super) unsettled: BTreeMap<Key, Unsettled>,
    /// Why what is to go stays until another object of its client has taken it over.
    pub(super) awaits: BTreeMap<Key, String>,
    /// Those of the wanted credentials of which nothing is changed for now.
    pub(super) suspended: BTreeSet<Key>,
}

/// Which version of an object is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WantedVersion {
    pub(super) generation: i64,
    /// The value by which somebody asks for a look at once.
    pub(super) reconcile_at: Option<String>,
}

/// For whom a credential is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CredentialAssignment {
    /// Why it is nobody's.
    pub(super) fault: Option<Fault>,
    /// Why labels take it off nobody.
    pub(super) withheld: Option<String>,
    /// Of which version of the object and its Secret this is.
    pub(super) revision: SmolStr,
    /// Those that it selects.
    pub(super) instances: BTreeSet<ObjectName>,
}

/// What all are to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterAssignment {
    pub(super) specs: BTreeMap<TargetName, TargetSpec>,
    pub(super) instances: BTreeMap<ObjectName, InstanceAssignment>,
    pub(super) credentials: BTreeMap<ObjectName, CredentialAssignment>,
}

/// A credential, read as far as that goes.
struct ReadCredential<'d> {
    name: &'d ObjectName,
    declared: &'d Declared<CredentialSpec>,
    key: Key,
    /// Nothing where it cannot be read.
    selector: Option<Selector>,
    /// Those that had it and are no longer selected.
    departure: Option<&'d Departure>,
    /// Why it is not deleted there; nothing where it is.
    stays: Option<Unsettled>,
    wanted: Result<DesiredCredential, Fault>,
    revision: SmolStr,
}

/// Assigns what is declared. The owner of what is in a namespace begins with `owner`.
pub(super) fn assign(declared: &Declarations, owner: &Owner) -> ClusterAssignment {
    let mut assignment = ClusterAssignment::default();
    let mut selectors = departure::selectors(declared);
    let departures = departure::departures(declared, &selectors);
    let mut read: BTreeMap<&str, Vec<ReadCredential<'_>>> = BTreeMap::new();
    for (name, of) in &declared.credentials {
        let Some(selector) = selectors.remove(name) else { continue };
        match read_credential((name, of), declared, selector, departures.get(name)) {
            Ok(credential) => {
                let entry = CredentialAssignment {
                    fault: credential.wanted.as_ref().err().cloned(),
                    withheld: credential.withheld().map(str::to_owned),
                    revision: credential.revision.clone(),
                    instances: BTreeSet::new(),
                };
                assignment.credentials.insert(name.clone(), entry);
                read.entry(&name.namespace).or_default().push(credential);
            }
            Err(fault) => {
                let entry =
                    CredentialAssignment { fault: Some(fault), ..CredentialAssignment::default() };
                assignment.credentials.insert(name.clone(), entry);
            }
        }
    }
    // Of two that are for the same client, the one that was there first has it. Within one second, as where a cluster is
    // rebuilt, the name decides, which is the order already.
    read.values_mut().for_each(|all| all.sort_by_key(|of| of.declared.created));
    let first_of = target_spec::first_of_places(declared);
    for (name, instance) in &declared.instances {
        let credentials = read.get(name.namespace.as_str()).map_or(&[][..], Vec::as_slice);
        let endpoint = target_spec::endpoint((name, instance), declared, &first_of);
        let version = |of: &SecretKeyRef| {
            let secret = declared.secret(&name.beside(&of.name), &of.key);
            secret.map(|(_, version)| version).unwrap_or_default()
        };
        let InstanceSpec { token_secret_ref, ca_secret_ref, .. } = &instance.spec;
        let version = match ca_secret_ref {
            None => version(token_secret_ref).to_owned(),
            Some(ca) => format!("{}.{}", version(token_secret_ref), version(ca)),
        };
        let (mut of_instance, desired, policy) =
            wanted_by((name, instance), credentials, declared, &mut assignment);
        of_instance.revisions.target = revision(instance, &version);
        let of_instance =
            InstanceAssignment { fault: endpoint.as_ref().err().cloned(), ..of_instance };
        if instance.is_released() {
            // Nothing is to be done there.
        } else if let (Ok(endpoint), Some(owner)) = (endpoint, owner_of(owner, &name.namespace)) {
            let desired = Desired { owner, ..desired };
            let spec = target_spec::spec(
                instance,
                endpoint,
                desired,
                policy,
                of_instance.revisions.clone(),
            );
            assignment.specs.insert(name.target(), spec);
        }
        assignment.instances.insert(name.clone(), of_instance);
    }
    assignment
}

/// Who owns what the objects of a namespace represent.
pub(super) fn owner_of(cluster: &Owner, namespace: &str) -> Option<Owner> {
    Owner::new(&format!("{cluster}.{namespace}"))
}

fn read_credential<'d>(
    (name, declared): (&'d ObjectName, &'d Declared<CredentialSpec>),
    all: &'d Declarations,
    selector: Result<Selector, String>,
    departure: Option<&'d Departure>,
) -> Result<ReadCredential<'d>, Fault> {
    let key = Key::new(&name.name).ok_or_else(|| {
        Fault::invalid("the name is longer than 100 characters, or has one that no key has".into())
    })?;
    let spec = &declared.spec;
    let secret = &spec.client_secret_ref;
    let secret = all.secret(&name.beside(&secret.name), &secret.key);
    let version = secret.as_ref().map(|(_, version)| *version).unwrap_or_default();
    let revision = revision(declared, version);
    let wanted = match secret {
        Ok((secret, _)) => wanted::desired(name, key.clone(), spec, secret),
        Err(fault) => Err(fault.into()),
    };
    let selector = selector.map_err(Fault::invalid);
    let limit = departure::max_deletes(spec.max_deletes.as_ref()).map_err(Fault::invalid);
    let selects_any = |selector: &Selector| {
        all.instances_beside(name)
            .any(|(_, instance)| instance.deleted.is_none() && selector.matches(&instance.labels))
    };
    let stays = match (&selector, &limit) {
        (Err(fault), _) if spec.unreadable.is_some() => {
            Some(Unsettled::InError(fault.message.clone()))
        }
        _ if spec.suspend => Some(Unsettled::Suspended),
        _ if spec.protect => Some(Unsettled::Stays("it is protected".to_owned())),
        (Err(fault), _) | (_, Err(fault)) => Some(Unsettled::InError(fault.message.clone())),
        // A selector that selects none is more often a mistake than a wish.
        (Ok(selector), _) if !selects_any(selector) => {
            Some(Unsettled::Stays("targetSelector selects nothing".to_owned()))
        }
        (Ok(_), Ok(limit)) => departure.and_then(|of| of.withheld(*limit)).map(Unsettled::TooMany),
    };
    let (selector, wanted) = match (selector, limit) {
        // It goes everywhere, whatever it says otherwise.
        _ if declared.deleted.is_some() && spec.unreadable.is_none() => (None, wanted),
        (Ok(selector), Ok(_)) => (Some(selector), wanted),
        (Ok(selector), Err(fault)) => (Some(selector), Err(fault)),
        (Err(fault), _) => (None, Err(fault)),
    };
    Ok(ReadCredential { name, declared, key, selector, departure, stays, wanted, revision })
}

impl ReadCredential<'_> {
    /// Why labels take it off nobody, where that are too many.
    fn withheld(&self) -> Option<&str> {
        match &self.stays {
            Some(Unsettled::TooMany(why)) if self.declared.deleted.is_none() => Some(why),
            _ => None,
        }
    }

    fn selects(&self, instance: &Declared<InstanceSpec>) -> bool {
        let selector = self.selector.as_ref();
        instance.deleted.is_none() && selector.is_some_and(|of| of.matches(&instance.labels))
    }
}

/// A text that differs wherever a version of an object and of its Secret does.
fn revision<S>(of: &Declared<S>, secret: &str) -> SmolStr {
    let Declared { uid, generation, reconcile_at, deleted, .. } = of;
    let asked = reconcile_at.as_deref().unwrap_or_default();
    format_smolstr!("{uid} {generation} {secret} {} {asked}", deleted.is_some())
}

/// How many credentials may be deleted at once.
pub(super) fn max_deletes(instance: &Declared<InstanceSpec>) -> Result<Option<MaxDeletes>, Fault> {
    // An instance that is being deleted is to be emptied.
    let limit = instance.spec.max_deletes.as_ref().filter(|_| instance.deleted.is_none());
    departure::max_deletes(limit).map_err(Fault::invalid)
}

/// What a Home Assistant is to hold, and what may be done for that.
fn wanted_by(
    (name, instance): (&ObjectName, &Declared<InstanceSpec>),
    credentials: &[ReadCredential<'_>],
    declared: &Declarations,
    assignment: &mut ClusterAssignment,
) -> (InstanceAssignment, Desired, Policy) {
    let mut of_instance = InstanceAssignment::default();
    // Who empties a Home Assistant deletes that object or the credentials', or says how many may go.
    let max_deletes = max_deletes(instance).ok().flatten();
    let allow_empty = max_deletes.is_some() || instance.deleted.is_some();
    let mut policy = Policy { max_deletes, allow_empty, ..Policy::default() };
    let mut desired = Vec::new();
    let mut clients: BTreeMap<(&str, &str), &ObjectName> = BTreeMap::new();
    for of in credentials {
        let spec = &of.declared.spec;
        policy.protected.extend(spec.protect.then(|| of.key.clone()));
        if of.declared.deleted.is_some() || instance.deleted.is_some() {
            delete(of, instance, &mut of_instance);
            policy.allow_empty |= of.declared.deleted.is_some();
            continue;
        }
        leave(of, name, &mut of_instance);
        if !of.selects(instance) {
            continue;
        }
        let Some(entry) = assignment.credentials.get_mut(of.name) else { continue };
        entry.instances.insert(name.clone());
        // Where it is held back that others lose it, these do not get it either: that is one change.
        let has_it = |of: &Departure| of.kept.contains(name);
        if of.withheld().is_some() && !of.departure.is_some_and(has_it) {
            continue;
        }
        let in_error = |fault: &Fault| Unsettled::InError(fault.message.clone());
        // It keeps its client while it is in error, too.
        let first = *clients.entry((&spec.domain, spec.client_id())).or_insert(of.name);
        if first != of.name {
            let fault = same_client(first, name);
            of_instance.unsettled.insert(of.key.clone(), in_error(&fault));
            entry.fault = Some(fault);
            continue;
        }
        let wanted = match &of.wanted {
            Ok(wanted) => wanted,
            Err(fault) => {
                of_instance.unsettled.insert(of.key.clone(), in_error(fault));
                continue;
            }
        };
        let is_listed = want(of, declared.listed_as(name, of.key.as_str()), &mut of_instance);
        let is_kept = spec.deletion_policy == DeletionPolicy::Delete;
        if !is_listed || is_kept && !of.declared.has_finalizer {
            continue;
        }
        of_instance.revisions.entries.insert(of.key.clone(), of.revision.clone());
        policy.suspended.extend(spec.suspend.then(|| of.key.clone()));
        desired.push(wanted.clone());
    }
    await_successors(credentials, &clients, &desired, &mut of_instance);
    of_instance.suspended.clone_from(&policy.suspended);
    policy.gone = Some(of_instance.gone.clone());
    let desired = Desired {
        owner: Owner::default(),
        previous_owners: BTreeSet::new(),
        credentials: desired,
        unidentified: Vec::new(),
        elsewhere: Default::default(),
        completeness: Completeness::Whole,
    };
    (of_instance, desired, policy)
}

/// Deletes nothing of a client that another object wants there and may not have yet: it is the same one by another name,
/// and its linked accounts stay with it.
fn await_successors(
    credentials: &[ReadCredential<'_>],
    clients: &BTreeMap<(&str, &str), &ObjectName>,
    desired: &[DesiredCredential],
    of_instance: &mut InstanceAssignment,
) {
    let had: BTreeSet<(&str, &str)> =
        desired.iter().map(|of| (of.domain.as_str(), of.client_id.as_str())).collect();
    for of in credentials {
        let client = (of.declared.spec.domain.as_str(), of.declared.spec.client_id());
        let successor = clients.get(&client).filter(|_| !had.contains(&client));
        if let Some(successor) = successor
            && of_instance.gone.remove(&of.key).is_some()
        {
            let key = Key::new(&successor.name);
            let why = match key.and_then(|key| of_instance.unsettled.get(&key)) {
                Some(Unsettled::InError(why)) => format!("is in error: {why}"),
                _ => "has not done so yet".to_owned(),
            };
            let why = format!(
                "the ApplicationCredential {successor}, which is for the same client and is to take this credential over, {why}"
            );
            of_instance.awaits.insert(of.key.clone(), why);
        }
    }
}

/// Wants a credential there. Answers whether it may be created, by what the status has of it: before that has it, nobody may
/// know that it is there, and its object could vanish, or select others.
fn want(
    of: &ReadCredential<'_>,
    listing: Option<Listing>,
    of_instance: &mut InstanceAssignment,
) -> bool {
    let Declared { generation, reconcile_at, .. } = of.declared;
    let version = WantedVersion { generation: *generation, reconcile_at: reconcile_at.clone() };
    of_instance.wanted.insert(of.key.clone(), version);
    let before = match listing {
        Some(Listing::Wanted) => return true,
        Some(Listing::Announced) => &mut of_instance.announced,
        Some(Listing::Unsettled) | None => &mut of_instance.unlisted,
    };
    before.insert(of.key.clone());
    false
}

/// Deletes a credential since its object is being deleted, or the Home Assistant's.
fn delete(
    of: &ReadCredential<'_>,
    instance: &Declared<InstanceSpec>,
    of_instance: &mut InstanceAssignment,
) {
    let spec = &of.declared.spec;
    let is_kept = spec.suspend || spec.protect || instance.is_released();
    let is_gone = spec.deletion_policy == DeletionPolicy::Delete && !is_kept;
    if is_gone {
        of_instance.gone.insert(of.key.clone(), wanted::on_delete(&spec.integration));
        // The status has it until it is gone: by that, its object waits too once it is deleted.
        of_instance.unsettled.insert(of.key.clone(), Unsettled::Deleted);
    }
    if of.declared.deleted.is_some() {
        of_instance.revisions.entries.insert(of.key.clone(), of.revision.clone());
    }
}

/// Deletes a credential since labels no longer select the Home Assistant, where it is to have it by its status.
fn leave(of: &ReadCredential<'_>, instance: &ObjectName, of_instance: &mut InstanceAssignment) {
    if !of.departure.is_some_and(|departure| departure.leaving.contains(instance)) {
        return;
    }
    // Only a round that knew of it says that it is gone: one before may be creating it still.
    of_instance
        .revisions
        .entries
        .insert(of.key.clone(), format_smolstr!("{} leaving", of.revision));
    if of.stays.is_none() {
        let on_delete = wanted::on_delete(&of.declared.spec.integration);
        of_instance.gone.insert(of.key.clone(), on_delete);
    }
    of_instance.unsettled.insert(of.key.clone(), of.stays.clone().unwrap_or(Unsettled::Leaving));
}

fn same_client(first: &ObjectName, instance: &ObjectName) -> Fault {
    let message = format!(
        "the ApplicationCredential {first} is for the same client on {instance}: keep one of the two, or have them select others"
    );
    Fault { reason: "SameClient", message, is_final: true }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    use serde_json::{Value as Json, json};

    use super::{ClusterAssignment, assign};
    use crate::kubernetes::as_stored::MayBeUnreadable;
    use crate::kubernetes::declared::{Declarations, Declared, Listing, ObjectName, SecretValues};
    use crate::kubernetes::departure::Unsettled;
    use crate::kubernetes::listed::announced;
    use crate::kubernetes::resources::{
        CredentialSpec, DeletionPolicy, InstanceSpec, InstanceStatus, ListedAs,
    };
    use crate::model::{Key, MaxDeletes, OnDelete, Owner, Policy, Secret};

    pub(in crate::kubernetes) fn name(name: &str) -> ObjectName {
        ObjectName { namespace: "ns".to_owned(), name: name.to_owned() }
    }

    fn declared<S: serde::de::DeserializeOwned>(spec: Json) -> Declared<S> {
        Declared {
            uid: "uid".to_owned(),
            generation: 1,
            created: None,
            labels: BTreeMap::from([("ring".to_owned(), "1".to_owned())]),
            reconcile_at: None,
            deleted: None,
            has_finalizer: true,
            spec: serde_json::from_value(spec).unwrap(),
        }
    }

    /// One instance, whose status has credentials of these names, each with changes to its spec.
    pub(in crate::kubernetes) fn declarations(credentials: &[(&str, Json)]) -> Declarations {
        let mut all = Declarations::default();
        let token = json!({"name": "all", "key": "token"});
        let instance = json!({"url": "http://cabin:8123", "tokenSecretRef": token});
        all.instances.insert(name("cabin"), declared(instance));
        for (of, changes) in credentials {
            let mut spec = json!({
                "domain": "spotify",
                "clientId": of,
                "clientSecretRef": {"name": "all", "key": "secret"},
                "targetSelector": {"matchLabels": {"ring": "1"}},
            });
            for (field, value) in changes.as_object().unwrap() {
                spec[field] = value.clone();
            }
            all.credentials.insert(name(of), declared(spec));
        }
        let values = [("token", "t0k3n"), ("secret", "s3cr3t-of-all")];
        let values = values.map(|(key, value)| (key.to_owned(), Secret::new(value)));
        let secret = SecretValues { version: "1".to_owned(), values: values.into() };
        all.secrets.insert(name("all"), Ok(secret));
        let names: Vec<&str> = credentials.iter().map(|(of, _)| *of).collect();
        list(&mut all, &name("cabin"), &names);
        all
    }

    pub(in crate::kubernetes) fn assigned(all: &Declarations) -> ClusterAssignment {
        assign(all, &Owner::new("cluster").unwrap())
    }

    /// The keys that the instance is to hold, and those of what is deleted there.
    fn keys(all: &Declarations) -> (Vec<String>, Vec<String>) {
        let assignment = assigned(all);
        let spec = &assignment.specs[&name("cabin").target()];
        assert_eq!(spec.desired.owner.as_str(), "cluster.ns");
        let wanted = spec.desired.credentials.iter().map(|entry| entry.key.to_string());
        let gone = spec.policy.gone.iter().flatten().map(|(key, _)| key.to_string());
        (wanted.collect(), gone.collect())
    }

    fn fault(all: &Declarations, of: &str) -> Option<&'static str> {
        assigned(all).credentials[&name(of)].fault.as_ref().map(|fault| fault.reason)
    }

    #[test]
    fn nothing_is_deleted_but_what_an_object_says() {
        let elsewhere = json!({"targetSelector": {"matchLabels": {"ring": "2"}}});
        let retained = json!({"deletionPolicy": "Retain"});
        let suspended = json!({"suspend": true});
        let mut all = declarations(&[
            ("deleted", json!({})),
            ("elsewhere", elsewhere),
            ("retained", retained),
            ("suspended", suspended),
            ("wanted", json!({})),
        ]);
        let other = labelled(&all, &[("ring", "2")]);
        all.instances.insert(name("other"), other);
        let text = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        list(&mut all, &name("cabin"), &["wanted"]);
        assert!(keys(&all).1.is_empty(), "it never was to have it");
        list(&mut all, &name("cabin"), &["elsewhere", "retained", "suspended", "wanted"]);
        for of in ["deleted", "retained", "suspended"] {
            let of = all.credentials.get_mut(&name(of)).unwrap();
            of.deleted = Some(Timestamp::UNIX_EPOCH);
        }
        assert_eq!(keys(&all), (text(&["wanted"]), text(&["deleted", "elsewhere"])));
        all.credentials.clear();
        assert_eq!(keys(&all), (text(&[]), text(&[])), "an empty answer deletes nothing");
    }

    /// Has the status of an instance name these alone, as wanted.
    pub(in crate::kubernetes) fn list(
        all: &mut Declarations,
        instance: &ObjectName,
        names: &[&str],
    ) {
        let listed = names.iter().map(|name| (name.to_string(), Listing::Wanted));
        all.listed.insert(instance.clone(), listed.collect());
    }

    /// The instance, with these labels.
    fn labelled(all: &Declarations, labels: &[(&str, &str)]) -> Declared<InstanceSpec> {
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Declared { labels: labels.collect(), ..all.instances[&name("cabin")].clone() }
    }

    /// The policy of the instance, which has these labels, with one credential for each of these rings.
    fn policy(labels: &[(&str, &str)], rings: &[&str], change: fn(&mut Declarations)) -> Policy {
        let names = ["a", "b", "c"];
        let of = |(name, ring): (&&'static str, &&str)| {
            (*name, json!({"targetSelector": {"matchLabels": {"ring": ring}}}))
        };
        let mut all = declarations(&names.iter().zip(rings).map(of).collect::<Vec<_>>());
        for (of, labels) in [("other", &[("ring", "2")][..]), ("cabin", labels)] {
            let instance = labelled(&all, labels);
            all.instances.insert(name(of), instance);
        }
        change(&mut all);
        list(&mut all, &name("cabin"), &names);
        assigned(&all).specs[&name("cabin").target()].policy.clone()
    }

    #[test]
    fn labels_alone_delete_where_another_instance_is_selected_and_never_the_last_one() {
        let gone = |policy: &Policy| {
            let keys = policy.gone.iter().flatten().map(|(key, _)| key.to_string());
            keys.collect::<Vec<_>>().join(" ")
        };
        let moved = policy(&[("ring", "1")], &["1", "2", "3"], |_| {});
        assert_eq!(gone(&moved), "b", "of the third, nobody is selected");
        assert!(!moved.allow_empty);
        let unlabelled = policy(&[], &["2"], |_| {});
        assert_eq!((gone(&unlabelled).as_str(), unlabelled.allow_empty), ("a", false));
        let deleted = policy(&[], &["2", "3"], |all| {
            let of = all.credentials.get_mut(&name("b")).unwrap();
            of.deleted = Some(Timestamp::UNIX_EPOCH);
        });
        assert_eq!((gone(&deleted).as_str(), deleted.allow_empty), ("a b", true));
        let emptied = policy(&[], &["2"], |all| {
            let of = all.instances.get_mut(&name("cabin")).unwrap();
            of.spec.deletion_policy = DeletionPolicy::Delete;
            of.spec.max_deletes = Some(IntOrString::Int(0));
            of.deleted = Some(Timestamp::UNIX_EPOCH);
        });
        assert_eq!((emptied.max_deletes, emptied.allow_empty), (None, true));
    }

    #[test]
    fn what_too_many_would_lose_stays_and_comes_nowhere_else() {
        let mut all =
            declarations(&[("a", json!({"targetSelector": {"matchLabels": {"ring": "2"}}}))]);
        let (second, third) = (labelled(&all, &[]), labelled(&all, &[("ring", "2")]));
        all.instances.extend([(name("second"), second), (name("third"), third)]);
        let listed = |all: &mut Declarations, instances: &[&str]| {
            all.listed.clear();
            instances.iter().for_each(|instance| list(all, &name(instance), &["a"]));
        };
        let limit = |all: &mut Declarations, limit| {
            all.credentials.get_mut(&name("a")).unwrap().spec.max_deletes = limit;
        };
        let found = |all: &Declarations| {
            let assignment = assigned(all);
            let instances = ["cabin", "second", "third"].map(|instance| {
                let instance = &assignment.instances[&name(instance)];
                (instance.gone.len(), instance.wanted.len())
            });
            (instances, assignment.credentials[&name("a")].withheld.clone())
        };
        listed(&mut all, &["cabin", "second"]);
        let (instances, why) = found(&all);
        assert_eq!(instances, [(0, 0); 3]);
        assert!(why.unwrap().starts_with("labels take it off 2 of the 2 HomeAssistants"));
        let unsettled =
            &assigned(&all).instances[&name("cabin")].unsettled[&Key::new("a").unwrap()];
        assert!(matches!(unsettled, Unsettled::TooMany(_)), "{unsettled:?}");
        listed(&mut all, &["cabin", "second", "third"]);
        assert_eq!(found(&all).0, [(0, 0), (0, 0), (0, 1)], "who has it keeps it");
        listed(&mut all, &["cabin", "second"]);
        for enough in [IntOrString::Int(2), IntOrString::String("100%".to_owned())] {
            limit(&mut all, Some(enough));
            assert_eq!(found(&all), ([(1, 0), (1, 0), (0, 1)], None));
        }
        limit(&mut all, Some(IntOrString::String("some".to_owned())));
        assert_eq!(found(&all), ([(0, 0); 3], None));
        assert_eq!(fault(&all, "a"), Some("InvalidSpec"));
        limit(&mut all, None);
        all.credentials.get_mut(&name("a")).unwrap().deleted = timestamp(1);
        assert_eq!(found(&all), ([(1, 0); 3], None), "who deletes it means that");
    }

    #[test]
    fn a_limit_of_deletes_is_a_number_or_a_percentage() {
        let limited = |limit: IntOrString| {
            let mut all = declarations(&[]);
            all.instances.get_mut(&name("cabin")).unwrap().spec.max_deletes = Some(limit);
            let assignment = assigned(&all);
            let fault = assignment.instances[&name("cabin")].fault.clone();
            let spec = assignment.specs.get(&name("cabin").target());
            (spec.map(|spec| spec.policy.max_deletes), fault.map(|fault| fault.message))
        };
        assert_eq!(limited(IntOrString::Int(3)), (Some(Some(MaxDeletes::Count(3))), None));
        let percent = IntOrString::String("20%".to_owned());
        assert_eq!(limited(percent), (Some(Some(MaxDeletes::Percent(20))), None));
        for wrong in [IntOrString::Int(-1), IntOrString::String("many".to_owned())] {
            let (spec, why) = limited(wrong);
            assert!(spec.is_none() && why.unwrap().starts_with("maxDeletes: `"));
        }
    }

    #[test]
    fn an_object_in_error_is_left_out_alone_and_nothing_of_it_is_deleted() {
        let no_secret = json!({"clientSecretRef": {"name": "none", "key": "secret"}});
        let no_key = json!({"clientSecretRef": {"name": "all", "key": "none"}});
        let wrong = json!({"domain": "Spotify!"});
        let none = json!({"key": "ring", "operator": "In", "values": []});
        let of_none = json!({"targetSelector": {"matchExpressions": [none]}});
        let twin = json!({"clientId": "a"});
        let cases = [
            ("a", json!({})),
            ("b", no_secret),
            ("c", no_key),
            ("d", wrong),
            ("e", twin),
            ("f", of_none),
        ];
        let all = declarations(&cases);
        assert_eq!(keys(&all), (vec!["a".to_owned()], Vec::new()));
        let faults = ["a", "b", "c", "d", "e", "f"].map(|of| fault(&all, of));
        let (missing, invalid) = (Some("SecretMissing"), Some("InvalidSpec"));
        assert_eq!(faults, [None, missing, missing, invalid, Some("SameClient"), invalid]);
    }

    #[test]
    fn one_with_an_invalid_selector_can_be_deleted() {
        let none = json!({"key": "ring", "operator": "In", "values": []});
        let of_none = json!({"targetSelector": {"matchExpressions": [none]}});
        let mut all = declarations(&[("a", of_none)]);
        assert_eq!(keys(&all), (Vec::new(), Vec::new()));
        all.credentials.get_mut(&name("a")).unwrap().deleted = timestamp(1);
        assert_eq!(keys(&all), (Vec::new(), vec!["a".to_owned()]));
        assert_eq!(fault(&all, "a"), None);
    }

    fn timestamp(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn an_instance_that_is_deleted_keeps_what_it_holds_unless_it_says_otherwise() {
        let retained = json!({"deletionPolicy": "Retain"});
        let mut all = declarations(&[("a", json!({})), ("b", retained)]);
        let instance = |all: &mut Declarations, of: fn(&mut Declared<_>)| {
            of(all.instances.get_mut(&name("cabin")).unwrap());
        };
        instance(&mut all, |instance| instance.deleted = timestamp(1));
        let assignment = assigned(&all);
        assert!(
            assignment.specs.is_empty() && assignment.instances[&name("cabin")].gone.is_empty()
        );
        instance(&mut all, |instance| instance.spec.deletion_policy = DeletionPolicy::Delete);
        assert_eq!(keys(&all), (Vec::new(), vec!["a".to_owned()]));
        instance(&mut all, |instance| instance.has_finalizer = false);
        assert!(assigned(&all).specs.is_empty(), "nobody waits for it");
    }

    #[test]
    fn nothing_is_created_before_a_status_says_that_it_is_wanted() {
        let mut all = declarations(&[("a", json!({})), ("b", json!({}))]);
        list(&mut all, &name("cabin"), &["a"]);
        assert_eq!(keys(&all), (vec!["a".to_owned()], Vec::new()));
        let b = ("b".to_owned(), Listing::Unsettled);
        all.listed.get_mut(&name("cabin")).unwrap().extend([b]);
        let instance = assigned(&all).instances[&name("cabin")].clone();
        assert_eq!(instance.unlisted, [Key::new("b").unwrap()].into());
        assert_eq!((instance.wanted.len(), instance.revisions.entries.len()), (2, 1));
        let announced = announced(&instance, &InstanceStatus::default()).unwrap().listed();
        assert_eq!(announced, [("b".to_owned(), ListedAs::Wanted)].into());
        let b = ("b".to_owned(), Listing::Announced);
        all.listed.get_mut(&name("cabin")).unwrap().extend([b]);
        assert_eq!(keys(&all), (vec!["a".to_owned()], Vec::new()), "its object may be gone");
        let instance = &assigned(&all).instances[&name("cabin")];
        assert_eq!((instance.unlisted.len(), instance.announced.len()), (0, 1));
    }

    #[test]
    fn of_two_instances_at_one_address_the_older_one_has_it_also_while_it_is_in_error() {
        let mut all = declarations(&[("a", json!({}))]);
        all.instances.insert(name("barn"), all.instances[&name("cabin")].clone());
        let of = |all: &mut Declarations, of: &str, change: fn(&mut Declared<InstanceSpec>)| {
            change(all.instances.get_mut(&name(of)).unwrap());
        };
        let fault = |all: &Declarations, of: &str| {
            assigned(all).instances[&name(of)].fault.as_ref().map(|fault| fault.reason)
        };
        assert_eq!((fault(&all, "barn"), fault(&all, "cabin")), (None, Some("SameAddress")));
        assert_eq!(assigned(&all).specs.len(), 1);
        of(&mut all, "barn", |instance| instance.created = timestamp(2));
        of(&mut all, "cabin", |instance| instance.created = timestamp(1));
        assert_eq!((fault(&all, "barn"), fault(&all, "cabin")), (Some("SameAddress"), None));
        of(&mut all, "cabin", |instance| instance.spec.token_secret_ref.name = "none".to_owned());
        let both = (Some("SameAddress"), Some("SecretMissing"));
        assert_eq!((fault(&all, "barn"), fault(&all, "cabin")), both, "others may see the Secret");
        of(&mut all, "cabin", |instance| instance.spec.suspend = true);
        assert_eq!(fault(&all, "barn"), None);
    }

    #[test]
    fn of_an_object_that_cannot_be_read_nothing_is_changed() {
        let mut all = declarations(&[("a", json!({})), ("b", json!({}))]);
        let of = all.credentials.get_mut(&name("a")).unwrap();
        of.spec = CredentialSpec::unreadable("maxDeletes: too much".to_owned());
        for is_deleted in [false, true] {
            all.credentials.get_mut(&name("a")).unwrap().deleted =
                is_deleted.then_some(Timestamp::UNIX_EPOCH);
            assert_eq!(keys(&all), (vec!["b".to_owned()], Vec::new()));
            let assignment = assigned(&all);
            let fault = assignment.credentials[&name("a")].fault.as_ref().unwrap();
            assert_eq!(fault.reason, "InvalidSpec");
            assert!(fault.message.ends_with("maxDeletes: too much"), "{fault:?}");
            let unsettled = &assignment.instances[&name("cabin")].unsettled;
            let in_error = Unsettled::InError(fault.message.clone());
            let expected = (!is_deleted).then_some(&in_error);
            assert_eq!(
                unsettled.get(&Key::new("a").unwrap()),
                expected,
                "where it may be stays known"
            );
        }
        let of = all.instances.get_mut(&name("cabin")).unwrap();
        of.spec = InstanceSpec::unreadable("url: none".to_owned());
        let assignment = assigned(&all);
        assert!(assignment.specs.is_empty());
        let of = &assignment.instances[&name("cabin")];
        assert_eq!(of.fault.as_ref().unwrap().reason, "InvalidSpec");
        assert_eq!(of.wanted.len(), 1, "and what it has in its status");
    }

    #[test]
    fn what_is_protected_is_not_deleted() {
        let protected = json!({"protect": true});
        let elsewhere = json!({"protect": true, "targetSelector": {"matchLabels": {"ring": "2"}}});
        let mut all = declarations(&[("a", protected), ("b", elsewhere)]);
        all.credentials.get_mut(&name("a")).unwrap().deleted = timestamp(1);
        assert_eq!(keys(&all), (Vec::new(), Vec::new()));
        let policy = &assigned(&all).specs[&name("cabin").target()].policy;
        assert_eq!(policy.protected.len(), 2, "nor is it replaced");
    }

    #[test]
    fn what_is_deleted_says_what_becomes_of_its_accounts() {
        let removes = json!({"integration": {"onDelete": "RemoveIntegration"}});
        let mut all = declarations(&[("a", json!({})), ("b", removes)]);
        all.credentials.values_mut().for_each(|of| of.deleted = timestamp(1));
        let gone = assigned(&all).specs[&name("cabin").target()].policy.gone.clone().unwrap();
        let fates = ["a", "b"].map(|key| gone[&Key::new(key).unwrap()]);
        assert_eq!(fates, [OnDelete::Keep, OnDelete::RemoveIntegration]);
    }

    #[test]
    fn what_a_instance_that_is_deleted_is_to_lose_stays_in_its_status() {
        let mut all = declarations(&[("a", json!({}))]);
        let instance = all.instances.get_mut(&name("cabin")).unwrap();
        instance.deleted = timestamp(1);
        for (policy, is_listed) in [(DeletionPolicy::Delete, true), (DeletionPolicy::Retain, false)]
        {
            all.instances.get_mut(&name("cabin")).unwrap().spec.deletion_policy = policy;
            let of_instance = &assigned(&all).instances[&name("cabin")];
            let unsettled = of_instance.unsettled.get(&Key::new("a").unwrap());
            assert_eq!(unsettled.is_some(), is_listed);
            assert_eq!(of_instance.gone.len(), usize::from(is_listed));
        }
    }

    /// Renamed in Git: the new object is there before the old one is deleted, or at once after that.
    #[test]
    fn nothing_is_deleted_of_a_client_that_another_object_waits_for() {
        let removes = |of: Json| {
            let mut spec = json!({"integration": {"onDelete": "RemoveIntegration"}});
            spec.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
            spec
        };
        let new = removes(json!({"clientId": "old"}));
        let mut all = declarations(&[("old", removes(json!({}))), ("new", new)]);
        all.credentials.get_mut(&name("old")).unwrap().deleted = timestamp(1);
        list(&mut all, &name("cabin"), &["old"]);
        assert_eq!(keys(&all), (Vec::new(), Vec::new()), "it may not be created yet");
        list(&mut all, &name("cabin"), &["old", "new"]);
        let secret = |all: &mut Declarations, of: &str| {
            let spec = &mut all.credentials.get_mut(&name("new")).unwrap().spec;
            spec.client_secret_ref.name = of.to_owned();
        };
        let awaits = |all: &Declarations| {
            let instance = assigned(all).instances.remove(&name("cabin")).unwrap();
            instance.awaits.into_iter().map(|(key, why)| (key.to_string(), why)).collect::<Vec<_>>()
        };
        assert!(awaits(&all).is_empty());
        secret(&mut all, "none");
        assert_eq!(keys(&all), (Vec::new(), Vec::new()), "its Secret is missing");
        let [(old, why)] = awaits(&all).try_into().unwrap();
        let said = "the ApplicationCredential ns/new, which is for the same client and is to take this credential over, is in error: there is no Secret ns/none";
        assert_eq!((old.as_str(), why.as_str()), ("old", said));
        secret(&mut all, "all");
        assert_eq!(keys(&all), (vec!["new".to_owned()], vec!["old".to_owned()]));
    }

    #[test]
    fn white_space_around_a_client_id_is_none_of_it() {
        let mut all =
            declarations(&[("b", json!({"clientId": " x "})), ("a", json!({"clientId": "x"}))]);
        all.credentials.get_mut(&name("b")).unwrap().created = timestamp(1);
        all.credentials.get_mut(&name("a")).unwrap().created = timestamp(2);
        let assignment = assigned(&all);
        let [of_b] = assignment.specs[&name("cabin").target()].desired.credentials.as_slice()
        else {
            panic!("one of the two has the client");
        };
        assert_eq!((of_b.key.as_str(), of_b.client_id.as_str()), ("b", "x"));
        assert_eq!(fault(&all, "a"), Some("SameClient"));
        let secret = all.secrets.values_mut().next().unwrap().as_mut().unwrap();
        secret.values.insert("secret".to_owned(), Secret::new("x"));
        let fault = assigned(&all).credentials[&name("b")].fault.clone().unwrap().message;
        assert_eq!(fault, "the client secret is the same text as clientId");
    }

    #[test]
    fn the_oldest_object_of_a_client_keeps_it_also_while_it_is_in_error() {
        let mut all = declarations(&[("b", json!({})), ("a", json!({"clientId": "b"}))]);
        let older = |all: &mut Declarations, of: fn(&mut Declared<_>)| {
            of(all.credentials.get_mut(&name("b")).unwrap());
        };
        all.credentials.get_mut(&name("a")).unwrap().created = timestamp(2);
        older(&mut all, |of| of.created = timestamp(1));
        assert_eq!(keys(&all).0, ["b"]);
        assert_eq!(fault(&all, "a"), Some("SameClient"));
        older(&mut all, |of| of.has_finalizer = false);
        assert_eq!(keys(&all), (Vec::new(), Vec::new()));
        older(&mut all, |of| of.has_finalizer = true);
        older(&mut all, |of| of.spec.client_secret_ref.name = "none".to_owned());
        assert_eq!(keys(&all), (Vec::new(), Vec::new()));
        assert_eq!(
            ["a", "b"].map(|of| fault(&all, of)),
            [Some("SameClient"), Some("SecretMissing")]
        );
        older(&mut all, |of| of.deleted = timestamp(3));
        assert_eq!(keys(&all).0, ["a"]);
    }

    #[test]
    fn an_instance_has_the_authorities_of_its_secret() {
        let mut all = declarations(&[("a", json!({}))]);
        let instance = all.instances.get_mut(&name("cabin")).unwrap();
        let wrong = json!({"name": "all", "key": "secret"});
        instance.spec.ca_secret_ref = Some(serde_json::from_value(wrong).unwrap());
        let assignment = assigned(&all);
        let fault = assignment.instances[&name("cabin")].fault.as_ref().unwrap();
        assert!(assignment.specs.is_empty() && fault.reason == "SecretInvalid", "{fault:?}");
        assert!(!fault.message.contains("s3cr3t"), "{fault:?}");
        let certificate = rcgen::generate_simple_self_signed(["cabin".to_owned()]).unwrap();
        let mut token = all.secrets[&name("all")].clone().unwrap();
        token.values.insert("secret".to_owned(), Secret::new(&certificate.cert.pem()));
        all.secrets.insert(name("all"), Ok(token));
        assert_eq!(assigned(&all).instances[&name("cabin")].fault, None);
    }

    #[test]
    fn a_credential_without_its_finalizer_is_not_created() {
        let mut all = declarations(&[("a", json!({})), ("b", json!({"deletionPolicy": "Retain"}))]);
        all.credentials.values_mut().for_each(|of| of.has_finalizer = false);
        assert_eq!(keys(&all), (vec!["b".to_owned()], Vec::new()));
    }

    #[test]
    fn an_instance_without_its_token_is_in_error_and_no_secret_is_printed() {
        let mut all = declarations(&[("a", json!({}))]);
        let shown = format!("{all:?} {:?}", assigned(&all));
        assert!(!shown.contains("t0k3n") && !shown.contains("s3cr3t"), "{shown}");
        all.secrets.clear();
        let assignment = assigned(&all);
        assert!(assignment.specs.is_empty());
        let fault = assignment.instances[&name("cabin")].fault.as_ref().unwrap();
        assert_eq!(fault.message, "there is no Secret ns/all");
    }
}
