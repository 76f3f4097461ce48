//! When an object that is being deleted may go: once what it represents is gone too. Pure.
//!
//! A Home Assistant that cannot be reached must not keep a namespace for ever. So it is waited for a while, and then what
//! it holds stays there, which is reported.

use std::time::Duration;

use jiff::Timestamp;

use super::assignment::{ClusterAssignment, HouseAssignment};
use super::declared::{Declarations, Declared, ObjectName};
use super::resources::{CredentialSpec, DeletionPolicy, HouseSpec};
use crate::model::Key;
use crate::status::TargetStatus;

/// What becomes of the mark that keeps an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finalizer {
    /// It is as it should be.
    Stays,
    /// It is to be set, before anything is done.
    Add,
    /// It is to be removed.
    Remove,
    /// The same, and something stays where these are.
    GiveUp(Vec<ObjectName>),
}

/// What becomes of the mark of a HomeAssistant.
pub(super) fn of_house(
    name: &ObjectName,
    declared: &Declared<HouseSpec>,
    assigned: &HouseAssignment,
    target: Option<&TargetStatus>,
    is_over: impl Fn(Timestamp) -> bool,
) -> Finalizer {
    let is_kept = declared.spec.deletion_policy == DeletionPolicy::Delete;
    let Some(since) = declared.deleted else { return alive(is_kept, declared.has_finalizer) };
    if !declared.has_finalizer {
        return Finalizer::Stays;
    }
    let is_empty = || assigned.gone.iter().all(|key| is_gone(key, assigned, target));
    if !is_kept || is_empty() {
        return Finalizer::Remove;
    }
    if is_over(since) { Finalizer::GiveUp(vec![name.clone()]) } else { Finalizer::Stays }
}

/// What becomes of the mark of an ApplicationCredential.
pub(super) fn of_credential<'t>(
    name: &ObjectName,
    declared: &Declared<CredentialSpec>,
    (all, assignment): (&Declarations, &ClusterAssignment),
    target: impl Fn(&ObjectName) -> Option<&'t TargetStatus>,
    is_over: impl Fn(Timestamp) -> bool,
) -> Finalizer {
    let is_kept = declared.spec.deletion_policy == DeletionPolicy::Delete;
    let Some(since) = declared.deleted else { return alive(is_kept, declared.has_finalizer) };
    if !declared.has_finalizer {
        return Finalizer::Stays;
    }
    // Of a suspended one nothing is changed.
    let Some(key) = Key::new(&name.name).filter(|_| is_kept && !declared.spec.suspend) else {
        return Finalizer::Remove;
    };
    let houses = all.houses.keys().filter(|house| house.namespace == name.namespace);
    let left = houses.filter(|house| {
        let Some(assigned) = assignment.houses.get(*house) else { return false };
        let target = target(house);
        // One that never held it is not waited for.
        let held = target.and_then(|target| target.held.as_ref());
        let may_hold = held.map_or_else(
            || selects(declared, all, house),
            |held| held.contains(&key) || selects(declared, all, house),
        );
        may_hold && !is_gone(&key, assigned, target)
    });
    let left: Vec<ObjectName> = left.cloned().collect();
    match left.is_empty() {
        true => Finalizer::Remove,
        false if is_over(since) => Finalizer::GiveUp(left),
        false => Finalizer::Stays,
    }
}

/// Whether so much time is over since then.
pub(super) fn is_over(since: Timestamp, limit: Duration, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(since)).is_ok_and(|waited| waited >= limit)
}

fn alive(is_kept: bool, has_finalizer: bool) -> Finalizer {
    match (is_kept, has_finalizer) {
        (true, false) => Finalizer::Add,
        (false, true) => Finalizer::Remove,
        _ => Finalizer::Stays,
    }
}

/// Whether a Home Assistant was looked at since something was to be deleted there, and holds none of it.
fn is_gone(key: &Key, assigned: &HouseAssignment, target: Option<&TargetStatus>) -> bool {
    target.is_some_and(|target| {
        target.is_connected()
            && target.revisions.target == assigned.revisions.target
            && target.revisions.entries.get(key) == assigned.revisions.entries.get(key)
            && target.held.as_ref().is_some_and(|held| !held.contains(key))
    })
}

fn selects(declared: &Declared<CredentialSpec>, all: &Declarations, house: &ObjectName) -> bool {
    let selector = kube::core::Selector::try_from(declared.spec.target_selector.clone());
    let labels = all.houses.get(house).map(|house| &house.labels);
    selector
        .ok()
        .zip(labels)
        .is_some_and(|(selector, labels)| kube::core::SelectorExt::matches(&selector, labels))
}
