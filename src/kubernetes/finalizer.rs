//! When an object that is being deleted may go: once what it represents is gone too. Pure.
//!
//! A Home Assistant that cannot be reached must not keep a namespace for ever. So it is waited for a while, and then what
//! it holds stays there, which is reported.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::assignment::InstanceAssignment;
use super::declared::{Declarations, Declared, ObjectName};
use super::listed::StoredInstances;
use super::resources::{CredentialSpec, DeletionPolicy, InstanceSpec};
use crate::model::Key;
use crate::status::TargetStatus;

/// What becomes of the mark that keeps an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finalizer {
    /// It is as it should be.
    Stays,
    /// It stays until nothing of the object is left where these are.
    Waits(Vec<ObjectName>),
    /// It is to be set, before anything is done.
    Add,
    /// It is to be removed.
    Remove,
    /// The same, and something stays where these are.
    GiveUp(Vec<ObjectName>),
}

impl Finalizer {
    /// Where something of the object is left.
    pub(super) fn left(&self) -> &[ObjectName] {
        match self {
            Self::Waits(left) | Self::GiveUp(left) => left,
            Self::Stays | Self::Add | Self::Remove => &[],
        }
    }
}

/// Since when this process knows of objects that they are being deleted, by uid. The time that an object has says
/// nothing: nobody may have looked since then.
#[derive(Debug, Default)]
pub(super) struct DeletionWaits(BTreeMap<String, Instant>);

impl DeletionWaits {
    /// These are being deleted now.
    pub(super) fn look<'d>(&mut self, deleted: impl Iterator<Item = &'d str>, now: Instant) {
        let before = std::mem::take(&mut self.0);
        let since = |uid| before.get(uid).copied().unwrap_or(now);
        self.0 = deleted.map(|uid| (uid.to_owned(), since(uid))).collect();
    }

    /// Whether an object was waited for so long.
    pub(super) fn is_over(&self, uid: &str, limit: Duration, now: Instant) -> bool {
        self.0.get(uid).is_some_and(|since| now.duration_since(*since) >= limit)
    }
}

/// What becomes of the mark of a HomeAssistant.
pub(super) fn of_instance(
    name: &ObjectName,
    declared: &Declared<InstanceSpec>,
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
    is_over: bool,
) -> Finalizer {
    let is_kept = declared.spec.deletion_policy == DeletionPolicy::Delete;
    if declared.deleted.is_none() {
        return alive(is_kept, declared.spec.unreadable.is_some(), declared.has_finalizer);
    }
    if !declared.has_finalizer {
        return Finalizer::Stays;
    }
    let is_left = |key: &Key| !is_gone(key, assigned, target);
    let is_left = is_kept && assigned.gone.keys().any(is_left);
    ended(is_left.then(|| name.clone()).into_iter().collect(), is_over)
}

/// What becomes of the mark of an ApplicationCredential, by the statuses of all Home Assistants, since each may be another
/// replica's.
pub(super) fn of_credential(
    name: &ObjectName,
    declared: &Declared<CredentialSpec>,
    all: &Declarations,
    stored: &StoredInstances,
    is_over: bool,
) -> Finalizer {
    let spec = &declared.spec;
    let is_kept = spec.deletion_policy == DeletionPolicy::Delete;
    if declared.deleted.is_none() {
        return alive(is_kept, spec.unreadable.is_some(), declared.has_finalizer);
    }
    if !declared.has_finalizer {
        return Finalizer::Stays;
    }
    // Of a suspended one nothing is changed, and a protected one is not deleted.
    let is_deleted = is_kept && !spec.suspend && !spec.protect;
    if !is_deleted {
        return Finalizer::Remove;
    }
    if all.sought.contains(name) && !is_over {
        return Finalizer::Waits(Vec::new());
    }
    let instances = all.instances_beside(name).filter(|(_, of)| !of.is_released());
    let left = instances.map(|(instance, _)| instance).filter(|instance| {
        let Some(instance) = stored.get(*instance) else { return false };
        // One that never held it is not waited for; of one that nobody has looked at yet, nobody knows.
        let status = instance.status.as_ref().filter(|status| status.is_written());
        status.is_none_or(|status| status.of(&name.name).is_some())
    });
    ended(left.cloned().collect(), is_over)
}

fn ended(left: Vec<ObjectName>, is_over: bool) -> Finalizer {
    match left.is_empty() {
        true => Finalizer::Remove,
        false if is_over => Finalizer::GiveUp(left),
        false => Finalizer::Waits(left),
    }
}

fn alive(is_kept: bool, is_unreadable: bool, has_finalizer: bool) -> Finalizer {
    match (is_kept, has_finalizer) {
        _ if is_unreadable => Finalizer::Stays,
        (true, false) => Finalizer::Add,
        (false, true) => Finalizer::Remove,
        _ => Finalizer::Stays,
    }
}

/// Whether a Home Assistant was looked at since something was to be deleted there, and holds none of it.
pub(super) fn is_gone(
    key: &Key,
    assigned: &InstanceAssignment,
    target: Option<&TargetStatus>,
) -> bool {
    target.is_some_and(|target| {
        target.is_connected()
            && target.revisions.target == assigned.revisions.target
            && target.revisions.entries.get(key) == assigned.revisions.entries.get(key)
            && target.held.as_ref().is_some_and(|held| !held.contains(key))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use serde_json::{Value as Json, json};
    use tokio::time::Instant;

    use super::{DeletionWaits, Finalizer, of_credential};
    use crate::kubernetes::assignment::tests::{declarations, name};
    use crate::kubernetes::declared::Declarations;
    use crate::kubernetes::resources::InstanceObject;

    fn deleted(changes: Json) -> Declarations {
        let mut all = declarations(&[("a", changes)]);
        all.credentials.get_mut(&name("a")).unwrap().deleted = Some(Timestamp::UNIX_EPOCH);
        all
    }

    /// What becomes of the mark where the instance has this status.
    fn verdict_by(all: &Declarations, status: Json, is_over: bool) -> Finalizer {
        let instance: InstanceObject = serde_json::from_value(json!({
            "apiVersion": "appcred.io/v1alpha1",
            "kind": "HomeAssistant",
            "metadata": {"name": "cabin", "namespace": "ns"},
            "spec": {"url": "http://cabin:8123", "tokenSecretRef": {"name": "t", "key": "t"}},
            "status": status,
        }))
        .unwrap();
        let stored = BTreeMap::from([(name("cabin"), Arc::new(instance))]);
        of_credential(&name("a"), &all.credentials[&name("a")], all, &stored, is_over)
    }

    /// The same, where it has the credential.
    fn verdict(all: &Declarations, is_over: bool) -> Finalizer {
        let listed = json!([{"name": "a", "state": "Deleting"}]);
        verdict_by(all, json!({"observedGeneration": 1, "credentials": listed}), is_over)
    }

    #[test]
    fn the_timeout_begins_when_the_object_was_seen_here() {
        let all = deleted(json!({}));
        let (mut awaited, begin) = (DeletionWaits::default(), Instant::now());
        let limit = Duration::from_secs(600);
        let over = |awaited: &DeletionWaits, now| awaited.is_over("uid", limit, now);
        awaited.look(all.deleted(), begin);
        assert!(!over(&awaited, begin), "it is deleted since long ago, and nobody has looked");
        awaited.look(all.deleted(), begin + limit / 2);
        assert!(over(&awaited, begin + limit));
        awaited.look(std::iter::empty(), begin + limit);
        assert!(!over(&awaited, begin + limit), "what is gone is forgotten");
    }

    #[test]
    fn an_object_waits_for_instances_that_may_hold_what_is_to_be_deleted() {
        let cabin = || vec![name("cabin")];
        assert_eq!(verdict(&deleted(json!({})), false), Finalizer::Waits(cabin()));
        assert_eq!(verdict(&deleted(json!({})), true), Finalizer::GiveUp(cabin()));
        for kept in [json!({"protect": true}), json!({"suspend": true})] {
            assert_eq!(verdict(&deleted(kept), false), Finalizer::Remove);
        }
        let mut all = deleted(json!({}));
        all.instances.get_mut(&name("cabin")).unwrap().deleted = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(verdict(&all, false), Finalizer::Remove, "the instance keeps what it holds");
    }

    #[test]
    fn an_instance_whose_status_nobody_has_written_may_hold_what_it_does_not_select() {
        let mut all = deleted(json!({"targetSelector": {"matchLabels": {"ring": "2"}}}));
        let waits = Finalizer::Waits(vec![name("cabin")]);
        for status in [json!(null), json!({}), json!({"credentials": []})] {
            assert_eq!(verdict_by(&all, status, false), waits);
        }
        let none = json!({"observedGeneration": 1, "credentials": []});
        assert_eq!(verdict_by(&all, none.clone(), false), Finalizer::Remove);
        all.sought.insert(name("a"));
        let is_sought = Finalizer::Waits(Vec::new());
        assert_eq!(verdict_by(&all, none.clone(), false), is_sought, "it may be an earlier status");
        assert_eq!(verdict_by(&all, none, true), Finalizer::Remove);
    }
}
