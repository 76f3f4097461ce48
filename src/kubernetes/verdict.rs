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
use super::farewell::{self, DeletionWaits, Finalizer};
use super::held::{self, StoredHouses};
use super::resources::{
    CredentialObject, CredentialSpec, CredentialStatus, HouseObject, HouseSpec, HouseStatus,
};
use super::source::Objects;
use super::standing::{self, FAILED, ObjectStanding};
use crate::status::{Link, Status, TargetStatus};

/// One reading, and how everything is at one moment.
pub(super) struct ClusterMoment<'m> {
    pub(super) declared: &'m Declarations,
    pub(super) assignment: &'m ClusterAssignment,
    pub(super) targets: BTreeMap<&'m ObjectName, &'m TargetStatus>,
    /// The HomeAssistants as they are stored, with what replicas wrote of them.
    pub(super) houses: StoredHouses,
    pub(super) awaited: &'m DeletionWaits,
    /// How long an object that is being deleted waits.
    pub(super) patience: Duration,
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
        declared.houses.keys().filter_map(found).collect()
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
    fn why_left(name: &ObjectName, house: &ObjectName, moment: &ClusterMoment<'_>) -> String;
    /// How it is, and its status without what all have.
    fn standing(
        name: &ObjectName,
        of: &Declared<Self::Declaration>,
        moment: &ClusterMoment<'_>,
        before: &Self::Status,
    ) -> (Option<ObjectStanding>, Self::Status);
}

/// What is to become of an object that was stored so. `refused` is why its mark could not be set.
pub(super) fn judge<K: Reported>(
    name: &ObjectName,
    of: &Declared<K::Declaration>,
    object: &K,
    moment: &ClusterMoment<'_>,
    refused: Option<&str>,
) -> Option<ObjectVerdict<K::Status>> {
    let is_over = moment.awaited.is_over(&of.uid, moment.patience, moment.instant);
    let finalizer = K::finalizer(name, of, moment, is_over)?;
    let before = object.status().cloned().unwrap_or_default();
    let (standing, mut status) = K::standing(name, of, moment, &before);
    let is_deleted = of.deleted.is_some();
    let why = |house: &ObjectName| K::why_left(name, house, moment);
    let left = standing::left_at(finalizer.left(), why);
    let standing = standing::unless_deleted(standing, is_deleted, &finalizer, &left);
    let standing = match (refused, &finalizer) {
        (Some(why), Finalizer::Add) => Some(ObjectStanding::unmarked(why)),
        _ => standing.or_else(|| object.status().is_none().then(ObjectStanding::begun)),
    };
    let status = standing.map(|standing| {
        let fields = K::common(&mut status);
        *fields.observed_generation = Some(of.generation);
        *fields.last_handled_reconcile_at = of.reconcile_at.clone();
        *fields.conditions =
            conditions(&standing, of.generation, K::conditions(&before), moment.now);
        status
    });
    let status = status.or_else(|| K::underway(name, moment, &before));
    let status = status.filter(|new| object.status() != Some(new));
    Some(ObjectVerdict { finalizer, left, status })
}

impl Reported for HouseObject {
    type Declaration = HouseSpec;

    fn stored(objects: &Objects) -> &Store<Self> {
        &objects.houses
    }

    fn all(declared: &Declarations) -> &BTreeMap<ObjectName, Declared<HouseSpec>> {
        &declared.houses
    }

    fn conditions(status: &HouseStatus) -> &[Condition] {
        &status.conditions
    }

    fn common(status: &mut HouseStatus) -> CommonFields<'_> {
        let HouseStatus { observed_generation, last_handled_reconcile_at, conditions, .. } = status;
        CommonFields { observed_generation, last_handled_reconcile_at, conditions }
    }

    fn finalizer(
        name: &ObjectName,
        of: &Declared<HouseSpec>,
        moment: &ClusterMoment<'_>,
        is_over: bool,
    ) -> Option<Finalizer> {
        let assigned = moment.assignment.houses.get(name)?;
        Some(farewell::of_house(name, of, assigned, moment.target(name), is_over))
    }

    fn underway(
        name: &ObjectName,
        moment: &ClusterMoment<'_>,
        before: &HouseStatus,
    ) -> Option<HouseStatus> {
        held::underway(moment.assignment.houses.get(name)?, moment.target(name), before)
    }

    fn why_left(_: &ObjectName, house: &ObjectName, moment: &ClusterMoment<'_>) -> String {
        let assigned = moment.assignment.houses.get(house);
        let why = assigned.map(|assigned| held::why_left(assigned, moment.target(house)));
        why.unwrap_or_default()
    }

    fn standing(
        name: &ObjectName,
        _: &Declared<HouseSpec>,
        moment: &ClusterMoment<'_>,
        before: &HouseStatus,
    ) -> (Option<ObjectStanding>, HouseStatus) {
        let Some(assigned) = moment.assignment.houses.get(name) else {
            return (None, HouseStatus::default());
        };
        let target = moment.target(name);
        let status = HouseStatus {
            version: version(target).or_else(|| before.version.clone()),
            credentials: held::held(assigned, target, before),
            ..HouseStatus::default()
        };
        (standing::of_house(assigned, target), status)
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
        Some(farewell::of_credential(name, of, moment.declared, &moment.houses, is_over))
    }

    fn why_left(name: &ObjectName, house: &ObjectName, moment: &ClusterMoment<'_>) -> String {
        held::why_listed(&name.name, moment.houses.get(house).map(AsRef::as_ref))
    }

    fn standing(
        name: &ObjectName,
        of: &Declared<CredentialSpec>,
        moment: &ClusterMoment<'_>,
        _: &CredentialStatus,
    ) -> (Option<ObjectStanding>, CredentialStatus) {
        let Some(assigned) = moment.assignment.credentials.get(name) else {
            return (None, CredentialStatus::default());
        };
        let (all, houses) = (moment.assignment, &moment.houses);
        let (standing, targets) = standing::of_credential((name, of), assigned, all, houses);
        (standing, CredentialStatus { targets, ..CredentialStatus::default() })
    }
}

fn version(target: Option<&TargetStatus>) -> Option<String> {
    match &target?.link {
        Link::Up { version, .. } => version.clone(),
        _ => None,
    }
}
