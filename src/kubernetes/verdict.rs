//! What is to become of an object, of either kind. Pure.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use kube::runtime::reflector::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::assignment::ClusterAssignment;
use super::conditions::conditions;
use super::declared::{Declarations, Declared, ObjectName};
use super::finalizer::{self, DeletionWaits, Finalizer};
use super::listed::{self, StoredInstances};
use super::object_state::{self, FAILED, ObjectState};
use super::resources::{
    CredentialObject, CredentialSpec, CredentialStatus, InstanceObject, InstanceSpec,
    InstanceStatus,
};
use super::source::Objects;
use crate::status::{Link, Status, TargetStatus};

/// One reading, and how everything is at one moment.
pub(super) struct ClusterMoment<'m> {
    pub(super) declared: &'m Declarations,
    pub(super) assignment: &'m ClusterAssignment,
    pub(super) targets: BTreeMap<&'m ObjectName, &'m TargetStatus>,
    /// The HomeAssistants as they are stored, with what replicas wrote of them.
    pub(super) instances: StoredInstances,
    pub(super) awaited: &'m DeletionWaits,
    /// How long an object that is being deleted waits.
    pub(super) deletion_timeout: Duration,
    pub(super) instant: Instant,
    pub(super) now: Timestamp,
}

impl<'m> ClusterMoment<'m> {
    /// How the targets of these Home Assistants are.
    pub(super) fn targets(
        declared: &'m Declarations,
        status: &'m Status,
    ) -> BTreeMap<&'m ObjectName, &'m TargetStatus> {
        let found = |name: &'m ObjectName| Some((name, status.targets.get(&name.target())?));
        declared.instances.keys().filter_map(found).collect()
    }

    fn target(&self, name: &ObjectName) -> Option<&'m TargetStatus> {
        self.targets.get(name).copied()
    }
}

/// What is to become of one object.
pub(super) struct ObjectVerdict<S> {
    pub(super) finalizer: Finalizer,
    /// Where something of it stays, and why; empty where nothing does.
    pub(super) left: String,
    /// Its status; none where that stays as it is.
    pub(super) status: Option<S>,
}

/// What the statuses of all kinds have.
pub(super) struct CommonFields<'s> {
    observed_generation: &'s mut Option<i64>,
    last_handled_reconcile_at: &'s mut Option<String>,
    conditions: &'s mut Vec<Condition>,
}

/// What the kinds have in common.
pub(super) trait Reported:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + HasStatus<Status: Serialize + PartialEq + Clone + Default + Send + Sync>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    type Declaration: 'static;

    fn stored(objects: &Objects) -> &Store<Self>;
    fn all(declared: &Declarations) -> &BTreeMap<ObjectName, Declared<Self::Declaration>>;
    fn conditions(status: &Self::Status) -> &[Condition];
    fn common(status: &mut Self::Status) -> CommonFields<'_>;
    /// Whether what is said for this reason counts how many are so.
    fn is_count(_: &str) -> bool {
        false
    }
    /// What becomes of its mark; none where nothing is known of it yet.
    fn finalizer(
        name: &ObjectName,
        of: &Declared<Self::Declaration>,
        moment: &ClusterMoment<'_>,
        is_over: bool,
    ) -> Option<Finalizer>;
    /// What its status has before it is known how it is, where others must know of that.
    fn underway(_: &ObjectName, _: &ClusterMoment<'_>, _: &Self::Status) -> Option<Self::Status> {
        None
    }
    /// Why something that it represents is left at a Home Assistant.
    fn why_left(name: &ObjectName, instance: &ObjectName, moment: &ClusterMoment<'_>) -> String;
    /// How it is, and its status without what all have.
    fn state(
        name: &ObjectName,
        of: &Declared<Self::Declaration>,
        moment: &ClusterMoment<'_>,
        before: &Self::Status,
    ) -> (Option<ObjectState>, Self::Status);
}

/// What is to become of an object that was stored so. `refused` is why its mark could not be set.
pub(super) fn judge<K: Reported>(
    name: &ObjectName,
    of: &Declared<K::Declaration>,
    object: &K,
    moment: &ClusterMoment<'_>,
    refused: Option<&str>,
) -> Option<ObjectVerdict<K::Status>> {
    let is_over = moment.awaited.is_over(&of.uid, moment.deletion_timeout, moment.instant);
    let finalizer = K::finalizer(name, of, moment, is_over)?;
    let before = object.status().cloned().unwrap_or_default();
    let (state, mut status) = K::state(name, of, moment, &before);
    let is_deleted = of.deleted.is_some();
    let why = |instance: &ObjectName| K::why_left(name, instance, moment);
    let left = object_state::left_at(finalizer.left(), why);
    let state = object_state::unless_deleted(state, is_deleted, &finalizer, &left);
    let state = match (refused, &finalizer) {
        (Some(why), Finalizer::Add) => Some(ObjectState::unmarked(why)),
        _ => state.or_else(|| object.status().is_none().then(ObjectState::begun)),
    };
    let status = state.map(|state| {
        let fields = K::common(&mut status);
        *fields.observed_generation = Some(of.generation);
        *fields.last_handled_reconcile_at = of.reconcile_at.clone();
        *fields.conditions = conditions(&state, of.generation, K::conditions(&before), moment.now);
        status
    });
    let status = status.or_else(|| K::underway(name, moment, &before));
    let status = status.filter(|new| object.status() != Some(new));
    Some(ObjectVerdict { finalizer, left, status })
}

impl Reported for InstanceObject {
    type Declaration = InstanceSpec;

    fn stored(objects: &Objects) -> &Store<Self> {
        &objects.instances
    }

    fn all(declared: &Declarations) -> &BTreeMap<ObjectName, Declared<InstanceSpec>> {
        &declared.instances
    }

    fn conditions(status: &InstanceStatus) -> &[Condition] {
        &status.conditions
    }

    fn common(status: &mut InstanceStatus) -> CommonFields<'_> {
        let InstanceStatus { observed_generation, last_handled_reconcile_at, conditions, .. } =
            status;
        CommonFields { observed_generation, last_handled_reconcile_at, conditions }
    }

    fn finalizer(
        name: &ObjectName,
        of: &Declared<InstanceSpec>,
        moment: &ClusterMoment<'_>,
        is_over: bool,
    ) -> Option<Finalizer> {
        let assigned = moment.assignment.instances.get(name)?;
        Some(finalizer::of_instance(name, of, assigned, moment.target(name), is_over))
    }

    fn underway(
        name: &ObjectName,
        moment: &ClusterMoment<'_>,
        before: &InstanceStatus,
    ) -> Option<InstanceStatus> {
        listed::underway(moment.assignment.instances.get(name)?, moment.target(name), before)
    }

    fn why_left(_: &ObjectName, instance: &ObjectName, moment: &ClusterMoment<'_>) -> String {
        let assigned = moment.assignment.instances.get(instance);
        let why = assigned.map(|assigned| listed::why_left(assigned, moment.target(instance)));
        why.unwrap_or_default()
    }

    fn state(
        name: &ObjectName,
        _: &Declared<InstanceSpec>,
        moment: &ClusterMoment<'_>,
        before: &InstanceStatus,
    ) -> (Option<ObjectState>, InstanceStatus) {
        let Some(assigned) = moment.assignment.instances.get(name) else {
            return (None, InstanceStatus::default());
        };
        let target = moment.target(name);
        let status = InstanceStatus {
            version: version(target).or_else(|| before.version.clone()),
            credentials: listed::credentials(assigned, target, before),
            ..InstanceStatus::default()
        };
        (object_state::of_instance(assigned, target), status)
    }
}

impl Reported for CredentialObject {
    type Declaration = CredentialSpec;

    fn is_count(reason: &str) -> bool {
        reason == FAILED
    }

    fn stored(objects: &Objects) -> &Store<Self> {
        &objects.credentials
    }

    fn all(declared: &Declarations) -> &BTreeMap<ObjectName, Declared<CredentialSpec>> {
        &declared.credentials
    }

    fn conditions(status: &CredentialStatus) -> &[Condition] {
        &status.conditions
    }

    fn common(status: &mut CredentialStatus) -> CommonFields<'_> {
        let CredentialStatus { observed_generation, last_handled_reconcile_at, conditions, .. } =
            status;
        CommonFields { observed_generation, last_handled_reconcile_at, conditions }
    }

    fn finalizer(
        name: &ObjectName,
        of: &Declared<CredentialSpec>,
        moment: &ClusterMoment<'_>,
        is_over: bool,
    ) -> Option<Finalizer> {
        moment.assignment.credentials.get(name)?;
        Some(finalizer::of_credential(name, of, moment.declared, &moment.instances, is_over))
    }

    fn why_left(name: &ObjectName, instance: &ObjectName, moment: &ClusterMoment<'_>) -> String {
        listed::why_listed(&name.name, moment.instances.get(instance).map(AsRef::as_ref))
    }

    fn state(
        name: &ObjectName,
        of: &Declared<CredentialSpec>,
        moment: &ClusterMoment<'_>,
        _: &CredentialStatus,
    ) -> (Option<ObjectState>, CredentialStatus) {
        let Some(assigned) = moment.assignment.credentials.get(name) else {
            return (None, CredentialStatus::default());
        };
        let (all, instances) = (moment.assignment, &moment.instances);
        let (state, targets) = object_state::of_credential((name, of), assigned, all, instances);
        (state, CredentialStatus { targets, ..CredentialStatus::default() })
    }
}

fn version(target: Option<&TargetStatus>) -> Option<String> {
    match &target?.link {
        Link::Up { version, .. } => version.clone(),
        _ => None,
    }
}
