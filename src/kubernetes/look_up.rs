//! Looks up which versions of objects there are, where they must be known as of a later one.
//!
//! Each kind has a task of its own: a list that takes long, or hangs, holds up nothing that does not need it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::time::Duration;

use kube::api::{Api, ListParams};
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::error;
use super::freshness::version;
use super::object_watch::Watched;

/// How long the versions of all objects may take: 10,000 took ten seconds of a busy API server.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether a watch has brought them, and how soon again.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(100);

/// The pause before all is asked for again, which doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// As of which version the objects of a kind are known, and are to be known.
pub(super) struct LookedUp {
    demanded: watch::Sender<u64>,
    /// All that was so then was seen.
    pub(super) as_of: watch::Receiver<u64>,
}

impl LookedUp {
    /// The objects are to be known as of this version, or a later one.
    pub(super) fn demand(&self, version: u64) {
        self.demanded.send_if_modified(|demanded| std::mem::replace(demanded, version) != version);
    }

    /// The same, and what was demanded before still is.
    pub(super) fn demand_at_least(&self, version: u64) {
        let before = *self.demanded.borrow();
        self.demand(before.max(version));
    }
}

/// Begins to look up what is demanded of a kind; the task ends when it is dropped. `looks` is where it says what keeps it
/// from that.
pub(super) fn begin<K>(
    api: Api<K>,
    store: Store<K>,
    looks: Watched,
    tasks: &mut JoinSet<()>,
) -> LookedUp
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (demanded, demands) = watch::channel(0);
    let (known, as_of) = watch::channel(0);
    tasks.spawn(look_up(api, store, looks, (demands, known)));
    LookedUp { demanded, as_of }
}

async fn look_up<K>(
    api: Api<K>,
    store: Store<K>,
    looks: Watched,
    (mut demands, known): (watch::Receiver<u64>, watch::Sender<u64>),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static,
{
    let mut pause = FIRST_PAUSE;
    loop {
        if *demands.borrow() <= *known.borrow() {
            looks.succeeded();
        }
        let demanded = demands.wait_for(|demanded| *demanded > *known.borrow()).await;
        // Nobody demands anything any more.
        let Ok(demanded) = demanded.map(|demanded| *demanded) else { return };
        match known_as_of(&api, &store, demanded).await {
            Ok(Some(version)) => {
                known.send_replace(version);
                pause = FIRST_PAUSE;
                continue;
            }
            Ok(None) => looks.succeeded(),
            Err(why) => looks.failed(error::of_list("objects", &why)),
        }
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// As of which version the objects of a store are known, which is this one or a later one; nothing where some are not yet.
async fn known_as_of<K>(api: &Api<K>, store: &Store<K>, demanded: u64) -> kube::Result<Option<u64>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static,
{
    // Without a version, so that etcd is asked: what the API server has of a kind in its memory may be as of the last
    // change of that kind, however long ago that was, and it refuses to be asked for a later version.
    let list = error::within(TIMEOUT, api.list_metadata(&ListParams::default())).await?;
    let as_of = version(list.metadata.resource_version.as_deref()).filter(|of| *of >= demanded);
    let there = list.items.iter().map(versioned).collect::<Option<_>>();
    let (Some(as_of), Some(there)) = (as_of, there) else {
        let why = "the versions of objects of several kinds cannot be compared here";
        return Err(kube::Error::Service(io::Error::other(why).into()));
    };
    // What a watch has on its way is waited for, before all is asked for again.
    for _ in 0..LOOKS {
        let seen = store.state();
        let seen = seen.iter().filter_map(|object| versioned(&**object)).collect();
        if is_seen(&there, &seen, as_of) {
            return Ok(Some(as_of));
        }
        sleep(LOOK).await;
    }
    Ok(None)
}

/// The uid of an object and its version; none where that is no number.
fn versioned(object: &impl ResourceExt) -> Option<(String, u64)> {
    let version = version(object.meta().resource_version.as_deref())?;
    Some((object.uid().unwrap_or_default(), version))
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

    use axum::Router;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher;
    use kube::{Api, Client};
    use serde_json::json;

    use super::{is_seen, known_as_of};
    use crate::kubernetes::resources::InstanceObject;

    #[tokio::test]
    async fn objects_whose_versions_are_no_numbers_are_known_as_of_none() {
        for (list, object) in [("abc", "5"), ("7", "abc"), ("", "5"), ("6", "5"), ("7", "5")] {
            let of = json!({"metadata": {"uid": "a", "resourceVersion": object}});
            let all = json!({"metadata": {"resourceVersion": list}, "items": [of]}).to_string();
            let answer = move || std::future::ready(all.clone());
            let client = Client::new(Router::new().fallback(answer), "ns");
            let api: Api<InstanceObject> = Api::namespaced(client, "ns");
            let (store, mut writer) = store();
            let instance = json!({
                "apiVersion": "appcred.io/v1alpha1",
                "kind": "HomeAssistant",
                "metadata": {"name": "a", "namespace": "ns", "uid": "a", "resourceVersion": object},
                "spec": {"url": "http://a:8123", "tokenSecretRef": {"name": "t", "key": "t"}},
            });
            let seen = watcher::Event::Apply(serde_json::from_value(instance).unwrap());
            writer.apply_watcher_event(&seen);
            let known = known_as_of(&api, &store, 7).await;
            match (list, object) {
                ("7", "5") => assert_eq!(known.unwrap(), Some(7)),
                _ => assert!(known.unwrap_err().to_string().contains("cannot be compared")),
            }
        }
    }

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
}
