//! How current what was seen of the cluster is at least.
//!
//! A watch may lag behind by any time, and each kind by another one. Two things must not be decided by what was so before:
//!
//! - That an object may go, since no HomeAssistant's status has it. The HomeAssistants are known as of its deletion then.
//! - That a credential is created, since its object is there. The credentials are known then as of the status that has it.
//!
//! So of two replicas, the one that creates and the one that lets the object go, at least one sees what the other one wrote.
//! And who takes over a shard knows the HomeAssistants as of its Lease: what was written before is seen.
//!
//! Versions are compared as numbers: they are those of etcd, in one order for all kinds.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ListParams};
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::declared::{Listing, ObjectName, name_of};
use super::error;
use super::resources::{CredentialObject, HouseObject, ListedAs};

/// How long the versions of all objects may take: 10,000 took ten seconds of a busy API server.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether a watch has brought them, and how soon again.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(100);

/// The version of an object, or of a list.
pub(super) fn version(of: Option<&str>) -> u64 {
    of.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// As of which version objects are known: all that was so then was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) houses: u64,
    pub(super) credentials: u64,
}

/// Since which version something is as it is, as far as it was seen.
#[derive(Default)]
pub(super) struct FirstSeen {
    /// What the statuses of HomeAssistants have.
    listings: BTreeMap<ObjectName, BTreeMap<String, (ListedAs, u64)>>,
    /// ApplicationCredentials that are being deleted, by uid.
    deletions: BTreeMap<String, u64>,
}

impl FirstSeen {
    pub(super) fn note(
        &mut self,
        houses: &[Arc<HouseObject>],
        credentials: &[Arc<CredentialObject>],
    ) {
        let before = std::mem::take(&mut self.listings);
        let listed = houses.iter().filter_map(|house| {
            let name = name_of(&**house);
            let before = before.get(&name);
            let since = |(credential, listed_as): (String, ListedAs)| {
                let same = before.and_then(|before| before.get(&credential));
                let same = same.filter(|(before, _)| *before == listed_as);
                let now = || version(house.metadata.resource_version.as_deref());
                let since = same.map_or_else(now, |(_, since)| *since);
                (credential, (listed_as, since))
            };
            let listed = house.status.as_ref()?.listed();
            Some((name, listed.into_iter().map(since).collect()))
        });
        self.listings = listed.collect();
        let before = std::mem::take(&mut self.deletions);
        let deleted = credentials.iter().filter(|one| one.metadata.deletion_timestamp.is_some());
        self.deletions = deleted
            .map(|one| {
                let uid = one.uid().unwrap_or_default();
                let now = || version(one.metadata.resource_version.as_deref());
                let since = before.get(&uid).copied().unwrap_or_else(now);
                (uid, since)
            })
            .collect();
    }

    /// As of which version objects must be known.
    pub(super) fn demanded(&self) -> Versions {
        let listings = self.listings.values().flat_map(BTreeMap::values);
        let wanted = listings.filter(|(listed_as, _)| *listed_as == ListedAs::Wanted);
        Versions {
            houses: self.deletions.values().copied().max().unwrap_or_default(),
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
        let houses = self.listings.iter();
        houses.map(|(name, of)| (name.clone(), of.iter().map(listing).collect())).collect()
    }

    /// Whether it is known which HomeAssistants had a credential when it was deleted.
    pub(super) fn is_looked_up(&self, uid: &str, known: Versions) -> bool {
        self.deletions.get(uid).is_none_or(|since| *since <= known.houses)
    }
}

/// As of which version the objects of a store are known, which is this one or a later one; nothing where some are not yet.
pub(super) async fn known_as_of<K>(
    api: &Api<K>,
    store: &Store<K>,
    demanded: u64,
) -> kube::Result<Option<u64>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static,
{
    // Without a version, so that etcd is asked: what the API server has of a kind in its memory may be as of the last
    // change of that kind, however long ago that was, and it refuses to be asked for a later version.
    let list = error::within(TIMEOUT, api.list_metadata(&ListParams::default())).await?;
    let as_of = version(list.metadata.resource_version.as_deref());
    if as_of < demanded {
        let why = "the versions of objects of several kinds cannot be compared here";
        return Err(kube::Error::Service(io::Error::other(why).into()));
    }
    let there = list.items.iter().map(versioned).collect();
    // What a watch has on its way is waited for, before all is asked for again.
    for _ in 0..LOOKS {
        let seen = store.state();
        let seen = seen.iter().map(|object| versioned(&**object)).collect();
        if is_seen(&there, &seen, as_of) {
            return Ok(Some(as_of));
        }
        sleep(LOOK).await;
    }
    Ok(None)
}

fn versioned(object: &impl ResourceExt) -> (String, u64) {
    (object.uid().unwrap_or_default(), version(object.meta().resource_version.as_deref()))
}

/// Whether all was seen that was there at a version, and all that was not.
fn is_seen(there: &BTreeMap<String, u64>, seen: &BTreeMap<String, u64>, as_of: u64) -> bool {
    let is_current =
        |(uid, version): (&String, &u64)| seen.get(uid).is_some_and(|seen| seen >= version);
    let is_there = |(uid, version): (&String, &u64)| there.contains_key(uid) || *version > as_of;
    there.iter().all(is_current) && seen.iter().all(is_there)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::{FirstSeen, Versions, is_seen};
    use crate::kubernetes::assignment::tests::name;
    use crate::kubernetes::declared::Listing;
    use crate::kubernetes::resources::{CredentialObject, HouseObject};

    #[test]
    fn a_store_is_as_of_a_version_once_it_has_all_that_was_there_and_nothing_else() {
        let of = |all: &[(&str, u64)]| -> BTreeMap<String, u64> {
            all.iter().map(|(uid, version)| (uid.to_string(), *version)).collect()
        };
        let there = of(&[("a", 5), ("b", 7)]);
        let seen = |seen: &[(&str, u64)]| is_seen(&there, &of(seen), 10);
        assert!(seen(&[("a", 5), ("b", 7)]));
        assert!(seen(&[("a", 12), ("b", 7), ("c", 11)]), "what came later was seen, too");
        assert!(!seen(&[("a", 5)]), "one was not seen");
        assert!(!seen(&[("a", 4), ("b", 7)]), "an earlier version was");
        assert!(!seen(&[("a", 5), ("b", 7), ("c", 3)]), "one is gone that was");
    }

    fn house(version: u64, credentials: &[(&str, Option<i64>)]) -> Arc<HouseObject> {
        let credentials: Vec<_> = credentials
            .iter()
            .map(|(name, of)| json!({"name": name, "observedGeneration": of, "state": "Synced"}))
            .collect();
        let house = json!({
            "apiVersion": "appcred.io/v1alpha1",
            "kind": "HomeAssistant",
            "metadata": {"name": "cabin", "namespace": "ns", "resourceVersion": version.to_string()},
            "spec": {"url": "http://cabin:8123", "tokenSecretRef": {"name": "t", "key": "t"}},
            "status": {"credentials": credentials},
        });
        Arc::new(serde_json::from_value(house).unwrap())
    }

    fn credential(version: u64, is_deleted: bool) -> Arc<CredentialObject> {
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
            first.listed(Versions { houses: 0, credentials })[&name("cabin")]["a"]
        };
        first.note(&[house(5, &[("a", Some(1))])], &[]);
        assert_eq!(first.demanded().credentials, 5);
        assert_eq!(listed(&first, 4), Listing::Announced);
        assert_eq!(listed(&first, 5), Listing::Wanted);
        first.note(&[house(9, &[("a", Some(2))])], &[]);
        assert_eq!(listed(&first, 5), Listing::Wanted, "it was so all the time");
        first.note(&[house(10, &[("a", None)])], &[]);
        assert_eq!(listed(&first, 5), Listing::Unsettled);
        first.note(&[house(11, &[("a", Some(2))])], &[]);
        assert_eq!(listed(&first, 5), Listing::Announced);
    }

    #[test]
    fn where_a_credential_may_be_is_known_once_houses_are_as_of_its_deletion() {
        let mut first = FirstSeen::default();
        let is_looked_up = |first: &FirstSeen, houses| {
            first.is_looked_up("uid", Versions { houses, credentials: 0 })
        };
        first.note(&[], &[credential(5, false)]);
        assert!(is_looked_up(&first, 0) && first.demanded() == Versions::default());
        first.note(&[], &[credential(6, true)]);
        first.note(&[], &[credential(8, true)]);
        assert_eq!(first.demanded().houses, 6);
        assert!(!is_looked_up(&first, 5) && is_looked_up(&first, 6));
    }
}
