//! How current what was seen of the cluster is at least.
//!
//! A watch may lag behind by any time, and each kind by another one. Two things must not be decided by what was so before:
//!
//! - That an object may go, since no HomeAssistant's status has it. The HomeAssistants are known as of its deletion then.
//! - That a credential is created, since its object is there. The credentials are known then as of the status that has it.
//!
//! So of two replicas, the one that creates and the one that removes the finalizer, at least one sees what the other one wrote.
//! And who takes over a shard knows all objects as of its Lease: what was written before is seen. Without the credentials that
//! were declared meanwhile, a status would lose those that others have created.
//!
//! Versions are compared as numbers: they are those of etcd, in one order for all kinds. What has another one is known as of
//! no version.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;

use super::declared::{Listing, ObjectName, name_of};
use super::resources::{CredentialObject, InstanceObject, ListedAs};

/// The version of an object, or of a list; none where it is no number.
pub(super) fn version(of: Option<&str>) -> Option<u64> {
    of?.parse().ok()
}

/// Since when something is as an object of this version has it.
pub(super) fn since(version_of: Option<&str>) -> u64 {
    version(version_of).unwrap_or(NEVER)
}

/// No objects are known as of this version.
const NEVER: u64 = u64::MAX;

/// As of when something is known, over all that the cluster ever was: one that was restored from a backup or made anew counts
/// its versions from an earlier one on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AsOf {
    /// How often the cluster was seen to be another one.
    pub(super) state: u64,
    pub(super) version: u64,
}

/// As of which version objects are known: all that was so then was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) instances: u64,
    pub(super) credentials: u64,
}

impl Versions {
    /// As of which version objects of both kinds are known.
    pub(super) fn of_all(self) -> u64 {
        self.instances.min(self.credentials)
    }
}

/// Since which version something is as it is, as far as it was seen.
#[derive(Default)]
pub(super) struct FirstSeen {
    /// What the statuses of HomeAssistants have, by uid.
    listings: BTreeMap<String, InstanceListing>,
    /// ApplicationCredentials that are being deleted, by uid.
    deletions: BTreeMap<String, u64>,
}

/// What the status of a HomeAssistant has.
struct InstanceListing {
    name: ObjectName,
    credentials: BTreeMap<String, (ListedAs, u64)>,
}

impl FirstSeen {
    pub(super) fn note(
        &mut self,
        instances: &[Arc<InstanceObject>],
        credentials: &[Arc<CredentialObject>],
    ) {
        let before = std::mem::take(&mut self.listings);
        let listed = instances.iter().filter_map(|instance| {
            let uid = instance.uid().unwrap_or_default();
            let before = before.get(&uid);
            let noted = |(credential, listed_as): (String, ListedAs)| {
                let same = before.and_then(|before| before.credentials.get(&credential));
                let same = same.filter(|(before, _)| *before == listed_as);
                let now = || since(instance.metadata.resource_version.as_deref());
                let since = same.map_or_else(now, |(_, since)| *since);
                (credential, (listed_as, since))
            };
            let listed = instance.status.as_ref()?.listed();
            let credentials = listed.into_iter().map(noted).collect();
            Some((uid, InstanceListing { name: name_of(&**instance), credentials }))
        });
        self.listings = listed.collect();
        let before = std::mem::take(&mut self.deletions);
        let deleted = credentials.iter().filter(|one| one.metadata.deletion_timestamp.is_some());
        self.deletions = deleted
            .map(|one| {
                let uid = one.uid().unwrap_or_default();
                let now = || since(one.metadata.resource_version.as_deref());
                let since = before.get(&uid).copied().unwrap_or_else(now);
                (uid, since)
            })
            .collect();
    }

    /// As of which version objects must be known by who acts for the objects of these uids: who creates nothing at a
    /// HomeAssistant, and does not let a credential's object go, needs nothing of them.
    pub(super) fn demanded(&self, acts_for: impl Fn(&str) -> bool) -> Versions {
        let listings = self.listings.iter().filter(|(uid, _)| acts_for(uid));
        let listings = listings.flat_map(|(_, of)| of.credentials.values());
        let wanted = listings.filter(|(listed_as, _)| *listed_as == ListedAs::Wanted);
        let deletions = self.deletions.iter().filter(|(uid, _)| acts_for(uid));
        Versions {
            instances: deletions.map(|(_, since)| *since).max().unwrap_or_default(),
            credentials: wanted.map(|(_, since)| *since).max().unwrap_or_default(),
        }
    }

    /// What the statuses have, where objects are known as of these versions.
    pub(super) fn listed(
        &self,
        known: Versions,
    ) -> BTreeMap<ObjectName, BTreeMap<String, Listing>> {
        let listing = |(name, (listed_as, since)): (&String, &(ListedAs, u64))| {
            let listing = match listed_as {
                ListedAs::Wanted if *since <= known.credentials => Listing::Wanted,
                ListedAs::Wanted => Listing::Announced,
                ListedAs::Unsettled => Listing::Unsettled,
            };
            (name.clone(), listing)
        };
        let instances = self.listings.values();
        instances
            .map(|of| (of.name.clone(), of.credentials.iter().map(listing).collect()))
            .collect()
    }

    /// Whether it is known which HomeAssistants had a credential when it was deleted.
    pub(super) fn is_looked_up(&self, uid: &str, known: Versions) -> bool {
        self.deletions.get(uid).is_none_or(|since| *since <= known.instances)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::{FirstSeen, Versions};
    use crate::kubernetes::assignment::tests::name;
    use crate::kubernetes::declared::Listing;
    use crate::kubernetes::resources::{CredentialObject, InstanceObject};

    fn instance(
        version: impl ToString,
        credentials: &[(&str, Option<i64>)],
    ) -> Arc<InstanceObject> {
        let credentials: Vec<_> = credentials
            .iter()
            .map(|(name, of)| json!({"name": name, "observedGeneration": of, "state": "Synced"}))
            .collect();
        let instance = json!({
            "apiVersion": "appcred.io/v1alpha1",
            "kind": "HomeAssistant",
            "metadata": {"name": "cabin", "namespace": "ns", "uid": "cabin", "resourceVersion": version.to_string()},
            "spec": {"url": "http://cabin:8123", "tokenSecretRef": {"name": "t", "key": "t"}},
            "status": {"credentials": credentials},
        });
        Arc::new(serde_json::from_value(instance).unwrap())
    }

    fn credential(version: impl ToString, is_deleted: bool) -> Arc<CredentialObject> {
        let mut of: CredentialObject = serde_json::from_value(json!({
            "apiVersion": "appcred.io/v1alpha1",
            "kind": "ApplicationCredential",
            "metadata": {"name": "a", "namespace": "ns", "uid": "uid", "resourceVersion": version.to_string()},
            "spec": {"domain": "spotify", "clientId": "a", "targetSelector": {},
                "clientSecretRef": {"name": "a", "key": "secret"}},
        }))
        .unwrap();
        of.metadata.deletion_timestamp = is_deleted.then_some(Time(Timestamp::UNIX_EPOCH));
        Arc::new(of)
    }

    #[test]
    fn what_a_status_has_is_wanted_once_its_objects_are_known_as_of_that() {
        let mut first = FirstSeen::default();
        let listed = |first: &FirstSeen, credentials| {
            first.listed(Versions { instances: 0, credentials })[&name("cabin")]["a"]
        };
        first.note(&[instance(5, &[("a", Some(1))])], &[]);
        assert_eq!(first.demanded(|_| true).credentials, 5);
        assert_eq!(listed(&first, 4), Listing::Announced);
        assert_eq!(listed(&first, 5), Listing::Wanted);
        first.note(&[instance(9, &[("a", Some(2))])], &[]);
        assert_eq!(listed(&first, 5), Listing::Wanted, "it was so all the time");
        first.note(&[instance(10, &[("a", None)])], &[]);
        assert_eq!(listed(&first, 5), Listing::Unsettled);
        first.note(&[instance(11, &[("a", Some(2))])], &[]);
        assert_eq!(listed(&first, 5), Listing::Announced);
    }

    #[test]
    fn where_a_credential_may_be_is_known_once_instances_are_as_of_its_deletion() {
        let mut first = FirstSeen::default();
        let is_looked_up = |first: &FirstSeen, instances| {
            first.is_looked_up("uid", Versions { instances, credentials: 0 })
        };
        first.note(&[], &[credential(5, false)]);
        assert!(is_looked_up(&first, 0) && first.demanded(|_| true) == Versions::default());
        first.note(&[], &[credential(6, true)]);
        first.note(&[], &[credential(8, true)]);
        assert_eq!(first.demanded(|_| true).instances, 6);
        assert!(!is_looked_up(&first, 5) && is_looked_up(&first, 6));
    }

    #[test]
    fn a_replica_looks_up_what_concerns_its_own_objects_alone() {
        let mut first = FirstSeen::default();
        first.note(&[instance(5, &[("a", Some(1))])], &[credential(6, true)]);
        let of = |ours: &'static str| first.demanded(|uid| uid == ours);
        assert_eq!(of("cabin"), Versions { instances: 0, credentials: 5 });
        assert_eq!(of("uid"), Versions { instances: 6, credentials: 0 });
        assert_eq!(of("other"), Versions::default());
    }

    #[test]
    fn what_has_a_version_that_is_no_number_is_never_known() {
        let mut first = FirstSeen::default();
        first.note(&[instance("abc", &[("a", Some(1))])], &[credential("abc", true)]);
        let known = Versions { instances: u64::MAX - 1, credentials: u64::MAX - 1 };
        assert_eq!(first.listed(known)[&name("cabin")]["a"], Listing::Announced);
        assert!(!first.is_looked_up("uid", known));
    }

    #[test]
    fn another_instance_of_the_same_name_is_another_one() {
        let mut first = FirstSeen::default();
        first.note(&[instance(5, &[("a", Some(1))])], &[]);
        let mut again = (*instance(9, &[("a", Some(1))])).clone();
        again.metadata.uid = Some("again".to_owned());
        first.note(&[Arc::new(again)], &[]);
        let known = Versions { instances: 0, credentials: 8 };
        assert_eq!(first.listed(known)[&name("cabin")]["a"], Listing::Announced);
    }
}
